"""The guard of ADMIN_PORT: who may ask, from where, and what every answer says to the browser."""

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask, Response, g, jsonify, make_response, request

from lexbridge.config.settings import Settings
from lexbridge.observer.admin.open_connections import network_of

MOST_FAILURES = 10
"""Different wrong passwords of a network within FAILURES_S, after which it has to wait: people err twice or thrice."""

FAILURES_S = 60.0
"""Time in seconds for which a network has to wait then, because a password of 12 characters holds for ever so."""

MAX_NETWORKS = 1000
"""Most networks whose wrong passwords are counted; the first is forgotten for one more."""

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

KNOWN = "lexbridge.known"
"""Key of a request's WSGI environ: what the server wants called when a request has passed the guard."""

KNOWN_COOKIE = "lexbridge-known"
"""Name of the cookie of browsers that have sent the password since the observer started.

Wrong passwords of strangers behind the same proxy do not lock such a browser out. It opens nothing by itself."""

PROOF_HEADER, PROOF = "X-Lexbridge", "console"
"""Header of each request that changes something: a form of another site cannot send it."""


class Failures:
    """Different wrong passwords by network. The same one again is no guess: a program may have an old password.

    Of a password only a digest with a random key is kept.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, set[bytes]]] = OrderedDict()
        self._key = os.urandom(32)

    def is_blocked(self, network: str, now_s: float) -> bool:
        """Return whether the network has to wait, whatever it sends."""
        since_s, wrong = self._failures.get(network, (now_s, ()))
        if now_s - since_s >= FAILURES_S:
            self._failures.pop(network, None)
            return False
        return len(wrong) >= MOST_FAILURES

    def add(self, network: str, password: bytes, now_s: float) -> None:
        """Count a wrong password."""
        _, wrong = self._failures.setdefault(network, (now_s, set()))
        wrong.add(hashlib.blake2b(password, key=self._key, digest_size=16).digest())
        if len(self._failures) > MAX_NETWORKS:
            self._failures.popitem(last=False)


class Guard:
    """The checks of every request, whatever it asks for, also of files and of what does not exist."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._password = (
            None if settings.service.console_password is None else settings.service.console_password.encode()
        )
        self._host = settings.service.admin_host
        self._clock = clock
        self._failures = Failures()
        self._cookie = secrets.token_urlsafe(32)

    def protect(self, app: Flask) -> None:
        """Check every request of `app`, and add HEADERS to every answer."""
        app.before_request(self._check)
        app.after_request(self._with_headers)

    def _check(self) -> Response | None:
        """Return the answer to a request that is refused. Tell the server of one that passes."""
        refused = self._refusal()
        g.has_passed = refused is None
        if refused is None:
            request.environ.get(KNOWN, bool)()
        else:
            refused.headers["Connection"] = "close"  # else a stranger would ask again and again over the same one
        return refused

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
        network, now_s = network_of(request.remote_addr or ""), self._clock()
        if self._has_cookie():
            network = KNOWN_COOKIE  # counted apart from its network
        if self._failures.is_blocked(network, now_s):
            refused = refuse(429, f"too many wrong passwords: wait {FAILURES_S:.0f} s")
            refused.headers["Retry-After"] = f"{FAILURES_S:.0f}"
            return refused
        sent = request.authorization
        if sent is not None and sent.type == "basic":
            given = (sent.password or "").encode("utf-8", "surrogatepass")
            if hmac.compare_digest(given, password):
                return None
            self._failures.add(network, given, now_s)
        refused = refuse(401, "a password is needed, with any user name")
        refused.headers["WWW-Authenticate"] = 'Basic realm="lexbridge console", charset="UTF-8"'
        return refused

    def _has_cookie(self) -> bool:
        given = request.cookies.get(KNOWN_COOKIE, "")
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._cookie.encode())

    def _with_headers(self, response: Response) -> Response:
        response.headers.update(HEADERS)
        if self._password is not None and g.get("has_passed") and not self._has_cookie():
            # Not "secure", because the port itself speaks HTTP; whoever steals it still needs the password.
            response.set_cookie(KNOWN_COOKIE, self._cookie, httponly=True, samesite="Strict")
        return response

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
    """Return whether the request is a link that somebody follows. A frame of another site's page is none."""
    is_page = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    return request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate" and is_page


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
