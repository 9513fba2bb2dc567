"""The media socket: gevent-websocket's, made safe, fair and fast.

The hub reads all sockets that have something in one round, every ROUND_S, at most READ_BYTES of each, so that no socket
holds the loop whatever it sends, and a thousand calls wake the loop no more often than one. What comes goes through
lexbridge/net/rfc6455.py, which holds the bounds. Nothing here waits for a peer without a deadline.
"""

import os
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from random import uniform
from socket import IPPROTO_TCP, SHUT_RDWR, SHUT_WR, TCP_NODELAY, TCP_NOTSENT_LOWAT
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import gevent
import geventwebsocket.handler
from gevent import get_hub
from gevent.hub import Waiter
from gevent.monkey import get_original
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.websocket import WebSocket
from greenlet import getcurrent, greenlet

from lexbridge.logs import RateLimitedLog
from lexbridge.net import rfc6455
from lexbridge.net.rfc6455 import Bounds, Close, MessageParser, Ping, Pong, Violation

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

refused = RateLimitedLog("peer-refused")
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
    """Without one whole WebSocket frame, pongs too: then 1001. A tenth longer at most."""
    stall_s: float = 5
    """While the peer takes nothing of what waits for it: then it is cut off."""
    linger_s: float = 2
    """For the peer to take our close and to end the connection."""
    output_bytes: int = 1024 * 1024
    """Waiting for the peer: two minutes of speech. Beyond it the peer is cut off."""


_MESSAGES = (str, bytes)

MAX_HEADER_BYTES = 32 * 1024
DISCARDED_BYTES = 64 * 1024
"""Of what is not looked at, in one go."""
MAX_LINGER_BYTES = 256 * 1024


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
    bounds: Bounds
    """What the peer may send."""

    def __init__(self, environ: "WSGIEnvironment", stream: Any, handler: Any) -> None:
        """`handler`: media_server's, by whose bounds and patience it goes."""
        super().__init__(environ, stream, handler)
        self._patience = handler.patience
        self.bounds = handler.bounds
        self._parser = MessageParser(handler.bounds)
        self._read_bytes = handler.read_bytes
        self._socket = handler.socket
        self._messages: deque[str | bytes | Pong] = deque()
        self._has_pinged = False
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

    def receive(self) -> str | bytes | Pong | None:
        """The next message, as soon as it has come; None at the end. Raises nothing.

        It is bytes only if the handler's bounds take binary messages. It may be a pong only after a `ping`, and stands
        behind every message that came before it.
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

    def ping(self, payload: bytes) -> None:
        """Pings the peer, which has to answer with a pong of the same payload, 125 bytes at most. Raises as `send`
        does."""
        self._has_pinged = True
        self.send_frame(payload, rfc6455.PING)

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
        self._socket.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0)  # the system's own: `output_bytes` bounds what waits
        self._silence.start(self._check_silence)
        self._rounds.add(self._descriptor, self)
        # What came together with the request; a read of its own if there is nothing.
        self._take(self.handler.early, self._heard_s)

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
            elif isinstance(item, Pong):
                if self._has_pinged:  # section 5.5.3: one that nobody asked for means nothing
                    self._messages.append(item)
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
