"""Voice activity detection: one file for each detector, all behind the Protocol `Detector`; VAD chooses.

The packages that some need are imported only where they are used. `tones` is for all of them.
"""

from collections.abc import Callable
from typing import Protocol

from lexbridge.audio.tones import Tone, tone_of
from lexbridge.audio.vad.adaptive import AdaptiveDetector
from lexbridge.audio.vad.amplitude import AmplitudeDetector
from lexbridge.audio.vad.hybrid import HybridDetector
from lexbridge.audio.vad.silero import SileroDetector, SileroModel
from lexbridge.audio.vad.webrtc import WebrtcDetector
from lexbridge.config.settings import Settings

__all__ = [
    "AdaptiveDetector",
    "AmplitudeDetector",
    "Detector",
    "HybridDetector",
    "SileroDetector",
    "SileroModel",
    "Tone",
    "WebrtcDetector",
    "detector_factory",
    "tone_of",
]


class Detector(Protocol):
    """Tells voice from none, a frame at a time. One detector serves one call: it may keep state."""

    def is_voiced(self, frame: bytes) -> bool:
        """Whether `frame` (20 ms, 320 bytes of 16-bit little-endian PCM at 8 kHz) holds voice. Frames come in order."""
        ...


def detector_factory(settings: Settings) -> Callable[[], Detector]:
    """What makes each call's detector, as VAD says. Its model, if it has one, is loaded here and serves all calls of
    this process: call it in the process that uses it.

    Raises ModuleNotFoundError if a package is missing that `config` would have asked for.
    """
    match settings.vad:
        case "adaptive":
            return lambda: AdaptiveDetector(AdaptiveDetector.MARGIN_DB + settings.voice_margin_db)
        case "webrtc":
            return lambda: WebrtcDetector(settings.webrtc_mode)
        case "silero":
            model = SileroModel()
            return lambda: SileroDetector(model)
        case "hybrid":
            model = SileroModel()
            return lambda: HybridDetector(model, settings.voice_margin_db)
        case _:
            return lambda: AmplitudeDetector(settings.voice_threshold)
