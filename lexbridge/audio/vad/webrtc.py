"""WebRTC's detector, a mixture of Gaussians over six bands. It needs webrtcvad-wheels (requirements-webrtc.txt)."""

from collections.abc import Callable

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.audio.vad.base import Detector, DetectorKind, DetectorOptions


class WebrtcDetector(Detector):
    """WebRTC's detector. It is quick and cheap, but takes much noise and nearly all music for voice."""

    def __init__(self, mode: int = 3) -> None:
        """`mode`: 0 (almost any sound is voice) to 3 (strictest). Raises ModuleNotFoundError without the package."""
        import webrtcvad

        self._vad = webrtcvad.Vad(mode)

    def is_voiced(self, frame: bytes) -> bool:
        return bool(self._vad.is_speech(frame, RATE_HZ))


def _load(options: DetectorOptions) -> Callable[[], Detector]:
    return lambda: WebrtcDetector(options.webrtc_mode)


KIND = DetectorKind("WebRTC's statistical model", _load, (("webrtcvad",),), "requirements-webrtc.txt")
