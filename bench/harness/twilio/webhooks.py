"""Signed requests of the lightweight Twilio to the service's webhooks, with Twilio's connection overrides.

Overrides stand in the fragment of a URL, and the fragment is not sent: rc (retries), rp (which failures are retried:
ct, rt, 4xx, 5xx, all), ct, rt and tt (limits on connecting, on each wait for the answer, and on the whole request;
milliseconds). Source: https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides .
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from bench.harness.light_http import ConnectionFailed, NoAnswer, ask, connect


@dataclass(frozen=True, slots=True)
class Overrides:
    """Number of retries of a request, and how long each part of it may take."""

    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})
    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 15.0

    def retries_after(self, failure: str) -> bool:
        """Whether a failed attempt is repeated.

        `failure`: ct (connecting took too long), refused, rt (no complete answer), 4xx or 5xx.
        """
        return failure in self.policy or ("all" in self.policy and failure != "")


def read_overrides(fragment: str) -> Overrides:
    """Return the overrides in the fragment of a URL. Raises ValueError for what Twilio does not know."""
    said = dict(parse_qsl(fragment, keep_blank_values=True))
    unknown = set(said) - {"rc", "rp", "ct", "rt", "tt", "e", "sni"}
    policy = frozenset(said.get("rp", "ct").split(","))
    if unknown or not policy <= {"ct", "rt", "4xx", "5xx", "all"}:
        raise ValueError(f"no connection overrides: #{fragment}")
    limits = {name: int(said.get(name, default)) for name, default in (("ct", 5000), ("rt", 15000), ("tt", 15000))}
    retries = int(said.get("rc", 1))
    if not 0 <= retries <= 5 or any(not 100 <= limit <= 15000 for limit in limits.values()):
        raise ValueError(f"connection overrides out of range: #{fragment}")
    return Overrides(retries, policy, limits["ct"] / 1000, limits["rt"] / 1000, limits["tt"] / 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a request. `status` 0: there was none, and `text` tells why."""

    status: int
    text: str
    failure: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Webhooks:
    """Sender of signed requests. Every attempt has a connection of its own, so any worker may get it.

    `sign_fragment`: whether the signature covers the fragment of the URL, which Twilio does not document.
    """

    def __init__(self, auth_token: str, *, sign_fragment: bool = False) -> None:
        self._validator = RequestValidator(auth_token)
        self._sign_fragment = sign_fragment
        self.attempts = 0
        self.failures: Counter[str] = Counter()
        """Failed attempts by kind."""

    def signature(self, url: str, parameters: Mapping[str, str]) -> str:
        """Return the value of X-Twilio-Signature."""
        return str(self._validator.compute_signature(url, dict(parameters)))

    async def post(self, url: str, parameters: Mapping[str, str]) -> Answer:
        """Post a signed form, with the retries that the URL asks for. Return the last answer.

        Raises ValueError for wrong overrides.
        """
        sent_url, _, fragment = url.partition("#")
        overrides = read_overrides(fragment)
        parts = urlsplit(sent_url)
        body = urlencode(dict(parameters)).encode()
        head = (
            f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"X-Twilio-Signature: {self.signature(url if self._sign_fragment else sent_url, parameters)}\r\n"
            f"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        )
        address = parts.hostname or "", parts.port or 80
        end_s = time.monotonic() + overrides.total_s
        answer = Answer(0, "no time", "rt")
        for _ in range(overrides.retries + 1):
            answer = await self._attempt(address, head.encode() + body, overrides, end_s - time.monotonic())
            if answer.failure:
                self.failures[answer.failure] += 1
            if not overrides.retries_after(answer.failure) or time.monotonic() >= end_s:
                break
        return answer

    async def _attempt(self, address: tuple[str, int], output: bytes, overrides: Overrides, left_s: float) -> Answer:
        self.attempts += 1
        try:
            async with asyncio.timeout(left_s):
                connection = await connect(address, overrides.connect_s)
                status, _, body = await ask(connection, output, overrides.read_s)
        except ConnectionFailed as error:
            return Answer(0, str(error), "ct" if error.timed_out else "refused")
        except NoAnswer as error:
            return Answer(0, str(error), "rt")
        except TimeoutError:
            return Answer(0, "no answer in the time there was", "rt")
        failure = f"{status // 100}xx" if status >= 400 else ""
        return Answer(status, body.decode("utf-8", "replace"), failure)
