"""The web server of the phone: its page, the page's WebSocket, and the rehearsal's faults. For this machine only."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lexbridge.offline.loopback_server import ConnectionDropped, LoopbackServer
from lexbridge.offline.phone.browser import Browser
from lexbridge.offline.phone.page_socket import PageSocket
from lexbridge.offline.phone.rehearsal import FaultRefused, Rehearsal
from lexbridge.offline.phone.switchboard import Switchboard

STATIC = Path(__file__).parent / "static"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
LONGEST_BODY_BYTES = 10_000
"""Bytes of a request's body at most, because the name of a fault is short."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws://{host}; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "microphone=(self), camera=(), geolocation=()"),
]
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_REASONS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {409: "Conflict"}

Environment = dict[str, Any]
StartResponse = Callable[..., Any]


class PhoneServer(LoopbackServer):
    """The server, from entering it as a context manager (or `start()`) until leaving it (or `stop()`)."""

    def __init__(self, switchboard: Switchboard, rehearsal: Rehearsal, port: int) -> None:
        super().__init__(("127.0.0.1", port), self._respond)
        self._switchboard = switchboard
        self._rehearsal = rehearsal
        self._files = {f"/{path.name}": path for path in STATIC.iterdir() if path.is_file()}
        self._files["/"] = STATIC / "index.html"

    def _respond(self, environ: Environment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if not is_loopback_host(host):  # another name for this machine: a page of somebody else's
            return _answer(start_response, 403, b"This phone is for this machine only.\n", "text/plain", host="")
        path = environ["PATH_INFO"]
        if path == "/line":
            return self._serve_page(environ, start_response, host)
        if path == "/rehearsal":
            return self._rehearse(environ, start_response, host)
        file = self._files.get(path)
        if file is None:
            return _answer(start_response, 404, b"There is no such page.\n", "text/plain", host)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _answer(start_response, 405, b"", "text/plain", host)
        return _answer(start_response, 200, file.read_bytes(), _KINDS[file.suffix], host)

    def _serve_page(self, environ: Environment, start_response: StartResponse, host: str) -> Iterable[bytes]:
        if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
            return _answer(start_response, 400, b"Here is a WebSocket.\n", "text/plain", host)
        socket = PageSocket(environ, environ["lexbridge.socket"], f"http://{host}")  # no page of another site may call
        if socket.is_open:
            Browser(self._switchboard, socket).serve()
        raise ConnectionDropped  # all that was to be sent was sent

    def _rehearse(self, environ: Environment, start_response: StartResponse, host: str) -> Iterable[bytes]:
        if environ.get("HTTP_X_LEXBRIDGE") != "console":  # a form of another site cannot send it
            return _answer_json(start_response, 403, {"error": "the header X-Lexbridge: console is missing"}, host)
        if environ["REQUEST_METHOD"] == "POST":
            status, error = self._switch(environ)
            if error:
                return _answer_json(start_response, status, {"error": error}, host)
        elif environ["REQUEST_METHOD"] != "GET":
            return _answer_json(start_response, 405, {"error": "GET or POST"}, host)
        known = {"phone_url": f"{self.url}/", "faults": self._rehearsal.described()}
        return _answer_json(start_response, 200, known, host)

    def _switch(self, environ: Environment) -> tuple[int, str]:
        """Switch the fault that the body names. Return the status of the answer, and what was wrong or ""."""
        try:
            body = environ["wsgi.input"].read(min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_BODY_BYTES))
            wanted = json.loads(body)
            name, is_on = wanted["name"], wanted["on"]
            if not (isinstance(name, str) and isinstance(is_on, bool)):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            return 400, 'the body has to be {"name": "...", "on": true or false}'
        try:
            self._rehearsal.switch(name, is_on)
        except KeyError:
            return 404, "there is no such fault"
        except FaultRefused as refused:
            return 409, str(refused)
        return 200, ""


def is_loopback_host(host: str) -> bool:
    """Return whether the Host header of a request names this machine as only its own programs do."""
    name = host if host in LOOPBACK_HOSTS else host.rpartition(":")[0]
    return name in LOOPBACK_HOSTS


def _answer_json(start_response: StartResponse, status: int, value: Mapping[str, Any], host: str) -> Iterable[bytes]:
    return _answer(start_response, status, json.dumps(value).encode(), "application/json", host)


def _answer(start_response: StartResponse, status: int, body: bytes, kind: str, host: str) -> Iterable[bytes]:
    content_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
    policy = ("Content-Security-Policy", _POLICY.format(host=host))
    length = ("Content-Length", str(len(body)))
    start_response(f"{status} {_REASONS[status]}", [("Content-Type", content_type), length, policy, *_HEADERS])
    return [body]
