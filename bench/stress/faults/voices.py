"""Voices of the sweep of faults: each text is recognised by its sound, by whatever means it is said.

A simulated call tells the words of Twilio's own voice only. `NoiseVoice`, which the local Lex speaks with, gives each
text a sound of its own: so it is found in the audio that the caller got, even if a frame is missing or late. Silence
is no sound, so silence counts as not heard.
"""

import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, RATE_HZ
from lexbridge.audio.resampler import resample
from lexbridge.lex.voice import ReplyAudio
from lexbridge.offline.lex.recognition import Recogniser
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotBegan

PHRASES = ("I would like to order flowers", "roses")
"""Phrases of the caller."""
PHRASE_S = 1.2
_MS_PER_CHARACTER = 60
_LEX_HZ = 16_000
_REPEATED_AFTER_MS = 1000
"""Shortest pause, ms, after which the same text counts as said once more, because frames may be missing in between."""

_SILENT = MULAW_SILENCE * MULAW_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Position:
    """Moment of a call, as places in its records: on a busy machine the line lags behind the clock."""

    line_bytes: int
    events: int


def position_of(call: PhoneCall) -> Position:
    """Return the current end of the call's records."""
    return Position(len(call.line.bot_mulaw), len(call.events))


class NoiseVoice(Voice):
    """Voice of the local Lex: each text is noise that follows from the text."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}  # by each mu-law frame of all that was spoken

    def speak(self, text: str) -> bytes:
        samples = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 3000, _MS_PER_CHARACTER * len(text) * 8)
        pcm = samples.astype("<i2").tobytes()
        if text not in self._texts.values():
            audio = ReplyAudio("audio/pcm")
            mulaw = audio.push(resample(pcm, RATE_HZ, _LEX_HZ)) + audio.flush()
            self._texts |= {frame: text for _, frame in _frames(mulaw) if frame != _SILENT}
        return pcm

    def heard(self, call: PhoneCall, since: Position) -> list[tuple[float, str]]:
        """Return each text that the caller has heard since then, and the second of the line at which it began."""
        said = [
            (call.line_s(event.at_s), event.text)
            for event in call.events[since.events :]
            if isinstance(event, BotBegan) and event.text
        ]
        last_text, last_ms = "", 0
        for at_ms, frame in _frames(bytes(call.line.bot_mulaw[since.line_bytes :])):
            text = self._texts.get(frame)
            if text is None:
                continue
            if text != last_text or at_ms - last_ms > _REPEATED_AFTER_MS:
                said.append((since.line_bytes / RATE_HZ + at_ms / 1000, text))
            last_text, last_ms = text, at_ms
        return sorted(said)


class ToneVoice(Voice, Recogniser):
    """Voice of the caller, who says each phrase as a tone of its own, and the recogniser that knows the tones again.

    So Lex hears what is said to it, however often it is said and whichever request carries it.
    """

    rate_hz = RATE_HZ

    def speak(self, text: str) -> bytes:
        per_sample = 2 * math.pi * self._hz(PHRASES.index(text)) / self.rate_hz
        count = round(PHRASE_S * self.rate_hz)
        return b"".join(struct.pack("<h", round(8000 * math.sin(per_sample * number))) for number in range(count))

    def recognise(self, pcm: bytes, grammar: str) -> str:  # noqa: ARG002
        spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2").astype(float)))
        if len(spectrum) < 100 or spectrum.max() < 1e5:
            return ""
        loudest_hz = spectrum.argmax() * self.rate_hz / (2 * len(spectrum))
        return min(PHRASES, key=lambda phrase: abs(self._hz(PHRASES.index(phrase)) - loudest_hz))

    @staticmethod
    def _hz(number: int) -> int:
        return 500 + 400 * number


def _frames(mulaw: bytes) -> list[tuple[int, bytes]]:
    """Return each frame with its time, ms."""
    starts = range(0, len(mulaw), MULAW_FRAME_BYTES)
    return [(start // MULAW_FRAME_BYTES * FRAME_MS, mulaw[start : start + MULAW_FRAME_BYTES]) for start in starts]
