"""What answers without end, compressed bombs and other odd answers cost, and whether the caller hears something.

Each case is a `server.py` of its own between a Lex and a Twilio, each a process at a low priority, of which one
answers oddly, at full speed where it floods: Lex every turn, Twilio the first two requests. A caller says something and
listens; another call beside it measures, with 50 pings a second, how long the loop takes to answer. In stream mode Lex
speaks lexbridge's own phrases, and so Twilio's cases are of call-update mode.

Prints for each case when something was heard, media that is no silence or a document that says something, in seconds
from the end of what the caller said; the worker's memory before, and at its peak; and the neighbour's figures. Exit
status 1 when nothing was heard within 6 s, memory grew by more than 20 MB, or a pong took longer than 50 ms.

    python -m bench odd_answers                          # all of it: some 15 minutes
    python -m bench odd_answers --reply-mode stream bomb # the cases of one mode with this word in their names
"""

import asyncio
import base64
import contextlib
import json
import random
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twilio.request_validator import RequestValidator

from bench.harness import proc, service
from bench.harness.arguments import make_parser
from bench.harness.raw_client import client_message
from bench.harness.report import table
from bench.harness.service import Process
from bench.harness.settings import AUTH_TOKEN, PUBLIC_URL
from bench.stress import odd_server
from lexbridge.audio.pcm import MULAW_FRAME_BYTES, MULAW_SILENCE
from lexbridge.net.rfc6455 import PING, TEXT
from lexbridge.twilio.stream_token import make_stream_token

HEARD_WITHIN_S = 6.0
GROWS_AT_MOST_MB = 20.0
NEIGHBOUR_AT_MOST_MS = 50.0
WATCHED_S = 4.0
"""So long at least a case is watched, from the end of what the caller said: a flood goes on."""

SPEECH_MS = 1200
ACCOUNT_SID = "AC" + "0" * 32
STREAM_URL = PUBLIC_URL.replace("https", "wss") + "/"
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: b2RkIGFuc3dlciBiZW5jaA==\r\n"
)
SILENCE = MULAW_SILENCE * MULAW_FRAME_BYTES
_PONG = 10


@dataclass(frozen=True, slots=True)
class Case:
    """An odd answer: of "lex" or "twilio", by its name."""

    mode: str
    who: str
    name: str


@dataclass(slots=True)
class Result:
    """What came of a case."""

    case: Case
    heard_s: float | None = None
    before_mb: float = 0.0
    peak_mb: float = 0.0
    pongs_ms: list[float] = field(default_factory=list)
    late_ms: float = 0.0

    @property
    def worst_ms(self) -> float:
        """The longest that a pong took."""
        return self.pongs_ms[-1] if self.pongs_ms else float("inf")

    def problems(self, neighbour_ms: float) -> list[str]:
        """The limits that it missed."""
        missed = {
            "nothing heard": self.heard_s is None,
            "heard late": self.heard_s is not None and self.heard_s > HEARD_WITHIN_S,
            "memory grew": self.peak_mb - self.before_mb > GROWS_AT_MOST_MB,
            "the neighbour waited": self.worst_ms > neighbour_ms,
        }
        return [what for what, is_so in missed.items() if is_so]

    def row(self, neighbour_ms: float) -> list[str]:
        """A line of the table."""
        p99_ms = self.pongs_ms[int(len(self.pongs_ms) * 0.99)] if self.pongs_ms else float("inf")
        return [
            f"{self.case.who} {self.case.name}",
            "-" if self.heard_s is None else f"{self.heard_s:.2f}",
            f"{self.before_mb:.0f}",
            f"{self.peak_mb:.0f}",
            f"{p99_ms:.0f}",
            f"{self.worst_ms:.0f}",
            f"{self.late_ms:.0f}",
            ", ".join(self.problems(neighbour_ms)) or "ok",
        ]


HEADING = ["case", "heard s", "MB", "peak MB", "neighbour p99 ms", "max ms", "bench late ms", "verdict"]


def cases(modes: Sequence[str], words: Sequence[str]) -> list[Case]:
    """The cases with any of `words` in their names."""
    found = [Case(mode, "lex", name) for mode in modes for name in odd_server.LEX]
    odd = [name for name in odd_server.TWILIO if name != "right"]
    found += [Case("call-update", "twilio", name) for name in odd if "call-update" in modes]
    return [case for case in found if not words or any(word in f"{case.who} {case.name}" for word in words)]


