"""The media socket and its HTTP handler: gevent-websocket's, mended.

The place where an upgrade is refused before it is accepted is `server.pre_start_hook`, which this handler's base asks
before it answers 101.
"""

import logging
import struct

import geventwebsocket.handler
from geventwebsocket.handler import WebSocketHandler
from geventwebsocket.websocket import WebSocket

_LOGGER = logging.getLogger("geventwebsocket")


class MediaSocket(WebSocket):  # type: ignore[misc]  # gevent-websocket has no types
    """gevent-websocket's socket; its `close` forgets the code."""

    def close(self, code: int = 1000, message: bytes | None = b"") -> None:
        """Sends a close frame of `code` and `message` (RFC 6455, section 5.5.1), if the socket is open."""
        super().close(code, struct.pack("!H", code) + (message or b""))

    def _encode_bytes(self, text: str | bytes | None) -> bytes:
        # The base makes "b'...'" of bytes.
        return text if isinstance(text, bytes) else str(text or "").encode()


# The handler makes its sockets by this name. Putting another instance in their place later would make the first one
# send a close frame of its own when it is collected.
geventwebsocket.handler.WebSocket = MediaSocket


class MediaSocketHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """Upgrades media sockets; every other request goes on to Flask."""

    @property
    def logger(self) -> logging.Logger:
        """Its base makes one that writes to standard error, past our formatting."""
        return _LOGGER
