"""The adaptive detector: a frame is voiced if it stands out from the line's own noise, however loud that is."""

import math
from collections.abc import Callable

from lexbridge.audio.pcm import rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions, Gauge
from lexbridge.audio.vad.noise_floor import NoiseFloor

HOLD_DB = 3.0
"""Decibels below the margin at which a voice that has begun still goes on."""

_RELEASE_FRAMES = 5


class AdaptiveDetector(Detector):
    """A detector by the level over the noise floor, with hysteresis.

    It is cheap, and good against steady noise. Music and other people's voices count as voice.
    """

    __slots__ = ("_floor", "_hold", "_quiet_frames", "_start")

    MARGIN_DB = 9.0

    def __init__(self, margin_db: float = MARGIN_DB) -> None:
        """`margin_db`: how far above the noise floor a voice begins, in dB."""
        self._start = 10 ** (margin_db / 10)
        self._hold = 10 ** ((margin_db - HOLD_DB) / 10)
        self._floor = NoiseFloor()
        self._quiet_frames = _RELEASE_FRAMES

    def is_voiced(self, frame: bytes) -> bool:
        power = float(rms(frame) ** 2)
        is_on = self._quiet_frames < _RELEASE_FRAMES
        voiced = power > self._floor.power * (self._hold if is_on else self._start)
        self._quiet_frames = 0 if voiced else self._quiet_frames + 1
        self._floor.update(power, voiced)
        return voiced

    def gauge(self) -> Gauge:
        floor = self._floor.power
        if math.isinf(floor):  # nothing was heard yet
            return Gauge(None, None)
        is_on = self._quiet_frames < _RELEASE_FRAMES
        return Gauge(math.sqrt(floor * (self._hold if is_on else self._start)), math.sqrt(floor))


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    return lambda: AdaptiveDetector(AdaptiveDetector.MARGIN_DB + options.voice_margin_db)


KIND = DetectorKind("level over the line's own noise", _load)
