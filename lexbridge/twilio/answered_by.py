"""Answering machines: Twilio's words for who has answered an outbound call, and what becomes of a call to a machine.

Twilio tells in `AnsweredBy`, a field of the first webhook if it detects before it asks for a document, or of a webhook
of its own (AsyncAmdStatusCallback): https://www.twilio.com/docs/voice/answering-machine-detection .
"""

from enum import Enum, auto

from lexbridge.call.first_prompt import HAS_FINISHED
from lexbridge.config.call_rules import CallRules

_MACHINE, _FAX = "machine", "fax"


class MachineCall(Enum):
    """What becomes of a call that a machine has answered."""

    HANG_UP = auto()  # nobody has words for it, or it cannot hear
    LEAVE_TEXT = auto()  # MACHINE_TEXT is said, at once
    LISTEN = auto()  # a stream hears when the machine has finished, or asks the bot for its words


def decide_machine(answered_by: str, rules: CallRules) -> MachineCall | None:
    """Return what becomes of a call that `answered_by` has answered, or None if that is no machine."""
    if answered_by.startswith(_FAX):
        return MachineCall.HANG_UP
    if not answered_by.startswith(_MACHINE):
        return None
    if rules.machine_intent is not None:
        return MachineCall.LISTEN
    if rules.machine_text is None:
        return MachineCall.HANG_UP
    return MachineCall.LEAVE_TEXT if answered_by.startswith(HAS_FINISHED) else MachineCall.LISTEN
