"""The default detector: a frame is voiced if it is loud."""

from lexbridge.audio import rms


class AmplitudeDetector:
    """Voiced above a fixed RMS. Good on a quiet line only: noise above the threshold is voice to it."""

    def __init__(self, threshold: int) -> None:
        """`threshold`: RMS of 16-bit samples, 1 to 32767; a frame above it is voiced."""
        self._threshold = threshold

    def is_voiced(self, frame: bytes) -> bool:
        """Whether the RMS of `frame` is above the threshold."""
        return rms(frame) > self._threshold
