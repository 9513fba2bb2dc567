"""Twilio's requests to a bridge: signed forms, with Twilio's time limits and retries.

Source: https://www.twilio.com/docs/voice/twiml#request-parameters , /docs/usage/webhooks/webhooks-security ,
/docs/usage/webhooks/webhooks-connection-overrides (limits and retries, in the fragment of any URL),
/docs/api/errors/11205 (15 s in all). The signature is made by Twilio's own library.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import gevent
import requests
from twilio.request_validator import RequestValidator
from urllib3.exceptions import NewConnectionError, SSLError

from lexbridge.config.parsers import parse_whole
from lexbridge.offline.twilio.applications import Application, application_at

LIMIT_S = 15.0
NO_APPLICATIONS: Mapping[str, Application | str] = {}

Failure = Literal["4xx", "5xx", "ct", "rt"]
_FAILURES: tuple[Failure, ...] = ("4xx", "5xx", "ct", "rt")
# Least, most and default of each, milliseconds (rc: a count): the table of the page named above.
_RANGES = {"ct": (100, 10_000, 5_000), "rt": (100, 15_000, 15_000), "tt": (100, 15_000, 15_000), "rc": (0, 5, 1)}


class OverrideError(ValueError):
    """A connection override that Twilio does not take. `code`: Twilio's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Overrides:
    """Connection overrides of one URL: `rc`, `rp`, `ct`, `rt`, `tt` of its fragment, or their defaults.

    The default is one retry if no connection is made: the two attempts of 5 s of error 11205.
    """

    connect_ms: int = 5_000
    read_ms: int = 15_000
    total_ms: int = 15_000
    retries: int = 1
    retried: frozenset[Failure] = frozenset({"ct"})


def read_overrides(url: str) -> Overrides:
    """The overrides in the fragment of `url`. Raises OverrideError.

    Others that Twilio has (`sni`, `e`: its edge) make no difference here.
    """
    given = dict(parse_qsl(urlsplit(url).fragment, keep_blank_values=True))
    values = {}
    for name, (least, most, default) in _RANGES.items():
        text = given.get(name, str(default))
        number = parse_whole(text, least, most)
        if number is None:
            raise OverrideError(11242, f"{name}={text} is not between {least} and {most}")  # [?] the code
        values[name] = number
    policy = given.get("rp", "ct").split(",")
    if not set(policy) <= {*_FAILURES, "all"}:
        raise OverrideError(11243, f"HTTP retry policy is invalid: rp={given['rp']}")
    retried = frozenset(_FAILURES if "all" in policy else [each for each in _FAILURES if each in policy])
    return Overrides(values["ct"], values["rt"], values["tt"], values["rc"], retried)


@dataclass(frozen=True, slots=True)
class Answer:
    """A webhook's answer. `status` 0 when there was none; `text` then says why. `attempts`: requests that it took."""

    status: int
    content_type: str
    text: str
    body: bytes = b""
    attempts: int = 1


