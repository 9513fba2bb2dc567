"""The interface of a media socket, as a live call uses it."""

from typing import Protocol

from lexbridge.net.receiver import Receiver
from lexbridge.net.rfc6455 import Limits


class WebSocket(Protocol):
    """A media socket, such as that of lexbridge.net.websocket."""

    @property
    def limits(self) -> Limits:
        """The limits of what the peer may send."""
        ...

    def deliver_to(self, receiver: Receiver) -> None:
        """Start reading, and hand over to `receiver` what is read, in the hub's callbacks."""
        ...

    def pause_reading(self) -> None:
        """Stop reading, so that the peer waits."""
        ...

    def resume_reading(self) -> None:
        """Go on reading, unless the socket has ended."""
        ...

    def send(self, message: str) -> None:
        """Send a message, later if the peer does not take it yet. Never wait.

        Raise WebSocketError if the socket is closed, or is closed now because too much waits to be sent.
        """
        ...

    def ping(self, payload: bytes) -> None:
        """Ping the peer. Raise WebSocketError if the socket is closed."""
        ...

    def traffic(self) -> tuple[int, int]:
        """Return the bytes received so far, and those that the peer has taken."""
        ...

    def close(self, code: int = ..., message: bytes = ...) -> None:
        """Close the socket. A socket that is closed already stays as it is."""
        ...
