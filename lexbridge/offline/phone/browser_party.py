"""The party of a simulated call who speaks into a browser."""

from collections import deque
from collections.abc import Callable

from lexbridge.audio.pcm import MULAW_FRAME_BYTES, decode_mulaw, rms
from lexbridge.offline.caller.caller import Phrase
from lexbridge.offline.phone.line_effects import LineEffects
from lexbridge.offline.phone.waiting_voice import WaitingVoice
from lexbridge.offline.twilio.events import Coughed, SpeechEnded, SpeechStarted
from lexbridge.offline.twilio.line import Party, Phone
from lexbridge.offline.twilio.telephone_audio import SILENT_FRAME

SPOKEN_RMS = 200
"""Level of a frame in which the caller is taken to speak: -44 dBFS, because quiet microphones reach no more."""


class BrowserParty(Party):
    """A caller at a browser: what comes from the microphone, phrases that were typed, and the faults of their line.

    `tell_bot`: called with the bot's words as they begin, and with None as they end.
    """

    def __init__(self, effects: LineEffects, tell_bot: Callable[[str | None], None] = lambda _: None) -> None:
        self.effects = effects
        self.microphone = WaitingVoice()
        self.spoken_frames = 0
        """Frames in which the caller could be heard."""
        self._tell_bot = tell_bot
        self._phone: Phone | None = None
        self._phrases: deque[Phrase] = deque()
        self._place = 0

    @property
    def phone(self) -> Phone:
        """The telephone of the call, known once it is placed."""
        if self._phone is None:
            raise AssertionError("no call was placed")
        return self._phone

    def hear(self, mulaw: bytes) -> None:
        """Take a frame of the microphone."""
        if len(mulaw) != MULAW_FRAME_BYTES:
            raise ValueError(f"a frame has {MULAW_FRAME_BYTES} bytes")
        self.microphone.add(mulaw)

    def say(self, phrase: Phrase) -> None:
        """Say a phrase now, or after the one that is being said. The microphone is not heard meanwhile."""
        self._phrases.append(phrase)

    def dials(self, phone: Phone) -> None:
        self._phone = phone

    def bot_began(self, text: str) -> None:
        self._tell_bot(text)

    def bot_finished(self, text: str) -> None:  # noqa: ARG002
        self._tell_bot(None)

    def next_frame(self) -> bytes:
        microphone = self.microphone.next() or SILENT_FRAME
        frame = self._from_phrase() if self._phrases else microphone
        self.spoken_frames += rms(decode_mulaw(frame)) > SPOKEN_RMS
        frame = self.effects.apply(frame)
        if self.effects.began_cough:
            self.phone.record(Coughed(self.phone.now_s()))
        return frame

    def _from_phrase(self) -> bytes:
        phrase = self._phrases[0]
        if self._place == phrase.first_voiced:
            self.phone.record(SpeechStarted(self.phone.now_s(), phrase.text))
        if self._place == phrase.last_voiced:
            self.phone.record(SpeechEnded(self.phone.now_s(), phrase.text))
        frame = phrase.frames[self._place]
        self._place += 1
        if self._place == len(phrase.frames):
            self._phrases.popleft()
            self._place = 0
        return frame
