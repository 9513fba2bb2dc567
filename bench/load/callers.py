"""Paced calls of the load measurement: the process of `paced_calls.c`, step by step."""

import asyncio
import base64
import contextlib
import hmac
import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha1
from types import TracebackType

from bench.harness.settings import AUTH_TOKEN, PUBLIC_URL
from bench.load.programs import Place
from bench.load.sounds import Sound
from lexbridge.twilio.stream_token import make_stream_token

STEP_LIMIT_S = 120.0
"""Longest wait for a step of the process beyond the time that the calls take, seconds."""
TOKEN_S = 3600.0
PING_EVERY = 100
"""Number of media messages between two pings of a call."""


class CallersFailed(RuntimeError):
    """The process of the callers ended; the message has what it said."""


@dataclass(slots=True)
class Heard:
    """Notes of the callers: `pongs` are waits in seconds, `phrases` the call and the time of each phrase's end."""

    pongs: list[float] = field(default_factory=list)
    phrases: list[tuple[int, float]] = field(default_factory=list)


class PacedCallers:
    """Process of the callers, while it is entered as an asynchronous context manager."""

    def __init__(self, place: Place, cores: Collection[int], port: int, calls: int, sound: Sound) -> None:
        self._place = place
        self._cores = cores
        self._arguments = [str(port), str(calls)]
        self._calls = calls
        self._sound = sound
        self._output = place.file("callers.txt")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, warm_s: float, seconds: float) -> float:
        """Open the streams of all calls. Return how long that took, seconds."""
        starts, audio = self._place.file("starts.txt"), self._place.file("audio.ulaw")
        starts.write_text("".join(f"{start_message(number)}\n" for number in range(self._calls)), encoding="ascii")
        audio.write_bytes(b"".join(self._sound.frames))
        ends = ",".join(map(str, self._sound.phrase_ends)) or "-"
        self._process = await asyncio.create_subprocess_exec(
            self._place.callers,
            *(*self._arguments, str(warm_s), str(seconds), str(PING_EVERY), signature_header()),
            *(starts, audio, ends, self._output),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        if self._cores:
            os.sched_setaffinity(self._process.pid, self._cores)
        (opened_s,) = await self.step("connected")
        return opened_s

    async def __aenter__(self) -> "PacedCallers":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    def go_on(self) -> None:
        """Let the process take its next step."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(b"\n")

    async def step(self, name: str, within_s: float = 0.0) -> list[float]:
        """Wait for the step `name`, and return its numbers. Raises CallersFailed."""
        assert self._process
        assert self._process.stdout
        assert self._process.stderr
        async with asyncio.timeout(within_s + STEP_LIMIT_S):
            word, *numbers = (await self._process.stdout.readline()).decode().split() or [""]
            if word != name:
                raise CallersFailed(f"no {name!r}: {word} {(await self._process.stderr.read()).decode()}")
        return [float(number) for number in numbers]

    def heard(self) -> Heard:
        """Return what the callers have noted."""
        heard = Heard()
        for line in self._output.read_text(encoding="ascii").splitlines():
            kind, call, at_s, *rest = line.split()
            if kind == "pong":
                heard.pongs.append(float(rest[0]))
            else:
                heard.phrases.append((int(call), float(at_s)))
        return heard


def start_message(number: int) -> str:
    """Return the `start` message of a call, with a stream token that is valid for the whole measurement."""
    call_sid, stream_sid, account_sid = (f"{kind}{number:032x}" for kind in ("CA", "MZ", "AC"))
    token = make_stream_token(AUTH_TOKEN, call_sid, account_sid, time.time(), TOKEN_S, f"{number + 1:x}")
    start = {
        "accountSid": account_sid,
        "streamSid": stream_sid,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"lexbridge:token": token},
    }
    message = {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream_sid}
    return json.dumps(message, separators=(",", ":"))


def signature_header() -> str:
    """Return the header with Twilio's signature of the media socket's handshake."""
    address = f"{PUBLIC_URL.replace('https', 'wss', 1)}/"
    mac = hmac.new(AUTH_TOKEN.encode(), address.encode(), sha1)  # Twilio's choice
    return f"X-Twilio-Signature: {base64.b64encode(mac.digest()).decode()}"