class Call:
    """A media stream of a call: what the caller says, and what they hear."""

    def __init__(self, number: int, heard: Callable[[float], None]) -> None:
        """`heard` is called with the time at which there is a sound."""
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
        """Its stream starts, and it is silent."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(STREAM_URL, {})
        head = f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}X-Twilio-Signature: {signature}\r\n\r\n"
        self._writer.write(head.encode())
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
        """Says something. Returns when it is over."""
        loud = random.Random(3)
        samples = (*range(40), *range(128, 168))
        frames = SPEECH_MS // 20
        self._speech = [bytes(loud.choices(samples, k=MULAW_FRAME_BYTES)) for _ in range(frames)]
        return time.monotonic() + SPEECH_MS / 1000

    def close(self) -> None:
        """Hangs up."""
        for task in self._tasks:
            task.cancel()
        if self._writer is not None:
            self._writer.close()

    def forget_pings(self) -> None:
        """Those so far do not count."""
        self.pongs_ms.clear()
        self.late_ms = 0.0

    def waiting_ms(self) -> float:
        """How long the oldest ping waits for its pong."""
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
        if opcode == _PONG and payload in self._pings:
            self.pongs_ms.append((time.monotonic() - self._pings.pop(payload)) * 1000)
        elif opcode == TEXT:
            event = json.loads(payload)
            if event["event"] == "media" and base64.b64decode(event["media"]["payload"]).strip(b"\xff\x7f"):
                self._heard(time.monotonic())
            elif event["event"] == "mark":
                self._send({"event": "mark", "mark": event["mark"]})


async def measure(case: Case, folder: Path) -> Result:
    """A case, through a `server.py` of its own."""
    odd = ["-m", "bench.stress.odd_server", case.who, case.name, *(["--times", "2"] if case.who == "twilio" else [])]
    right = ["-m", "bench.stress.odd_server", "twilio" if case.who == "lex" else "lex", "right", "--times", "0"]
    async with Process(odd, {}, folder / "odd.log") as one, Process(right, {}, folder / "right.log") as other:
        lex, twilio = (one, other) if case.who == "lex" else (other, one)
        ports = [int(await peer.first_line()) for peer in (lex, twilio)]
        port = service.free_port()
        bridge = service.server(
            folder / "bridge.log",
            port=port,
            lex_port=ports[0],
            twilio_url=f"http://127.0.0.1:{ports[1]}",
            auth_token=AUTH_TOKEN,
            settings={"REPLY_MODE": case.mode, "URL": PUBLIC_URL},
        )
        async with bridge:
            await bridge.until_served(port, "/ready")
            return await _call(case, port, bridge.workers[0], twilio)


async def _call(case: Case, port: int, worker: int, twilio: Process) -> Result:
    result = Result(case)
    sounds: list[float] = []
    neighbour, caller = Call(1, lambda _: None), Call(2, sounds.append)
    await neighbour.open(port)
    await caller.open(port)
    await asyncio.sleep(1.0)  # in stream mode lexbridge learns to speak meanwhile
    neighbour.forget_pings()
    result.before_mb = result.peak_mb = proc.resident_mb(worker)
    ended_s = caller.say()
    until_s = ended_s + 2 * HEARD_WITHIN_S
    while time.monotonic() < until_s:
        await asyncio.sleep(0.05)
        result.peak_mb = max(result.peak_mb, proc.resident_mb(worker))
        said = [*sounds, *(float(line) for line in twilio.log.read_text(encoding="ascii").split("\n")[1:] if line)]
        if said:
            result.heard_s = max(0.0, min(said) - ended_s)
            until_s = min(until_s, max(ended_s + WATCHED_S, min(said) + 1))
    result.pongs_ms = sorted([*neighbour.pongs_ms, neighbour.waiting_ms()])
    result.late_ms = neighbour.late_ms
    neighbour.close()
    caller.close()
    return result


async def measure_all(chosen: Sequence[Case], neighbour_ms: float) -> int:
    """The cases one after the other, and the table. Returns the exit status."""
    status = 0
    for mode in dict.fromkeys(case.mode for case in chosen):
        rows = [HEADING]
        for case in chosen:
            if case.mode == mode:
                with tempfile.TemporaryDirectory() as folder:
                    result = await measure(case, Path(folder))
                rows.append(result.row(neighbour_ms))
                status |= bool(result.problems(neighbour_ms))
        print(f"{mode}\n\n{table(rows)}\n", flush=True)
    print(f"limits: heard within {HEARD_WITHIN_S:g} s, {GROWS_AT_MOST_MB:g} MB more, a pong within {neighbour_ms:g} ms")
    return status


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("odd_answers", __doc__)
    parser.add_argument("words", nargs="*", help="only the cases with any of these in their names")
    parser.add_argument("--reply-mode", choices=("call-update", "stream", "both"), default="both")
    pong = "the longest that a pong may take: more for a machine that is busy otherwise (default %(default)s)"
    parser.add_argument("--neighbour-ms", type=float, default=NEIGHBOUR_AT_MOST_MS, help=pong)
    options = parser.parse_args(arguments)
    modes = ("call-update", "stream") if options.reply_mode == "both" else (options.reply_mode,)
    return asyncio.run(measure_all(cases(modes, options.words), options.neighbour_ms))
