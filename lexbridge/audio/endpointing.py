"""Where an utterance starts and ends, and when nobody said anything. Time is media time: it is counted in frames.

    . . . . . . . . v v v v v v v v . . v v v v . . . . . . . . . .      v: voiced frame
          |pre-roll |onset|                    |   hangover   |
          [................... the utterance ..................]
                          ^ SpeechStarted                     ^ SpeechEnded

The same frames give the same utterances, however the network bunched them. While a prompt plays the caller has to speak
for longer and louder than its echo (`Interruption`); the utterance is whole all the same.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from lexbridge.audio.hangover import Expected, Hangover
from lexbridge.audio.pcm import FRAME_MS, rms
from lexbridge.audio.tones import Tone, tone_of
from lexbridge.audio.vad.base import Detector


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
    """The open utterance is over. `at_ms`: media time of the end of its audio, of which `silent_ms` are unvoiced."""

    at_ms: int
    reason: EndReason
    silent_ms: int


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
    hangover_min_ms: int | None = None
    """None: as `hangover_ms`, which is then fixed; so is `hangover_max_ms`."""
    hangover_max_ms: int | None = None
    max_utterance_ms: int = 14800
    no_input_ms: int = 10000
    longest_onset_ms: int = 300
    """The longest `Listening.onset_ms`, and its gap: so much more is kept for the pre-roll."""

    @property
    def hangover(self) -> Hangover:
        """Fixed, but for what has a minimum or a maximum of its own."""
        least_ms, most_ms = self.hangover_min_ms, self.hangover_max_ms
        return Hangover(
            self.hangover_ms,
            self.hangover_ms if least_ms is None else least_ms,
            self.hangover_ms if most_ms is None else most_ms,
        )


@dataclass(frozen=True, slots=True)
class Listening:
    """How the next frame is listened to. `onset_ms`: voiced time that opens an utterance; None: nothing does. `gap_ms`:
    so long it may pause within, if two thirds of it are voiced all the same. `echo_rms`: a frame is voiced only above
    it, whatever the detector says."""

    onset_ms: int | None
    gap_ms: int = 0
    echo_rms: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an utterance answers, and how long it and its pauses may be."""

    expected: Expected
    hangover: Hangover
    max_utterance_ms: int


