"""The WebSocket of a media stream: gevent-websocket's, with limits, fair reading and less CPU.

`read_tick.py` reads all sockets that have data together, and at most READ_BYTES of each. So no peer can hold the loop,
whatever it sends, and a thousand calls wake the loop as often as one. `rfc6455.py` takes the bytes apart and enforces
the limits. Nothing here waits for a peer without a deadline.
"""

import os
import time
from collections import deque
from contextlib import suppress
from random import uniform
from socket import IPPROTO_TCP, SHUT_WR, TCP_NODELAY, TCP_NOTSENT_LOWAT
from typing import TYPE_CHECKING, Any

import gevent
import geventwebsocket.handler
from gevent import get_hub
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.websocket import WebSocket
from greenlet import getcurrent, greenlet

from lexbridge.net import close_codes, rfc6455
from lexbridge.net.output_queue import OutputQueue
from lexbridge.net.read_tick import get_read_tick
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Close, Limits, MessageParser, Ping, Pong, Violation

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

READ_BYTES = 4 * 1024
"""Bytes read of one socket in one tick.

That is 13 media messages, so 500 messages that a network held back are read in 0.4 s. It is also 600 pings, the most
work that so many bytes can make: 3 ms.
"""

FAIR_SHARE = 5
"""Messages that one receiver takes before every other socket has its turn.

The call behind the socket spends about 30 us on each message.
"""

WAITING_MESSAGES = 100
"""Messages that are read ahead of the receiver. While there are more, the socket is not read, and the peer waits."""

DISCARDED_BYTES = 64 * 1024
"""Bytes read at once of input that nothing looks at."""

MAX_LINGER_BYTES = 256 * 1024
"""Bytes that are read and dropped after the close, while the server waits for the peer to end the connection."""

_MESSAGES = (str, bytes)


class MediaSocket(WebSocket):  # type: ignore[misc]  # gevent-websocket has no types
    """A WebSocket that the hub reads. One greenlet at a time may call `receive`; any may call `send` and `close`."""

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
        self._messages: deque[str | bytes | Pong] = deque()
        self._has_pinged = False
        self._ended = False  # no message will follow those in _messages
        self._taken = 0
        self._receiver: greenlet | None = None  # the greenlet that waits for a message
        self._output = OutputQueue(self._socket, self.limits.output_bytes, self._timeouts.stall_s, self._fail)
        self._hub = get_hub()
        self._read_tick = get_read_tick(self._hub)
        self._descriptor = self._socket.fileno()
        loop = self._hub.loop
        self._paused = False  # the socket is not read until the receiver has taken the waiting messages
        self._heard_s = time.monotonic()
        check_s = self._timeouts.idle_s * uniform(0.05, 0.1)
        self._idle_check = loop.timer(check_s, check_s)

    def __del__(self) -> None:
        """Do nothing. The base class would send a close here, but the handler has ended the socket long before."""

    # What the application calls

    def receive(self) -> str | bytes | Pong | None:
        """Return the next message as soon as it has arrived, or None at the end. Raise nothing.

        A message is bytes only if the limits allow binary messages. A pong is returned only after a `ping`, and in its
        place: every message that arrived before it has been returned before.
        """
        if self._messages:
            self._taken += 1
            if self._taken % FAIR_SHARE == 0:
                gevent.sleep(0)
        while not self._messages:
            if self._ended:
                return None
            # The same as gevent's Waiter, but without one for each message: only `_take` and `_wake` switch back here.
            self._receiver = getcurrent()
            try:
                self._hub.switch()
            finally:
                self._receiver = None
        message = self._messages.popleft()
        if self._paused and not self._messages and not self._ended:
            self._paused = False
            self._read_tick.add(self._descriptor, self)
        return message

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

    # What the handler calls

    def open(self) -> None:
        """Start reading, after the 101 has been sent."""
        self._socket.settimeout(0.0)  # the hub uses the socket from here on, and must never wait for it
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._socket.setsockopt(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0)  # the system's default: `output_bytes` is the limit
        self._idle_check.start(self._check_idle)
        self._read_tick.add(self._descriptor, self)
        # Take what arrived together with the request: those bytes do not make the socket readable.
        self._take(self.handler.early_bytes, self._heard_s)

    def finish(self) -> None:
        """Wait, for `linger_s` at most, until the peer has taken the close and ended the connection. Release all.

        Closing a socket with unread input sends a reset, which destroys the close on its way (section 7.1.1).
        """
        self.close()
        self._idle_check.stop()
        try:
            with suppress(OSError), gevent.Timeout(self._timeouts.linger_s, TimeoutError):  # the peer is gone, or late
                self._output.wait_until_sent()
                self._socket.settimeout(None)
                linger(self._socket)
        finally:
            self._messages.clear()
            self._read_tick.remove(self._descriptor)
            self._idle_check.stop()
            self._idle_check.close()
            self._output.close()

    # What the hub calls

    def read(self, now_s: float) -> None:
        """Read what has arrived, at most READ_BYTES of it. Never wait."""
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
                if self._has_pinged:  # section 5.5.3: an unsolicited pong has no meaning
                    self._messages.append(item)
            else:
                self._send_pongs(pongs)
                pongs = b""
                self._answer_close(item)
        self._send_pongs(pongs)
        if len(self._messages) > WAITING_MESSAGES:
            self._paused = True
            self._read_tick.remove(self._descriptor)
        if self._receiver and self._messages:
            self._receiver.switch()

    def _send_pongs(self, pongs: bytes) -> None:
        """Send several pongs at once: a system call for each would be most of the cost of a flood of pings."""
        if pongs and not self.closed:
            self._output.put(pongs)

    def _answer_close(self, item: Close | Violation) -> None:
        if isinstance(item, Violation):
            refused.count(item.reason)
        # Section 5.5.1: the answer to a close has the peer's own code.
        self.close(close_codes.NORMAL if item.code == close_codes.NO_CODE else item.code, item.reason)

    def _check_idle(self) -> None:
        """Close the socket if the peer has sent nothing for `idle_s`. A timer per message would cost too much."""
        now_s = time.monotonic()
        if self._paused:
            self._heard_s = now_s  # the socket is not being read, so the peer is not to blame
        elif now_s - self._heard_s >= self._timeouts.idle_s:
            refused.count("silent")
            self.close(close_codes.GOING_AWAY, "silent")

    def _fail(self, reason: str | None) -> None:
        """End the socket after a failure of its output. `reason`: why the peer was cut off, if it was."""
        if reason:
            refused.count(reason)
        self.closed = True
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._read_tick.remove(self._descriptor)
        self._idle_check.stop()
        if self._receiver:
            self._hub.loop.run_callback(self._wake)

    def _wake(self) -> None:
        if self._receiver:
            self._receiver.switch()


# The handler looks its socket class up by this name. Replacing the socket object after the handshake instead would make
# the first object send a close of its own when it is collected.
geventwebsocket.handler.WebSocket = MediaSocket


def linger(connection: Any) -> None:
    """End the sending direction of `connection`, and read until the peer has ended its own, MAX_LINGER_BYTES at most.

    Raise OSError if the connection breaks. The caller sets the deadline.
    """
    connection.shutdown(SHUT_WR)
    left = MAX_LINGER_BYTES
    while left > 0 and (received := connection.recv(DISCARDED_BYTES)):
        left -= len(received)
        gevent.sleep(0)
