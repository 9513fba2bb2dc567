"""The media socket and its HTTP handler: gevent-websocket's, made safe, fair and fast.

The hub reads all sockets that have something in one round, every ROUND_S, at most READ_BYTES of each, so that no socket
holds the loop whatever it sends, and a thousand calls wake the loop no more often than one. What comes goes through
lexbridge/rfc6455.py, which holds the bounds. Nothing here waits for a peer without a deadline.

    accept -> header block (deadline, bounded) -> admit -> 101 -> MediaSocket -> close, and a short wait for the peer's
"""

import os
import re
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from random import uniform
from socket import IPPROTO_TCP, SHUT_RDWR, SHUT_WR, TCP_NODELAY
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gevent
import geventwebsocket.handler
from gevent import get_hub
from gevent.hub import Waiter
from gevent.monkey import get_original
from gevent.pywsgi import Input, WSGIServer
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket
from greenlet import getcurrent, greenlet

from lexbridge import rfc6455
from lexbridge.logs import CountedLog, Log
from lexbridge.rfc6455 import Bounds, Close, MessageParser, Ping, Violation
from lexbridge.sockets import EXTENSION

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

ROUND_S = 0.012
"""Between two rounds: what reading together costs a frame at most; half of it on average. Reading each socket when it
has something costs the process about twice the CPU."""

READ_BYTES = 4 * 1024
"""Read of one socket in one round: 13 media messages, so that 500 that a network held back are read in 0.4 s. It is
600 pings too, the most work that so many bytes can make: 3 ms."""

FAIR_SHARE = 5
"""Messages a reader takes before every other socket has had its turn: the call behind it costs 30 us a message."""

WAITING_MESSAGES = 100
"""Messages read ahead of whoever takes them. The peer waits while there are more."""

READABLE, WRITABLE = 1, 2
"""For libev and for epoll alike."""

refused = CountedLog("peer-refused")
"""What clients did that they may not, by reason; for metrics."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection may take, seconds, and what it may leave unread, bytes."""

    header_s: float = 10
    """For a header block, then for the rest of the request; up to a third longer, drawn for each, so that ten thousand
    that came together do not all end together."""
    keep_alive_s: float = 75
    """Between two requests of one connection: longer than the load balancer's 60 s, or it would find them closed."""
    silence_s: float = 15
    """Without one whole WebSocket frame: then 1001. A tenth longer at most."""
    stall_s: float = 5
    """While the peer takes nothing of what waits for it: then it is cut off."""
    linger_s: float = 2
    """For the peer to take our close and to end the connection."""
    output_bytes: int = 1024 * 1024
    """Waiting for the peer: two minutes of speech. Beyond it the peer is cut off."""


_MESSAGES = (str, bytes)

MAX_HEADER_BYTES = 32 * 1024
MAX_UNREAD_BODY_BYTES = 64 * 1024
DISCARDED_BYTES = 64 * 1024
"""Of what is not looked at, in one go."""
MAX_LINGER_BYTES = 256 * 1024

Admit = Callable[["WSGIEnvironment"], tuple[str, str] | None]
"""Asked before an upgrade is accepted. None lets it in; else ("403 Forbidden", a reason to count)."""


class _Rounds:
    """Reads the media sockets of one hub. Its timer runs only while there are any."""

    def __init__(self) -> None:
        # An epoll of our own, asked without waiting: one call tells all that have something. gevent hides the class.
        self._ready = get_original("select", "epoll")()
        self._sockets: dict[int, MediaSocket] = {}
        self._timer = get_hub().loop.timer(ROUND_S, ROUND_S)

    def add(self, descriptor: int, media_socket: "MediaSocket") -> None:
        """Reads it from now on."""
        if not self._sockets:
            self._timer.start(self._read_all)
        self._sockets[descriptor] = media_socket
        self._ready.register(descriptor, READABLE)

    def remove(self, descriptor: int) -> None:
        """Reads it no more; nothing happens if it is not read."""
        if self._sockets.pop(descriptor, None):
            self._ready.unregister(descriptor)
            if not self._sockets:
                self._timer.stop()

    def _read_all(self) -> None:
        now_s = time.monotonic()
        for descriptor, _ in self._ready.poll(0):
            if media_socket := self._sockets.get(descriptor):  # one that was read before it may have ended it
                media_socket.read(now_s)


