"""Twilio's requests to a bridge: signed forms, with Twilio's time limits.

Source: https://www.twilio.com/docs/voice/twiml#request-parameters , /docs/usage/webhooks/webhooks-security ,
/docs/api/errors/11205 (15 s in all). The signature is made by Twilio's own library.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit, urlunsplit

import gevent
import requests
from twilio.request_validator import RequestValidator

LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A webhook's answer. `status` 0 when there was none; `text` then says why."""

    status: int
    content_type: str
    text: str
    body: bytes = b""


class Webhooks:
    """Signs and sends. `connect_to`: a base http address every connection really goes to, whatever the URL says."""

    def __init__(self, auth_token: str, connect_to: str | None = None) -> None:
        self._validator = RequestValidator(auth_token)
        self._connect_to = connect_to

    def signature(self, url: str, parameters: Mapping[str, str]) -> str:
        """X-Twilio-Signature for a request to `url`."""
        return str(self._validator.compute_signature(url, dict(parameters)))

    def request(self, url: str, parameters: Mapping[str, str], method: str = "POST") -> Answer:
        """Sends a form (POST) or a query (GET) to the public `url`; never raises for what the other side does."""
        url, _, _ = url.partition("#")  # a fragment holds Twilio's connection overrides and is not sent
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + urlencode(dict(parameters))
            parameters = {}
        headers = {
            "X-Twilio-Signature": self.signature(url, parameters),
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "Host": urlsplit(url).netloc,
        }
        try:
            with gevent.Timeout(LIMIT_S), requests.Session() as session:
                session.trust_env = False  # no proxy between the two ends of one machine
                answer = session.request(
                    method,
                    self.address(url),
                    data=dict(parameters) or None,
                    headers=headers,
                    timeout=LIMIT_S,
                    allow_redirects=False,
                )
                return Answer(answer.status_code, answer.headers.get("Content-Type", ""), answer.text, answer.content)
        except gevent.Timeout:
            return Answer(0, "", f"no answer within {LIMIT_S:.0f} s")
        except requests.RequestException as error:
            return Answer(0, "", f"{type(error).__name__}: {error}")

    def address(self, url: str) -> str:
        """Where the connection for the public `url` really goes.

        With `connect_to` it is that address, and a wss stream becomes a plain ws to it. Without, only a stream to
        this machine's own loopback turns from wss to ws: no bridge under test has a certificate there.
        """
        scheme, netloc, path, query, _ = urlsplit(url)
        web_socket = scheme in ("ws", "wss")
        if self._connect_to is not None:
            base = urlsplit(self._connect_to)
            scheme, netloc = base.scheme, base.netloc
        elif web_socket and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
            scheme = "http"
        if web_socket:
            scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
        return urlunsplit((scheme, netloc, path or "/", query, ""))
