"""The guard of ADMIN_PORT: who may ask, from where, and what every answer says to the browser."""

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, jsonify, make_response, request

from lexbridge.config.settings import Settings

MOST_FAILURES = 10
"""Wrong passwords of one address within FAILURES_S, after which it has to wait, because people err twice or thrice."""

FAILURES_S = 60.0
"""Time in seconds for which an address has to wait then, because a password of 12 characters holds for ever so."""

MAX_ADDRESSES = 1000
"""Most addresses whose wrong passwords are counted; the first is forgotten for one more."""

MAX_BODY_BYTES = 64 * 1024
"""Largest body of a request, bytes, because settings and switches are short. A call's file may be larger."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing."""

PROOF_HEADER, PROOF = "X-Lexbridge", "console"
"""Header of each request that changes something: a form of another site cannot send it."""


class Failures:
    """Wrong passwords by address."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def is_blocked(self, address: str, now_s: float) -> bool:
        """Return whether the address has to wait, whatever it sends."""
        count, since_s = self._failures.get(address, (0, now_s))
        if now_s - since_s >= FAILURES_S:
            self._failures.pop(address, None)
            return False
        return count >= MOST_FAILURES

    def add(self, address: str, now_s: float) -> None:
        """Count a wrong password."""
        count, since_s = self._failures.get(address, (0, now_s))
        self._failures[address] = count + 1, since_s
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


class Guard:
    """The checks of every request, whatever it asks for, also of files and of what does not exist."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = None if settings.console_password is None else settings.console_password.encode()
        self._host = settings.admin_host
        self._clock = clock
        self._failures = Failures()

    def protect(self, app: Flask) -> None:
        """Check every request of `app`, and add HEADERS to every answer."""
        app.before_request(self._refusal)
        app.after_request(_with_headers)

    def _refusal(self) -> Response | None:
        """Return the answer to a request that is refused, or None if it passes."""
        if self._password is None:
            if not self._is_own_host(request.headers.get("Host", "")):
                return refuse(403, "the Host header is none of this console's: ask by its address, or set a password")
        elif (refused := self._password_refusal(self._password)) is not None:
            return refused
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and not _is_navigation():
            return refuse(403, "another site may not ask for this")
        if request.method not in SAFE_METHODS and request.headers.get(PROOF_HEADER) != PROOF:
            return refuse(403, f"the header {PROOF_HEADER}: {PROOF} is missing")
        return None

    def _password_refusal(self, password: bytes) -> Response | None:
        address, now_s = request.remote_addr or "", self._clock()
        if self._failures.is_blocked(address, now_s):
            refused = refuse(429, f"too many wrong passwords: wait {FAILURES_S:.0f} s")
            refused.headers["Retry-After"] = f"{FAILURES_S:.0f}"
            return refused
        given = request.authorization
        if given is not None and given.type == "basic":
            if hmac.compare_digest((given.password or "").encode("utf-8", "surrogatepass"), password):
                return None
            self._failures.add(address, now_s)
        refused = refuse(401, "a password is needed, with any user name")
        refused.headers["WWW-Authenticate"] = 'Basic realm="lexbridge console", charset="UTF-8"'
        return refused

    def _is_own_host(self, host: str) -> bool:
        """Return whether the Host header is ADMIN_HOST's, localhost or an IP address.

        Another name is one that somebody has made to point here, so that the pages of his site may read the answers.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in (self._host, "localhost") or _is_ip_address(name)


def refuse(status: int, why: str) -> Response:
    """Return an answer that tells what was wrong."""
    return make_response(jsonify(error=why), status)


def _is_navigation() -> bool:
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
