"""Sounds for tests: time lines drawn as text, tones, and audio in pieces."""

import struct
from collections.abc import Sequence

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, FRAME_SAMPLES, MULAW_SILENCE, RATE_HZ, encode_mulaw

VOICE_LEVEL = 8000


class Timeline:
    """Mu-law audio drawn as text, a character a frame: "v" is voiced, "." is not. No two frames of it are the same."""

    def __init__(self, drawing: str) -> None:
        self.frames = [self._frame(number, mark == "v") for number, mark in enumerate(drawing)]

    def mulaw(self, from_ms: int = 0, to_ms: int | None = None) -> bytes:
        """Return the audio from `from_ms` to `to_ms`."""
        end = None if to_ms is None else to_ms // FRAME_MS
        return b"".join(self.frames[from_ms // FRAME_MS : end])

    @staticmethod
    def _frame(number: int, is_voiced: bool) -> bytes:
        level = encode_mulaw(struct.pack("<h", VOICE_LEVEL)) if is_voiced else MULAW_SILENCE
        # The last 32 codes of mu-law are the quietest samples: three of them are no voice.
        digits = bytes(0xFF - number // 32**place % 32 for place in range(3))
        return digits + level * (FRAME_SAMPLES - 3)


def tone(ms: int, level: int = VOICE_LEVEL) -> bytes:
    """Return mu-law audio of one loudness, which a detector by amplitude takes for a voice."""
    return encode_mulaw(struct.pack("<h", level)) * (ms * FRAME_SAMPLES // FRAME_MS)


def sines(*frequencies_hz: int) -> bytes:
    """Return a PCM frame of sines."""
    times = np.arange(FRAME_SAMPLES) / RATE_HZ
    waves = sum(np.sin(2 * np.pi * hz * times) for hz in frequencies_hz)
    return bytes(np.rint(4000 * waves).astype("<i2").tobytes())


KEY_TONE = encode_mulaw(sines(770, 1336))
"""A mu-law frame of the tone of a key."""


def cut(audio: bytes, lengths: Sequence[int]) -> list[bytes]:
    """Return `audio` in pieces of these lengths, and the rest as the last piece."""
    pieces = []
    for length in lengths:
        pieces.append(audio[:length])
        audio = audio[length:]
    return [*pieces, audio]
