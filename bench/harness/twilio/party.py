"""Caller of a call of the lightweight Twilio, as the call sees it."""

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bench.harness.twilio.call import Call


class End(Enum):
    """Reason of the end of a call."""

    HANGUP = "hung up by the bridge"
    RAN_OUT = "its document ran out"
    REST = "completed by REST"
    APPLICATION_ERROR = "application error"
    CALLER = "the caller hung up"


class Party(Protocol):
    """Caller of a call. A caller speaks by `call.say` or `call.speech`, and hangs up by `call.end(End.CALLER)`."""

    def answered(self, call: "Call") -> None:
        """Take note that the call was answered."""
        ...

    def bot_began(self, text: str) -> None:
        """Take note that the bot begins to speak: a `<Say>`, or words in the audio of a stream."""
        ...

    def bot_finished(self, text: str, *, whole: bool) -> None:
        """Take note that the bot has stopped. Not `whole`: an update, a `clear` or the end of a stream cut it off."""
        ...

    def ended(self, how: End, detail: str) -> None:
        """Take note that the call has ended."""
        ...
