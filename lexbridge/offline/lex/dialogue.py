"""One turn of a conversation with a bot: pure, no clock, no I/O.

    take_turn(bot, conversation, text, today) -> Turn

A `Conversation` is what Lex calls the session's dialog; the `Turn` has the next one and what the bot says. Its moves:

    ELICIT_INTENT  --an utterance of an intent--> ELICIT_SLOT, CONFIRM_INTENT or closed, whatever is still missing
    ELICIT_SLOT    --a value--> the next one missing        --nothing understood--> asked again, then given up
    CONFIRM_INTENT --yes--> FULFILLED    --no--> FAILED     --nothing understood--> asked again, then given up
    any            --an utterance of another intent--> that intent, from its beginning
    closed (FULFILLED, READY_FOR_FULFILLMENT, FAILED) --any utterance--> as in ELICIT_INTENT

Given up is the bot's fallback intent when it has one, else FAILED with its abort message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from lexbridge.offline.lex.bots import Bot, Intent, Message, Prompt, Slot
from lexbridge.offline.lex.understanding import SlotFilling, Understanding, answer_of, is_open_ended, understand
from lexbridge.offline.lex.yes_no import yes_or_no

_DEFAULT_CLARIFICATION = Prompt((Message("Sorry, can you please repeat that?"),), 5)  # the console's own
_REFERENCE = re.compile(r"\{(\w+)\}|\[([\w.:-]+)\]")


class DialogState(StrEnum):
    """Lex V1's words for where a dialog is."""

    ELICIT_INTENT = "ElicitIntent"
    ELICIT_SLOT = "ElicitSlot"
    CONFIRM_INTENT = "ConfirmIntent"
    FULFILLED = "Fulfilled"
    READY_FOR_FULFILLMENT = "ReadyForFulfillment"
    FAILED = "Failed"


class Confirmation(StrEnum):
    """The caller's answer to the intent's confirmation prompt."""

    NONE = "None"
    CONFIRMED = "Confirmed"
    DENIED = "Denied"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The state of a dialog.

    asked: how often the open question was asked. following_up: the intent whose follow-up prompt is the open question.
    Attributes belong to the session and outlive every intent.
    """

    state: DialogState = DialogState.ELICIT_INTENT
    intent: str | None = None
    fillings: Mapping[str, SlotFilling] = field(default_factory=dict)
    slot_to_elicit: str | None = None
    confirmation: Confirmation = Confirmation.NONE
    asked: int = 0
    following_up: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """The conversation after a turn, what the bot says (slots filled in), and how sure it is of the intent, 0 to 1."""

    conversation: Conversation
    messages: tuple[Message, ...]
    confidence: float | None = None


def take_turn(bot: Bot, conversation: Conversation, text: str, today: date) -> Turn:
    """Return the bot's answer to `text`; an empty text is speech in which nothing was recognised."""
    if conversation.state is DialogState.ELICIT_SLOT:
        return _answer_slot(bot, conversation, text, today)
    if conversation.state is DialogState.CONFIRM_INTENT:
        return _answer_confirmation(bot, conversation, text, today)
    if conversation.following_up and conversation.state is DialogState.ELICIT_INTENT:
        return _answer_follow_up(bot, conversation, text, today)
    return _answer_opening(bot, conversation, text, today)


def _answer_opening(bot: Bot, conversation: Conversation, text: str, today: date) -> Turn:
    understood = understand(text, bot.intents, bot, today)
    if understood:
        return _begin(bot, conversation, understood)
    return clarify(bot, conversation) if bot.clarification or not bot.fallback else give_up(bot, conversation)


def _answer_follow_up(bot: Bot, conversation: Conversation, text: str, today: date) -> Turn:
    intent = bot.intent(conversation.following_up)
    answer = yes_or_no(text)
    if answer is None or intent is None:
        return _answer_opening(bot, conversation, text, today)
    conversation = replace(conversation, following_up=None)
    if answer:
        return clarify(bot, conversation)
    closed = replace(conversation, state=DialogState.FULFILLED, intent=intent.name)
    return _says(closed, intent.follow_up_declined)


def _answer_slot(bot: Bot, conversation: Conversation, text: str, today: date) -> Turn:
    intent = bot.intent(conversation.intent)
    slot = intent.slot(conversation.slot_to_elicit) if intent else None
    if intent is None or slot is None:
        return _answer_opening(bot, conversation, text, today)
    understood = understand(text, bot.intents, bot, today)
    whole_command = understood is not None and understood.confidence == 1.0 and not understood.intent.slots
    filling = None if is_open_ended(slot, bot) and whole_command else answer_of(slot, text, bot, today)
    if filling:
        filled = replace(conversation, fillings={**conversation.fillings, slot.name: filling})
        return advance(bot, _with_attributes(filled, slot.when_filled))
    if understood:
        return _begin(bot, conversation, understood)
    return ask_slot(bot, conversation, intent, slot)


def _answer_confirmation(bot: Bot, conversation: Conversation, text: str, today: date) -> Turn:
    intent = bot.intent(conversation.intent)
    answer = yes_or_no(text)
    if intent and answer is True:
        return fulfil(replace(conversation, confirmation=Confirmation.CONFIRMED), intent)
    if intent and answer is False:
        denied = replace(_open(conversation, DialogState.FAILED), confirmation=Confirmation.DENIED)
        return _says(denied, intent.declined)
    understood = understand(text, bot.intents, bot, today)
    if understood or intent is None:
        return _begin(bot, conversation, understood) if understood else give_up(bot, conversation)
    return ask_confirmation(bot, conversation, intent)


