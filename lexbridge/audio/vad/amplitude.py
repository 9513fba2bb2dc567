"""The default detector: a frame is voiced if it is loud."""

from collections.abc import Callable

from lexbridge.audio.pcm import rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions, Gauge

HOLD_SHARE = 0.9
"""Share of the threshold at which a voice that has begun goes on."""

_RELEASE_FRAMES = 5


class AmplitudeDetector(Detector):
    """A detector by a fixed RMS. A voice that has begun goes on while the frames stay just under it.

    It is good on a quiet line only, because any noise above the threshold counts as voice.
    """

    __slots__ = ("_hold_threshold", "_quiet_frames", "_threshold")

    def __init__(self, threshold: int) -> None:
        """`threshold`: RMS of 16-bit samples above which a frame is voiced, 1 to 32767."""
        self._threshold = threshold
        self._hold_threshold = round(threshold * HOLD_SHARE)
        self._quiet_frames = _RELEASE_FRAMES

    def is_voiced(self, frame: bytes) -> bool:
        is_on = self._quiet_frames < _RELEASE_FRAMES
        voiced = rms(frame) > (self._hold_threshold if is_on else self._threshold)
        self._quiet_frames = 0 if voiced else self._quiet_frames + 1
        return voiced

    def gauge(self) -> Gauge:
        is_on = self._quiet_frames < _RELEASE_FRAMES
        return Gauge(self._hold_threshold if is_on else self._threshold, None)


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    return lambda: AmplitudeDetector(options.voice_threshold)


KIND = DetectorKind("RMS of each 20 ms frame against a threshold", _load)
