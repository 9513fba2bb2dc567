"""Call of the measurement of odd answers: a media stream on which the caller speaks, listens and sends pings."""

import asyncio
import base64
import contextlib
import json
import random
import struct
import time
from collections.abc import Callable

from twilio.request_validator import RequestValidator

from bench.harness.raw_client import client_message, upgrade_request
from bench.harness.settings import AUTH_TOKEN, PUBLIC_URL
from lexbridge.audio.pcm import MULAW_FRAME_BYTES, MULAW_SILENCE
from lexbridge.net.rfc6455 import PING, PONG, TEXT
from lexbridge.twilio.stream_token import make_stream_token

SPEECH_MS = 1200
ACCOUNT_SID = "AC" + "0" * 32
STREAM_URL = PUBLIC_URL.replace("https", "wss") + "/"
SILENCE = MULAW_SILENCE * MULAW_FRAME_BYTES


class Call:
    """Media stream of one call. `heard` is called with the time of each sound (monotonic)."""

    def __init__(self, number: int, heard: Callable[[float], None]) -> None:
        self._sid = f"CA{number:032x}"
        self._stream_sid = f"MZ{number:032x}"
        self._heard = heard
        self._frames = 0
        self._pings: dict[bytes, float] = {}
        self.pongs_ms: list[float] = []
        self.late_ms = 0.0
        self._speech: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, port: int) -> None:
        """Start the stream. The caller is silent."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(STREAM_URL, {})
        self._writer.write(upgrade_request(headers={"X-Twilio-Signature": signature}))
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"the handshake was answered with {answer[:40]!r}")
        parameters = {"lexbridge:token": make_stream_token(AUTH_TOKEN, self._sid, ACCOUNT_SID, time.time())}
        start = {
            "streamSid": self._stream_sid,
            "callSid": self._sid,
            "accountSid": ACCOUNT_SID,
            "tracks": ["inbound"],
            "customParameters": parameters,
            "mediaFormat": {},
        }
        self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._send({"event": "start", "sequenceNumber": "1", "start": start})
        self._tasks = [asyncio.create_task(self._hear(reader)), asyncio.create_task(self._speak())]

    def say(self) -> float:
        """Say something. Return the time of its end (monotonic)."""
        loud = random.Random(3)
        samples = (*range(40), *range(128, 168))
        frames = SPEECH_MS // 20
        self._speech = [bytes(loud.choices(samples, k=MULAW_FRAME_BYTES)) for _ in range(frames)]
        return time.monotonic() + SPEECH_MS / 1000

    def close(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        if self._writer is not None:
            self._writer.close()

    def forget_pings(self) -> None:
        """Forget the pongs so far."""
        self.pongs_ms.clear()
        self.late_ms = 0.0

    def waiting_ms(self) -> float:
        """Return how long the oldest unanswered ping has waited, ms."""
        return max((time.monotonic() - sent_s for sent_s in self._pings.values()), default=0.0) * 1000

    def _send(self, event: dict[str, object]) -> None:
        assert self._writer
        if not self._writer.is_closing():
            self._writer.write(client_message(json.dumps({"streamSid": self._stream_sid, **event}), TEXT))

    async def _speak(self) -> None:
        assert self._writer
        began_s = time.monotonic()
        while not self._writer.is_closing():
            payload = base64.b64encode(self._speech.pop(0) if self._speech else SILENCE).decode()
            media = {"track": "inbound", "chunk": "1", "timestamp": str(20 * self._frames), "payload": payload}
            self._send({"event": "media", "sequenceNumber": "2", "media": media})
            ping = struct.pack("!Q", self._frames)
            self._pings[ping] = time.monotonic()
            self._writer.write(client_message(ping, PING))
            self._frames += 1
            due_s = began_s + self._frames * 0.02
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self.late_ms = max(self.late_ms, (time.monotonic() - due_s) * 1000)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        assert self._writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, length = await reader.readexactly(2)
                if length >= 126:
                    length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8))
                self._take(first & 15, await reader.readexactly(length))
        self._writer.close()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PONG and payload in self._pings:
            self.pongs_ms.append((time.monotonic() - self._pings.pop(payload)) * 1000)
        elif opcode == TEXT:
            event = json.loads(payload)
            if event["event"] == "media" and base64.b64decode(event["media"]["payload"]).strip(b"\xff\x7f"):
                self._heard(time.monotonic())
            elif event["event"] == "mark":
                self._send({"event": "mark", "mark": event["mark"]})
