"""What a caller hears, by its sound: who says it, Twilio's voice or Lex's over a two-way stream, does not matter.

A line tells the words of Twilio's voice only. `PlainVoice` says each text in a sound of its own, and so it is found in
what the line has carried, though a frame be missing or late. Silence is no sound, and nobody has heard it.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, MULAW_FRAME_BYTES, MULAW_SILENCE, RATE_HZ, resample
from lexbridge.lex.voice import ReplyAudio
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BotBegan

_MS_PER_CHARACTER = 60
_LEX_HZ = 16_000
_ANEW_AFTER_MS = 1000
"""A text that was not heard for as long, and is heard then, is said anew."""

_SILENT = MULAW_SILENCE * MULAW_FRAME_BYTES


class PlainVoice:
    """A voice for the local Lex: noise, of each text another."""

    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}  # of each frame of what it has said, as it is on the line

    def speak(self, text: str) -> bytes:
        """16-bit PCM."""
        samples = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 3000, _MS_PER_CHARACTER * len(text) * 8)
        pcm = samples.astype("<i2").tobytes()
        if text not in self._texts.values():
            audio = ReplyAudio("audio/pcm")
            mulaw = audio.push(resample(pcm, RATE_HZ, _LEX_HZ)) + audio.flush()
            self._texts |= {frame: text for _, frame in _frames(mulaw) if frame != _SILENT}
        return pcm

    def heard(self, call: PhoneCall, since: "Place") -> list[tuple[float, str]]:
        """When each thing that was said began, seconds of the line, and its text."""
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
            if text != last_text or at_ms - last_ms > _ANEW_AFTER_MS:
                said.append((since.line_bytes / RATE_HZ + at_ms / 1000, text))
            last_text, last_ms = text, at_ms
        return sorted(said)


@dataclass(frozen=True, slots=True)
class Place:
    """A moment of a call, in what it has recorded. The clock would not do: a busy machine's line is behind it."""

    line_bytes: int
    events: int


def now(call: PhoneCall) -> Place:
    """This moment."""
    return Place(len(call.line.bot_mulaw), len(call.events))


def _frames(mulaw: bytes) -> list[tuple[int, bytes]]:
    """Each frame, and its time in ms."""
    starts = range(0, len(mulaw), MULAW_FRAME_BYTES)
    return [(start // MULAW_FRAME_BYTES * FRAME_MS, mulaw[start : start + MULAW_FRAME_BYTES]) for start in starts]
