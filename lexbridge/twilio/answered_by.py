"""Answering machines: Twilio's words for who has answered an outbound call, and what becomes of a call to a machine.

Twilio tells in `AnsweredBy`, a field of the first webhook if it detects before it asks for a document, or of a webhook
of its own (AsyncAmdStatusCallback): https://www.twilio.com/docs/voice/answering-machine-detection .
"""

from enum import Enum, auto

from lexbridge.call.first_prompt import HAS_FINISHED
from lexbridge.config.line_settings import LineSettings

_MACHINE, _FAX = "machine", "fax"


class MachineCall(Enum):
    """Course of a call that a machine has answered."""

    HANG_UP = auto()  # MACHINE_HANGUP, or it cannot hear
    LEAVE_TEXT = auto()  # MACHINE_TEXT is said, at once
    LISTEN = auto()  # a stream hears when the machine has finished, or asks the bot for its words


def decide_machine(answered_by: str, line: LineSettings) -> MachineCall | None:
    """Return what becomes of a call that `answered_by` has answered, or None if the bot talks with it."""
    if answered_by.startswith(_FAX):
        return MachineCall.HANG_UP
    if not answered_by.startswith(_MACHINE):
        return None
    if line.machine_hangup:
        return MachineCall.HANG_UP
    if line.machine_intent is not None:
        return MachineCall.LISTEN
    if line.machine_text is None:
        return None
    return MachineCall.LEAVE_TEXT if answered_by.startswith(HAS_FINISHED) else MachineCall.LISTEN
