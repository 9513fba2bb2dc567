"""A call as a sound file: the caller on the left, the bot on the right."""

import wave
from pathlib import Path

import numpy as np

from lexbridge.audio.pcm import RATE_HZ, decode_mulaw


def stereo(left_mulaw: bytes, right_mulaw: bytes) -> bytes:
    """Two mu-law tracks as interleaved 16-bit stereo PCM; the shorter is filled up with silence."""
    sides = [np.frombuffer(decode_mulaw(bytes(side)), "<i2") for side in (left_mulaw, right_mulaw)]
    both = np.zeros((max(map(len, sides)), 2), dtype="<i2")
    for place, side in enumerate(sides):
        both[: len(side), place] = side
    return both.tobytes()


def write_recording(path: Path, caller_mulaw: bytes, bot_mulaw: bytes) -> None:
    """A stereo wav at 8 kHz. Raises OSError."""
    with path.open("wb") as opened, wave.open(opened, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes(stereo(caller_mulaw, bot_mulaw))