class Webhooks:
    """A client that signs and sends Twilio's requests.

    connect_to: a base http(s) address to which every connection really goes, whatever the URL says.
    sign_fragment: whether the signature covers the URL with its fragment. [?] Twilio's documents do not say; users who
    tried it say that the fragment is left out, so that is the default.
    ca_file: PEM file of the CA certificates for https and wss, or None for the public ones. applications: other
    programs, which answer at addresses of their own.
    """

    def __init__(
        self,
        auth_token: str,
        connect_to: str | None = None,
        *,
        sign_fragment: bool = False,
        ca_file: Path | None = None,
        applications: Mapping[str, Application | str] = NO_APPLICATIONS,
    ) -> None:
        self.ca_file = ca_file
        self._applications = applications
        self._validator = RequestValidator(auth_token)
        self._connect_to = connect_to
        self._sign_fragment = sign_fragment

    def signature(self, url: str, parameters: Mapping[str, str]) -> str:
        """X-Twilio-Signature for a request to `url`."""
        return str(self._validator.compute_signature(url, dict(parameters)))

    def request(self, url: str, parameters: Mapping[str, str], method: str = "POST") -> Answer:
        """Send a form (POST) or a query (GET) to the public `url`, as often as its overrides say.

        Raises OverrideError. Nothing that the other side does raises an error.
        """
        overrides = read_overrides(url)
        url, hash_sign, fragment = url.partition("#")  # the fragment is for Twilio and is not sent
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + urlencode(dict(parameters))
            parameters = {}
        signed = url + hash_sign + fragment if self._sign_fragment else url
        headers = {
            "X-Twilio-Signature": self.signature(signed, parameters),
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),  # the same with every attempt
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Host": urlsplit(url).netloc,
        }
        answer, deadline_s = Answer(0, "", ""), time.monotonic() + overrides.total_ms / 1000
        for attempt in range(1, overrides.retries + 2):
            left_s = deadline_s - time.monotonic()
            answer, failure = self._attempt(url, parameters, method, headers, overrides, left_s, attempt)
            # [?] a pause before a retry is not documented: there is none.
            if failure not in overrides.retried or time.monotonic() >= deadline_s:
                break
        return answer

    def _attempt(
        self,
        url: str,
        parameters: Mapping[str, str],
        method: str,
        headers: Mapping[str, str],
        overrides: Overrides,
        left_s: float,
        number: int,
    ) -> tuple[Answer, Failure | None]:
        """One request of at most `left_s`, and how it failed if it did."""
        application = application_at(url, self._applications)
        if isinstance(application, Application):
            told = application.ask(url, method, parameters, headers["X-Twilio-Signature"])
            body = told.text.encode()
            return Answer(told.status, told.content_type, told.text, body, number), _failed_status(told.status)
        limits_s = min(left_s, overrides.connect_ms / 1000), min(left_s, overrides.read_ms / 1000)
        deadline = gevent.Timeout(left_s)
        try:
            with deadline, requests.Session() as session:
                session.trust_env = False  # no proxy between the two ends of one machine
                session.verify = str(self.ca_file) if self.ca_file else True
                answer = session.request(
                    method,
                    self.address(url),
                    data=dict(parameters) or None,
                    headers=headers,
                    timeout=limits_s,
                    allow_redirects=False,
                )
        except gevent.Timeout as timeout:
            if timeout is not deadline:
                raise
            return Answer(0, "", f"no answer within {overrides.total_ms / 1000:g} s", attempts=number), "rt"
        except requests.RequestException as error:
            return Answer(0, "", f"{type(error).__name__}: {error}", attempts=number), _failure(error)
        status, kind = answer.status_code, answer.headers.get("Content-Type", "")
        return Answer(status, kind, answer.text, answer.content, number), _failed_status(status)

    def address(self, url: str) -> str:
        """Return the address to which the connection for the public `url` really goes.

        An application's goes to its server. With `connect_to` it is that address, and a wss stream becomes a ws stream
        to it. Without `connect_to`, only a stream to the loopback address of this machine becomes ws, because a bridge
        under test has no certificate there; with a `ca_file` that stream stays wss.
        """
        scheme, netloc, path, query, _ = urlsplit(url)
        web_socket = scheme in ("ws", "wss")
        application = application_at(url, self._applications)
        connect_to = application if isinstance(application, str) else self._connect_to
        if connect_to is not None:
            base = urlsplit(connect_to)
            scheme, netloc = base.scheme, base.netloc
        elif web_socket and self.ca_file is None and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
            scheme = "http"
        if web_socket:
            scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
        return urlunsplit((scheme, netloc, path or "/", query, ""))


def _failed_status(status: int) -> Failure | None:
    return "5xx" if status >= 500 else "4xx" if status >= 400 else None


def _failure(error: requests.RequestException) -> Failure:
    """Return whether there was no connection, or a connection and no answer.

    [?] as which of the two Twilio takes a connection that breaks before the answer: here it is the latter.
    """
    if isinstance(error, requests.ConnectTimeout):
        return "ct"
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return "ct" if isinstance(reason, (NewConnectionError, SSLError)) else "rt"
