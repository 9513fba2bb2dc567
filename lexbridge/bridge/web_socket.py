"""The interface of a media socket, as a live call uses it."""

from typing import Protocol

from lexbridge.net.rfc6455 import Limits, Pong


class WebSocket(Protocol):
    """A media socket, such as that of lexbridge.net.websocket."""

    @property
    def limits(self) -> Limits:
        """The limits of what the peer may send."""
        ...

    def receive(self) -> str | Pong | None:
        """Return the next message, or None once the socket is closed. Raise nothing."""
        ...

    def send(self, message: str) -> None:
        """Send a message, later if the peer does not take it yet. Never wait.

        Raise WebSocketError if the socket is closed, or is closed now because too much waits to be sent.
        """
        ...

    def ping(self, payload: bytes) -> None:
        """Ping the peer. Raise WebSocketError if the socket is closed."""
        ...

    def close(self, code: int = ..., message: bytes = ...) -> None:
        """Close the socket. A socket that is closed already stays as it is."""
        ...
