"""A script of a caller with whom everything goes well, made from the definition of a bot. Pure."""

import re

from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.lex.bots import Bot, Intent, Prompt, Slot

GOODBYE = "GoodbyeIntent"  # what the bridge hangs up on, unless HANGUP_INTENTS says otherwise
_DIGITS = 9 * ["four", "two", "eight", "one", "five", "three"]
_ANSWERS = {
    "AMAZON.DATE": "tomorrow",
    "AMAZON.TIME": "ten in the morning",
    "AMAZON.NUMBER": "two",
    "AMAZON.FOUR_DIGIT_NUMBER": "one two three four",
    "AMAZON.PHONE_NUMBER": "two zero six five five five zero one nine nine",
    "AMAZON.PHONENUMBER": "two zero six five five five zero one nine nine",
    "AMAZON.CONFIRMATION": "yes",
}


def main_intent(bot: Bot) -> Intent:
    """Return the main intent of a bot: the one with the bot's name, else the first with slots, else the first at all.

    Raises ValueError for a bot that understands nothing.
    """
    named = [intent for intent in bot.intents if intent.name == bot.name]
    with_slots = [intent for intent in bot.intents if intent.slots]
    askable = [intent for intent in (*named, *with_slots, *bot.intents) if intent.utterances]
    if not askable:
        raise ValueError(f"bot {bot.name} has no intent with a sample utterance")
    return askable[0]


def happy_path(bot: Bot) -> Script:
    """A caller who asks for the bot's main intent, answers every question, says yes, and goodbye.

    Raises ValueError when the bot does not say enough about itself for that.
    """
    intent = main_intent(bot)
    turns = [Turn(say=_plain_utterance(intent))]
    turns += [Turn(say=_answer(slot, bot), expect=_literal(slot.prompt)) for slot in intent.slots if slot.required]
    if intent.confirmation is not None:
        turns.append(Turn(say="yes", expect=_literal(intent.confirmation)))
    goodbye = bot.intent(GOODBYE)
    turns.append(Turn(say=_plain_utterance(goodbye)) if goodbye and goodbye.utterances else Turn(hang_up=True))
    return Script(turns=tuple(turns), name=f"A caller for {bot.name}")


def _plain_utterance(intent: Intent) -> str:
    plain = next((utterance for utterance in intent.utterances if "{" not in utterance), None)
    if plain is None:
        raise ValueError(f"intent {intent.name} has no sample utterance without a slot in it")
    return plain


def _answer(slot: Slot, bot: Bot) -> str:
    own = bot.slot_types.get(slot.type)
    if own is not None and own.digits:
        return " ".join(_DIGITS[: own.digits[0]])
    if own is not None and own.values:
        return own.values[0].value
    answer = _ANSWERS.get(slot.type.upper())
    if answer is None:
        raise ValueError(f"slot {slot.name} is of type {slot.type}: what to answer is not known; give a script")
    return answer


def _literal(prompt: Prompt) -> str:
    """The longest text of a prompt that is always the same; "" when it has several to choose from."""
    if len(prompt.messages) != 1 or prompt.messages[0].kind != "PlainText":
        return ""
    return max(re.split(r"\{[^}]*\}", prompt.messages[0].text), key=len).strip()
