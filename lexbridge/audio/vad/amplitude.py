"""The default detector: a frame is voiced if it is loud."""

from lexbridge.audio.pcm import rms

HOLD_SHARE = 0.9
"""Of the threshold: enough for a voice that goes on."""

_RELEASE_FRAMES = 5


class AmplitudeDetector:
    """Voiced above a fixed RMS, and for as long as it stays just under it. Good on a quiet line only: noise above the
    threshold is voice to it."""

    def __init__(self, threshold: int) -> None:
        """`threshold`: RMS of 16-bit samples, 1 to 32767; a frame above it is voiced."""
        self._threshold = threshold
        self._hold_threshold = round(threshold * HOLD_SHARE)
        self._quiet_frames = _RELEASE_FRAMES

    def is_voiced(self, frame: bytes) -> bool:
        """Whether the RMS of `frame` is above the threshold; or just under it, and was not for less than 0.1 s."""
        is_on = self._quiet_frames < _RELEASE_FRAMES
        voiced = rms(frame) > (self._hold_threshold if is_on else self._threshold)
        self._quiet_frames = 0 if voiced else self._quiet_frames + 1
        return voiced
