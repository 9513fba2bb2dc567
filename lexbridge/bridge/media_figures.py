"""The audio and the bytes that media streams have brought so far, looked at once a second."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """Totals of one media stream, or of several. Frames are of 20 ms."""

    frames: int = 0
    """Frames that were received."""
    frames_lost: int = 0
    """Frames that did not arrive. Silence stands in for them."""
    frames_silent: int = 0
    """Frames that a phone did not send, because its caller was silent."""
    messages_late: int = 0
    """Messages that came too late to be heard."""
    received_bytes: int = 0
    """Bytes received on the sockets."""
    sent_bytes: int = 0
    """Bytes sent on the sockets, and taken by the peer."""

    def __add__(self, other: "MediaFigures") -> "MediaFigures":
        return MediaFigures(*map(sum, zip(astuple(self), astuple(other), strict=True)))
