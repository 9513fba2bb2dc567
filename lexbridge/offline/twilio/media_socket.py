"""The client side of a Twilio media stream: one WebSocket from the simulated Twilio to a bridge.

A one-way stream (`<Start>`) only sends; a two-way one (`<Connect>`) also takes media, mark and clear. The messages:
https://www.twilio.com/docs/voice/media-streams/websocket-messages .
"""

import base64
import contextlib
import json
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import gevent
import websocket
from gevent.event import Event
from gevent.queue import Full, Queue

from lexbridge.offline.twilio.bridge_messages import read_message
from lexbridge.offline.twilio.stream_handshake import connect, stream_failure
from lexbridge.offline.twilio.verbs import Stream

CLOSE_LIMIT_S = 2.0
QUEUED_MESSAGES = 500  # 10 s of one track that the bridge did not read; then audio is dropped


class StreamOwner(Protocol):
    """The call that a stream belongs to."""

    def complain(self, code: int, message: str) -> None:
        """Record what Twilio would refuse or warn about."""
        ...

    def stream_closed(self, stream: "MediaSocket", code: int, reason: str) -> None:
        """Forget a stream that is over. `code`: Twilio's error code, or 0 if the call itself ended the stream."""
        ...

    def stream_says(self, stream: "MediaSocket", kind: str, value: str | bytes) -> None:
        """Take a well-formed message of a two-way stream: media (mu-law bytes), mark (name) or clear ("")."""
        ...


class MediaSocket:
    """One media stream of a call, from its opening to its end. `two_way`: opened by `<Connect>`."""

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
            connection = self._socket = connect(address, host, signature, ca_file)
            # Sent before anybody is told that the stream has started.
            connection.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
            connection.send(self._numbered("start", self._start()))
            self._sequence_number += 1
            connection.settimeout(None)
        except Exception as error:
            if self._socket is not None:
                self._socket.shutdown()  # type: ignore[no-untyped-call]
            raise stream_failure(error) from error
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
        """Count media time from the line's `line_ms`."""
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
        """Send a key of the caller's, on a two-way stream only."""
        if self.two_way and not self.stopping:
            self._tell("dtmf", {"track": "inbound_track", "digit": digit})

    def played(self, name: str) -> None:
        """Send a mark back, because the audio before it was played or cleared. Nothing is sent back after `stop`."""
        if not self.stopping:
            self._tell("mark", {"name": name})

    def stop(self) -> None:
        """Send `stop` and shake hands on the close. Return when the socket is closed, after CLOSE_LIMIT_S at most."""
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
        """Take a message of the bridge's on a two-way stream."""
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
        """Complain, but once a stream of each kind, as Twilio does: /docs/api/errors/31951."""
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


def _close_reason(payload: bytes) -> str:
    if len(payload) < 2:
        return "no code"
    return f"{struct.unpack('!H', payload[:2])[0]} {payload[2:].decode(errors='replace')}".strip()
