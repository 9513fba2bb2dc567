"""The end of a stream that gives way to a newer one of the same call: Twilio has to stop it."""

from collections.abc import Callable

import gevent

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.inbox import CloseRequested
from lexbridge.call.events import Started
from lexbridge.errors import CallControlError
from lexbridge.logs import Log

STOP_DEADLINE_S = 3.0
"""The longest wait for Twilio's `stop` after another stream has taken the call over, in seconds.

Then the socket is closed from here.
"""


class StreamStop:
    """The request to Twilio to stop a stream."""

    def __init__(self, call_control: CallControl, post: Callable[[CloseRequested], object]) -> None:
        """`post`: takes the notice that Twilio will not stop the stream. It does not block."""
        self._call_control = call_control
        self._post = post
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def request(self, started: Started, log: Log) -> None:
        """Request the stop, on a greenlet of its own."""
        # The socket is not simply closed: Twilio would take the stream for lost, and open another one.
        self._greenlet = gevent.spawn(self._stop, started, log)

    def cancel(self) -> None:
        """Break the request off, because the stream is over, and post nothing more."""
        self._post = _ignore
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _stop(self, started: Started, log: Log) -> None:
        """Request the stop from Twilio. Raise nothing."""
        try:
            self._call_control.stop_stream(started.account_sid, started.call_sid, started.stream_sid)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
            self._post(CloseRequested())
        except Exception:
            log.exception("stream-stop-broken")
            self._post(CloseRequested())


def _ignore(_: CloseRequested) -> None:
    pass
