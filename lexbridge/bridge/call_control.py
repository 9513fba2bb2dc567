"""Control of a live call at the carrier: what the bridge and the webhooks need of it.

`lexbridge.twilio.rest` implements it by Twilio's REST API.
"""

from collections.abc import Callable
from typing import Protocol

from lexbridge.logs import Log


def _always() -> bool:
    return True


class CallControl(Protocol):
    """Changes of a live call. Every method blocks the calling greenlet, and no other."""

    def update(
        self, account_sid: str, call_sid: str, twiml: str, log: Log, is_wanted: Callable[[], bool] = _always
    ) -> None:
        """Give the call a new document. Retry after a passing fault while `is_wanted()` returns true.

        Raise CallGone, CallControlUnavailable or CallControlRejected.
        """
        ...

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        """Stop a one-way stream by its name or SID. Raise CallGone if there is none, or another CallControlError."""
        ...
