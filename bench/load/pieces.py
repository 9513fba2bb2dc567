"""CPU of each piece of work on a media message, a voiced frame and a turn: hot, and with cold caches.

    python -m bench pieces
    python -m bench pieces --write docs

"hot": the piece again and again, the least of some rounds. "cold": once after other memory has been through the
processor's caches, the median; a server with hundreds of calls is nearer to that. CPU is that of the thread. Lex and
Twilio are a process beside, over plain HTTP: TLS adds 0.1 to 0.3 ms to a request. `make docs` writes the table.
"""

import base64
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness.arguments import make_parser
from bench.harness.settings import service_settings, v2_bot
from bench.load.report import PIECES, machine
from bench.load.sounds import noise_frames
from lexbridge import logs
from lexbridge.audio.levels import level_percentile_dbfs
from lexbridge.audio.pcm import FRAME_MS, decode_mulaw, encode_mulaw
from lexbridge.audio.resampler import Resampler
from lexbridge.audio.tones import find_tone
from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.audio.vad.amplitude import AmplitudeDetector
from lexbridge.call.events import Media, Started
from lexbridge.call.session import CallSession
from lexbridge.config.reading import read_settings
from lexbridge.config.settings import Settings
from lexbridge.lex.boto import make_lex_runtime
from lexbridge.lex.runtime import Deadlines, LexRequest
from lexbridge.lex.utterance import Utterance
from lexbridge.net.message_parser import MessageParser
from lexbridge.net.rfc6455 import Limits
from lexbridge.twilio.media_messages import parse
from lexbridge.twilio.rest import TwilioCallControl
from lexbridge.twilio.twiml import TwimlDocuments

