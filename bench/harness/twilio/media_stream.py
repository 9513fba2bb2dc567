"""Twilio's end of one media stream, at little CPU: many of them run in one process.

The mask key of the WebSocket frames is zero, which the server has to unmask all the same.
"""

import asyncio
import contextlib
import json
import socket
import struct
from base64 import b64encode
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from bench.harness.light_http import ConnectionFailed, connect
from bench.harness.marked_audio import PAYLOADS
from bench.harness.twilio.clock import FRAME_TICKS, TICK_MS, Clock, Sender, Speech

CONNECT_LIMIT_S = 5.0
CLOSE_LIMIT_S = 2.0
MAX_WAITING_BYTES = 64 * 1024
"""Most bytes of output that the server has not read: beyond that, audio is dropped."""

_CLOSE, _PONG, _TEXT = 8, 10, 1
_KEY = "c3Vydml2YWwgYmVuY2ghIQ=="


class StreamOwner(Protocol):
    """Call that a media stream belongs to."""

    speech: Speech

    def stream_opened(self, stream: "MediaStream") -> None:
        """Take note that the stream is open: its `start` message is about to be sent."""
        ...

    def stream_said(self, stream: "MediaStream", text: str) -> None:
        """Take a message of the server on a bidirectional stream."""
        ...

    def stream_over(self, stream: "MediaStream", code: int, reason: str) -> None:
        """Take note that the stream has ended. `code`: Twilio's error code, or 0 if Twilio stopped the stream."""
        ...


