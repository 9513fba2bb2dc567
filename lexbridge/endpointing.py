"""Where an utterance starts and ends, and when nobody said anything. Time is media time: it is counted in frames.

    . . . . . . . . v v v v v v v v . . v v v v . . . . . . . . . .      v: voiced frame
          |pre-roll |onset|                    |   hangover   |
          [................... the utterance ..................]
                          ^ SpeechStarted                     ^ SpeechEnded

The same frames give the same utterances, however the network bunched them.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from lexbridge.audio import FRAME_MS
from lexbridge.vad import Detector


class EndReason(Enum):
    """Why an utterance ended."""

    HANGOVER = "hangover"
    MAX_LENGTH = "max-length"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance opens. `at_ms`: media time of its first voiced frame. `pre_roll`: PCM of what came before that
    frame and of the onset itself, up to now."""

    at_ms: int
    pre_roll: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechContinued:
    """One more frame of the open utterance, PCM."""

    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The open utterance is over. `at_ms`: media time of the end of its audio."""

    at_ms: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class NoInput:
    """The caller was waited for and said nothing."""

    at_ms: int


SpeechEvent = SpeechStarted | SpeechContinued | SpeechEnded | NoInput


@dataclass(frozen=True, slots=True)
class EndpointingRules:
    """How long things last; whole frames, milliseconds. `config` has what each one means."""

    onset_ms: int = 60
    pre_roll_ms: int = 500
    hangover_ms: int = 700
    max_utterance_ms: int = 14800
    no_input_ms: int = 10000


class Endpointer:
    """Frames in, speech events out. One serves one call."""

    def __init__(self, detector: Detector, rules: EndpointingRules) -> None:
        self._detector = detector
        self._rules = rules
        # What may yet become an utterance's beginning: emptied when one ends, so that none reaches into another.
        self._before: deque[bytes] = deque(maxlen=(rules.pre_roll_ms + rules.onset_ms) // FRAME_MS)
        self._is_open = False
        self._voiced_ms = 0  # length of the run of voiced frames, before an utterance opens
        self._unvoiced_ms = 0  # length of the run of unvoiced frames, in an open one
        self._utterance_ms = 0  # audio given out of the open one
        self._no_input_at_ms: int | None = None
        self.now_ms = 0
        """Media time: the length of all frames pushed."""

    def push(self, frame: bytes) -> list[SpeechEvent]:
        """What the next frame (320 bytes of 16-bit PCM) makes happen, in order; mostly nothing."""
        self.now_ms += FRAME_MS
        voiced = self._detector.is_voiced(frame)
        return self._inside(frame, voiced) if self._is_open else self._outside(frame, voiced)

    def await_input(self, after_ms: int) -> None:
        """From `after_ms` from now on the caller is expected to speak; NoInput comes if they do not.

        It comes once; speech that starts before it calls it off.
        """
        self._no_input_at_ms = self.now_ms + after_ms + self._rules.no_input_ms

    def _outside(self, frame: bytes, voiced: bool) -> list[SpeechEvent]:
        self._before.append(frame)
        self._voiced_ms = self._voiced_ms + FRAME_MS if voiced else 0
        if self._voiced_ms >= self._rules.onset_ms:
            return [self._start()]
        if self._no_input_at_ms is not None and self.now_ms >= self._no_input_at_ms and not self._voiced_ms:
            self._no_input_at_ms = None
            return [NoInput(self.now_ms)]
        return []

    def _inside(self, frame: bytes, voiced: bool) -> list[SpeechEvent]:
        self._utterance_ms += FRAME_MS
        self._unvoiced_ms = 0 if voiced else self._unvoiced_ms + FRAME_MS
        events: list[SpeechEvent] = [SpeechContinued(frame)]
        if self._unvoiced_ms >= self._rules.hangover_ms:
            events.append(self._end(EndReason.HANGOVER))
        elif self._utterance_ms >= self._rules.max_utterance_ms:
            events.append(self._end(EndReason.MAX_LENGTH))
        return events

    def _start(self) -> SpeechStarted:
        started = SpeechStarted(self.now_ms - self._voiced_ms, b"".join(self._before))
        self._utterance_ms = len(self._before) * FRAME_MS
        self._is_open, self._voiced_ms, self._unvoiced_ms = True, 0, 0
        self._before.clear()
        self._no_input_at_ms = None
        return started

    def _end(self, reason: EndReason) -> SpeechEnded:
        self._is_open = False
        return SpeechEnded(self.now_ms, reason)
