"""Answers to one HTTP request: a WebSocket upgrade, or Flask's response.

This is gevent-websocket's handler, made safe: its requests are whole and admitted when they get here, and nothing waits
for a peer without a deadline.

    an admitted request -> Flask's response, and back to `Connections` for the next request
                        -> 101 -> MediaSocket -> a close, and a short wait for the peer's
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from socket import SHUT_RDWR
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import gevent
import geventwebsocket.handler
from gevent import get_hub
from gevent.pywsgi import Input
from geventwebsocket.handler import WebSocketHandler

from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.connection_table import with_jitter
from lexbridge.net.flask_sockets_compat import EXTENSION
from lexbridge.net.http_connection import Connection
from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import Admitted
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.websocket import READ_BYTES, MediaSocket

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# gevent-websocket's handler looks its socket class up by this name. Replacing the socket object after the handshake
# instead would make the first object send a close of its own when it is collected.
geventwebsocket.handler.WebSocket = MediaSocket

_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""Form of a Sec-WebSocket-Key: 16 bytes in base64, whose last character holds two bits of them."""


class MediaSocketHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """Handler of one request. A client's fault never leaves a traceback."""

    websocket: MediaSocket
    detached: MediaSocket | None = None
    """The WebSocket that this handler has opened and that goes on without it."""
    SUPPORTED_VERSIONS = ("13",)
    limits = Limits()
    timeouts = Timeouts()
    read_bytes = READ_BYTES

    def __init__(self, connection: Connection, server: Any) -> None:
        """Prepare for a request on `connection`. `server`: the MediaServer."""
        super().__init__(connection.socket, connection.address, server, rfile=BytesIO())
        self._parser = connection.parser

    def answer(self, request: Request, admitted: Admitted) -> bool:
        """Answer `request`, and return whether the connection may serve another one."""
        head = request.head
        self.command, self.path, self.request_version = head.method, head.target, head.version
        self.requestline = f"{head.method} {head.target} {head.version}"
        self.content_length = len(request.body)
        # A load balancer sends handshakes on connections that it has kept. The one to this worker would be used even if
        # this worker has the most media sockets; a new connection goes to the worker with the fewest.
        self._ends_kept = head.keeps_alive and not head.asks_for_websocket and self.server.has_others
        self.close_connection = not head.keeps_alive or self._ends_kept
        self.environ = {**self._make_environ(request), **admitted.environ}
        self._may_upgrade = becomes_websocket(request, admitted)
        self.application = self.server.application
        self._deadline = get_hub().loop.timer(with_jitter(self.timeouts.header_s))
        self._deadline.start(self._cut_off)
        try:
            self.handle_one_response()
        except OSError:
            refused.count("connection lost")
            self.close_connection = True
        finally:
            self._stop_deadline()
        return not self.close_connection

    def _stop_deadline(self) -> None:
        self._deadline.stop()
        self._deadline.close()

    def _cut_off(self) -> None:
        refused.count("request too slow")
        self.close_connection = True
        with suppress(OSError):  # the connection is gone already
            self.socket.shutdown(SHUT_RDWR)  # wakes the greenlet that writes

    def _make_environ(self, request: Request) -> "WSGIEnvironment":
        """Return the request as a WSGI environ (PEP 3333)."""
        head = request.head
        environ: WSGIEnvironment = self.server.get_environ()
        self.wsgi_input = Input(BytesIO(request.body), len(request.body))  # type: ignore[arg-type,unused-ignore]
        environ |= {
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(head.path, "latin-1"),
            "QUERY_STRING": head.target.partition("?")[2],
            "SERVER_PROTOCOL": head.version,
            "CONTENT_LENGTH": str(len(request.body)),
            "REMOTE_ADDR": str(self.client_address[0]) if isinstance(self.client_address, tuple) else "",
            "wsgi.input": self.wsgi_input,
            "wsgi.input_terminated": True,
            **_header_environ(head),
        }
        return environ

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Start the response as PEP 3333 has it. Announce the close of a connection that the peer would keep."""
        if self._ends_kept and not any(name.lower() == "connection" for name, _ in headers):
            headers = [*headers, ("Connection", "close")]
        return super().start_response(status, headers, exc_info)

    # The upgrade

    def run_application(self) -> None:
        """Answer by Flask, by the refusal of an upgrade, or by the upgrade."""
        if not self._wants_upgrade():
            super(WebSocketHandler, self).run_application()
            return
        if fault := self._find_handshake_fault():
            status, reason = fault
            refused.count(reason)
            self._refuse(status)
            return
        self.upgrade_connection()
        early_bytes = self._parser.take_rest()
        self.write(b"")
        self._deadline.stop()  # not before the write: the peer may not read its earlier answers, and would hold it up
        self.websocket.open(early_bytes)
        self.run_websocket()

    def run_websocket(self) -> None:
        """Serve the accepted WebSocket to its end, or leave it to the receiver to which the application gave it."""
        websocket = self.websocket
        del self.websocket
        try:
            list(self.application(self.environ, lambda *_: lambda _: None))
        except Exception:
            Log().exception("socket-broken")
            websocket.close(close_codes.INTERNAL_ERROR)
        self.environ["wsgi.websocket"] = None
        if websocket.is_served:
            self.detached = websocket
        else:
            websocket.finish()

    def _wants_upgrade(self) -> bool:
        """Return whether the request is a signed handshake at a WebSocket's route. Otherwise Flask answers it."""
        if not self._may_upgrade:
            return False
        sockets = getattr(self.application, "extensions", {}).get(EXTENSION)
        return sockets is None or bool(sockets.serves(self.environ))

    def _find_handshake_fault(self) -> tuple[str, str] | None:
        """Return the status and the log's reason if the handshake is wrong (RFC 6455, section 4.2.1), or None."""
        if self.environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return "426 Upgrade Required", "unknown WebSocket version"
        is_key = _KEY.fullmatch(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))
        if self.request_version != "HTTP/1.1" or self.content_length or not is_key:
            return "400 Bad Request", "bad handshake"
        return None

    def _refuse(self, status: str) -> None:
        self.close_connection = True
        headers = [("Connection", "close"), ("Content-Length", "0")]
        if status.startswith("426"):
            headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]  # section 4.2.2, item 4
        self.start_response(status, headers)
        self.write(b"")

    # Errors

    def handle_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:  # noqa: ARG002
        """Log an exception of the app, which is a bug, and answer 500. An exception of the connection ends it."""
        self.close_connection = True
        if issubclass(t, OSError):
            refused.count("connection lost")
            return
        if not issubclass(t, gevent.GreenletExit):
            Log().exception("request-broken")
        self._send_error_response_if_possible(500)

    def log_request(self) -> None:
        """Log nothing: the load balancer logs requests, and a line would hold what a stranger wrote."""


def becomes_websocket(request: Request, admitted: Admitted) -> bool:
    """Return whether a request may become a WebSocket, and counts as one from now on. A stranger's never does."""
    return admitted.is_trusted and request.head.asks_for_websocket


def _header_environ(head: Head) -> Mapping[str, Any]:
    """Return header fields as keys of an environ (PEP 3333).

    A name with "_" is left out: in the environ it could not be told from the same name with "-".
    """
    environ: dict[str, Any] = {
        f"HTTP_{name.replace('-', '_').upper()}": value
        for name, value in head.headers.items()
        if "_" not in name and name not in ("content-type", "content-length")
    }
    if "content-type" in head.headers:
        environ["CONTENT_TYPE"] = head.headers["content-type"]
    return environ
