"""Hearing of the caller's audio, slice by slice, so that no call makes the others wait for long.

One message may bring much media, or skip much time. What it brings is heard in slices of SLICE_MS, and the actions of
the call are carried out after each slice. A detector with a model also stops the hearing, until its model has answered.
"""

from collections.abc import Callable, Sequence

from lexbridge.audio.endpointing import Endpointer, EndpointingRules, Listening
from lexbridge.audio.pcm import FRAME_MS, decode_mulaw
from lexbridge.audio.speech_events import SpeechContinued, SpeechEvent
from lexbridge.audio.vad.base import Detector, ModelDetector, Window
from lexbridge.call.events import Media
from lexbridge.call.inbound_audio import InboundAudio
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS
from lexbridge.config.call_rules import CallRules

SLICE_MS = 500
"""Media that is heard in one go, milliseconds.

With VAD=silero a slice costs 2 to 5 ms of CPU, and a minute of media 0.2 to 0.6 s."""

JUMP_MS = 1000
"""Least missing audio that is no sign of a silent caller, milliseconds.

The caller may have spoken in so long a gap, or the timestamps are wrong."""

Answer = bool | Window
"""The answer of a detector to a frame: whether the frame is voiced, or the window that its model has to judge first."""


def endpointing_rules(rules: CallRules) -> EndpointingRules:
    """Return what the endpointer needs of the call's `rules`."""
    return EndpointingRules(
        onset_ms=rules.onset_ms,
        pre_roll_ms=rules.pre_roll_ms,
        hangover_ms=rules.hangover_ms,
        hangover_min_ms=rules.hangover_min_ms,
        hangover_max_ms=rules.hangover_max_ms,
        max_utterance_ms=rules.max_utterance_ms,
        no_input_ms=round(rules.no_input_s * 1000),
        longest_onset_ms=max(rules.onset_ms, rules.barge_in_ms + PAUSE_WITHIN_ONSET_MS),
    )


class Hearing:
    """The caller's audio on its way through the detector to the endpointer."""

    __slots__ = ("_answer", "_decide", "_endpointer", "_may_echo", "_unheard", "ask", "audio", "window")

    def __init__(
        self, detector: Detector | ModelDetector, endpointer: Endpointer, may_echo: Callable[[], bool] | None = None
    ) -> None:
        """`may_echo`: tells whether the bot's voice may come back now. None: it never does, as far as is known."""
        self.ask: Callable[[bytes], Answer]
        self._decide: Callable[[float | None], bool] | None = None
        if isinstance(detector, ModelDetector):
            self.ask, self._decide = _asking_model(detector), detector.decide
        else:
            self.ask = _asking(detector)
        self._endpointer = endpointer
        self._may_echo = may_echo
        self._unheard: Sequence[bytes] = ()  # frames, mu-law
        self._answer: bool | None = None  # to the next frame, if the detector was asked before
        self.window: Window | None = None
        """The window that the detector's model has to judge before the next frame is heard, or None if none is."""
        self.audio = InboundAudio()

    @property
    def heard_ms(self) -> int:
        """Media time that was heard, milliseconds; skipped time was heard as silence."""
        return self._endpointer.now_ms

    @property
    def arrived_ms(self) -> int:
        """Media time that has come, heard or not, milliseconds."""
        return self._endpointer.now_ms + len(self._unheard) * FRAME_MS

    @property
    def is_behind(self) -> bool:
        """Whether media has come that was not heard yet."""
        return bool(self._unheard)

    def push(self, media: Media, answer: Answer | None = None) -> None:
        """Take media. It is heard by `hear`.

        `answer`: the detector's, if `media` is one frame for which it was asked already. None: it was not.
        """
        filled_ms = self.audio.filled_ms
        frames = self.audio.push(media)
        self._unheard = [*self._unheard, *frames] if self._unheard else frames
        if isinstance(answer, Window):
            self.window = answer
        else:
            self._answer = answer
        missing_ms = self.audio.filled_ms - filled_ms
        if missing_ms >= JUMP_MS:
            self._endpointer.extend_wait(missing_ms)

    def push_silence(self, ms: int) -> None:
        """Take `ms` in which no media came, as silence."""
        self._unheard = [*self._unheard, *self.audio.silence(ms)]

    def take_probability(self, probability: float | None) -> None:
        """Take the model's judgement of `window`, with which `hear` goes on. None: the model failed."""
        if self.window is not None and self._decide is not None:
            self.window, self._answer = None, self._decide(probability)

    def hear(self, listening: Callable[[], Listening | None], take: Callable[[SpeechEvent], object]) -> bool:
        """Hear the next SLICE_MS, or up to the next `window`, and give `take` what the caller does in them.

        `listening` tells how the next frame is to be listened to, after `take` has dealt with what the caller did
        before. Return whether the caller did more than going on with the open utterance.
        """
        unheard, endpointer = self._unheard, self._endpointer
        did_more, count = False, 0
        for mulaw in unheard[: SLICE_MS // FRAME_MS]:
            answer, self._answer = self._answer, None
            if answer is None:
                asked = self.window or self.ask(mulaw)
                if isinstance(asked, Window):
                    self.window = asked
                    break
                answer = asked
            # Within an utterance it matters only where a voice may be an echo.
            is_conditional = not endpointer.is_open or (answer and self._may_echo is not None and self._may_echo())
            conditions = listening() if is_conditional else None
            count += 1
            for event in endpointer.push(mulaw, answer, conditions):
                take(event)
                did_more = did_more or type(event) is not SpeechContinued
        self._unheard = unheard[count:]
        return did_more

    def drop(self) -> None:
        """Drop what was not heard yet, because the call is over."""
        # The model may still be at `window`. Nothing takes its answer for another window's: after its end, a call takes
        # no more events, and so asks the model nothing more.
        self._unheard = ()
        self.window = self._answer = None


def _asking(detector: Detector) -> Callable[[bytes], Answer]:
    """Return a function that asks `detector` for a frame of mu-law."""
    is_voiced = detector.is_voiced

    def ask(mulaw: bytes) -> Answer:
        return is_voiced(decode_mulaw(mulaw))

    return ask


def _asking_model(detector: ModelDetector) -> Callable[[bytes], Answer]:
    """Return a function that asks `detector` for a frame of mu-law, as far as it can answer without its model."""
    window_of, decide = detector.window, detector.decide

    def ask(mulaw: bytes) -> Answer:
        window = window_of(decode_mulaw(mulaw), mulaw)
        return decide(None) if window is None else window

    return ask