class Endpointer:
    """Frames in, speech events out. One serves one call."""

    def __init__(self, detector: Detector, rules: EndpointingRules) -> None:
        self._detector = detector
        self._rules = rules
        # What may yet become an utterance's beginning: emptied when one starts, so that none reaches into another.
        self._before: deque[bytes] = deque(maxlen=(rules.pre_roll_ms + rules.longest_onset_ms) // FRAME_MS)
        self._ordinary = Listening(rules.onset_ms)
        self._is_open = False
        self._run_ms = 0  # length of the run of voiced frames, before an utterance opens; with the pauses in it
        self._voiced_ms = 0  # without them
        self._unvoiced_ms = 0  # length of the run of unvoiced frames, in an open one or in the run
        self._is_deaf = False
        self._utterance_ms = 0  # audio given out of the open one
        self._spoken_ms = 0  # from its first voiced frame to its last
        self._longest_pause_ms = 0  # between those
        self._no_input_at_ms: int | None = None
        self._patience_ms = rules.no_input_ms  # of the last `await_input`
        self._asked = _Asked(Expected.OPEN, rules.hangover, rules.max_utterance_ms)
        self._asked_in_open: _Asked | None = None  # when it opened; None before its first frame
        self.now_ms = 0
        """Media time: the length of all frames pushed."""

    def push(self, frame: bytes, listening: Listening | None = None) -> list[SpeechEvent]:
        """What the next frame (320 bytes of 16-bit PCM) makes happen, in order; mostly nothing.

        `listening`: how it is listened to if not by the rules, for as long as a prompt plays.
        """
        self.now_ms += FRAME_MS
        listening = listening or self._ordinary
        voiced = self._detector.is_voiced(frame)
        if voiced and listening.echo_rms:
            voiced = rms(frame) > listening.echo_rms
        if voiced and (tone := tone_of(frame)):
            voiced = False
            if tone is Tone.KEY:
                self._stay()
        return self._inside(frame, voiced) if self._is_open else self._outside(frame, voiced, listening)

    def await_input(self, after_ms: int, no_input_ms: int | None = None) -> None:
        """From `after_ms` from now on the caller is expected to speak; NoInput comes if they do not within
        `no_input_ms`, or what the rules have.

        It comes once; speech that starts before it calls it off.
        """
        self._patience_ms = self._rules.no_input_ms if no_input_ms is None else no_input_ms
        self._no_input_at_ms = self.now_ms + after_ms + self._patience_ms

    def wait_longer(self, ms: int) -> None:
        """Puts NoInput off by `ms`, if it is to come: that much of the time that follows says nothing of the caller."""
        if self._no_input_at_ms is not None:
            self._no_input_at_ms += ms

    def expect(self, expected: Expected, hangover_ms: int | None = None, max_utterance_ms: int | None = None) -> None:
        """What the caller is asked for from now on; OPEN until then. An open utterance answers what was asked before
        it, but for one that has just started: what it interrupts may have been taken back.

        `hangover_ms`: the one that ends an utterance then, whatever is expected; None: by the rules. So is
        `max_utterance_ms`.
        """
        fixed = None if hangover_ms is None else Hangover(hangover_ms, hangover_ms, hangover_ms)
        longest_ms = self._rules.max_utterance_ms if max_utterance_ms is None else max_utterance_ms
        self._asked = _Asked(expected, fixed or self._rules.hangover, longest_ms)

    def _stay(self) -> None:
        """The caller is busy with the keys: they are waited for anew."""
        if self._no_input_at_ms is not None:
            self._no_input_at_ms = max(self._no_input_at_ms, self.now_ms + self._patience_ms)

    def expect_nothing(self) -> None:
        """No NoInput comes until `await_input`."""
        self._no_input_at_ms = None

    def drop(self) -> None:
        """What is heard now is no speech, such as the tone of a key: an open utterance is forgotten without an event,
        and none opens before the line has been unvoiced."""
        self._is_open = False
        self._run_ms = self._voiced_ms = self._unvoiced_ms = 0
        self._is_deaf = True
        self._before.clear()

    @property
    def is_voiced(self) -> bool:
        """Whether something voiced is on the line that may become an utterance."""
        return self._run_ms > 0

    def _outside(self, frame: bytes, voiced: bool, listening: Listening) -> list[SpeechEvent]:
        self._before.append(frame)
        if self._is_deaf:
            self._is_deaf = voiced
            voiced = False
        self._unvoiced_ms = 0 if voiced else self._unvoiced_ms + FRAME_MS
        if voiced or (self._run_ms and self._unvoiced_ms <= listening.gap_ms):
            self._run_ms += FRAME_MS
            self._voiced_ms += FRAME_MS if voiced else 0
        else:
            self._run_ms = self._voiced_ms = 0
        if listening.onset_ms is not None and self._run_ms >= listening.onset_ms <= self._voiced_ms * 3 // 2:
            return [self._start()]
        if self._no_input_at_ms is not None and self.now_ms >= self._no_input_at_ms and not self._run_ms:
            self._no_input_at_ms = None
            return [NoInput(self.now_ms)]
        return []

    def _inside(self, frame: bytes, voiced: bool) -> list[SpeechEvent]:
        self._utterance_ms += FRAME_MS
        if voiced:
            self._longest_pause_ms = max(self._longest_pause_ms, self._unvoiced_ms)
            self._spoken_ms += self._unvoiced_ms + FRAME_MS
        self._unvoiced_ms = 0 if voiced else self._unvoiced_ms + FRAME_MS
        asked = self._asked_in_open = self._asked_in_open or self._asked
        events: list[SpeechEvent] = [SpeechContinued(frame)]
        if self._unvoiced_ms >= asked.hangover.length_ms(asked.expected, self._spoken_ms, self._longest_pause_ms):
            events.append(self._end(EndReason.HANGOVER))
        elif self._utterance_ms >= asked.max_utterance_ms:
            events.append(self._end(EndReason.MAX_LENGTH))
        return events

    def _start(self) -> SpeechStarted:
        frames = (self._rules.pre_roll_ms + self._run_ms) // FRAME_MS
        audio = list(self._before)[-frames:]
        started = SpeechStarted(self.now_ms - self._run_ms, b"".join(audio))
        self._utterance_ms = len(audio) * FRAME_MS
        self._spoken_ms, self._longest_pause_ms = self._run_ms - self._unvoiced_ms, 0
        self._is_open, self._run_ms, self._voiced_ms = True, 0, 0
        self._asked_in_open = None
        self._before.clear()
        self._no_input_at_ms = None
        return started

    def _end(self, reason: EndReason) -> SpeechEnded:
        ended = SpeechEnded(self.now_ms, reason, silent_ms=self._unvoiced_ms)
        self._is_open = False
        self._unvoiced_ms = 0
        return ended
