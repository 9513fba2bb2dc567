"""The default detector: a frame is voiced if it is loud."""

from collections.abc import Callable

from lexbridge.audio.pcm import rms
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions

HOLD_SHARE = 0.9
"""Of the threshold: enough for a voice that goes on."""

_RELEASE_FRAMES = 5


class AmplitudeDetector(Detector):
    """Voiced above a fixed RMS, and for as long as it stays just under it. Good on a quiet line only: noise above the
    threshold is voice to it."""

    def __init__(self, threshold: int) -> None:
        """`threshold`: RMS of 16-bit samples, 1 to 32767; a frame above it is voiced."""
        self._threshold = threshold
        self._hold_threshold = round(threshold * HOLD_SHARE)
        self._quiet_frames = _RELEASE_FRAMES

    def is_voiced(self, frame: bytes) -> bool:
        is_on = self._quiet_frames < _RELEASE_FRAMES
        voiced = rms(frame) > (self._hold_threshold if is_on else self._threshold)
        self._quiet_frames = 0 if voiced else self._quiet_frames + 1
        return voiced


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    return lambda: AmplitudeDetector(options.voice_threshold)


KIND = DetectorKind("RMS of each 20 ms frame against a threshold", _load)
