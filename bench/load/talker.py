"""Caller of the capacity measurement: says a recorded phrase after each phrase of the bot's."""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.harness.caller import ScheduledCaller
from bench.harness.twilio.call import Call
from bench.harness.twilio.clock import FRAME_TICKS, Clock, Speech
from bench.harness.twilio.party import End
from lexbridge.audio.pcm import FRAME_MS, RATE_HZ, encode_mulaw

NOISE_RMS = 12.0
PAUSES_S = (0.4, 1.2)
"""Shortest and longest pause of the caller before an answer, seconds."""
HANGOVER_S = 0.7
LEX_THINKS_S = 0.5
FRAME_BYTES = RATE_HZ * FRAME_MS // 1000


def frames_of(pcm: bytes) -> list[bytes]:
    """Return 16-bit PCM at 8 kHz as whole mu-law frames of 20 ms."""
    mulaw = encode_mulaw(pcm)
    return [mulaw[at : at + FRAME_BYTES] for at in range(0, len(mulaw) - FRAME_BYTES + 1, FRAME_BYTES)]


def noise_frames(seconds: float = 3.0) -> list[bytes]:
    """Return the white noise of a quiet line, as mu-law frames."""
    samples = np.random.default_rng(7).normal(0, NOISE_RMS, round(seconds * RATE_HZ))
    return frames_of(np.rint(samples).astype("<i2").tobytes())


@dataclass(slots=True)
class NoisyLine(Speech):
    """Line of a caller: it carries noise, or what the caller says. Both are mu-law frames."""

    clock: Clock = field(kw_only=True)
    noise: Sequence[bytes] = field(kw_only=True)
    phrase: Sequence[bytes] = ()

    def say(self, phrase: Sequence[bytes]) -> None:
        """Carry `phrase` from now on."""
        self.phrase, self.from_tick = phrase, self.clock.tick

    @property
    def to_tick(self) -> int:
        """The largest tick: a noisy line is never silent."""
        return sys.maxsize

    def frame_at(self, tick: int) -> bytes:
        at = (tick - self.from_tick) // FRAME_TICKS
        return self.phrase[at] if 0 <= at < len(self.phrase) else self.noise[tick // FRAME_TICKS % len(self.noise)]


@dataclass(slots=True)
class TalkFigures:
    """Counts and times of all callers of a run."""

    ended_early: int = 0
    """Calls that were refused, or that the service ended."""
    waits_s: list[float] = field(default_factory=list)
    """Times from the end of a phrase to the bot's next words, without the hangover and Lex's thinking, seconds."""


class Talker(ScheduledCaller):
    """Caller who answers each prompt with a phrase, as long as the call is live.

    `noise` and each of `phrases`: mu-law frames of 20 ms. `figures`: shared by all callers.
    """

    def __init__(
        self,
        clock: Clock,
        noise: Sequence[bytes],
        phrases: Sequence[Sequence[bytes]],
        seed: int,
        figures: TalkFigures,
    ) -> None:
        super().__init__()
        self._line = NoisyLine(clock=clock, noise=noise)
        self._phrases = phrases
        self._rng = random.Random(seed)
        self._figures = figures
        self._said_until_s: float | None = None

    def answered(self, call: Call) -> None:
        super().answered(call)
        call.speech = self._line

    def bot_began(self, text: str) -> None:
        del text
        until_s, self._said_until_s = self._said_until_s, None
        if until_s is not None:
            self._figures.waits_s.append(time.monotonic() - until_s - HANGOVER_S - LEX_THINKS_S)

    def bot_finished(self, text: str, *, whole: bool) -> None:
        del text
        if whole:
            self.speak_after(self._rng.uniform(*PAUSES_S))

    def speak(self, call: Call) -> None:
        del call
        phrase = self._rng.choice(self._phrases)
        self._line.say(phrase)
        self._said_until_s = time.monotonic() + len(phrase) * FRAME_MS / 1000

    def ended(self, how: End, detail: str) -> None:
        super().ended(how, detail)
        self._figures.ended_early += how is not End.CALLER  # the measurement itself hangs up as the caller
