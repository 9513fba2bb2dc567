"""The WebSocket of a media stream: gevent-websocket's, with limits, fair reading and less CPU.

`read_tick.py` reads the sockets in turn, and at most READ_BYTES of each. So no peer can hold the loop, whatever it
sends, and a thousand calls wake the loop as often as one. `message_parser.py` takes the bytes apart and enforces the
limits. One receiver gets what a read brought, in the hub's callback. Nothing here waits for a peer without a deadline.

    read tick -> read() -> MessageParser -> receiver.received(messages) -> pongs -> the answer to a close
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY, TCP_NOTSENT_LOWAT
from typing import TYPE_CHECKING, Any

import gevent
from gevent import get_hub
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.websocket import WebSocket

from lexbridge.logs import Log
from lexbridge.net import close_codes, rfc6455
from lexbridge.net.lingering import linger
from lexbridge.net.message_parser import MessageParser
from lexbridge.net.message_queue import MessageQueue
from lexbridge.net.output_queue import OutputQueue
from lexbridge.net.read_order import in_order
from lexbridge.net.read_tick import get_read_tick
from lexbridge.net.receiver import Message, Receiver
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Close, Item, Limits, Violation
from lexbridge.net.tcp_info import bytes_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

READ_BYTES = 4 * 1024
"""Bytes read of one socket in one visit.

