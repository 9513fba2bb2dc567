"""HTTP on one port: media sockets are upgraded, all else goes to Flask. gevent-websocket's handler and gevent's server,
made safe: nothing waits for a peer without a deadline, and whoever is not admitted is refused before the upgrade.

    accept -> header block (deadline, bounded) -> admit -> 101 -> MediaSocket -> close, and a short wait for the peer's
"""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from random import uniform
from socket import SHUT_RDWR
from types import TracebackType
from typing import TYPE_CHECKING, Any

import gevent
from gevent import get_hub
from gevent.pywsgi import Input, WSGIServer
from geventwebsocket.handler import WebSocketHandler

from lexbridge import rfc6455
from lexbridge.logs import Log
from lexbridge.rfc6455 import Bounds
from lexbridge.sockets import EXTENSION
from lexbridge.websocket import (
    DISCARDED_BYTES,
    MAX_HEADER_BYTES,
    READ_BYTES,
    READABLE,
    MediaSocket,
    Patience,
    refused,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MAX_UNREAD_BODY_BYTES = 64 * 1024

Admit = Callable[["WSGIEnvironment"], tuple[str, str] | None]
"""Asked before an upgrade is accepted. None lets it in; else ("403 Forbidden", a reason to count)."""


class _Body(Input):  # type: ignore[misc,unused-ignore]
    """A request's body; what the app leaves of it is thrown away, but no more than MAX_UNREAD_BODY_BYTES."""

    def _discard(self) -> None:
        # The base reads on for as long as there is something to read.
        left = MAX_UNREAD_BODY_BYTES
        while left > 0 and (unread := self.read(DISCARDED_BYTES)):
            left -= len(unread)


class MediaSocketHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """HTTP/1.1 on one connection: upgrades media sockets whom the server admits; every other request goes to Flask.

    The server may have an attribute `admit` (see Admit). A client's fault ends its connection and is counted: it never
    leaves a traceback.
    """

    wsgi_input: Input
    websocket: MediaSocket
    SUPPORTED_VERSIONS = ("13",)
    bounds = Bounds()
    patience = Patience()
    read_bytes = READ_BYTES
    first_deadline_s = patience.header_s
    """Left for the first request, seconds: the server counts from when it accepted the connection."""

    # The connection

    def handle(self) -> None:
        """Serves the requests of one connection."""
        self._deadline: Any = None
        self._served = 0
        try:
            super().handle()
        except OSError:
            refused.count("connection lost")
        finally:
            self._set_deadline(None)

    def handle_one_request(self) -> Any:
        """One request. The deadline spans it: the wait for it, its header block, its body and our answer."""
        if self._served:
            gevent.sleep(0)  # requests that came together in one packet would hold the loop
        wait_s = _jittered(self.patience.keep_alive_s) if self._served else max(self.first_deadline_s, 0.001)
        self._set_deadline(wait_s)
        self._served += 1
        try:
            return super().handle_one_request()
        finally:
            self._set_deadline(None)

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline:
            self._deadline.stop()
            self._deadline.close()
            self._deadline = None
        if seconds is not None:
            self._deadline = get_hub().loop.timer(seconds)
            self._deadline.start(self._cut_off)

    def _cut_off(self) -> None:
        refused.count("request too slow")
        with suppress(OSError):  # it is gone already
            self.socket.shutdown(SHUT_RDWR)  # wakes the greenlet that reads

    # The request

    def read_requestline(self) -> str:
        """The request line; the rest of the request has a deadline of its own."""
        line: str = super().read_requestline()
        if self._served > 1:
            self._set_deadline(_jittered(self.patience.header_s))
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """RFC 9112, section 3: only HTTP/1.0 and 1.1, with a header block."""
        super().read_request(raw_requestline)
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            raise ValueError("unknown version")
        return True

    def MessageClass(self, rfile: Any, *_: Any) -> Any:  # noqa: N802 - pywsgi's name
        """The header block, whole (RFC 9112, section 5) and bounded; pywsgi's own takes 6 MB, and half of one."""
        block = _read_header_block(rfile)
        return super().MessageClass(BytesIO(block), 0)

    def get_environ(self) -> "WSGIEnvironment":
        """The base's, with a body that is bounded when it is thrown away."""
        environ: WSGIEnvironment = super().get_environ()
        is_chunked = self.wsgi_input.chunked_input
        self.wsgi_input = _Body(self.rfile, self.content_length, self.wsgi_input.socket, is_chunked)
        if is_chunked or (self.content_length or 0) > MAX_UNREAD_BODY_BYTES:
            self.close_connection = True  # what is left of the body would be the next request
        if environ["wsgi.input_terminated"]:
            environ["wsgi.input"] = self.wsgi_input
        return environ

    # The upgrade

    def run_application(self) -> None:
        """Flask's answer, the refusal of an upgrade, or the upgrade."""
        if not self._wants_upgrade():
            super(WebSocketHandler, self).run_application()
            return
        refusal = self._ask_admit() or self._find_handshake_fault()
        if refusal:
            status, reason = refusal
            refused.count(reason)
            self._refuse(status)
            return
        self.upgrade_connection()
        self._set_deadline(None)
        self.write(b"")
        self.run_websocket()

    def run_websocket(self) -> None:
        """The accepted socket, to its end."""
        self.websocket.open()
        try:
            list(self.application(self.environ, lambda *_: lambda _: None))
        except Exception:
            Log().bug("socket-broken")
            self.websocket.close(rfc6455.INTERNAL_ERROR)
        finally:
            self.websocket.finish()
            self.environ["wsgi.websocket"] = None
            del self.websocket

    def _wants_upgrade(self) -> bool:
        """RFC 6455, section 4.2.1, items 1, 3 and 4. Without them, or on no socket's route, it is Flask's."""
        connection = [token.strip() for token in self.environ.get("HTTP_CONNECTION", "").lower().split(",")]
        upgrade = self.environ.get("HTTP_UPGRADE", "").strip().lower()
        if self.command != "GET" or upgrade != "websocket" or "upgrade" not in connection:
            return False
        sockets = getattr(self.application, "extensions", {}).get(EXTENSION)
        return sockets is None or bool(sockets.serves(self.environ))

    def _ask_admit(self) -> tuple[str, str] | None:
        admit: Admit | None = getattr(self.server, "admit", None)
        if admit is None:
            return None
        try:
            return admit(self.environ)
        except Exception as error:
            Log().error("admit-broken", error=type(error).__name__)
            return "403 Forbidden", "admit broken"

    def _find_handshake_fault(self) -> tuple[str, str] | None:
        """RFC 6455, section 4.2.1, items 1, 5 and 6."""
        if self.environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return "426 Upgrade Required", "unknown WebSocket version"
        has_body = self.content_length or self.wsgi_input.chunked_input
        is_key = _KEY.fullmatch(self.environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))
        if self.request_version != "HTTP/1.1" or has_body or not is_key:
            return "400 Bad Request", "bad handshake"
        return None

    def _refuse(self, status: str) -> None:
        self.close_connection = True
        headers = [("Connection", "close"), ("Content-Length", "0")]
        if status.startswith("426"):
            headers += [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]  # section 4.2.2, item 4
        self.start_response(status, headers)
        self.write(b"")

    # What goes wrong

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes] | None:
        """A request that is none: an answer, if there is somebody to read it."""
        if isinstance(ex, OSError):
            refused.count("connection lost")
            return None
        status = "431 Request Header Fields Too Large" if isinstance(ex, _HeadersTooBigError) else "400 Bad Request"
        refused.count("headers too big" if isinstance(ex, _HeadersTooBigError) else "bad request")
        self.close_connection = True
        answer = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        return status[:3], answer.encode()

    def handle_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:  # noqa: ARG002
        """An exception of the app is a bug of ours; one of the connection is its end."""
        self.close_connection = True
        if issubclass(t, OSError):
            refused.count("connection lost")
            return
        if not issubclass(t, gevent.GreenletExit):
            Log().bug("request-broken")
        self._send_error_response_if_possible(500)

    def log_request(self) -> None:
        """Not logged: the load balancer does, and a line holds what a stranger wrote."""


