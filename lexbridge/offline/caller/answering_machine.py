"""An answering machine that is called: plays its greeting, beeps, records what it hears, and hangs up."""

from typing import Literal

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.twilio.events import SpeechEnded, SpeechStarted
from lexbridge.offline.twilio.line import Party, Phone
from lexbridge.offline.twilio.machine_detection import AnsweredBy, Detection, DetectionRules
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME, TelephoneVoice, frames_of, tone

GREETING = "Hello, you have reached the Smiths. We cannot take your call. Please leave a message after the tone."
BEEP_HZ, BEEP_MS = 1000, 500
PAUSE_MS = 400
"""Silence before the greeting, and between the greeting and the beep."""

Ending = Literal["beep", "silence", "other"]


class AnsweringMachine(Party):
    """A machine that says `greeting` with `voice`.

    ending: what follows the greeting, as Twilio tells it apart. silence_s: silence after which the machine hangs up,
    from the beep or the end of what it heard last. longest_s: recording after which it hangs up.
    """

    def __init__(
        self,
        voice: Voice,
        greeting: str = GREETING,
        *,
        ending: Ending = "beep",
        silence_s: float = 8.0,
        longest_s: float = 60.0,
    ) -> None:
        self.greeting = greeting
        self.message: list[str] = []
        """What was said to the machine after its greeting, a text each; "" for audio without a text."""
        self.unrecorded: list[str] = []
        """What was said to it before it recorded: nobody will ever hear that."""
        self._ending = ending
        self._silence_ms, self._longest_ms = round(silence_s * 1000), round(longest_s * 1000)
        pause = [SILENT_FRAME] * (PAUSE_MS // FRAME_MS)
        spoken = list(frames_of(TelephoneVoice(voice).speak(greeting)))
        beep = list(frames_of(tone(BEEP_HZ, BEEP_MS))) if ending == "beep" else []
        self._spoken = range(len(pause), len(pause) + len(spoken))
        self._frames = [*pause, *spoken, *pause, *beep]
        self._place = 0
        self._phone: Phone | None = None
        self._is_spoken_to = False
        self._quiet_ms = 0

    @property
    def is_recording(self) -> bool:
        """Whether the greeting and the beep are over."""
        return self._place >= len(self._frames)

    def detection(self, rules: DetectionRules) -> Detection:
        """Return what Twilio takes this machine for."""
        if not rules.waits_for_end:
            return Detection("machine_start", self._spoken.start * FRAME_MS + rules.speech_threshold_ms)
        told: dict[Ending, AnsweredBy] = {
            "beep": "machine_end_beep",
            "silence": "machine_end_silence",
            "other": "machine_end_other",
        }
        after_ms = len(self._frames) * FRAME_MS
        return Detection(told[self._ending], after_ms + (0 if self._ending == "beep" else rules.silence_timeout_ms))

    # Towards the line

    def dials(self, phone: Phone) -> None:
        self._phone = phone

    def bot_began(self, text: str) -> None:
        self._is_spoken_to = True
        (self.message if self.is_recording else self.unrecorded).append(text)

    def bot_finished(self, text: str) -> None:  # noqa: ARG002
        self._is_spoken_to = False
        self._quiet_ms = 0

    def next_frame(self) -> bytes:
        if self._phone is None:
            raise AssertionError("nobody called")
        if self.is_recording:
            self._record(self._phone)
            return SILENT_FRAME
        frame = self._frames[self._place]
        if self._place == self._spoken.start:
            self._phone.record(SpeechStarted(self._phone.now_s(), self.greeting))
        if self._place == self._spoken.stop - 1:
            self._phone.record(SpeechEnded(self._phone.now_s(), self.greeting))
        self._place += 1
        return frame

    def _record(self, phone: Phone) -> None:
        self._longest_ms -= FRAME_MS
        self._quiet_ms = 0 if self._is_spoken_to else self._quiet_ms + FRAME_MS
        if self._quiet_ms >= self._silence_ms or self._longest_ms <= 0:
            phone.hang_up()
