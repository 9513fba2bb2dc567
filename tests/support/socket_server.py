"""A server of WebSockets and pages for one test, and helpers of its clients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from bench.harness.raw_client import ConnectionEnd, RawClient
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_handler import MediaSocketHandler
from lexbridge.net.http_request import Head, Request
from lexbridge.net.http_server import MediaServer
from lexbridge.net.policies import AdmitAll, Admitted, DirectAnswer, Refusal, RequestPolicy
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.net.websocket import MediaSocket

DEADLINE_S = 120
SHORT = Timeouts(header_s=0.3, keep_alive_s=0.3, idle_s=0.3, stall_s=0.3, linger_s=0.3)
ROOMY = Limits(output_bytes=4_000_000)
View = Callable[[MediaSocket], None]
Address = tuple[str, int]


class Refusing(AdmitAll):
    """A policy that refuses every handshake with `refusal`, and keeps the signatures of the handshakes."""

    def __init__(self, refusal: Refusal) -> None:
        self.seen: list[str] = []
        self._refusal = refusal

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        if not request.head.asks_for_websocket:
            return super().check_request(request, open_sockets)
        self.seen.append(request.head.headers.get("x-twilio-signature", ""))
        return self._refusal


@contextmanager
def served(view: View, policy: RequestPolicy | None = None, **options: Any) -> Iterator[Address]:
    """Run a server whose socket at / is served by `view`. Yield its address. `options`: of the handler."""
    app = Flask("test")

    @app.get("/page")
    def page() -> str:
        return "a page"

    Sockets(app).route("/")(view)
    server = MediaServer(("127.0.0.1", 0), app, policy)
    server.handler_class = type("Handler", (MediaSocketHandler,), {"limits": ROOMY, **options})
    server.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.stop(timeout=1)


def echo(websocket: MediaSocket) -> None:
    """Send every message back."""
    while (message := websocket.receive()) is not None:
        websocket.send(message)


def end_of(address: Address, output: bytes = b"") -> ConnectionEnd:
    """Return the end of a socket on which the client sends `output`."""
    with RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(output)
        return client.end()


@contextmanager
def limited(policy: RequestPolicy, strangers: TokenBucket, **options: Any) -> Iterator[tuple[Address, MediaServer]]:
    """Run a server that limits the rate of strangers. Yield its address. `options`: of the handler."""

    def page(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    server = MediaServer(("127.0.0.1", 0), page, policy, strangers)
    server.handler_class = type("Handler", (MediaSocketHandler,), options)
    server.start()
    try:
        yield ("127.0.0.1", server.server_port), server
    finally:
        server.stop(timeout=1)


class ByPath(AdmitAll):
    """A policy by path: /signed is Twilio's, /probe is answered at once, /refused is refused, others are unsigned."""

    def check_head(self, head: Head) -> Refusal | None:
        return Refusal("403 Forbidden", "refused by its head") if head.path == "/head" else None

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        match request.head.path:
            case "/refused":
                return Refusal("403 Forbidden", "refused by the test")
            case "/probe":
                return DirectAnswer("200 OK", b"{}\n")
        return Admitted(is_trusted=request.head.path == "/signed")


def request_of(path: str, *lines: str) -> bytes:
    """Return a request for `path`."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]).encode()


def statuses(address: Address, *paths: str) -> list[int | None]:
    """Send each request on a connection of its own. Return the statuses of the answers."""
    found = []
    for path in paths:
        with RawClient(address, DEADLINE_S) as client:
            client.send(request_of(path))
            found.append(client.end(upgraded=False).status)
    return found