class MediaStream(Sender):
    """Stream of a `<Start>`, or of a `<Connect>`, which is two-way. `name`: as in the TwiML, else the SID."""

    def __init__(self, owner: StreamOwner, clock: Clock, sid: str, name: str, *, is_two_way: bool = False) -> None:
        self.sid = sid
        self.name = name
        self.is_two_way = is_two_way
        self.is_over = False
        self.was_open = False
        self._owner = owner
        self._clock = clock
        self._socket: socket.socket | None = None
        self._began = 0
        self._number = 1
        self._chunk = 0
        self._waiting = b""  # output that the socket did not take
        self._input = b""
        self._is_stopping = False
        self._stop_text = ""
        self._tail = f'"}},"streamSid":"{sid}"}}'

    async def open(self, url: str, signature: str, start: Mapping[str, object]) -> None:
        """Connect to `url`, and send `connected` and `start`."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        try:
            # To this machine wss is plain ws: no server under test has a certificate.
            made = await connect((parts.hostname or "", parts.port or 443), CONNECT_LIMIT_S)
        except ConnectionFailed as error:
            self._over(31901 if error.timed_out else 31902, f"Stream: no connection: {error}")
            return
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await loop.sock_sendall(made, _handshake(parts.netloc, parts.path or "/", signature))
                answer = b""
                while b"\r\n\r\n" not in answer and (piece := await loop.sock_recv(made, 4096)):
                    answer += piece
        except (OSError, TimeoutError) as error:
            made.close()
            self._over(31920, f"Stream: no answer to the handshake: {error}")
            return
        except BaseException:
            made.close()
            raise
        status, _, self._input = answer.partition(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 101 "):
            made.close()
            self._over(31920, f"Stream: the handshake was answered with {status[9:12].decode('latin-1')!r}")
            return
        self._begin(made, start)

    def _begin(self, made: socket.socket, start: Mapping[str, object]) -> None:
        self._socket = made
        asyncio.get_running_loop().add_reader(made, self._readable)
        self._began = self._clock.join(self)
        connected = '{"event":"connected","protocol":"Call","version":"1.0.0"}'
        begin = json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": self.sid})
        self.was_open = True
        self._owner.stream_opened(self)
        self._send(_text(connected) + _text(begin))
        if self.is_over:  # lost already
            return
        if self._is_stopping:
            self._say_stop()
        elif self._input:
            self._frames()

    def send_media(self, tick: int) -> None:
        if tick == self._began:
            return
        clock, speech = self._clock, self._owner.speech
        if self._waiting and len(self._waiting) > MAX_WAITING_BYTES:
            clock.overflows += 1
            return
        since = tick - clock.period
        frames = clock.frames_per_message
        if speech.to_tick <= since or speech.from_tick >= tick:
            payload = PAYLOADS[frames]
        else:
            carried = b"".join(speech.frame_at(since + at * FRAME_TICKS) for at in range(frames))
            payload = b64encode(carried).decode()
        self._number += 1
        self._chunk += 1
        clock.messages += 1
        self._send(
            _text(
                f'{{"event":"media","sequenceNumber":"{self._number}","media":{{"track":"inbound","chunk":"{self._chunk}",'
                f'"timestamp":"{(since - self._began) * TICK_MS}","payload":"{payload}{self._tail}'
            )
        )

    def send_back(self, mark: str) -> None:
        """Send a mark back: what came before it has been played, or dropped."""
        if not self.is_over:
            self._number += 1
            message = {
                "event": "mark",
                "sequenceNumber": str(self._number),
                "mark": {"name": mark},
                "streamSid": self.sid,
            }
            self._send(_text(json.dumps(message)))

    def stop(self, account_sid: str, call_sid: str) -> None:
        """Send `stop` and begin the closing handshake, as soon as the stream is open."""
        if self._is_stopping or self.is_over:
            return
        self._is_stopping = True
        self._stop_text = f'"stop":{{"accountSid":"{account_sid}","callSid":"{call_sid}"}},"streamSid":"{self.sid}"}}'
        if self._socket is not None:
            self._say_stop()

    def _say_stop(self) -> None:
        self._clock.leave(self, self._began)
        self._number += 1
        stop = f'{{"event":"stop","sequenceNumber":"{self._number}",{self._stop_text}'
        self._send(_text(stop) + _frame(_CLOSE, struct.pack("!H", 1000)))
        if self.is_over:
            return
        # For the call the stream is over now; the connection is read until the server has closed it.
        self.is_over = True
        self._owner.stream_over(self, 0, "")
        asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, self._close)

    # The connection

    def _send(self, output: bytes) -> None:
        made = self._socket
        if made is None:
            return
        if self._waiting:
            self._waiting += output
            return
        try:
            sent = made.send(output)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._over(31903, f"Stream: broken pipe: {error}")
            return
        if sent < len(output):
            self._waiting = output[sent:]
            asyncio.get_running_loop().add_writer(made, self._writable)

    def _writable(self) -> None:
        made, waiting = self._socket, self._waiting
        assert made
        self._waiting = b""
        asyncio.get_running_loop().remove_writer(made)
        self._send(waiting)

    def _readable(self) -> None:
        assert self._socket
        try:
            received = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._over(31903, f"Stream: broken pipe: {error}")
            return
        if not received:
            self._over(31903, "Stream: broken pipe: the connection ended without a close")
            return
        if not self.is_over:
            self._input += received
            self._frames()

    def _frames(self) -> None:
        """Take the server's frames. On a one-way stream only pings and closes are allowed."""
        while not self.is_over and (length := _whole_length(self._input)) is not None:
            opcode, self._input, frame = self._input[0] & 0x0F, self._input[length[1] :], self._input[: length[1]]
            payload = frame[length[0] :]
            match opcode:
                case 9:
                    self._send(_frame(_PONG, payload))
                case 10:
                    pass
                case 8:
                    self._send(_frame(_CLOSE, payload[:2]))
                    code = int.from_bytes(payload[:2], "big") if payload else "no code"
                    self._over(31921, f"Stream: the server closed the socket ({code})")
                case 1 if self.is_two_way:
                    self._owner.stream_said(self, payload.decode())
                case _:
                    self._over(31924, "Stream: WebSocket protocol error: the server sent a message that it may not")

    def _over(self, code: int, reason: str) -> None:
        self._close()
        if self.is_over:
            return
        self.is_over = True
        self._owner.stream_over(self, 0 if self._is_stopping else code, "" if self._is_stopping else reason)

    def _close(self) -> None:
        made, self._socket = self._socket, None
        if made is None:
            return
        self._clock.leave(self, self._began)
        loop = asyncio.get_running_loop()
        loop.remove_reader(made)
        loop.remove_writer(made)
        with contextlib.suppress(OSError):
            made.close()


def _whole_length(received: bytes) -> tuple[int, int] | None:
    """Return the lengths of the head and of the whole first frame in `received`, or None if it is incomplete."""
    if len(received) < 2:
        return None
    short = received[1] & 0x7F
    head = {126: 4, 127: 10}.get(short, 2)
    if len(received) < head:
        return None
    length = head + (short if head == 2 else int.from_bytes(received[2:head], "big"))
    return (head, length) if len(received) >= length else None


def _handshake(host: str, path: str, signature: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: Twilio.TmeWs/1.0\r\n"
        f"x-twilio-signature: {signature}\r\n\r\n"
    ).encode()


def _text(text: str) -> bytes:
    return _frame(_TEXT, text.encode())


def _frame(opcode: int, payload: bytes) -> bytes:
    """Return a client's frame with a mask key of zero: it counts as masked, and the payload stays as it is."""
    if len(payload) < 126:
        return struct.pack("!BBI", 0x80 | opcode, 0x80 | len(payload), 0) + payload
    return struct.pack("!BBHI", 0x80 | opcode, 0xFE, len(payload), 0) + payload
