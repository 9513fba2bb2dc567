"""The end of a stream that gives way to a newer one of the same call: Twilio has to stop it."""

from collections.abc import Callable
from contextlib import suppress

import gevent
from gevent.queue import Queue

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.inbox import CloseRequested, InboxItem, ends_stream
from lexbridge.call.events import Started
from lexbridge.errors import CallControlError
from lexbridge.logs import Log

STOP_DEADLINE_S = 3.0
"""The longest wait for Twilio's `stop` after another stream has taken the call over, in seconds.

Then the socket is closed from here.
"""


class StreamStop:
    """The wait for Twilio to stop a stream."""

    def __init__(self, call_control: CallControl, inbox: Queue[InboxItem]) -> None:
        self._call_control = call_control
        self._inbox = inbox

    def wait(self, started: Started | None, share: Callable[[], object], log: Log) -> None:
        """Wait until the stream is over, but not longer than STOP_DEADLINE_S.

        `started`: the stream that Twilio is asked to stop; None if it is being stopped already. `share`: called after
        each item of the inbox, to give other greenlets their turn.
        """
        # The socket is not simply closed: Twilio would take the stream for lost, and open another one.
        stopping = None if started is None else gevent.spawn(self._stop, started, log)
        with suppress(TimeoutError), gevent.Timeout(STOP_DEADLINE_S, TimeoutError):
            while not ends_stream(self._inbox.get()):
                share()
        if stopping is not None:
            stopping.kill(block=False)

    def _stop(self, started: Started, log: Log) -> None:
        """Request the stop from Twilio, on a greenlet of its own. Raise nothing."""
        try:
            self._call_control.stop_stream(started.account_sid, started.call_sid, started.stream_sid)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
            self._inbox.put(CloseRequested())
        except Exception:
            log.exception("stream-stop-broken")
            self._inbox.put(CloseRequested())
