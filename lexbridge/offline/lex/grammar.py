"""The phrases a dialog can expect now, as a JSGF grammar for the recogniser.

The fewer phrases, the surer the recognition: while a slot is asked for, its values and the short commands (help, stop,
goodbye) are in the grammar, and other orders are not.
"""

import re
from collections.abc import Iterable

from lexbridge.offline.lex.bots import Bot, Intent, Slot
from lexbridge.offline.lex.dialogue import Conversation, DialogState
from lexbridge.offline.lex.spoken_dates import MONTHS, WEEKDAYS
from lexbridge.offline.lex.understanding import pattern_of
from lexbridge.offline.lex.words import Words, words_of
from lexbridge.offline.lex.yes_no import NO, YES

_UNITS = "one two three four five six seven eight nine"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth"
_TEENTHS = (
    "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth "
    "thirtieth"
)
_BEFORE_A_VALUE = "[i would like | i want | make it]"


def _any(words: str | Iterable[str]) -> str:
    return "(" + " | ".join(words.split() if isinstance(words, str) else words) + ")"


_BUILT_IN = {
    "AMAZON.NUMBER": f"<below_hundred> | (a | {' | '.join(_UNITS.split())}) hundred [[and] <below_hundred>] | a dozen",
    "AMAZON.DATE": (
        f"today | tomorrow | the day after tomorrow | [on | this | next] {_any(WEEKDAYS)} | "
        f"[on] {_any(MONTHS)} [the] <ordinal> | [on] the <ordinal> [of {_any(MONTHS)}] | "
        f"in {_any(_UNITS + ' ten')} days | in a week"
    ),
    "AMAZON.TIME": (
        "[at] <hour> [<minute>] [a m | p m] | [at] <hour> o'clock | "
        "[at] <hour> in the (morning | afternoon | evening) | "
        "[at] (half past | [a] quarter past | [a] quarter to | ten past | ten to | twenty past | twenty to) <hour> "
        "[a m | p m] | [at] (noon | midnight)"
    ),
    "AMAZON.FOUR_DIGIT_NUMBER": "<digit> <digit> <digit> <digit>",
    "AMAZON.PHONE_NUMBER": "<digit> <digit> <digit> <digit> <digit> <digit>*",
    "AMAZON.PHONENUMBER": "<digit> <digit> <digit> <digit> <digit> <digit>*",
    "AMAZON.CONFIRMATION": "<yes> | <no>",
}
_COMMON = f"""<digit> = (zero | oh | {" | ".join(_UNITS.split())});
<below_hundred> = (zero | {_any(_UNITS)} | {_any(_TEENS)} | {_any(_TENS)} [{_any(_UNITS)}]);
<ordinal> = ({_any(_ORDINALS)} | {_any(_TEENTHS)} | (twenty | thirty) {_any(_ORDINALS)});
<hour> = {_any(_UNITS + " ten eleven twelve")};
<minute> = (oh five | ten | fifteen | twenty [five] | thirty [five] | forty [five] | fifty [five]);
"""


def grammar_for(bot: Bot, conversation: Conversation) -> str:
    """Return the JSGF of what the caller may say now; its top rule is `<expected>`. Every word is lower case."""
    phrases = _phrases(bot, conversation)
    rules = [
        "#JSGF V1.0;",
        "grammar expected;",
        f"public <expected> = {_either(phrases)};",
        f"<yes> = {_either(_spell(words_of(phrase)) for phrase in YES.split('|'))};",
        f"<no> = {_either(_spell(words_of(phrase)) for phrase in NO.split('|'))};",
        *(f"{_rule_of(slot_type)} = {alternatives};" for slot_type, alternatives in _slot_rules(bot)),
    ]
    return "\n".join(rules) + "\n" + _COMMON


def _phrases(bot: Bot, conversation: Conversation) -> list[str]:
    commands = [intent for intent in bot.intents if not intent.slots]
    if conversation.state is DialogState.ELICIT_SLOT:
        intent = bot.intent(conversation.intent)
        slot = intent.slot(conversation.slot_to_elicit) if intent else None
        if intent and slot:
            return [*_slot_phrases(slot, bot), *_intent_phrases(commands, bot)]
    if conversation.state is DialogState.CONFIRM_INTENT:
        return ["<yes>", "<no>", *_intent_phrases(commands, bot)]
    return [*(["<yes>", "<no>"] if conversation.following_up else []), *_intent_phrases(bot.intents, bot)]


def _slot_phrases(slot: Slot, bot: Bot) -> list[str]:
    known = [slot] if _is_sayable(slot, bot) else []
    values = [f"{_BEFORE_A_VALUE} {_rule_of(slot.type)} [please]" for slot in known]
    return values + _sayable([pattern_of(utterance) for utterance in slot.utterances], known)


def _intent_phrases(intents: Iterable[Intent], bot: Bot) -> list[str]:
    phrases: list[str] = []
    for intent in intents:
        known = [slot for slot in intent.slots if _is_sayable(slot, bot)]
        phrases += _sayable([pattern_of(utterance) for utterance in intent.utterances], known)
    return phrases


def _sayable(patterns: list[Words], slots: list[Slot]) -> list[str]:
    """The patterns as JSGF. Those with a slot whose words nobody can list are left out."""
    rules = {f"{{{slot.name}}}": _rule_of(slot.type) for slot in slots}
    whole = [p for p in patterns if p and all(not word.startswith("{") or word in rules for word in p)]
    return [" ".join(rules.get(word) or _spell((word,)) for word in pattern) for pattern in whole]


def _is_sayable(slot: Slot, bot: Bot) -> bool:
    return slot.type in bot.slot_types or slot.type.upper() in _BUILT_IN


def _slot_rules(bot: Bot) -> list[tuple[str, str]]:
    used = {slot.type for intent in bot.intents for slot in intent.slots}
    rules = []
    for name in sorted(used):
        if name in bot.slot_types:
            slot_type = bot.slot_types[name]
            if slot_type.digits:
                fewest, most = slot_type.digits
                rules.append((name, " ".join(["<digit>"] * fewest + ["[<digit>]"] * (most - fewest))))
                continue
            entries = slot_type.values
            names = [said for entry in entries for said in (entry.value, *entry.synonyms)]
            rules.append((name, _either(_spell(words_of(said)) for said in names)))
        elif name.upper() in _BUILT_IN:
            rules.append((name, f"({_BUILT_IN[name.upper()]})"))
    return rules


def _rule_of(slot_type: str) -> str:
    return "<slot_" + re.sub(r"\W", "_", slot_type).lower() + ">"


def _either(phrases: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(filter(None, phrases)))
    return "(" + " | ".join(distinct) + ")" if distinct else "<VOID>"


def _spell(words: Words) -> str:
    """The words as they are said: whole numbers up to 99 in words, longer ones digit by digit."""
    return " ".join(_say_number(word) if word.isdigit() else word for word in words if word[0].isalnum())


def _say_number(digits: str) -> str:
    small = ["zero", *_UNITS.split(), *_TEENS.split()]
    if len(digits) > 2 or (len(digits) == 2 and digits[0] == "0"):
        return " ".join(small[int(digit)] for digit in digits)
    number = int(digits)
    if number < 20:
        return small[number]
    return " ".join(filter(None, [_TENS.split()[number // 10 - 2], small[number % 10] if number % 10 else ""]))
