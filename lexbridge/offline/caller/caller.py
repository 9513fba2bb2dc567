"""The person who calls: speaks over a quiet, noisy line, listens, and takes their turn.

The caller lives on the line's clock: 20 ms at a time, no clock of its own, no waiting. Everything that takes time, such
as making the speech, is done before the call.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, RATE_HZ, decode_mulaw, encode_mulaw, frame_levels_dbfs
from lexbridge.audio.resampler import resample
from lexbridge.offline.caller.script import Script, Turn, read_wav
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.twilio.events import Coughed, SpeechEnded, SpeechStarted
from lexbridge.offline.twilio.line import Party, Phone
from lexbridge.offline.twilio.machine_detection import Detection, DetectionRules, of_speech
from lexbridge.offline.twilio.telephone_audio import (
    SILENT_FRAME,
    VOICED_BELOW_SPEECH_DB,
    TelephoneVoice,
    cough_noise,
    frames_of,
    line_noise,
)

NOISE_LOOP_MS = 10_000
SECOND_THOUGHT_MS = 1500  # a prompt that was not expected may go on: only then is it taken for the whole
KEY_EVERY_MS = 300
FIRST_WORDS_MS = 4000  # a bot that does not greet is spoken to all the same


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase of the caller, as frames of mu-law. `first_voiced` and `last_voiced` are indexes of `frames`.

    A cough is a phrase without text. It does not end the caller's turn.
    """

    text: str
    frames: tuple[bytes, ...]
    first_voiced: int
    last_voiced: int
    is_cough: bool = False