That is 13 media messages, so 500 messages that a network held back are read in 0.5 s. It is also 600 pings, the most
work that so many bytes can make: 3 ms.
"""

# Not written in the class, because mypy would miss the slots that gevent-websocket's class has.
_SLOTS = (
    "_descriptor",
    "_early_bytes",
    "_has_ended",
    "_has_pinged",
    "_heard_s",
    "_is_quiet",
    "_on_end",
    "_output",
    "_parser",
    "_queue",
    "_read_bytes",
    "_read_tick",
    "_receiver",
    "_socket",
    "_timeouts",
    "limits",
)


class MediaSocket(WebSocket):  # type: ignore[misc]  # gevent-websocket has no types
    """A WebSocket that the hub reads, from the moment on at which it has a receiver.

    A view that calls `deliver_to` may return at once: the receiver serves the socket, and nothing of the handshake is
    kept. A view of gevent-websocket's kind calls `receive` instead, on one greenlet at a time, and its end is that of
    the socket. Any greenlet may call `send` and `close`.
    """

    __slots__ = _SLOTS

    closed: bool
    limits: Limits
    """Limits of what the peer may send, and of the output that may wait for it."""

    def __init__(self, environ: "WSGIEnvironment", stream: Any, handler: Any) -> None:
        """Make the socket of a WebSocketHandler, whose `limits` and `timeouts` apply."""
        super().__init__(environ, stream, handler)
        self._timeouts = handler.timeouts
        self.limits = handler.limits
        self._parser = MessageParser(handler.limits)
        self._read_bytes = handler.read_bytes
        self._socket = handler.socket
        self._receiver: Receiver | None = None
        self._queue: MessageQueue | None = None
        self._has_pinged = False
        self._has_ended = False  # no message will follow
        self._on_end: Callable[[], object] | None = None
        self._is_quiet = False
        self._early_bytes = b""
        self._output = OutputQueue(self._socket, self.limits.output_bytes, self._timeouts.stall_s, self._fail)
        self._read_tick = get_read_tick(get_hub())
        self._descriptor = self._socket.fileno()
        self._heard_s = time.monotonic()

    def __del__(self) -> None:
        """Do nothing. The base class would send a close here, but the handler has ended the socket long before."""

    # What the application calls

    def deliver_to(self, receiver: Receiver) -> None:
        """Start reading, and hand over to `receiver` what is read. A later receiver takes the place of an earlier one.

        While the receivers change, nothing may be read: pause reading before.
        """
        self._receiver = receiver
        if self._has_ended:
            receiver.ended()
            return
        self.resume_reading()
        # Take what arrived together with the request: those bytes do not make the socket readable.
        received, self._early_bytes = self._early_bytes, b""
        self._take(received, self._heard_s)

    def pause_reading(self) -> None:
        """Stop reading, so that the peer waits. The time until `resume_reading` is no silence of the peer."""
        self._read_tick.remove(self)

    def resume_reading(self) -> None:
        """Go on reading, unless the socket has ended."""
        if not self._has_ended:
            self._heard_s = time.monotonic()
            self._read_tick.add(self)

    def receive(self) -> Message | None:
        """Return the next message as soon as it has arrived, or None at the end. Raise nothing.

        `Receiver.received` describes the messages. A socket with another receiver cannot be read in this way.
        """
        if self._queue is None:
            self._queue = MessageQueue(self.pause_reading, self.resume_reading)
            self.deliver_to(self._queue)
        return self._queue.take()

    def send(self, message: str | bytes, binary: bool | None = None) -> None:
        """Send a message as soon as the peer takes it, without waiting for that.

        Raise WebSocketError if the socket is closed, or if too much output waits for the peer.
        """
        is_text = isinstance(message, str) if binary is None else not binary
        self.send_frame(message, rfc6455.TEXT if is_text else rfc6455.BINARY)

    def ping(self, payload: bytes) -> None:
        """Send a ping, which the peer has to answer with a pong of the same payload. Raise as `send` does.

        `payload`: at most 125 bytes.
        """
        self._has_pinged = True
        self.send_frame(payload, rfc6455.PING)

    def send_frame(self, message: str | bytes, opcode: int) -> None:
        """Send a WebSocket frame of `opcode`. Raise as `send` does."""
        if self.closed:
            raise WebSocketError("the socket is closed")
        self._output.put(rfc6455.encode(opcode, message.encode() if isinstance(message, str) else bytes(message)))
        if self.closed:
            raise WebSocketError("the peer does not take what it is sent")

    def close(self, code: int = close_codes.NORMAL, message: bytes | str | None = b"") -> None:
        """Send a close of `code`, with as much of the reason `message` as is legal (RFC 6455, section 5.5.1).

        Do nothing if the socket is closed already. Never wait. Raise ValueError if `code` may not be sent.
        """
        close_frame = rfc6455.encode_close(code, message or b"")
        if not self.closed:
            self._output.put(close_frame)
            self.closed = True
        self._end()

    def traffic(self) -> tuple[int, int]:
        """Return the bytes received so far, and those that the peer has taken. Both are 0 after the end."""
        return bytes_of(self._socket)

    # What the handler calls

    def open(self, early_bytes: bytes) -> None:
        """Prepare for messages, after the 101 has been sent. `early_bytes`: those that came with the handshake."""
        self._socket.settimeout(0.0)  # the hub uses the socket from here on, and must never wait for it
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0)  # the system's default: `output_bytes` is the limit
        self._early_bytes = early_bytes

    @property
    def is_served(self) -> bool:
        """Whether a receiver serves the socket, so that the view may return."""
        return self._receiver is not None and self._queue is None

    def detach(self, on_end: Callable[[], object]) -> None:
        """Let go of the handshake, because the view has returned and a receiver serves the socket.

        `on_end`: called once the socket has ended, to have it finished. It must neither raise nor switch greenlets.
        """
        self.environ = self.handler = self.stream = self.raw_read = self.raw_write = self.utf8validator = None
        if self._has_ended:
            on_end()
        else:
            self._on_end = on_end

    def finish(self) -> None:
        """Wait, for `linger_s` at most, until the peer has taken the close and ended the connection. Release all."""
        self.close()
        try:
            with suppress(OSError), gevent.Timeout(self._timeouts.linger_s, TimeoutError):  # the peer is gone, or late
                self._output.wait_until_sent()
                self._socket.settimeout(None)
                linger(self._socket)
        finally:
            self._output.close()
            self._receiver = self._queue = None  # each refers to the other

    # What the read tick calls

    def read(self, now_s: float) -> bool:
        """Read what has arrived, at most READ_BYTES of it. Never wait. Return whether the line is quiet."""
        try:
            received = os.read(self._descriptor, self._read_bytes)  # half the price of gevent's recv
        except BlockingIOError:
            self._check_idle(now_s)
            return self._is_quiet
        except OSError:
            received = b""
        if not received:
            self.closed = True
            self._end()
            return False
        self._take(received, now_s)
        return self._is_quiet

    def broke(self) -> None:
        """Log the exception that is being handled, which is a bug, and close the socket."""
        Log().exception("reader-broken")
        self.close(close_codes.INTERNAL_ERROR)

    def _take(self, received: bytes, now_s: float) -> None:
        parser = self._parser
        items = parser.push(received, now_s)
        if not items:
            if parser.has_part:
                self._check_idle(now_s)
            else:
                self._heard_s = now_s
            return
        self._heard_s = now_s
        if parser.only_texts:  # nearly always
            # A line of which more waits to be read is not quiet.
            self._is_quiet = self._deliver(items, now_s) and len(received) < self._read_bytes  # type: ignore[arg-type]
        else:
            self._take_mixed(items, now_s)

    def _take_mixed(self, items: list[Item], now_s: float) -> None:
        """Take what one read brought, if it is not text alone."""
        for part in in_order(items, has_pinged=self._has_pinged):
            if not isinstance(part, bytes):
                self._is_quiet = self._deliver(part, now_s)
            elif not self.closed:
                self._output.put(part)
        if isinstance(items[-1], Close | Violation):  # nothing follows either of them
            self._answer_close(items[-1])

    def _deliver(self, messages: list[Message], now_s: float) -> bool:
        return self._receiver is not None and self._receiver.received(messages, now_s)

    def _answer_close(self, item: Close | Violation) -> None:
        if isinstance(item, Violation):
            refused.count(item.reason)
        # Section 5.5.1: the answer to a close has the peer's own code.
        self.close(close_codes.NORMAL if item.code == close_codes.NO_CODE else item.code, item.reason)

    def _check_idle(self, now_s: float) -> None:
        """Close the socket if the peer has sent nothing for `idle_s`. Each visit looks, so that no timer is needed."""
        if now_s - self._heard_s >= self._timeouts.idle_s:
            refused.count("silent")
            self.close(close_codes.GOING_AWAY, "silent")

    def _fail(self, reason: str | None) -> None:
        """End the socket after a failure of its output. `reason`: why the peer was cut off, if it was."""
        if reason:
            refused.count(reason)
        self.closed = True
        self._end()

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._read_tick.remove(self)
        if self._receiver is not None:
            self._receiver.ended()
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end()
