"""Endpointing: where an utterance starts and ends, and when a caller said nothing.

    . . . . . . . . v v v v v v v v . . v v v v . . . . . . . . . .      v: voiced frame
          |pre-roll |onset|                    |   hangover   |
          [................... the utterance ..................]
                          ^ SpeechStarted                     ^ SpeechEnded

A detector tells which frames are voiced. It is asked before, by the owner of the endpointer.

Time is media time, counted in frames. So the same frames give the same utterances, however the network bunched them.
While a prompt plays, a caller has to speak for longer, and louder than the prompt's echo, to open an utterance
(`Listening`). The utterance is whole all the same.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lexbridge.audio.hangover import Expected, Hangover
from lexbridge.audio.pcm import FRAME_MS, decode_mulaw, rms
from lexbridge.audio.speech_events import (
    NOTHING,
    EndReason,
    NoInput,
    SpeechContinued,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from lexbridge.audio.tones import Tone, find_tone


@dataclass(frozen=True, slots=True)
class EndpointingRules:
    """Limits in milliseconds, whole frames. The settings of the same names say what each one means."""

    onset_ms: int = 60
    pre_roll_ms: int = 500
    hangover_ms: int = 700
    hangover_min_ms: int | None = None  # None: as hangover_ms
    hangover_max_ms: int | None = None  # None: as hangover_ms
    max_utterance_ms: int = 14800
    no_input_ms: int = 10000
    longest_onset_ms: int = 300
    """Longest `Listening.onset_ms` with its gap, which is how much audio the endpointer keeps besides the pre-roll."""

    @property
    def hangover(self) -> Hangover:
        """The hangover's three lengths. A minimum or maximum that is None is the usual length."""
        least_ms, most_ms = self.hangover_min_ms, self.hangover_max_ms
        return Hangover(
            self.hangover_ms,
            self.hangover_ms if least_ms is None else least_ms,
            self.hangover_ms if most_ms is None else most_ms,
        )


@dataclass(frozen=True, slots=True)
class Listening:
    """Conditions under which the next frame may open an utterance.

    `onset_ms`: voiced time that opens one, or None if nothing may. `gap_ms`: longest pause within the onset, of which
    two thirds have to be voiced all the same. `echo_rms`: a frame is voiced only above it, whatever the detector says.
    """

    onset_ms: int | None
    gap_ms: int = 0
    echo_rms: int = 0


@dataclass(frozen=True, slots=True)
class _Question:
    """The question that the caller was asked, and how long the answer and its pauses may be."""

    expected: Expected
    hangover: Hangover
    max_utterance_ms: int


