"""The watch on a stream's media: a phone may send nothing while the caller is silent, and a network may stall."""

from gevent.queue import Queue
from geventwebsocket.exceptions import WebSocketError

from lexbridge.bridge.inbox import InboxItem
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import SilencePassed
from lexbridge.call.media_clock import MediaClock
from lexbridge.logs import Log


class MediaWatch:
    """The watch on one stream: it pings the peer while no media comes, and finds out how much silence has passed."""

    def __init__(self, websocket: WebSocket, inbox: Queue[InboxItem]) -> None:
        self._websocket = websocket
        self._inbox = inbox
        self._clock: MediaClock | None = None

    def start(self, now_s: float) -> None:
        """Begin to watch the stream, which starts now."""
        self._clock = MediaClock(now_s)

    def media_arrived(self, now_s: float) -> None:
        """Note that media has arrived, if the stream has started."""
        if self._clock is not None:
            self._clock.media_arrived(now_s)

    def pong_arrived(self, payload: bytes) -> int:
        """Return the silence in ms that the peer's answer to a ping shows to have passed."""
        return 0 if self._clock is None else self._clock.pong_arrived(payload)

    def pulse(self, now_s: float, log: Log) -> None:
        """Look at the clock: ping the peer, or post the silence that has passed. Neither waits nor raises."""
        if self._clock is None or not self._inbox.empty():  # what waits there may be media
            return
        try:
            ping, silence_ms = self._clock.pulse(now_s)
            if silence_ms:
                self._inbox.put_nowait(SilencePassed(silence_ms))
            if ping is not None:
                self._websocket.ping(ping)
        except WebSocketError:
            pass  # the reader will post that the socket is closed
        except Exception:
            log.exception("pulse-broken")
