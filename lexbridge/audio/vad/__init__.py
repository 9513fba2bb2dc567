"""Voice activity detection: one file for each detector, and the registry that the setting VAD chooses from.

A new detector is a file beside these, with a class and its KIND, and a line in `DETECTORS`. It imports packages that
not every installation has only where it uses them.
"""

from collections.abc import Callable, Mapping

from lexbridge.audio.vad import adaptive, amplitude, hybrid, silero, webrtc
from lexbridge.audio.vad.adaptive import AdaptiveDetector
from lexbridge.audio.vad.amplitude import AmplitudeDetector
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions, Gauge, Gauged
from lexbridge.audio.vad.hybrid import HybridDetector
from lexbridge.audio.vad.silero import SileroDetector, SileroModel
from lexbridge.audio.vad.webrtc import WebrtcDetector

__all__ = [
    "DETECTORS",
    "AdaptiveDetector",
    "AmplitudeDetector",
    "Detector",
    "DetectorKind",
    "DetectorOptions",
    "Gauge",
    "Gauged",
    "HybridDetector",
    "SileroDetector",
    "SileroModel",
    "WebrtcDetector",
    "load_detector",
]

DETECTORS: Mapping[str, DetectorKind] = {
    "amplitude": amplitude.KIND,
    "webrtc": webrtc.KIND,
    "adaptive": adaptive.KIND,
    "silero": silero.KIND,
    "hybrid": hybrid.KIND,
}
"""Detectors by the value of VAD, the best for real lines last."""


def load_detector(name: str, options: DetectorOptions) -> Callable[[], Detector]:
    """Load the detector called `name`, and return a function that makes one for each call.

    Call it in the process that uses the detector: a model does not survive a fork. Raises ModuleNotFoundError if one of
    the detector's packages is not installed.
    """
    return DETECTORS[name].load(options)
