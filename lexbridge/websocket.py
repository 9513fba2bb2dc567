"""The media socket's HTTP handler: gevent-websocket's, told where to log.

The place where an upgrade is refused before it is accepted is `server.pre_start_hook`, which this handler's base asks
before it answers 101.
"""

import logging

from geventwebsocket.handler import WebSocketHandler

_LOGGER = logging.getLogger("geventwebsocket")


class MediaSocketHandler(WebSocketHandler):  # type: ignore[misc]  # gevent-websocket has no types
    """Upgrades media sockets; every other request goes on to Flask."""

    @property
    def logger(self) -> logging.Logger:
        """Its base makes one that writes to standard error, past our formatting."""
        return _LOGGER
