"""WebRTC's detector: a mixture of Gaussians over six bands. Needs webrtcvad-wheels (requirements-webrtc.txt)."""

from lexbridge.audio.pcm import RATE_HZ


class WebrtcDetector:
    """Voiced where WebRTC says so. Quick and cheap; much noise, and nearly all music, is voice to it."""

    def __init__(self, mode: int = 3) -> None:
        """`mode`: 0 (lets everything through) to 3 (the strictest). Raises ModuleNotFoundError without the package."""
        import webrtcvad

        self._vad = webrtcvad.Vad(mode)

    def is_voiced(self, frame: bytes) -> bool:
        """Whether `frame` is voice."""
        return bool(self._vad.is_speech(frame, RATE_HZ))