_rounds: WeakKeyDictionary[Any, _Rounds] = WeakKeyDictionary()


def _rounds_of(hub: Any) -> _Rounds:
    if hub not in _rounds:
        _rounds[hub] = _Rounds()
    return _rounds[hub]


class MediaSocket(WebSocket):  # type: ignore[misc]  # gevent-websocket has no types
    """gevent-websocket's socket, read by the hub. One greenlet at a time may `receive`; any may `send` and `close`."""

    closed: bool

    def __init__(self, environ: "WSGIEnvironment", stream: Any, handler: "MediaSocketHandler") -> None:
        super().__init__(environ, stream, handler)
        self._patience = handler.patience
        self._parser = MessageParser(handler.bounds)
        self._read_bytes = handler.read_bytes
        self._socket = handler.socket
        self._messages: deque[str | bytes] = deque()
        self._ended = False  # nothing more comes after what waits in _messages
        self._taken = 0
        self._receiver: greenlet | None = None  # who waits for a message
        self._output = bytearray()
        self._drained: Waiter[None] | None = None
        self._hub = get_hub()
        self._rounds = _rounds_of(self._hub)
        self._descriptor = self._socket.fileno()
        loop = self._hub.loop
        self._writable = loop.io(self._descriptor, WRITABLE)
        self._paused = False  # not read on until what waits has been taken
        self._heard_s = time.monotonic()
        look_s = self._patience.silence_s * uniform(0.05, 0.1)
        self._silence = loop.timer(look_s, look_s)
        self._stall = loop.timer(self._patience.stall_s, self._patience.stall_s)

    def __del__(self) -> None:
        """The base's sends a close when it is collected; the handler has ended the socket long before."""

    # What the app calls

    def receive(self) -> str | bytes | None:
        """The next message, as soon as it has come; None at the end. Raises nothing.

        It is bytes only if the handler's bounds take binary messages.
        """
        if self._messages:
            self._taken += 1
            if self._taken % FAIR_SHARE == 0:
                gevent.sleep(0)
        while not self._messages:
            if self._ended:
                return None
            # What gevent's Waiter does, without making one for each message: only `take` and `_wake` switch back.
            self._receiver = getcurrent()
            try:
                self._hub.switch()
            finally:
                self._receiver = None
        message = self._messages.popleft()
        if self._paused and not self._messages and not self._ended:
            self._paused = False
            self._rounds.add(self._descriptor, self)
        return message

    def send(self, message: str | bytes, binary: bool | None = None) -> None:
        """Sends a message as soon as the peer takes it, without waiting for that.

        Raises WebSocketError if the socket is closed or the peer leaves too much untaken.
        """
        is_text = isinstance(message, str) if binary is None else not binary
        self.send_frame(message, rfc6455.TEXT if is_text else rfc6455.BINARY)

    def send_frame(self, message: str | bytes, opcode: int) -> None:
        """A WebSocket frame of `opcode`. Raises as `send` does."""
        if self.closed:
            raise WebSocketError("the socket is closed")
        self._put(rfc6455.encode(opcode, message.encode() if isinstance(message, str) else bytes(message)))
        if self.closed:
            raise WebSocketError("the peer does not take what it is sent")

    def close(self, code: int = rfc6455.NORMAL, message: bytes | str | None = b"") -> None:
        """Sends a close of `code` and as much of the reason `message` as is legal (RFC 6455, section 5.5.1).

        Nothing happens if it is closed. Never waits. Raises ValueError if `code` is not legal on the wire.
        """
        farewell = rfc6455.encode_close(code, message or b"")
        if not self.closed:
            self._put(farewell)
            self.closed = True
        self._end()

    # What the handler calls

    def open(self) -> None:
        """The 101 is on its way: the hub reads from now on."""
        self._socket.settimeout(0.0)  # what the hub calls must not wait
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._silence.start(self._check_silence)
        self._rounds.add(self._descriptor, self)
        # What came together with the request; a read of its own if there is nothing.
        self._take(self.handler.rfile.peek(), self._heard_s)

    def finish(self) -> None:
        """Waits, not for long, until the peer has taken our close and ended the connection. Then nothing is left.

        Closing with something unread would be a reset, which destroys our close on its way (RFC 6455, section 7.1.1).
        """
        self.close()
        self._silence.stop()
        try:
            with suppress(OSError), gevent.Timeout(self._patience.linger_s, TimeoutError):  # it is gone, or late
                if self._output:
                    self._drained = Waiter()
                    self._drained.get()
                self._socket.settimeout(None)
                linger(self._socket)
        finally:
            self._messages.clear()
            self._rounds.remove(self._descriptor)
            for watcher in (self._writable, self._silence, self._stall):
                watcher.stop()
                watcher.close()

    # What the hub calls

    def read(self, now_s: float) -> None:
        """Takes what has come, within bounds. Never waits."""
        try:
            received = os.read(self._descriptor, self._read_bytes)  # half the price of gevent's recv
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self.closed = True
            self._end()
            return
        self._take(received, now_s)

    def _take(self, received: bytes, now_s: float) -> None:
        items = self._parser.push(received, now_s)
        if items or not self._parser.has_part:
            self._heard_s = now_s
        pongs = b""
        for item in items:
            if isinstance(item, _MESSAGES):
                self._messages.append(item)
            elif isinstance(item, Ping):
                pongs += rfc6455.encode(rfc6455.PONG, item.payload)
            else:
                self._pong(pongs)
                pongs = b""
                self._answer(item)
        self._pong(pongs)
        if len(self._messages) > WAITING_MESSAGES:
            self._paused = True
            self._rounds.remove(self._descriptor)
        if self._receiver and self._messages:
            self._receiver.switch()

    def _pong(self, pongs: bytes) -> None:
        """Together: a system call for each would be most of what a flood of pings costs."""
        if pongs and not self.closed:
            self._put(pongs)

    def _answer(self, item: Close | Violation) -> None:
        if isinstance(item, Violation):
            refused.count(item.reason)
        # Section 5.5.1: the answer to a close has the peer's own code.
        self.close(rfc6455.NORMAL if item.code == rfc6455.NO_CODE else item.code, item.reason)

    def _check_silence(self) -> None:
        """Looked at now and then: no timer is set for each message."""
        now_s = time.monotonic()
        if self._paused:
            self._heard_s = now_s  # it is we who do not listen
        elif now_s - self._heard_s >= self._patience.silence_s:
            refused.count("silent")
            self.close(rfc6455.GOING_AWAY, "silent")

    def _put(self, output: bytes) -> None:
        """Sends `output`, or what the peer does not take yet later."""
        if not self._output:
            sent = self._send(output)
            if sent == len(output) or self.closed:
                return
            output = output[sent:]
            self._writable.start(self._write)
            self._stall.start(self._cut_off, "output stalled")
        self._output += output
        if len(self._output) > self._patience.output_bytes:
            self._cut_off("output queue full")

    def _write(self) -> None:
        sent = self._send(bytes(self._output[:MAX_HEADER_BYTES]))
        del self._output[:sent]
        if sent:
            self._stall.again(self._cut_off, "output stalled")
        if not self._output:
            self._stop_output()

    def _send(self, output: bytes) -> int:
        try:
            return int(self._socket.send(output))
        except BlockingIOError:
            return 0
        except OSError:
            self.closed = True
            self._end()
            self._stop_output()
            return 0

    def _stop_output(self) -> None:
        self._output.clear()
        self._writable.stop()
        self._stall.stop()
        if self._drained:
            self._drained.switch(None)
            self._drained = None

    def _cut_off(self, reason: str) -> None:
        """A close could not reach this peer any more."""
        refused.count(reason)
        self.closed = True
        self._end()
        self._stop_output()
        with suppress(OSError):  # it is gone already
            self._socket.shutdown(SHUT_RDWR)

    def _end(self) -> None:
        self._ended = True
        self._rounds.remove(self._descriptor)
        self._silence.stop()
        if self._receiver:
            self._hub.loop.run_callback(self._wake)

    def _wake(self) -> None:
        if self._receiver:
            self._receiver.switch()


# The handler makes its sockets by this name. Putting another instance in their place later would make the first one
# send a close of its own when it is collected.
geventwebsocket.handler.WebSocket = MediaSocket


def linger(connection: Any) -> None:
    """Ends our direction of `connection` and reads, bounded, until the peer has ended its own.

    Raises OSError if the connection breaks. The caller sets the deadline.
    """
    connection.shutdown(SHUT_WR)
    left = MAX_LINGER_BYTES
    while left > 0 and (received := connection.recv(DISCARDED_BYTES)):
        left -= len(received)
        gevent.sleep(0)


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
