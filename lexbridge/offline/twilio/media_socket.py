"""The client side of a Twilio media stream: one WebSocket from the simulated Twilio to a bridge.

Messages: https://www.twilio.com/docs/voice/media-streams/websocket-messages . A one-way stream (`<Start>`) only sends;
a two-way one (`<Connect>`) also takes media, mark and clear.
"""

import base64
import binascii
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import gevent
import websocket
from gevent.event import Event
from gevent.queue import Full, Queue

from lexbridge.offline.twilio.verbs import Stream

CONNECT_LIMIT_S = 10.0
CLOSE_LIMIT_S = 2.0
QUEUED_MESSAGES = 500  # 10 s of one track that the bridge did not read; then audio is dropped
_FIELDS = {"media": {"payload"}, "mark": {"name"}, "clear": set[str]()}


class StreamFailed(Exception):
    """A stream that did not open, or broke. `code`: Twilio's error code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class StreamOwner(Protocol):
    """The call a stream belongs to."""

    def complain(self, code: int, message: str) -> None:
        """Twilio would refuse this or warn about it."""
        ...

    def stream_closed(self, stream: "MediaSocket", code: int, reason: str) -> None:
        """The stream is over; `code` 0 when we ended it ourselves."""
        ...

    def stream_says(self, stream: "MediaSocket", kind: str, value: str | bytes) -> None:
        """A well-formed media (mu-law bytes), mark (name) or clear ("") on a two-way stream."""
        ...


class _Connection(websocket.WebSocket):
    """A WebSocket that tells of the peer's close even when the peer waits for no answer to it."""

    def send_close(self, status: int = websocket.STATUS_NORMAL, reason: str | bytes = b"") -> None:
        """Send a close, unless the connection is gone."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            super().send_close(status, reason)


class MediaSocket:
    """One stream. `two_way`: opened by `<Connect>`."""

    def __init__(
        self, owner: StreamOwner, stream: Stream, stream_sid: str, call_sid: str, account_sid: str, *, two_way: bool
    ) -> None:
        self.stream = stream
        self.sid = stream_sid
        self.two_way = two_way
        self.over = Event()
        """Set when the stream has ended, for whatever reason."""
        self._owner = owner
        self._call_sid = call_sid
        self._account_sid = account_sid
        self._tracks = {"inbound_track": ("inbound",), "outbound_track": ("outbound",)}.get(
            stream.track, ("inbound", "outbound")
        )
        self._sequence_number = 0
        self._chunk = 0
        self._began_ms = 0
        self._queue: Queue[str | None] = Queue(maxsize=QUEUED_MESSAGES)
        self._complained: set[int] = set()
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._socket: websocket.WebSocket | None = None
        self._stopping = False

    def open(self, address: str, host: str, signature: str, ca_file: Path | None = None) -> None:
        """Connect, and send `connected` and `start`.

        ca_file: PEM file of the CA certificates for wss, or None for the public ones.

        Raises StreamFailed with Twilio's code.
        """
        try:
            connection = self._socket = websocket.create_connection(
                address,
                timeout=CONNECT_LIMIT_S,
                # Lower case, as Twilio sends it on the handshake.
                header=[f"x-twilio-signature: {signature}", "User-Agent: Twilio.TmeWs/1.0"],
                host=host,
                sslopt={"ca_certs": str(ca_file)} if ca_file else {},
                suppress_origin=True,
                http_no_proxy=["*"],
                enable_multithread=True,
                skip_utf8_validation=True,  # byte by byte, in Python: `_read` does it
                class_=_Connection,
            )
            # Sent before anybody is told that the stream has started.
            connection.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            connection.send(self._numbered("start", self._start()))
            self._sequence_number += 1
            connection.settimeout(None)
        except Exception as error:
            if self._socket is not None:
                self._socket.shutdown()  # type: ignore[no-untyped-call]
            raise _as_twilio_says(error) from error
        self._greenlets = [gevent.spawn(self._write, connection), gevent.spawn(self._read, connection)]

    @property
    def port(self) -> int:
        """Port of this end of the connection, or 0. A test finds the process at the other end by it."""
        connected = self._socket.sock if self._socket is not None else None
        return connected.getsockname()[1] if connected is not None else 0

    @property
    def stopping(self) -> bool:
        """Whether `stop` is on its way, or the stream is over."""
        return self._stopping or self.over.is_set()

    def begin(self, line_ms: int) -> None:
        """Media time 0 of this stream is the line's `line_ms`."""
        self._began_ms = line_ms

    def carry(self, line_ms: int, inbound: bytes, outbound: bytes) -> None:
        """Carry a frame of the line in each direction. When the bridge reads too slowly, frames are dropped.

        line_ms: the end of the frames on the line. inbound, outbound: mu-law, or b"" for a frame that is not sent.
        """
        for track in self._tracks:
            if not (mulaw := inbound if track == "inbound" else outbound):
                continue
            payload = base64.b64encode(mulaw).decode()
            timestamp = str(line_ms - self._began_ms)
            media = {"track": track, "chunk": str(self._chunk + 1), "timestamp": timestamp, "payload": payload}
            self._chunk += self._tell("media", media)

    def press(self, digit: str) -> None:
        """A key of the caller's; on two-way streams only."""
        if self.two_way and not self.stopping:
            self._tell("dtmf", {"track": "inbound_track", "digit": digit})

    def played(self, name: str) -> None:
        """The audio before a mark was played, or cleared. Nothing is told any more after `stop`."""
        if not self.stopping:
            self._tell("mark", {"name": name})

    def stop(self) -> None:
        """`stop`, then the closing handshake; returns when the socket is closed, CLOSE_LIMIT_S later at most."""
        if self.stopping:
            return
        self._stopping = True
        stop = {"accountSid": self._account_sid, "callSid": self._call_sid}
        with contextlib.suppress(gevent.Timeout), gevent.Timeout(CLOSE_LIMIT_S):
            self._queue.put(self._numbered("stop", stop))
            self._queue.put(None)
            self.over.wait()
        self._end(0, "")

    def cut(self) -> None:
        """Break the connection like a lost network does: no close, but a TCP reset. For tests."""
        if self._socket is not None and self._socket.sock is not None:
            self._socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end(31903, "Stream: broken pipe: the connection was lost")

    def _start(self) -> dict[str, Any]:
        return {
            "accountSid": self._account_sid,
            "streamSid": self.sid,
            "callSid": self._call_sid,
            "tracks": list(self._tracks),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(self.stream.parameters),
        }

    def _tell(self, event: str, fields: Mapping[str, Any]) -> bool:
        """Send an event, unless the bridge has left too much unread."""
        try:
            self._queue.put_nowait(self._numbered(event, fields))
        except Full:
            self._complain_once(31930, "Stream: media buffer overflow: the bridge reads too slowly, audio is lost")
            return False
        self._sequence_number += 1
        return True

    def _numbered(self, event: str, fields: Mapping[str, Any]) -> str:
        number = str(self._sequence_number + 1)
        return json.dumps({"event": event, "sequenceNumber": number, "streamSid": self.sid, event: fields})

    def _write(self, connection: websocket.WebSocket) -> None:
        # A connection that cannot be written to any more ends for the reader too, and it knows whether a close came.
        with contextlib.suppress(OSError, websocket.WebSocketException):
            for text in iter(self._queue.get, None):
                connection.send(text)
            connection.send_close()

    def _read(self, connection: websocket.WebSocket) -> None:
        try:
            while not self.over.is_set():
                opcode, payload = connection.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    self._end(31921, f"Stream: the server closed the socket ({_close_reason(payload)})")
                elif self.two_way:
                    self._take(opcode, payload)
                    gevent.sleep(0)  # a prompt's beginning comes as one burst, and other calls share this loop
                else:
                    # A one-way stream takes no messages at all: /docs/api/errors/31924.
                    self._end(31924, "Stream: WebSocket protocol error: the bridge sent a message on a <Start> stream")
        except (OSError, websocket.WebSocketConnectionClosedException) as error:
            self._end(31903, f"Stream: broken pipe: {error}")
        except (websocket.WebSocketException, UnicodeDecodeError) as error:
            self._end(31924, f"Stream: WebSocket protocol error: {error}")

    def _take(self, opcode: int, payload: bytes) -> None:
        """A message of the bridge's on a two-way stream."""
        if opcode != websocket.ABNF.OPCODE_TEXT:
            self._complain_once(31950, "Stream: malformed message: binary, only text is taken")
            return
        payload.decode()
        try:
            kind, value = read_message(payload, self.sid)
        except ValueError as error:
            self._complain_once(31951, f"Stream: invalid message: {error}")
            return
        self._owner.stream_says(self, kind, value)

    def _complain_once(self, code: int, message: str) -> None:
        """Twilio reports each kind once a stream: /docs/api/errors/31951."""
        if code not in self._complained:
            self._complained.add(code)
            self._owner.complain(code, message)

    def _end(self, code: int, reason: str) -> None:
        if self.over.is_set():
            return
        self.over.set()
        if self._socket is not None:
            self._socket.shutdown()  # type: ignore[no-untyped-call]
        self._owner.stream_closed(self, 0 if self._stopping else code, "" if self._stopping else reason)
        gevent.killall([each for each in self._greenlets if each is not gevent.getcurrent()], block=False)


