"""The types of a bot's answer, the same for both generations of Lex: all that the call's rules know of Lex."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Checkpoint = Mapping[str, Any]
"""The position of a dialog after an answer, as JSON: the arguments of boto3's PutSession that restore it.

Only `lexbridge.lex` reads its content. It does not hold how often a slot was asked for, because neither generation
tells.
"""

NO_DIALOG: Checkpoint = {}
"""The position of a dialog before the caller has said anything."""

LONGEST_SPEECH_MS = 300_000
"""The longest audio of one reply that is kept, in ms, because the rest would never be heard.

Each of Lex's messages has at most 1,024 characters, which is about a minute of speech; an answer has ten at most.
"""


class DialogState(Enum):
    """The state of the dialog, in the words of Lex V1. V2's dialog actions and intent states are translated to them."""

    ELICIT_INTENT = "ElicitIntent"
    CONFIRM_INTENT = "ConfirmIntent"
    ELICIT_SLOT = "ElicitSlot"
    FULFILLED = "Fulfilled"
    READY_FOR_FULFILLMENT = "ReadyForFulfillment"
    FAILED = "Failed"

    @property
    def is_closed(self) -> bool:
        """Whether the bot has finished with the intent, successfully or not, and waits for nothing more."""
        return self in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT, DialogState.FAILED)


class MessageFormat(Enum):
    """The format of a message's text.

    V1's Composite is split into its messages. Custom payloads and cards are reduced to the words that they say aloud.
    """

    PLAIN_TEXT = "PlainText"
    SSML = "SSML"


@dataclass(frozen=True, slots=True)
class Message:
    """One message for the caller to hear.

    `is_unvoiced`: Lex's audio does not contain the message, because it was made from a card or from a custom payload,
    or because it is one of lexbridge's own phrases.
    """

    text: str = field(repr=False)
    format: MessageFormat = MessageFormat.PLAIN_TEXT
    is_unvoiced: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """Lex's answer to one turn.

    `messages` may be empty. `transcript` is what Lex understood. `checkpoint` is the position of the dialog after this
    answer, or None if a part of the answer could not be read.
    """

    dialog_state: DialogState
    messages: tuple[Message, ...] = ()
    intent: str | None = None
    slot_to_elicit: str | None = None
    session_attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    transcript: str | None = field(default=None, repr=False)
    # Not compared: the contexts in it have a time to live, which differs between two answers that are else the same.
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)
    slots: Mapping[str, str | None] = field(default_factory=dict, repr=False, compare=False)
    """The value of each slot of the intent as Lex understood it, or None while it is empty. For people to look at."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The parts of the answer as Lex gave them, some of them packed. For people to look at."""
    odd_parts: tuple[str, ...] = field(default=(), compare=False)
    """The names of the parts that were left out, because they are unknown or cannot be read."""
    unspoken_payloads: tuple[tuple[str, ...], ...] = field(default=(), compare=False)
    """The custom payloads without any words: of each the names of its top-level members."""

    @property
    def is_fulfilled(self) -> bool:
        """Whether the bot has collected all that the intent needs.

        A bot without a fulfillment function of its own stops at ReadyForFulfillment.
        """
        return self.dialog_state in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT)

    @property
    def heard_nothing(self) -> bool:
        """Whether Lex found no words in the caller's audio."""
        # An answer with odd parts, such as one whose HTTP head was cut off, may have lost its transcript.
        return not self.transcript and not self.odd_parts
