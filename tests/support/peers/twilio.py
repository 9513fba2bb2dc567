"""Peers that are Twilio: its REST API, and calls with their webhook and their media stream.

https://www.twilio.com/docs/usage/security#validating-requests
https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

import base64
import hashlib
import hmac
import json
import os
import random
import re
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

from tests.support.peers.http import Answer, Asked, answering

FRAME_S, FRAME_BYTES = 0.02, 160
SILENCE = b"\xff" * FRAME_BYTES
FAR_S = 120.0


@dataclass(frozen=True)
class Account:
    """A Twilio account."""

    sid: str
    token: str


def signature(token: str, url: str, fields: Mapping[str, str] | None = None) -> str:
    """Return Twilio's signature of a request."""
    text = url + "".join(name + value for name, value in sorted((fields or {}).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class RestPeer:
    """Twilio's REST API. `updates`: documents by call. `refused`: calls that another account wanted to update."""

    def __init__(self, accounts: list[Account]) -> None:
        self._accounts = {one.sid: one for one in accounts}
        self.updates: dict[str, list[str]] = {}
        self.refused: list[str] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator["RestPeer"]:
        """Serve until the block ends."""
        with answering(self._answer) as self.url:
            yield self

    def _answer(self, asked: Asked) -> Answer:
        found = re.fullmatch(r"/2010-04-01/Accounts/([^/]+)/Calls/([^/]+)\.json", asked.path)
        if found is None:  # a stream is stopped
            return Answer.of_json(404, {"code": 20404, "message": "none", "status": 404})
        account_sid, call_sid = found.groups()
        user = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
        account = self._accounts.get(account_sid)
        if account is None or user != f"{account.sid}:{account.token}":
            self.refused.append(call_sid)
            return Answer.of_json(401, {"code": 20003, "message": "Authenticate", "status": 401})
        twiml = parse_qs(asked.body.decode()).get("Twiml", [""])[0]
        self.updates.setdefault(call_sid, []).append(twiml)
        return Answer.of_json(200, {"sid": call_sid, "status": "in-progress"})


def post(base: str, path: str, fields: Mapping[str, str], token: str) -> tuple[int, str]:
    """Ask a webhook as Twilio does. Return the status and the document."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        base + path,
        urlencode(fields).encode(),
        {"X-Twilio-Signature": signature(token, base + path, fields)},
    )
    try:
        with urllib.request.urlopen(request, timeout=FAR_S) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@dataclass
class Call:
    """A call to a number of an account, over one media stream. `base`: the address of the service."""

    base: str
    account: Account
    number: str
    query: str = ""
    call_sid: str = field(default_factory=lambda: "CA" + os.urandom(16).hex())
    stream_sid: str = field(default_factory=lambda: "MZ" + os.urandom(16).hex())
    parameters: dict[str, str] = field(default_factory=dict)
    stream_url: str = ""
    played: bytes = b""
    close_code: int | None = None

    def __post_init__(self) -> None:
        self._socket: socket.socket | None = None
        self._sending = threading.Lock()
        self._chunks = 0
        random_of_call = random.Random(self.call_sid)
        loud = [*range(0x10), *range(0x80, 0x90)]
        self.speech = bytes(random_of_call.choice(loud) for _ in range(60 * FRAME_BYTES))

    @property
    def form(self) -> dict[str, str]:
        """The fields of its webhooks."""
        sids = {"CallSid": self.call_sid, "AccountSid": self.account.sid}
        return {**sids, "From": "+12065550100", "To": self.number, "CallStatus": "ringing", "Direction": "inbound"}

    def answer(self) -> str:
        """Ask /twiml. Return the document, whose stream's parameters are kept."""
        status, document = post(self.base, f"/twiml{self.query}", self.form, self.account.token)
        assert status == 200, (status, document)
        (stream,) = ElementTree.fromstring(document).iter("Stream")
        self.stream_url = stream.attrib["url"]
        self.parameters = {node.attrib["name"]: node.attrib["value"] for node in stream.iter("Parameter")}
        return document

    def open(self, **start: object) -> None:
        """Open the media stream. `start`: other fields of the start message than those of this call."""
        host, _, port = self.base.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=FAR_S)
        address = urlsplit(self.stream_url)
        lines = [
            f"GET {address.path or '/'}{'?' if address.query else ''}{address.query} HTTP/1.1",
            f"Host: {host}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"X-Twilio-Signature: {signature(self.account.token, self.stream_url)}",
        ]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._received = self._socket.makefile("rb")
        assert b" 101 " in self._received.readline()
        while self._received.readline() not in (b"\r\n", b""):
            pass
        threading.Thread(target=self._read, daemon=True).start()
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        own = {"accountSid": self.account.sid, "streamSid": self.stream_sid, "callSid": self.call_sid}
        format_ = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        told = {**own, "tracks": ["inbound"], "mediaFormat": format_, "customParameters": self.parameters, **start}
        self._send({"event": "start", "sequenceNumber": "1", "streamSid": self.stream_sid, "start": told})

    def speak(self, before_s: float = 0.6, after_s: float = 1.4) -> None:
        """Say this call's own words, with silence before and after them, at the pace of a telephone."""
        frames = [SILENCE] * round(before_s / FRAME_S)
        frames += [self.speech[at : at + FRAME_BYTES] for at in range(0, len(self.speech), FRAME_BYTES)]
        frames += [SILENCE] * round(after_s / FRAME_S)
        due_s = time.monotonic()
        for frame in frames:
            self.send_media(frame)
            due_s += FRAME_S
            time.sleep(max(0.0, due_s - time.monotonic()))

    def send_media(self, frame: bytes) -> None:
        """Send 20 ms of audio."""
        at_ms = str(20 * self._chunks)
        self._chunks += 1
        media = {"track": "inbound", "chunk": str(self._chunks), "timestamp": at_ms}
        media["payload"] = base64.b64encode(frame).decode()
        self._send({"event": "media", "sequenceNumber": "2", "streamSid": self.stream_sid, "media": media})

    def hang_up(self) -> None:
        """End the stream and the call."""
        with suppress(OSError):
            stop = {"accountSid": self.account.sid, "callSid": self.call_sid}
            self._send({"event": "stop", "sequenceNumber": "9", "streamSid": self.stream_sid, "stop": stop})
        if self._socket is not None:
            self._socket.close()

    def _send(self, message: object) -> None:
        assert self._socket is not None
        text = json.dumps(message).encode()
        mask = os.urandom(4)
        length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        with self._sending:
            self._socket.sendall(b"\x81" + length + mask + masked)

    def _read(self) -> None:
        """Read what the service sends until the stream ends."""
        with suppress(OSError, ValueError):
            while len(head := self._received.read(2)) == 2:
                size = head[1] & 0x7F
                if size == 126:
                    (size,) = struct.unpack(">H", self._received.read(2))
                elif size == 127:
                    (size,) = struct.unpack(">Q", self._received.read(8))
                self._take(head[0] & 0x0F, self._received.read(size))

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self.close_code = int.from_bytes(payload[:2], "big")
        elif opcode == 9:
            assert self._socket is not None
            with self._sending, suppress(OSError):
                self._socket.sendall(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)
        elif opcode == 1:
            message = json.loads(payload)
            if message["event"] == "media":
                self.played += base64.b64decode(message["media"]["payload"])


def decoded(mulaw: bytes) -> bytes:
    """Return the 16-bit samples of mu-law, by the table of ITU-T G.711."""
    return b"".join(_sample(byte).to_bytes(2, "little", signed=True) for byte in mulaw)


def _sample(byte: int) -> int:
    byte = ~byte & 0xFF
    size = (((byte & 0x0F) << 3) + 0x84 << ((byte & 0x70) >> 4)) - 0x84
    return -size if byte & 0x80 else size