def read_message(payload: bytes, stream_sid: str) -> tuple[str, str | bytes]:
    """A bridge's message as (media, mu-law), (mark, name) or (clear, "").

    Raises ValueError for whatever Twilio would call invalid: "anything else, an extra or missing field, a wrong
    streamSid" (/docs/api/errors/31951).
    """
    try:
        message = json.loads(payload)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(message, dict) or message.get("event") not in _FIELDS:
        raise ValueError("its event is none of media, mark, clear")
    kind: str = message["event"]
    if message.get("streamSid") != stream_sid:
        raise ValueError(f"{kind} names streamSid {message.get('streamSid')!r}, this stream is {stream_sid}")
    if set(message) != {"event", "streamSid"} | ({kind} if _FIELDS[kind] else set()):
        raise ValueError(f"{kind} with the fields {', '.join(sorted(message))}")
    if kind == "clear":
        return kind, ""
    inner = message[kind]
    texts = isinstance(inner, dict) and all(isinstance(value, str) for value in inner.values())
    if not texts or set(inner) != _FIELDS[kind]:
        raise ValueError(f"{kind} is not an object with the text {', '.join(_FIELDS[kind])} alone")
    if kind == "mark":
        return kind, inner["name"]
    try:
        return kind, base64.b64decode(inner["payload"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("media.payload is not base64") from error


def _close_reason(payload: bytes) -> str:
    if len(payload) < 2:
        return "no code"
    return f"{struct.unpack('!H', payload[:2])[0]} {payload[2:].decode(errors='replace')}".strip()


def _as_twilio_says(error: Exception) -> StreamFailed:
    """Return a failed connection as Twilio's error: https://www.twilio.com/docs/api/errors/31901 and the next ones."""
    kinds: list[tuple[type[Exception] | tuple[type[Exception], ...], int, str]] = [
        (websocket.WebSocketBadStatusException, 31920, "Stream: the handshake was not answered with 101"),
        ((TimeoutError, websocket.WebSocketTimeoutException), 31901, "Stream: connection timeout"),
        (ConnectionRefusedError, 31902, "Stream: connection refused"),
        (ssl.SSLError, 31910, "Stream: TLS error"),
        (OSError, 31901, "Stream: no connection"),
    ]
    for kind, code, words in kinds:
        if isinstance(error, kind):
            return StreamFailed(code, f"{words}: {error}")
    return StreamFailed(31924, f"Stream: WebSocket protocol error: {type(error).__name__}: {error}")
