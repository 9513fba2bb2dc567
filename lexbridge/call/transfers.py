"""Transfers: what goes along with a call that the bot gives to a person, and what Twilio tells when that is over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from lexbridge.config.transfer_targets import (
    ClientTarget,
    NumberTarget,
    SipTarget,
    TransferTarget,
    WorkflowTarget,
)


@dataclass(frozen=True, slots=True)
class Handoff:
    """Transfer as a document carries it out.

    `stream_sid`: the stream to be stopped; None: it ends by itself. `goodbye` is said if Twilio reaches nobody who says
    how the call goes on. `caller_id`: the number that is shown to the person dialled; None means the caller's own.
    `attributes`: session attributes that are passed on. `whisper`: words for the person alone. `after`: the query that
    AFTER_URL gets when the person is done with the call, or "".
    """

    target: TransferTarget
    stream_sid: str | None
    goodbye: str
    caller_id: str | None = field(default=None, repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    whisper: str = field(default="", repr=False)
    after: str = field(default="", repr=False)


def takes_caller_id(target: TransferTarget) -> bool:
    """Return whether the person who is dialled is shown a number of ours.

    A client is shown the caller's own, and a queue and a conference dial nobody.
    """
    return isinstance(target, NumberTarget | SipTarget)


def takes_whisper(target: TransferTarget) -> bool:
    """Return whether words can be said to the person alone: whom Twilio does not dial, it cannot ask first."""
    return isinstance(target, NumberTarget | SipTarget | ClientTarget)


def takes_attributes(target: TransferTarget) -> bool:
    """Return whether session attributes can be passed on."""
    return isinstance(target, SipTarget | ClientTarget | WorkflowTarget)


class TransferEnd(Enum):
    """End of a transfer, as it concerns the caller."""

    COMPLETED = "completed"  # a person has had the caller
    RETURNED = "returned"  # nobody had: the call comes back to the bot
    GONE = "gone"  # the caller has hung up, or another program has the call


TRANSFER_STATUSES: Mapping[str, str] = {
    "busy": "busy",
    "no-answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
    "queue-full": "queue-full",
    "leave": "left",
    "error": "failed",
    "system-error": "failed",
}
"""Value of `lexbridge:transfer-status` for each result of `<Dial>` and `<Enqueue>` by which nobody has had the caller.

https://www.twilio.com/docs/voice/twiml/dial#dialcallstatus-values and
https://www.twilio.com/docs/voice/twiml/enqueue#queueresult-values ."""

_COMPLETED = ("completed", "answered", "bridged", "bridging-in-process")
_GONE = ("hangup", "redirected", "redirected-from-bridged")
_LIVE_CALL = ("in-progress", "ringing", "")


def transfer_end(result: str, call_status: str, bridged: str = "") -> tuple[TransferEnd, str]:
    """Return what Twilio's `result` of a transfer means, and its status: a value of `lexbridge:transfer-status`.

    `call_status`: Twilio's CallStatus of the caller's own call. `bridged`: its DialBridged; "false" means that the
    person hung up before the two were connected. A result that is newer than this code counts as failed, so that the
    caller is not left alone.
    """
    if call_status not in _LIVE_CALL or result in _GONE:
        return TransferEnd.GONE, "gone"
    if result == "completed" and bridged == "false":
        return TransferEnd.RETURNED, "no-answer"
    if result in _COMPLETED:
        return TransferEnd.COMPLETED, "completed"
    return TransferEnd.RETURNED, TRANSFER_STATUSES.get(result, "failed")


def returned_status(text: str | None) -> str | None:
    """Return the status that lexbridge itself wrote into an address, or None for a text that it cannot have written."""
    return text if text in TRANSFER_STATUSES.values() else None
