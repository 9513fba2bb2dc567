"""The watch on a stream's media: a phone may send nothing while the caller is silent, and a network may stall."""

from contextlib import suppress

from geventwebsocket.exceptions import WebSocketError

from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.media_clock import QUIET_S, MediaClock
from lexbridge.logs import Log

LOOK_AGAIN_S = QUIET_S / 2
"""The time after some media for which the clock need not look, in seconds.

The clock takes in each pulse without media, so this is far below QUIET_S.
"""


class MediaWatch:
    """The watch on one stream: it pings the peer while no media comes, and finds out how much silence has passed."""

    __slots__ = ("_clock", "_is_first", "_websocket", "look_from_s")

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._clock: MediaClock | None = None
        self._is_first = True  # the first ping is due at once
        self.look_from_s = 0.0
        """When there may be something to look at. Most streams bring media all the time."""

    def start(self, now_s: float) -> None:
        """Begin to watch the stream, which starts now."""
        self._clock = MediaClock(now_s)
        self.look_from_s = now_s

    def media_arrived(self, now_s: float) -> None:
        """Note that media has arrived, if the stream has started."""
        if self._clock is not None:
            self._clock.media_arrived(now_s)
            if not self._is_first:
                self.look_from_s = now_s + LOOK_AGAIN_S

    def pong_arrived(self, payload: bytes) -> int:
        """Return the silence in ms that the peer's answer to a ping shows to have passed."""
        return 0 if self._clock is None else self._clock.pong_arrived(payload)

    def pulse(self, now_s: float, log: Log) -> int:
        """Look at the clock, and ping the peer if a ping is due. Return the silence in ms that has passed for sure."""
        if self._clock is None:
            return 0
        try:
            ping, silence_ms = self._clock.pulse(now_s)
        except Exception:
            log.exception("pulse-broken")
            return 0
        if ping is not None:
            self._is_first = False
            with suppress(WebSocketError):  # the socket will tell that it has ended
                self._websocket.ping(ping)
        return silence_ms
