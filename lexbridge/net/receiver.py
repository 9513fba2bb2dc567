"""The interface between a WebSocket and what takes its messages."""

from typing import Protocol

from lexbridge.net.rfc6455 import Pong

Message = str | bytes | Pong
"""A message of a peer, or its answer to a ping. It is bytes only if the limits allow binary messages."""


class Receiver(Protocol):
    """The taker of a socket's messages. The hub calls it, so it must neither raise nor switch greenlets."""

    def received(self, messages: list[Message], now_s: float) -> bool:
        """Take the messages of one read, in order. Return whether the line is quiet, and may be read less often.

        A pong comes only after a `ping`, alone, and in its place: every message that arrived before it comes before.
        `now_s`: time.monotonic() at the read.
        """
        ...

    def ended(self) -> None:
        """Note that no message will follow. The socket is closed, or about to be."""
        ...
