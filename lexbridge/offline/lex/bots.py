"""A bot's definition, read from Lex's own exports: the JSON file of Lex V1, the zip (or its unzipped folder) of Lex V2.

What a bot needs in order to be talked to is kept; everything else in an export is passed over. Lambda functions are
not run: the local runtime plays the part of one that always succeeds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

FALLBACK = "AMAZON.FallbackIntent"
_V2_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
V2_MESSAGE_KINDS = {"plainTextMessage": "PlainText", "ssmlMessage": "SSML", "customPayload": "CustomPayload"}
CARD = "ImageResponseCard"


class BotFileError(ValueError):
    """The file is not an export of a Lex bot that we can read; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Card:
    """A response card, for those who see: `buttons` are (text, value)."""

    title: str
    subtitle: str = ""
    image_url: str = ""
    buttons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the bot.

    kind: PlainText, SSML, CustomPayload or CARD; a CARD has a `card` instead of a text. A reply has one message of each
    `group`.
    """

    text: str
    kind: str = "PlainText"
    group: int = 1
    card: Card | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question, and how often it is asked in all before the bot gives up."""

    messages: tuple[Message, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class SlotValue:
    """One value of a slot type, and other words for it."""

    value: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotType:
    """A bot's own slot type. `resolves`: a synonym is answered as the value it stands for (TOP_RESOLUTION).

    digits: (fewest, most) of a type that has no values, but takes digits one after the other: AMAZON.AlphaNumeric with
    a regular expression such as [0-9]{6}.
    """

    name: str
    values: tuple[SlotValue, ...]
    resolves: bool
    digits: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A gap an intent wants filled. `type` names a SlotType of the bot, or one of Lex's own (AMAZON.DATE).

    when_filled: session attributes that are set then.
    """

    name: str
    type: str
    required: bool
    prompt: Prompt
    utterances: tuple[str, ...] = ()
    when_filled: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent: one thing that a caller can want.

    slots: in the order they are asked for. closing: said when it is fulfilled. fulfils: its Lambda function, or a
    closing message, completes it here (Fulfilled); otherwise the client is to (ReadyForFulfillment). follow_up: asked
    after it was fulfilled, and `follow_up_declined` said to a "no". parent: the built-in intent it is made from.
    when_begun, when_closed: session attributes that are set when it begins, and when it was fulfilled.
    """

    name: str
    utterances: tuple[str, ...] = ()
    slots: tuple[Slot, ...] = ()
    confirmation: Prompt | None = None
    declined: tuple[Message, ...] = ()
    closing: tuple[Message, ...] = ()
    fulfils: bool = True
    follow_up: Prompt | None = None
    follow_up_declined: tuple[Message, ...] = ()
    parent: str | None = None
    when_begun: Mapping[str, str] = field(default_factory=dict)
    when_closed: Mapping[str, str] = field(default_factory=dict)

    def slot(self, name: str | None) -> Slot | None:
        """Return the intent's slot with that name, or None."""
        return next((slot for slot in self.slots if slot.name == name), None)


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot, reachable over both generations of Lex.

    clarification: asked when an utterance means nothing to the bot; abort: said when it gives up. aliases: the only
    alias names (V1) or ids (V2) it answers to, any if empty. locale_id: V2's, "en_US". session_ttl_s: seconds.
    """

    name: str
    intents: tuple[Intent, ...]
    slot_types: Mapping[str, SlotType] = field(default_factory=dict)
    clarification: Prompt | None = None
    abort: tuple[Message, ...] = ()
    session_ttl_s: int = 300
    version: str = "1"
    locale_id: str = "en_US"
    identifier: str | None = None
    aliases: frozenset[str] = frozenset()

    @property
    def v2_id(self) -> str:
        """Ten letters and digits: the export's own identifier, else made from the name, always the same."""
        if self.identifier:
            return self.identifier
        digest = sha256(self.name.encode()).digest()
        return "".join(_V2_ID_ALPHABET[byte % len(_V2_ID_ALPHABET)] for byte in digest[:10])

    @property
    def fallback(self) -> Intent | None:
        """The intent for what no other intent understands."""
        return next((intent for intent in self.intents if intent.parent == FALLBACK), None)

    def intent(self, name: str | None) -> Intent | None:
        """Return the bot's intent with that name, or None."""
        return next((intent for intent in self.intents if intent.name == name), None)


# --- Lex V1 ---


# --- Lex V2 ---