SIDS = ("AC" + "1" * 32, "CA" + "2" * 32, "MZ" + "3" * 32)
VOICE_FRAMES = 55
LINE = {"turn": 3, "outcome": "answered", "end_ms": 700, "lex_ms": 281, "update_ms": 9, "reply_ms": 989}
DOCUMENT = f"<Response><Say>{'What kind of flowers would you like? ' * 3}</Say><Pause length='60'/></Response>"
CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of work. `per`: what it is done once for. `hot`, `cold`: how often it is done for each figure."""

    name: str
    per: str
    work: Callable[[], object]
    hot: int = 2000
    cold: int = 60


def hot_us(piece: Piece) -> float:
    """Return the CPU of a piece that is done again and again, in microseconds."""
    best = float("inf")
    for _ in range(5):
        began_ns = time.thread_time_ns()
        for _ in range(piece.hot):
            piece.work()
        best = min(best, (time.thread_time_ns() - began_ns) / piece.hot / 1000)
    return best


def cold_us(piece: Piece, memory: Any) -> float:
    """Return the CPU of a piece that is done after `memory` has been through the caches, in microseconds."""
    taken = []
    for _ in range(piece.cold):
        memory += 1
        began_ns = time.thread_time_ns()
        piece.work()
        taken.append((time.thread_time_ns() - began_ns) / 1000)
    return statistics.median(taken)


def message_of(mulaw: bytes, at_ms: int) -> bytes:
    """Return a media message as Twilio's text."""
    payload = base64.b64encode(mulaw).decode()
    media = {"track": "inbound", "chunk": str(at_ms // FRAME_MS), "timestamp": str(at_ms), "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "7", "media": media, "streamSid": SIDS[2]}).encode()


def masked(text: bytes) -> bytes:
    """Return a text as a client's WebSocket frame."""
    mask = b"\x12\x34\x56\x78"
    covered = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
    return bytes((0x81, 0xFE)) + len(text).to_bytes(2, "big") + mask + covered


def hearing(settings: Settings, frames: Sequence[bytes]) -> Callable[[], object]:
    """Return the work of a call's session on the next frame."""
    documents = TwimlDocuments(
        settings.service.url,
        settings.service.stream_url,
        60,
        settings.line.say_voice,
        settings.line.say_language,
        False,
    )
    session = CallSession(settings.line.call_rules, documents, AmplitudeDetector(settings.line.voice_threshold))
    session.receive(Started(SIDS[2], SIDS[1], SIDS[0], {}))
    session.actions()
    numbers = count()

    def hear() -> None:
        number = next(numbers)
        session.receive(Media(number * FRAME_MS, True, frames[number % len(frames)]))
        session.actions()

    return hear


def resampling() -> Callable[[], object]:
    """Return the work of bringing 2 s of Lex's voice to the telephone's rate, in pieces of 100 ms."""
    voice = decode_mulaw(b"".join(noise_frames(4.0)))

    def resample() -> None:
        resampler = Resampler(16000, 8000)
        for at in range(0, len(voice), 3200):
            encode_mulaw(resampler.push(voice[at : at + 3200]))
        resampler.flush()

    return resample


def voice_frames() -> list[bytes]:
    """Return noise as loud as a voice, with a pause of a second at its end."""
    loud = np.random.default_rng(5).normal(0, 3000, VOICE_FRAMES * 160).astype("<i2").tobytes()
    mulaw = encode_mulaw(loud)
    return [mulaw[at : at + 160] for at in range(0, len(mulaw), 160)] + noise_frames(1.0)


def pieces(settings: Settings, url: str) -> Iterator[Piece]:
    """Yield each piece. `url`: address of a stand-in for Lex and Twilio."""
    line, voice = noise_frames(30.0), voice_frames()
    text = message_of(line[0], 20)
    parser, received, clock = MessageParser(Limits(rate_hz=1e9, burst=10**9)), masked(text), count()
    yield Piece("WebSocket frame: header, mask, UTF-8", "message", lambda: parser.push(received, next(clock)))
    decoded = text.decode()
    yield Piece("JSON and base64", "message", lambda: parse(decoded))
    yield Piece("session, caller silent", "message", hearing(settings, line))
    yield Piece("session, caller speaks", "message", hearing(settings, voice))
    pcm = decode_mulaw(voice[0])
    yield Piece("search for a tone", "voiced frame", lambda: find_tone(pcm))
    utterance = b"".join(voice)
    yield Piece("levels of the utterance", "turn", lambda: level_percentile_dbfs(utterance, 90, 10), 300)
    log = logs.Log(call_sid=SIDS[1], stream_sid=SIDS[2])
    yield Piece("line of the log, into a pipe", "4 a turn", lambda: log.info("turn-latency", **LINE))
    yield Piece("2 s of Lex's voice to 8 kHz", "turn, stream mode", resampling(), 50)
    control = TwilioCallControl(settings.service)
    yield Piece("call update", "turn", lambda: control.update(SIDS[0], SIDS[1], DOCUMENT, log), 100)
    yield Piece("turn to Lex", "turn", asking(url, utterance, log), 5, 10)


def asking(url: str, mulaw: bytes, log: logs.Log) -> Callable[[], object]:
    """Return the work of a turn to Lex whose utterance is complete."""
    lex = make_lex_runtime(settings_of(url), Deadlines(answer_s=10.0))

    def ask() -> None:
        utterance = Utterance(UtteranceAudio(mulaw))
        utterance.close()
        lex.ask(LexRequest(SIDS[1], {"a": "b"}, utterance), log)

    ask()
    return ask


def settings_of(url: str) -> Settings:
    """Return the settings of a service between the stand-in for Lex and Twilio at `url`."""
    environment = service_settings(
        v2_bot("ABCDEFGHIJ"), lex_url=url, twilio_url=url, URL="https://voice.example.com", MAX_CALLS="100"
    )
    os.environ.update(environment)  # boto3 reads the addresses of Lex there
    return read_settings(environment)


@contextmanager
def stand_in() -> Iterator[str]:
    """Run the stand-in for Lex and Twilio. Give its address."""
    command = [sys.executable, "-m", "bench.load.stub"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().split()[0]}"
        finally:
            process.terminate()


def measured() -> list[list[str]]:
    """Measure each piece. Return the rows of the table."""
    reading, writing = os.pipe()
    logs.configure("INFO", "json", logs.LineWriter(writing), pid=os.getpid())
    memory = np.zeros(CACHE_BYTES, np.int8)
    rows = []
    with stand_in() as url, subprocess.Popen(["cat"], stdin=reading, stdout=subprocess.DEVNULL) as reader:  # noqa: S607
        for piece in pieces(settings_of(url), url):
            rows.append([piece.name, piece.per, f"{hot_us(piece):,.1f}", f"{cold_us(piece, memory):,.1f}"])
            print("  ".join(rows[-1]), flush=True)
        reader.terminate()
    return rows


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("pieces", __doc__)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write the figures to FOLDER, such as docs")
    options = parser.parse_args(arguments)
    rows = measured()
    if options.write:
        made = json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n"
        (options.write / PIECES).write_text(made, encoding="utf-8")
    return 0
