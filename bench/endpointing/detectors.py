"""Detectors that are measured, the values that each is swept over, and the rows of the tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.pcm import FRAME_MS, rms
from lexbridge.audio.vad import (
    AdaptiveDetector,
    AmplitudeDetector,
    Detector,
    HybridDetector,
    SileroDetector,
    SileroModel,
    WebrtcDetector,
)
from lexbridge.audio.vad.silero import Floats

BLOGS_THRESHOLD = 500


class BlogsDetector:
    """Detector of the blog: a frame is voiced if its RMS is above 500."""

    def is_voiced(self, frame: bytes) -> bool:
        return rms(frame) > BLOGS_THRESHOLD


class RememberedModel(SileroModel):
    """Silero's model for many detectors that hear the same line: it computes each answer once."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[bytes, tuple[Floats, Floats]] = {}

    def forget(self) -> None:
        """Forget all answers, before the next line."""
        self._known.clear()

    def probabilities(self, audio: Floats, state: Floats) -> tuple[Floats, Floats]:
        asked = audio.tobytes() + state.tobytes()
        if asked not in self._known:
            self._known[asked] = super().probabilities(audio, state)
        return self._known[asked]


Make = Callable[[SileroModel], Detector]
DETECTORS: Mapping[str, Make] = {
    "blog": lambda _: BlogsDetector(),
    "amplitude": lambda _: AmplitudeDetector(BLOGS_THRESHOLD),
    "adaptive": lambda _: AdaptiveDetector(),
    "webrtc 2": lambda _: WebrtcDetector(2),
    "webrtc 3": lambda _: WebrtcDetector(3),
    "silero": SileroDetector,
    "hybrid": HybridDetector,
}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Detector at each of the `values` of the parameter that it is tuned by (`of`)."""

    of: str
    values: Sequence[float]
    make: Callable[[SileroModel, float], Detector]


SWEEPS: Mapping[str, Sweep] = {
    "amplitude": Sweep("threshold", (125, 250, 500, 1000, 2000, 4000), lambda _, value: AmplitudeDetector(int(value))),
    "adaptive": Sweep("margin, dB", (3, 6, 9, 12, 15, 20), lambda _, value: AdaptiveDetector(value)),
    "webrtc": Sweep("mode", (0, 1, 2, 3), lambda _, value: WebrtcDetector(int(value))),
    "silero": Sweep("start", (0.1, 0.2, 0.4, 0.6, 0.8, 0.95), lambda model, at: SileroDetector(model, at, at * 0.375)),
    "hybrid": Sweep("margin, dB", (-3, -1.5, 0, 3, 6, 9), HybridDetector),
}


@dataclass(frozen=True, slots=True)
class Row:
    """Detector with its rules. `detector`: name in DETECTORS, or in SWEEPS if there is a `value`."""

    name: str
    detector: str
    rules: EndpointingRules
    value: float | None = None

    @property
    def detector_key(self) -> tuple[str, float | None]:
        """Detector and value: rows that have both in common hear the same."""
        return self.detector, self.value

    def detect(self, model: SileroModel) -> Detector:
        """Return a new detector of the row."""
        if self.value is None:
            return DETECTORS[self.detector](model)
        return SWEEPS[self.detector].make(model, self.value)


BARE = EndpointingRules(onset_ms=20, pre_roll_ms=0, hangover_ms=700)
"""Rules of the blog, except for its hangover of 2 s: those of the baseline."""

SERVICE = EndpointingRules()
"""Rules of the service: onset, pre-roll, and one hangover for every question."""

BARE_ROWS = (
    Row("blog", "blog", BARE),
    Row("blog, 2 s", "blog", replace(BARE, hangover_ms=2000)),
    *(Row(name, name, BARE) for name in DETECTORS if name != "blog"),
)
SERVICE_ROWS = tuple(Row(f"{name}, as run", name, SERVICE) for name in DETECTORS if name != "blog")
FIXED_MS = (300, 500, 700, 900, 1100, 1400, 2000)
FIXED_ROWS = tuple(Row(f"hybrid, {ms} ms", "hybrid", replace(SERVICE, hangover_ms=ms)) for ms in FIXED_MS)
SWEPT_ROWS = tuple(
    Row(f"{name} at {value:g}", name, SERVICE, value) for name, sweep in SWEEPS.items() for value in sweep.values
)


def _listening(share: float) -> EndpointingRules:
    """Return rules whose hangover depends on the question, with lengths of `share` of the recommended ones."""
    usual_ms, min_ms, max_ms = (round(ms * share / FRAME_MS) * FRAME_MS for ms in RECOMMENDED_MS)
    return replace(SERVICE, hangover_ms=usual_ms, hangover_min_ms=min_ms, hangover_max_ms=max_ms)


RECOMMENDED_MS = (860, 400, 1500)
"""HANGOVER_MS, HANGOVER_MIN_MS and HANGOVER_MAX_MS that the README recommends with VAD=hybrid."""

LISTENING_ROWS = (
    Row("hybrid, listening", "hybrid", _listening(1.0)),
    *(Row(f"hybrid, listening x {share:g}", "hybrid", _listening(share)) for share in (0.6, 0.8, 1.2, 1.4)),
)
"""Rows with a hangover that depends on the question: the recommended one first, then others for comparison."""