class SimulatedCaller(Party):
    """A caller who follows `script`, speaking with `voice`.

    The speech is made here, when the caller is: it takes as long as the voice takes. `seed`: of the line's noise.
    """

    def __init__(self, voice: Voice, script: Script | None = None, seed: int = 1) -> None:
        self.script = script or Script()
        self.heard: list[str] = []
        """The bot's words, as far as it said them: texts, or "" for audio without a text."""
        self.troubles: list[str] = []
        """Sentences about everything that did not go as the script says."""
        self._voice = TelephoneVoice(voice, self.script.voice_level_dbfs)
        self._noise = deque(frames_of(line_noise(NOISE_LOOP_MS, self.script.noise_peak, seed)))
        frames = tuple(frames_of(self._over_noise(cough_noise(self.script.voice_level_dbfs, seed=seed))))
        self._cough = Phrase("", frames, 0, len(frames) - 1, is_cough=True)
        self._phrases = {turn: self._phrase(turn) for turn in self.script.turns if turn.say or turn.wav}
        hello = self.script.hello
        self._hello = voiced_phrase(hello, self._over_noise(self._voice.speak(hello))) if hello else None
        self._has_greeted = False
        self._phone: Phone | None = None
        self._now_ms = 0
        self._turns = deque(self.script.turns)
        self._speaking: deque[Phrase] = deque()
        self._place = 0
        self._keys: deque[str] = deque()
        self._bot_speaking = False
        self._bot_changed_ms = 0  # when the bot began or finished
        self._interrupting = False  # what the bot says now is not what the caller waits for any more
        self._free_ms = 0  # when the caller's own turn was over
        self._prompts: list[str] = []  # heard since then
        self._last: Phrase | None = None
        self._repeats_left = self.script.repeats
        self._gave_up = False

    # Towards the line

    def dials(self, phone: Phone) -> None:
        self._phone = phone

    def bot_began(self, text: str) -> None:
        self._bot_speaking = True
        self._bot_changed_ms = self._now_ms
        self.heard.append(text)

    def bot_finished(self, text: str) -> None:
        self._bot_speaking = False
        self._bot_changed_ms = self._now_ms
        if not self._interrupting:
            self._prompts.append(text)
        self._interrupting = False

    def next_frame(self) -> bytes:
        self._now_ms += FRAME_MS
        if self._hello is not None and not self._has_greeted and self._now_ms >= self.script.hello_s * 1000:
            self._has_greeted = True
            self._speaking.append(self._hello)
        if not self._speaking:
            self._decide()
        if not self._speaking:
            self._noise.rotate(-1)
            return self._noise[0]
        return self._speak_on()

    def detection(self, rules: DetectionRules) -> Detection:
        """Return what Twilio's answering machine detection takes this caller for when they are called."""
        if self._hello is None:
            return of_speech(0, 0, rules)
        voiced = self._hello.last_voiced + 1 - self._hello.first_voiced
        first_ms = round(self.script.hello_s * 1000) + self._hello.first_voiced * FRAME_MS
        return of_speech(first_ms, voiced * FRAME_MS, rules)

    # Towards a test

    def say(self, text: str) -> None:
        """Say `text` now, or after the phrase that is being said."""
        self._speaking.append(voiced_phrase(text, self._voice.speak(text)))

    def play(self, mulaw: bytes, text: str = "a recording") -> None:
        """Say the audio in `mulaw` unchanged, its silence included."""
        self._speaking.append(voiced_phrase(text, mulaw))

    def cough(self) -> None:
        """Cough now, or after the phrase that is being said."""
        self._speaking.append(self._cough)

    @property
    def is_speaking(self) -> bool:
        """Whether there is anything left to say."""
        return bool(self._speaking)

    # Within

    def _phrase(self, turn: Turn) -> Phrase:
        if turn.wav is not None:
            pcm, rate_hz = read_wav(turn.wav)
            return voiced_phrase(turn.wav.name, encode_mulaw(resample(pcm, rate_hz, RATE_HZ)))
        return voiced_phrase(turn.say, self._over_noise(self._voice.speak(turn.say)))

    def _over_noise(self, mulaw: bytes) -> bytes:
        noise = b"".join(self._noise)
        noise *= -(-len(mulaw) // len(noise))
        mixed = np.frombuffer(decode_mulaw(mulaw), "<i2").astype(np.int32)
        mixed += np.frombuffer(decode_mulaw(noise[: len(mulaw)]), "<i2")
        return encode_mulaw(np.clip(mixed, -32768, 32767).astype("<i2").tobytes())

    def _speak_on(self) -> bytes:
        phrase = self._speaking[0]
        if self._phone is not None:
            self._tell(phrase, self._phone)
        frame = phrase.frames[self._place]
        self._place += 1
        if self._place == len(phrase.frames):
            self._speaking.popleft()
            self._place = 0
            if phrase is self._hello:
                self._free_ms = self._now_ms  # no answer to anything: what was heard meanwhile still counts
            elif not phrase.is_cough:
                self._last = phrase
                self._own_turn_over()
        return frame

    def _tell(self, phrase: Phrase, phone: Phone) -> None:
        """Tell the call if the frame that goes out now begins or ends a phrase."""
        if phrase.is_cough:
            if self._place == 0:
                phone.record(Coughed(phone.now_s()))
            return
        if self._place == phrase.first_voiced:
            phone.record(SpeechStarted(phone.now_s(), phrase.text))
        if self._place == phrase.last_voiced:
            # The end of this frame's 20 ms is the end of the speech.
            phone.record(SpeechEnded(phone.now_s(), phrase.text))

    def _own_turn_over(self) -> None:
        self._free_ms = self._now_ms
        self._prompts.clear()

    def _decide(self) -> None:
        """Decide what the caller does in this frame, in which they say nothing."""
        if self._keys:
            if self._now_ms - self._free_ms >= KEY_EVERY_MS and self._phone is not None:
                self._phone.press(self._keys.popleft())
                self._own_turn_over()
            return
        if not self.script.turns or self._gave_up:
            return
        turn = self._turns[0] if self._turns else None
        if turn is not None and turn.interrupt_after_s is not None and self._bot_speaking:
            if self._now_ms - self._bot_changed_ms >= turn.interrupt_after_s * 1000:
                self._interrupting = not turn.cough
                self._act(turn)
            return
        if self._bot_speaking:
            return
        quiet_ms = self._now_ms - max(self._free_ms, self._bot_changed_ms)
        if turn is None or not self._may_speak(turn, quiet_ms):
            self._lose_patience(quiet_ms)
        elif self._understood(turn):
            self._act(turn)
        elif quiet_ms >= turn.pause_s * 1000 + SECOND_THOUGHT_MS:
            self._say_again(f"expected {turn.expect!r}, heard {' '.join(self._prompts)!r}")

    def _may_speak(self, turn: Turn, quiet_ms: int) -> bool:
        if turn.silent_s:
            return True
        if not self._prompts:
            return self._last is None and not self.heard and quiet_ms >= FIRST_WORDS_MS
        return quiet_ms >= turn.pause_s * 1000

    def _understood(self, turn: Turn) -> bool:
        heard = " ".join(self._prompts).casefold()
        return not heard.strip() or turn.expect.casefold() in heard

    def _act(self, turn: Turn) -> None:
        if turn.silent_s:
            if self._now_ms - self._free_ms >= turn.silent_s * 1000:
                self._turns.popleft()
                self._own_turn_over()
            return
        self._turns.popleft()
        self._repeats_left = self.script.repeats
        if turn.hang_up and self._phone is not None:
            self._phone.hang_up()
        elif turn.cough:
            self.cough()
        elif turn.press:
            self._keys.extend(turn.press)
            self._free_ms = self._now_ms
        else:
            self._speaking.append(self._phrases[turn])

    def _say_again(self, why: str) -> None:
        if self._last is not None and self._repeats_left:
            self._repeats_left -= 1
            self.troubles.append(f"{why}; said {self._last.text!r} again")
            self._speaking.append(self._last)
        else:
            self._give_up(why)

    def _lose_patience(self, quiet_ms: int) -> None:
        if quiet_ms >= self.script.patience_s * 1000:
            expected = "the next prompt" if self._turns else "the bot to hang up"
            self._give_up(f"waited {self.script.patience_s:g} s for {expected}")

    def _give_up(self, why: str) -> None:
        self._gave_up = True
        self.troubles.append(f"{why}; hung up")
        if self._phone is not None:
            self._phone.hang_up()


def voiced_phrase(text: str, mulaw: bytes) -> Phrase:
    """`mulaw` as frames, with the first and the last that hold speech; all of them for digital silence."""
    frames = tuple(frames_of(mulaw)) or (SILENT_FRAME,)
    levels_dbfs = frame_levels_dbfs(decode_mulaw(b"".join(frames)))
    voiced = np.flatnonzero(levels_dbfs >= levels_dbfs.max() - VOICED_BELOW_SPEECH_DB - 5)
    return Phrase(text, frames, int(voiced[0]), int(voiced[-1]))
