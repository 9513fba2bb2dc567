"""The noise floor: how loud the line is while the caller is silent."""

import math
from bisect import insort

from lexbridge.audio.pcm import FRAME_MS

CALIBRATION_MS = 1000
"""Time at a stream's start in which the floor follows the line at once. Afterwards it follows slowly."""

_CALIBRATION_FRAMES = CALIBRATION_MS // FRAME_MS
_FLOOR_SHARE = 10  # the floor is the power that one of so many frames does not exceed: most of them may be speech
_LOWEST_FRAMES = _CALIBRATION_FRAMES // _FLOOR_SHARE + 1  # as many as are ever needed to find it
_LOWEST = 8.0**2  # RMS 8, because a quieter line is silent: what mu-law makes of silence is no sound
_STEP = 10 ** (0.1 / 10)  # up or down with each frame without voice, 5 dB a second: so the floor settles at the median
_DROP = 10 ** (-0.5 / 10)  # down with each frame while the line is much quieter than the floor
_CREEP = 10 ** (0.02 / 10)  # up with each voiced frame: so a noise that was taken for a voice becomes part of the floor
_MUCH = 4.0  # ratio of powers


class NoiseFloor:
    """An estimate of the line's noise: the median power of frames without voice.

    Power is the mean square of 16-bit samples.
    """

    __slots__ = ("_first", "_frames", "power")

    def __init__(self) -> None:
        self.power = math.inf
        """The floor now. It is infinite before the first frame, so nothing is above it."""
        self._frames = 0
        self._first: list[float] = []  # the lowest powers of the first second, in order

    def update(self, power: float, is_voiced: bool) -> None:
        """Take in the power of the next frame (its own, or a smoothed one), and whether it counts as voice."""
        if self._frames < _CALIBRATION_FRAMES:
            self._calibrate(power)
        elif power < self.power:
            self.power *= _DROP if power * _MUCH < self.power else 1 / _STEP
        else:
            self.power *= _CREEP if is_voiced else _STEP
        if self.power < _LOWEST:
            self.power = _LOWEST

    def _calibrate(self, power: float) -> None:
        self._frames += 1
        insort(self._first, power)
        del self._first[_LOWEST_FRAMES:]
        self.power = self._first[self._frames // _FLOOR_SHARE]
        if self._frames == _CALIBRATION_FRAMES:
            self._first.clear()
