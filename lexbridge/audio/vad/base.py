"""Types that all detectors of voice share: the Protocol, the options, and the entry of the registry."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from lexbridge.audio.pcm import encode_mulaw


class Detector(Protocol):
    """A detector of voice for one call, which gets the call's frames in order and may keep state."""

    __slots__ = ()

    def is_voiced(self, frame: bytes) -> bool:
        """Return whether the next frame (20 ms: 320 bytes of 16-bit little-endian PCM at 8 kHz) holds voice."""
        ...


class Gauge(NamedTuple):
    """Levels that a detector goes by, as RMS of 16-bit samples. None: it has none, or does not know it yet."""

    threshold_rms: float | None
    """Level above which the next frame counts as voice, if nothing else speaks against it."""
    floor_rms: float | None
    """Level of the line's own noise."""


@runtime_checkable
class Gauged(Protocol):
    """A detector that goes by levels, and tells them to whoever looks on."""

    def gauge(self) -> Gauge:
        """Return the levels that hold for the next frame."""
        ...


class Model(Protocol):
    """A model that judges the windows of many calls in one run. It is called by one thread at a time."""

    def judge(self, windows: Sequence[Any]) -> list[float | None]:
        """Judge the next piece of each window, of this model's own class.

        Return for each the probability of speech at its end, or None while it has another piece to be judged.
        """
        ...


class Window:
    """Audio of one call that its model is to judge, with the model's state. Each kind of model has its own subclass."""

    __slots__ = ("model",)

    def __init__(self, model: Model) -> None:
        self.model = model


@runtime_checkable
class ModelDetector(Protocol):
    """A detector of voice for one call, in two halves, so that one run of a model serves many calls.

    For each frame of the call, in order, call `window` and then `decide`.
    """

    def window(self, frame: bytes, mulaw: bytes) -> Window | None:
        """Return what the next frame asks of the model, or None if it asks nothing.

        `frame`: 20 ms of PCM, as for a Detector. `mulaw`: the same audio in 160 bytes of mu-law, for a detector that
        keeps audio: half the memory, and coding it again would cost more CPU than all else in a silent frame.
        """
        ...

    def decide(self, probability: float | None) -> bool:
        """Return whether that frame holds voice.

        `probability`: the model's answer to the frame's window. None if the frame had none, or if the model failed:
        then the detector goes by the level alone.
        """
        ...


class JudgedAtOnce(Detector, ModelDetector, Protocol):
    """A ModelDetector that can do without a batch: it runs its model for each window by itself."""

    def is_voiced(self, frame: bytes) -> bool:
        window = self.window(frame, encode_mulaw(frame))
        probability: float | None = None
        while window is not None and probability is None:
            [probability] = window.model.judge([window])
        return self.decide(probability)


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """Values that tune detectors. Each detector reads those that concern it. They are named after their settings."""

    voice_threshold: int = 500
    """RMS of 16-bit samples above which a frame is voiced, 1 to 32767 (`amplitude`)."""
    voice_margin_db: float = 0
    """Extra dB above the line's noise that a sound needs to count as voice (`adaptive`, `hybrid`)."""
    webrtc_mode: int = 3
    """Aggressiveness, from 0 (almost any sound is voice) to 3 (`webrtc`)."""


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """A detector that the setting VAD can choose."""

    summary: str
    """A few words on how it decides, for the help of VAD."""
    load: Callable[[DetectorOptions], Callable[[], Detector]]
    """Load what all calls of the process share, such as a model, and return a function that makes a call's detector.

    Loading happens in the process that uses it: a model does not survive a fork.
    """
    packages: tuple[tuple[str, ...], ...] = ()
    """Packages that have to be installed besides the service's own: of each group one."""
    requirements: str = ""
    """File that pip installs those packages from."""
