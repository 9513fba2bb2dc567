"""A call's updates: the documents that go to Twilio, one at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from lexbridge.bridge.call_control import CallControl
from lexbridge.call.actions import UpdateCall
from lexbridge.call.events import CallNotFound, UpdateFailed
from lexbridge.errors import CallControlError, CallGone, CallLetGo
from lexbridge.logs import Log


@dataclass(frozen=True, slots=True)
class Released:
    """The notice that the call was let go: another program has it."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The notice that Twilio has the document by which another stream goes on with the call."""


def _ignore(_: object) -> None:
    pass


class CallUpdates:
    """The updates of one call, sent in order, on a greenlet that lives while there are any.

    If several wait, only the newest is sent, because each document replaces the one before.
    """

    __slots__ = ("_call_control", "_greenlet", "_next", "_on_taken", "_post", "log")

    def __init__(
        self,
        call_control: CallControl,
        post: Callable[[UpdateFailed | CallNotFound | HandedOver | Released], object],
        on_taken: Callable[[int], object] = _ignore,
    ) -> None:
        """`post`: takes what came of an update; it may block. `on_taken`: called with the number of each update as soon
        as Twilio has taken it; it does not block."""
        self._on_taken = on_taken
        self._call_control = call_control
        self._post = post
        self._next: UpdateCall | None = None
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.log = Log()

    def put(self, update: UpdateCall) -> None:
        """Send a document, after the one that is being sent."""
        self._next = update
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def cancel(self) -> None:
        """Cancel the pending update and its retries, because the call is over or another stream has it.

        Nothing is posted from then on.
        """
        self._post = self._on_taken = _ignore
        self._next = None
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _run(self) -> None:
        while (update := self._next) is not None:
            self._next = None
            self._send(update)
        self._greenlet = None

    def _send(self, update: UpdateCall) -> None:
        try:
            since_s = time.monotonic()
            # A document that is about to be replaced is not worth a second attempt.
            self._call_control.update(
                update.account_sid, update.call_sid, update.twiml, self.log, lambda: self._next is None
            )
            update_ms = round((time.monotonic() - since_s) * 1000)
            self.log.write("debug", "call-updated", {"number": update.number, "update_ms": update_ms})
            self._on_taken(update.number)
            if update.hands_over:
                self._post(HandedOver())
        except CallLetGo:
            self._next = None
            self._post(Released())
        except CallGone:
            self._next = None
            self.log.info("call-gone")
            self._post(CallNotFound())
        except CallControlError as error:
            self.log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
            self._post(UpdateFailed(update.number))
        except Exception:
            self.log.exception("call-update-broken")
            self._post(UpdateFailed(update.number))