def _begin(bot: Bot, conversation: Conversation, understood: Understanding) -> Turn:
    """Starts the intent, or puts the values right when it is the one being talked about."""
    intent = understood.intent
    open_states = (DialogState.ELICIT_SLOT, DialogState.CONFIRM_INTENT)
    kept = conversation.fillings if conversation.intent == intent.name and conversation.state in open_states else {}
    begun = Conversation(
        intent=intent.name, fillings={**kept, **understood.fillings}, attributes=conversation.attributes
    )
    begun = _with_attributes(begun, intent.when_begun)
    for slot in intent.slots:
        if slot.name in understood.fillings:
            begun = _with_attributes(begun, slot.when_filled)
    return replace(advance(bot, begun), confidence=understood.confidence)


def begin(bot: Bot, conversation: Conversation) -> Turn:
    """Begin the conversation's intent, without a word of the caller's."""
    intent = bot.intent(conversation.intent)
    return advance(bot, _with_attributes(conversation, intent.when_begun) if intent else conversation)


def _with_attributes(conversation: Conversation, more: Mapping[str, str]) -> Conversation:
    return replace(conversation, attributes={**conversation.attributes, **more}) if more else conversation


def advance(bot: Bot, conversation: Conversation) -> Turn:
    """Return the next turn of the conversation's intent: its first open required slot, its confirmation, or its end."""
    intent = bot.intent(conversation.intent)
    if intent is None:
        return clarify(bot, conversation)
    for slot in intent.slots:
        if slot.required and slot.name not in conversation.fillings:
            return ask_slot(bot, _open(conversation, DialogState.ELICIT_SLOT), intent, slot)
    if intent.confirmation and conversation.confirmation is Confirmation.NONE:
        return ask_confirmation(bot, _open(conversation, DialogState.CONFIRM_INTENT), intent)
    return fulfil(conversation, intent)


def _open(conversation: Conversation, state: DialogState) -> Conversation:
    """The conversation in a new state, whose question was not asked yet."""
    return replace(conversation, state=state, slot_to_elicit=None, asked=0, following_up=None)


def ask_slot(bot: Bot, conversation: Conversation, intent: Intent, slot: Slot) -> Turn:
    """Ask for the slot, or give up if it was asked for often enough."""
    if conversation.asked >= slot.prompt.attempts:
        return give_up(bot, conversation)
    asked = replace(
        conversation,
        state=DialogState.ELICIT_SLOT,
        intent=intent.name,
        slot_to_elicit=slot.name,
        asked=conversation.asked + 1,
    )
    return _says(asked, slot.prompt.messages)


def ask_confirmation(bot: Bot, conversation: Conversation, intent: Intent) -> Turn:
    """Ask for the intent's confirmation, or give up if it was asked for often enough."""
    prompt = intent.confirmation
    if prompt is None or conversation.asked >= prompt.attempts:
        return give_up(bot, conversation)
    asked = replace(conversation, state=DialogState.CONFIRM_INTENT, intent=intent.name, asked=conversation.asked + 1)
    return _says(asked, prompt.messages)


def clarify(bot: Bot, conversation: Conversation) -> Turn:
    """Ask what the caller wants, or give up if that was asked often enough."""
    prompt = bot.clarification or _DEFAULT_CLARIFICATION
    asked = conversation.asked if conversation.state is DialogState.ELICIT_INTENT else 0
    if asked >= prompt.attempts:
        return give_up(bot, conversation)
    return _says(Conversation(asked=asked + 1, attributes=conversation.attributes), prompt.messages)


def fulfil(conversation: Conversation, intent: Intent) -> Turn:
    """End the intent with its closing message, and its follow-up question if it has one."""
    state = DialogState.FULFILLED if intent.fulfils else DialogState.READY_FOR_FULFILLMENT
    closed = _with_attributes(replace(_open(conversation, state), intent=intent.name), intent.when_closed)
    if intent.follow_up is None:
        return _says(closed, intent.closing)
    turn = _says(closed, intent.closing + intent.follow_up.messages)
    following = Conversation(asked=1, following_up=intent.name, attributes=closed.attributes)
    return replace(turn, conversation=following)


def give_up(bot: Bot, conversation: Conversation) -> Turn:
    """End with the fallback intent, or with the abort message and a failed dialog."""
    if bot.fallback:
        begun = Conversation(intent=bot.fallback.name, attributes=conversation.attributes)
        return fulfil(begun, bot.fallback)
    return _says(_open(conversation, DialogState.FAILED), bot.abort)


def _says(conversation: Conversation, messages: tuple[Message, ...]) -> Turn:
    """One message of each group. Where a group has several, each time the question is asked it is the next one."""
    groups: dict[int, list[Message]] = {}
    for message in messages:
        groups.setdefault(message.group, []).append(message)
    chosen = [group[max(conversation.asked - 1, 0) % len(group)] for _, group in sorted(groups.items())]
    return Turn(conversation, tuple(_filled_in(message, conversation) for message in chosen))


def _filled_in(message: Message, conversation: Conversation) -> Message:
    """The message with {Slot} and [session attribute] replaced by their values."""

    def value(reference: re.Match[str]) -> str:
        """Return the value of one reference. A reference to an attribute that does not exist stays as it is."""
        slot, attribute = reference.groups()
        if slot is not None:
            filling = conversation.fillings.get(slot)
            return filling.value if filling else ""
        return conversation.attributes.get(attribute, reference[0])

    if message.kind == "CustomPayload":  # often JSON, whose braces and brackets are its own
        return message
    if message.card:
        title, subtitle = (_REFERENCE.sub(value, text) for text in (message.card.title, message.card.subtitle))
        return replace(message, card=replace(message.card, title=title, subtitle=subtitle))
    return replace(message, text=_REFERENCE.sub(value, message.text))
