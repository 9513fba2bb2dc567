"""The opening of a media stream: from the open socket to the checked `start` message, which tells the call's line."""

from collections.abc import Callable

import gevent

from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.bridge.stream_check import StreamCheck, StreamRefused
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import Media, Started, Stopped
from lexbridge.errors import MediaStreamError
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.receiver import Message
from lexbridge.twilio.media_messages import parse


class StreamOpening:
    """The receiver of a media socket up to the `start` message. No method waits, switches greenlets, or raises."""

    __slots__ = (
        "__weakref__",
        "_check",
        "_is_over",
        "_kept",
        "_lines",
        "_log",
        "_on_end",
        "_serve",
        "_websocket",
        "look_from_s",
    )

    def __init__(
        self,
        websocket: WebSocket,
        lines: LineRuntimes,
        check: StreamCheck,
        start_by_s: float,
        serve: Callable[[WebSocket, Started, LineRuntime, list[list[Message]], Log], object],
        on_end: Callable[["StreamOpening"], object],
    ) -> None:
        """`start_by_s`: when the stream has to have started, in monotonic seconds.

        `serve`: serves a stream that may be, with the reads that came after its start. `on_end`: called once, when the
        stream is served or refused.
        """
        self._websocket = websocket
        self._lines = lines
        self._check = check
        self._serve = serve
        self._on_end = on_end
        self._is_over = False
        self._kept: list[list[Message]] | None = None  # once the start message is there: what came after it
        self._log = Log()
        self.look_from_s = start_by_s
        """When the stream has to have started."""

    def start(self) -> None:
        """Begin to read the media socket."""
        self._websocket.deliver_to(self)

    def received(self, messages: list[Message], now_s: float) -> bool:  # noqa: ARG002 - the time counts in a call
        """Take the messages of one read. Return whether nothing happens on the line."""
        if self._is_over:
            return True
        if self._kept is not None:
            self._kept.append(messages)
            return False
        try:
            self._take(messages)
        except MediaStreamError as error:
            self._refuse_message(error)
        except Exception:
            self._log.exception("call-broken")
            self._end(close_codes.INTERNAL_ERROR)
        return False

    def ended(self) -> None:
        """Note that the socket has ended. A stream that is being checked is served nevertheless, up to its end."""
        if self._kept is None:
            self._end(close_codes.NORMAL)

    def pulse(self, now_s: float) -> None:
        """Refuse the stream, which has not started in time."""
        if now_s >= self.look_from_s and self._kept is None:
            self._log.warning("stream-refused", why="no start")
            self._end(close_codes.POLICY_VIOLATION)

    def _take(self, messages: list[Message]) -> None:
        for at, message in enumerate(messages):
            event = parse(message) if isinstance(message, str) else None
            if type(event) is Media:
                raise MediaStreamError("media came before start")
            if isinstance(event, Stopped):
                self._end(close_codes.NORMAL)
                return
            if isinstance(event, Started):
                # What follows is kept: the check may wait.
                self._kept = [messages[at + 1 :]] if messages[at + 1 :] else []
                self._websocket.pause_reading()
                gevent.spawn(self._start, event)
                return

    def _start(self, started: Started) -> None:
        """Check the stream that has started, on a greenlet of its own, and have it served."""
        self._log = self._log.bind(call_sid=started.call_sid, stream_sid=started.stream_sid)
        try:
            runtime = self._check.check(started, self._lines)
            if self._is_over:
                return
            self._is_over = True
            self._on_end(self)
            self._log = self._log.bind(**runtime.route.log_fields)
            self._serve(self._websocket, self._check.unsealed(started), runtime, self._kept or [], self._log)
        except StreamRefused as error:
            self._log.warning("stream-refused", why=str(error), **error.hints)
            self._end(error.code)
        except MediaStreamError as error:
            self._refuse_message(error)
        except Exception:
            self._log.exception("call-broken")
            self._end(close_codes.INTERNAL_ERROR)

    def _refuse_message(self, error: MediaStreamError) -> None:
        self._log.warning("bad-message", error=str(error))
        self._end(close_codes.INVALID_PAYLOAD)

    def _end(self, code: int) -> None:
        if not self._is_over:
            self._is_over = True
            self._websocket.close(code)
            self._on_end(self)
