"""A detector with a model that somebody else runs, and that may be slow."""

from dataclasses import dataclass

from lexbridge.audio.pcm import rms
from lexbridge.audio.vad.base import ModelDetector, Window

LOUD_RMS, SURE_RMS = 300, 20_000


@dataclass(frozen=True, slots=True)
class Loudness(Window):
    """The window of a frame: how loud it is."""

    rms: int


class LoudnessDetector(ModelDetector):
    """A detector that asks its model about loud frames alone, but knows without it that the loudest are voice."""

    def __init__(self) -> None:
        self._is_sure = False
        self.answers = 0
        """Number of answers that came from the model."""

    def window(self, frame: bytes, mulaw: bytes) -> Window | None:
        """Return how loud `frame` is, if only the model can tell what it is."""
        level = rms(frame)
        self._is_sure = level > SURE_RMS
        return Loudness(level) if LOUD_RMS < level <= SURE_RMS else None

    def decide(self, probability: float | None) -> bool:
        """Return whether the frame is voiced."""
        if probability is None:
            return self._is_sure
        self.answers += 1
        return probability > 0.5


def judge(window: Window) -> float:
    """Return the model's answer to `window`: the louder, the more probable is speech."""
    assert isinstance(window, Loudness)
    return min(1.0, window.rms / 10_000)