class Endpointer:
    """The endpointer of one call: frames go in, speech events come out."""

    __slots__ = (
        "_default_listening",
        "_ignores_voice",
        "_longest_pause_ms",
        "_newest_frames",
        "_no_input_after_ms",
        "_no_input_at_ms",
        "_open_question",
        "_question",
        "_rules",
        "_run_ms",
        "_spoken_ms",
        "_unvoiced_ms",
        "_utterance_ms",
        "_voiced_ms",
        "is_open",
        "now_ms",
        "voiced_until_ms",
    )

    def __init__(self, rules: EndpointingRules) -> None:
        self._rules = rules
        # Audio that may become the beginning of an utterance, as mu-law, because it takes half the memory of PCM.
        # Emptied when an utterance starts, so that no two share audio.
        self._newest_frames: deque[bytes] = deque(maxlen=(rules.pre_roll_ms + rules.longest_onset_ms) // FRAME_MS)
        self._default_listening = Listening(rules.onset_ms)
        self.is_open = False
        """Whether an utterance is open."""
        self._run_ms = 0  # length of an onset that may open an utterance, with the pauses in it
        self._voiced_ms = 0  # the same without the pauses
        self._unvoiced_ms = 0  # length of the newest pause, in the open utterance or in the onset
        self._ignores_voice = False
        self._utterance_ms = 0  # audio of the open utterance that was given out
        self._spoken_ms = 0  # from the open utterance's first voiced frame to its last
        self._longest_pause_ms = 0  # between those two
        self._no_input_at_ms = math.inf  # when NoInput comes; infinite if nobody waits for the caller
        self._no_input_after_ms = rules.no_input_ms  # as the last `await_input` set it
        self._question = _Question(Expected.OPEN, rules.hangover, rules.max_utterance_ms)
        self._open_question: _Question | None = None  # what the open utterance answers; None before its first frame
        self.now_ms = 0
        """Media time: the length of all frames pushed so far."""
        self.voiced_until_ms = 0
        """Media time of the end of the newest voice that might have become an utterance."""

    def push(self, mulaw: bytes, voiced: bool, listening: Listening | None = None) -> Sequence[SpeechEvent]:
        """Take in the next frame (160 bytes of mu-law) and return the events that it causes, mostly none.

        `voiced`: whether the detector hears voice in it. `listening`: the conditions while a prompt plays. None: those
        of the rules.
        """
        self.now_ms += FRAME_MS
        if voiced:
            voiced = self._is_voice(decode_mulaw(mulaw), listening or self._default_listening)
        if self.is_open:
            return self._push_in_utterance(mulaw, voiced)
        self._newest_frames.append(mulaw)
        if (voiced or self._run_ms) and (started := self._push_onset(voiced, listening or self._default_listening)):
            return started
        if not voiced:
            self._ignores_voice = False
        if self.now_ms >= self._no_input_at_ms and not self._run_ms:
            self._no_input_at_ms = math.inf
            return (NoInput(self.now_ms),)
        return NOTHING

    def _is_voice(self, pcm: bytes, listening: Listening) -> bool:
        """Return whether a frame that the detector takes for voice is neither an echo nor a tone."""
        if listening.echo_rms and rms(pcm) <= listening.echo_rms:
            return False
        tone = find_tone(pcm)
        if tone is Tone.KEY:
            self._restart_wait()
        return tone is None

    @property
    def is_at_rest(self) -> bool:
        """Whether unvoiced frames change nothing until NoInput is due: the caller does not speak, nor is about to."""
        return not (self.is_open or self._run_ms or self._ignores_voice)

    @property
    def due_ms(self) -> float:
        """Media time at which NoInput comes, infinite if nobody waits for the caller."""
        return self._no_input_at_ms

    @property
    def open_until_ms(self) -> int:
        """Media time before which the open utterance cannot end, whatever is heard. `now_ms` if none is open."""
        if not self.is_open:
            return self.now_ms
        question = self._open_question or self._question
        hangover = question.hangover
        # A voiced frame starts the hangover anew, perhaps with a shorter length.
        hangover_ms = hangover.length_ms(question.expected, self._spoken_ms, self._longest_pause_ms)
        left_ms = min(hangover_ms - self._unvoiced_ms, hangover.min_ms, question.max_utterance_ms - self._utterance_ms)
        return self.now_ms + left_ms

    @property
    def keep(self) -> Callable[[bytes], None]:
        """Function that keeps an unvoiced frame (mu-law) for `pass_rest`, faster than `push` does."""
        return self._newest_frames.append

    def pass_rest(self, ms: int) -> None:
        """Note that `ms` passed at rest, before `due_ms`, in unvoiced frames that `keep` was given."""
        self.now_ms += ms

    def await_input(self, after_ms: int, no_input_ms: int | None = None) -> None:
        """Expect the caller to speak, beginning in `after_ms`.

        If no utterance starts within `no_input_ms` (None: as the rules say) from then on, NoInput comes, once.
        """
        self._no_input_after_ms = self._rules.no_input_ms if no_input_ms is None else no_input_ms
        self._no_input_at_ms = self.now_ms + after_ms + self._no_input_after_ms

    def extend_wait(self, ms: int) -> None:
        """Put NoInput off by `ms`, because for that long the audio will not show whether the caller speaks."""
        self._no_input_at_ms += ms

    def expect(self, expected: Expected, hangover_ms: int | None = None, max_utterance_ms: int | None = None) -> None:
        """Set what the caller is asked for from now on; before the first time it is OPEN.

        `hangover_ms`: fixed hangover, whatever is expected. `max_utterance_ms`: longest utterance. None: as the rules
        say. Both hold for the open utterance only if it has just started: any other still answers the question before.
        """
        fixed = None if hangover_ms is None else Hangover(hangover_ms, hangover_ms, hangover_ms)
        longest_ms = self._rules.max_utterance_ms if max_utterance_ms is None else max_utterance_ms
        self._question = _Question(expected, fixed or self._rules.hangover, longest_ms)

    def _restart_wait(self) -> None:
        """Start the wait for the caller anew, because the caller is pressing keys."""
        self._no_input_at_ms = max(self._no_input_at_ms, self.now_ms + self._no_input_after_ms)

    def stop_waiting(self) -> None:
        """Cancel NoInput until the next `await_input`."""
        self._no_input_at_ms = math.inf

    def drop(self) -> None:
        """Forget the open utterance, without an event, because what is heard now is no speech but, say, a key's tone.

        No utterance opens before the line has been unvoiced.
        """
        self.is_open = False
        self._run_ms = self._voiced_ms = self._unvoiced_ms = 0
        self._ignores_voice = True
        self._newest_frames.clear()

    @property
    def is_voiced(self) -> bool:
        """Whether voice is on the line that may become an utterance."""
        return self._run_ms > 0

    def _push_onset(self, voiced: bool, listening: Listening) -> Sequence[SpeechEvent]:
        """Count a frame in which the caller may begin to speak, or pauses just after having begun."""
        voiced = voiced and not self._ignores_voice
        self._unvoiced_ms = 0 if voiced else self._unvoiced_ms + FRAME_MS
        if voiced or (self._run_ms and self._unvoiced_ms <= listening.gap_ms):
            self._run_ms += FRAME_MS
            self._voiced_ms += FRAME_MS if voiced else 0
            self.voiced_until_ms = self.now_ms
        else:
            self._run_ms = self._voiced_ms = 0
        if listening.onset_ms is not None and self._run_ms >= listening.onset_ms <= self._voiced_ms * 3 // 2:
            return (self._start(),)
        return NOTHING

    def _push_in_utterance(self, mulaw: bytes, voiced: bool) -> Sequence[SpeechEvent]:
        self._utterance_ms += FRAME_MS
        if voiced:
            self._longest_pause_ms = max(self._longest_pause_ms, self._unvoiced_ms)
            self._spoken_ms += self._unvoiced_ms + FRAME_MS
        self._unvoiced_ms = 0 if voiced else self._unvoiced_ms + FRAME_MS
        question = self._open_question = self._open_question or self._question
        continued = SpeechContinued(mulaw)
        if not voiced and self._unvoiced_ms >= question.hangover.length_ms(
            question.expected, self._spoken_ms, self._longest_pause_ms
        ):
            return continued, self._end(EndReason.HANGOVER)
        if self._utterance_ms >= question.max_utterance_ms:
            return continued, self._end(EndReason.MAX_LENGTH)
        return (continued,)

    def _start(self) -> SpeechStarted:
        frames = (self._rules.pre_roll_ms + self._run_ms) // FRAME_MS
        audio = list(self._newest_frames)[-frames:]
        started = SpeechStarted(self.now_ms - self._run_ms, b"".join(audio))
        self._utterance_ms = len(audio) * FRAME_MS
        self._spoken_ms, self._longest_pause_ms = self._run_ms - self._unvoiced_ms, 0
        self.is_open, self._run_ms, self._voiced_ms = True, 0, 0
        self._open_question = None
        self._newest_frames.clear()
        self._no_input_at_ms = math.inf
        return started

    def _end(self, reason: EndReason) -> SpeechEnded:
        ended = SpeechEnded(self.now_ms, reason, silent_ms=self._unvoiced_ms)
        self.is_open = False
        self._unvoiced_ms = 0
        return ended
