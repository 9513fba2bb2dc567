"""How loud the line is when nobody speaks."""

import math

from lexbridge.audio.pcm import FRAME_MS

CALIBRATION_MS = 1000
"""At a stream's start the floor is taken at once from what is heard; after it, it follows slowly."""

_CALIBRATION_FRAMES = CALIBRATION_MS // FRAME_MS
_LOWEST = 8.0**2  # RMS 8: a line that is quieter is silent, and what mu-law makes of silence is no sound
_STEP = 10 ** (0.1 / 10)  # a frame without voice: 5 dB a second, either way: it settles at the median
_DROP = 10 ** (-0.5 / 10)  # where the line is much quieter than thought
_CREEP = 10 ** (0.02 / 10)  # a voiced frame: a noise that is taken for voice is not for ever
_MUCH = 4.0


class NoiseFloor:
    """Follows the median power of the frames without voice. Power is the mean square of 16-bit samples."""

    def __init__(self) -> None:
        self.power = math.inf
        """The floor now; before the first frame nothing is above it."""
        self._frames = 0
        self._first: list[float] = []

    def update(self, power: float, is_voiced: bool) -> None:
        """The next frame's power (of it alone, or smoothed), and whether it is taken for voice."""
        if self._frames < _CALIBRATION_FRAMES:
            self._calibrate(power)
        elif power < self.power:
            self.power *= _DROP if power * _MUCH < self.power else 1 / _STEP
        else:
            self.power *= _CREEP if is_voiced else _STEP
        self.power = max(self.power, _LOWEST)

    def _calibrate(self, power: float) -> None:
        self._frames += 1
        self._first.append(power)
        self.power = sorted(self._first)[len(self._first) // 10]  # most of it may be speech