def _jittered(seconds: float) -> float:
    """Up to a third more: what came together does not all end together."""
    return seconds * uniform(1, 4 / 3)


_KEY = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes in base64: the last character holds two bits of them."""

_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00\r\n]*\r?\n")
"""RFC 9112, section 5: no space before the colon, no folded line, no NUL."""


class _HeadersTooBigError(ValueError):
    pass


def _read_header_block(rfile: Any) -> bytes:
    """Up to the empty line. Raises ValueError if it is not well-formed, or ambiguous about its body."""
    lines = []
    size = 0
    while (line := rfile.readline(MAX_HEADER_BYTES + 1)) not in (b"\r\n", b"\n"):
        size += len(line)
        if size > MAX_HEADER_BYTES:
            raise _HeadersTooBigError("the header block is too big")
        if not _HEADER_LINE.fullmatch(line):
            raise ValueError("not a header line")
        lines.append(line)
    names = [line.split(b":", 1)[0].lower() for line in lines]
    # RFC 9112, section 6.3: what two readers could take for two different bodies
    if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
        raise ValueError("more than one length")
    return b"".join([*lines, b"\r\n"])


class MediaServer(WSGIServer):  # type: ignore[misc,unused-ignore]
    """gevent's server with the handler above. `admit`: see Admit."""

    handler_class: type[MediaSocketHandler] = MediaSocketHandler
    max_accept = 4
    """Connections accepted in one round of the loop: a storm of them delays live calls by no more than that."""
    backlog = 4096
    """Connections that may wait to be accepted; the system's own limit counts too."""

    def __init__(self, listener: Any, application: Any, admit: Admit | None = None, **options: Any) -> None:
        super().__init__(listener, application, log=None, **options)
        self.admit = admit
        self._silent: dict[
            int, tuple[Any, ...]
        ] = {}  # by descriptor: the connection, and the watchers that wait for it
        self._patience_ends_s: dict[int, float] = {}  # of those that have said something

    @property
    def silent(self) -> int:
        """Connections that were accepted and have said nothing yet."""
        return len(self._silent)

    def do_handle(self, *accepted: Any) -> None:
        """A connection gets its greenlet when it says something: ten thousand silent ones cost next to nothing."""
        connection, _ = accepted
        descriptor = connection.fileno()
        patience_s = _jittered(self.handler_class.patience.header_s)
        readable, late = self.loop.io(descriptor, READABLE), self.loop.timer(patience_s)
        self._silent[descriptor] = connection, readable, late
        late.start(self._drop_silent, descriptor)
        readable.start(self._hear, descriptor, time.monotonic() + patience_s, accepted)

    def handle(self, sock: Any, address: Any) -> None:
        """Serves one connection, with what is left of its patience since it was accepted."""
        handler = self.handler_class(sock, address, self)
        handler.first_deadline_s = self._patience_ends_s.pop(sock.fileno()) - time.monotonic()
        handler.handle()

    def stop(self, timeout: float | None = None) -> None:
        """Stops as the base does, silent connections too."""
        for descriptor in list(self._silent):
            self._forget(descriptor).close()
        super().stop(timeout)

    def _hear(self, descriptor: int, patience_ends_s: float, accepted: tuple[Any, ...]) -> None:
        self._forget(descriptor)
        self._patience_ends_s[descriptor] = patience_ends_s
        super().do_handle(*accepted)

    def _drop_silent(self, descriptor: int) -> None:
        refused.count("request too slow")
        self._forget(descriptor).close()

    def _forget(self, descriptor: int) -> Any:
        connection, *watchers = self._silent.pop(descriptor)
        for watcher in watchers:
            watcher.stop()
            watcher.close()
        return connection
