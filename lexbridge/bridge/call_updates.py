"""A call's updates: its documents to Twilio, one at a time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from lexbridge.bridge.call_control import CallControl
from lexbridge.call.actions import UpdateCall
from lexbridge.errors import CallControlError, CallGone
from lexbridge.logs import Log


@dataclass(frozen=True, slots=True)
class UpdateFailed:
    """Twilio did not carry out the UpdateCall `number`."""

    number: int
    error: CallControlError


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Twilio has the document by which another stream goes on with the call."""


def _nobody(number: int) -> None:
    """Ignores it."""


class CallUpdates:
    """Carries out a call's updates one at a time, in order, on a greenlet that lives while there are any.

    Of several that wait the newest counts: each document replaces the one before it anyway.
    """

    def __init__(
        self,
        call_control: CallControl,
        tell: Callable[[UpdateFailed | HandedOver], object],
        taken: Callable[[int], object] = _nobody,
    ) -> None:
        """`tell`: whom to tell what became of an update; it may block. `taken`: told of each one that Twilio has taken,
        by its number, at once; it does not block."""
        self._taken = taken
        self._call_control = call_control
        self._tell = tell
        self._next: UpdateCall | None = None
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.log = Log()

    def put(self, update: UpdateCall) -> None:
        """The call's document from now on."""
        self._next = update
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def drop(self) -> None:
        """The call is over, or somebody else's: nothing of ours may reach it, a second attempt least of all."""
        self._next = None
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _run(self) -> None:
        while (update := self._next) is not None:
            self._next = None
            self._carry_out(update)
        self._greenlet = None

    def _carry_out(self, update: UpdateCall) -> None:
        try:
            since_s = time.monotonic()
            # A document that is about to be replaced is not worth a second attempt.
            self._call_control.update(
                update.account_sid, update.call_sid, update.twiml, self.log, lambda: self._next is None
            )
            update_ms = round((time.monotonic() - since_s) * 1000)
            self.log.write("debug", "call-updated", {"number": update.number, "update_ms": update_ms})
            self._taken(update.number)
            if update.hands_over:
                self._tell(HandedOver())
        except CallGone as error:
            self._next = None
            self.log.info("call-gone")
            self._tell(UpdateFailed(update.number, error))
        except CallControlError as error:
            self.log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
            self._tell(UpdateFailed(update.number, error))
        except Exception as error:
            self.log.exception("call-update-broken")
            self._tell(UpdateFailed(update.number, CallControlError(type(error).__name__)))
