"""What Lex answers, in words that both generations share: the types that the call's rules know of Lex."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Checkpoint = Mapping[str, Any]
"""Where a dialog stood after an answer, as JSON: what boto3's PutSession is told to put it there again. To all but this
module, `lex_v1` and `lex_v2` it is opaque. How often a slot was asked for is not in it: neither generation tells."""

NO_DIALOG: Checkpoint = {}
"""Where it stands before anything was said."""

LONGEST_SPEECH_MS = 300_000
"""The longest audio kept of one reply, because Lex's messages have 1,024 characters: ten of them, about a minute each,
are the most that a caller can be told."""


class DialogState(Enum):
    """Where the dialog stands, in Lex V1's words. V2's dialog actions and intent states are told in them too."""

    ELICIT_INTENT = "ElicitIntent"
    CONFIRM_INTENT = "ConfirmIntent"
    ELICIT_SLOT = "ElicitSlot"
    FULFILLED = "Fulfilled"
    READY_FOR_FULFILLMENT = "ReadyForFulfillment"
    FAILED = "Failed"

    @property
    def is_closed(self) -> bool:
        """The intent is done with, well or badly: the bot waits for nothing more on it."""
        return self in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT, DialogState.FAILED)


class MessageFormat(Enum):
    """How a message's text is to be read. V1's Composite is taken apart, and of a custom payload or a card there is
    only what it says aloud."""

    PLAIN_TEXT = "PlainText"
    SSML = "SSML"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing for the caller to hear. `is_unvoiced`: Lex's answer has no voice for it, for it was made of a card or a
    custom payload, or is lexbridge's own."""

    text: str = field(repr=False)
    format: MessageFormat = MessageFormat.PLAIN_TEXT
    is_unvoiced: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What Lex answered to one utterance. `transcript` is what it heard; `messages` may be empty. `checkpoint`: where
    the dialog stands with it; None where not all of the answer could be read."""

    dialog_state: DialogState
    messages: tuple[Message, ...] = ()
    intent: str | None = None
    slot_to_elicit: str | None = None
    session_attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    transcript: str | None = field(default=None, repr=False)
    # Not compared: two answers are the same though the contexts of one have less time to live.
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)
    odd_parts: tuple[str, ...] = field(default=(), compare=False)
    """The names of what was left out, for it could not be read or is unknown."""
    unspoken_payloads: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    """Of each custom payload that has nothing to say: the names at its top."""

    @property
    def is_fulfilled(self) -> bool:
        """The intent was understood to its end. Without a Lambda of its own a bot stops at ReadyForFulfillment."""
        return self.dialog_state in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT)

    @property
    def heard_nothing(self) -> bool:
        """Lex says that there were no words in what it heard. An answer that is not as Lex has it, such as one whose
        head was cut off, does not tell."""
        return not self.transcript and not self.odd_parts
