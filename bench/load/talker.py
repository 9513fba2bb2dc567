"""The capacity bench's caller: says a phrase after each of the bot's. Not a measurement itself."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from bench.harness.twilio.media_stream import FRAME_TICKS, Clock, Speech
from bench.harness.twilio.simulator import End, ExchangeCall
from lexbridge.audio.pcm import FRAME_MS, RATE_HZ, encode_mulaw

NOISE_RMS = 12.0
PAUSES_S = (0.4, 1.2)
HANGOVER_S = 0.7
LEX_THINKS_S = 0.5
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000


def frames_of(pcm: bytes) -> list[bytes]:
    """16-bit PCM at 8 kHz as whole mu-law frames."""
    mulaw = encode_mulaw(pcm)
    return [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise_frames(seconds: float = 3.0) -> list[bytes]:
    """White noise of a quiet line."""
    samples = np.random.default_rng(7).normal(0, NOISE_RMS, round(seconds * RATE_HZ))
    return frames_of(np.rint(samples).astype("<i2").tobytes())


@dataclass(slots=True)
class Line(Speech):
    """What the line carries: noise, and over it what the caller says."""

    clock: Clock = field(kw_only=True)
    noise: Sequence[bytes] = field(kw_only=True)
    spoken: Sequence[bytes] = ()

    def say(self, frames: Sequence[bytes]) -> None:
        """The caller says that, from now on."""
        self.spoken, self.from_tick = frames, self.clock.tick

    @property
    def to_tick(self) -> int:
        """A line is never silent: it has no end."""
        return sys.maxsize

    def frame_at(self, tick: int) -> bytes:
        """The frame that begins at `tick`."""
        at = (tick - self.from_tick) // FRAME_TICKS
        return self.spoken[at] if 0 <= at < len(self.spoken) else self.noise[tick // FRAME_TICKS % len(self.noise)]


class Talker:
    """A caller who answers each prompt with a phrase for as long as the bench goes on. See Party."""

    ended_early = 0
    waits_s: ClassVar[list[float]] = []
    """Of all callers: from the end of a phrase to the bot's next words, without the hangover and Lex's thinking."""

    def __init__(self, clock: Clock, noise: Sequence[bytes], phrases: Sequence[Sequence[bytes]], seed: int) -> None:
        """`noise`, `phrases`: mu-law frames of 20 ms."""
        self._line = Line(clock=clock, noise=noise)
        self._phrases = phrases
        self._rng = random.Random(seed)
        self._is_over = False
        self._said_until_s: float | None = None

    def answered(self, call: ExchangeCall) -> None:
        """See Party."""
        call.speech = self._line

    def bot_began(self, text: str) -> None:
        """See Party."""
        del text
        until_s, self._said_until_s = self._said_until_s, None
        if until_s is not None:
            Talker.waits_s.append(time.monotonic() - until_s - HANGOVER_S - LEX_THINKS_S)

    def bot_finished(self, text: str, *, whole: bool) -> None:
        """See Party."""
        del text
        if whole and not self._is_over:
            asyncio.get_running_loop().call_later(self._rng.uniform(*PAUSES_S), self._say)

    def _say(self) -> None:
        phrase = self._rng.choice(self._phrases)
        self._line.say(phrase)
        self._said_until_s = time.monotonic() + len(phrase) * FRAME_MS / 1000

    def ended(self, how: End, detail: str) -> None:
        """See Party."""
        del detail
        self._is_over = True
        Talker.ended_early += how is not End.CALLER  # the bench itself hangs up as the caller
