"""Voice activity detection: one file for each detector, all behind the Protocol `Detector`."""

from typing import Protocol

from lexbridge.vad.amplitude import AmplitudeDetector
from lexbridge.vad.tones import is_key_tone

__all__ = ["AmplitudeDetector", "Detector", "is_key_tone"]


class Detector(Protocol):
    """Tells voice from none, a frame at a time. One detector serves one call: it may keep state."""

    def is_voiced(self, frame: bytes) -> bool:
        """Whether `frame` (20 ms, 320 bytes of 16-bit little-endian PCM at 8 kHz) holds voice. Frames come in order."""
        ...
