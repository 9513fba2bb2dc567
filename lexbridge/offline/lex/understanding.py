"""Words to meaning: the values of slots, and the intents whose sample utterances were said.

Everything works on *words*: lower case, no punctuation, contractions and "p.m." written out (`words_of`). What is typed
("5:30 pm", "12/5", "3rd") and what a recogniser writes ("five thirty p m") come to the same.

Lex has a statistical model of language; this has the bot's own phrases. An utterance that is one of them, but for a
"please" or an "um", is understood for certain; one that shares most of its words with one of them is understood less
surely, and one that does not is not understood. A slot takes the values and synonyms its type lists and no others.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lexbridge.offline.lex.bots import Bot, Intent, Slot, SlotType
from lexbridge.offline.lex.spoken_dates import date_of
from lexbridge.offline.lex.spoken_numbers import digit_of, number_of
from lexbridge.offline.lex.spoken_times import time_of
from lexbridge.offline.lex.words import AFTER, BEFORE, BEFORE_A_VALUE, Words, split_words, without_fillers, words_of
from lexbridge.offline.lex.yes_no import yes_or_no

_PLACEHOLDER = re.compile(r"\{\s*(\w+)\s*\}")

_STOP_WORDS = {
    *split_words("a the some to of for on at in is are do does i you me my we it"),
    *split_words("would like want can could will get give need have"),
}
SURE_ENOUGH = 0.7


# --- numbers ---


# --- dates ---


# --- times of day ---


# --- slots ---


@dataclass(frozen=True, slots=True)
class SlotFilling:
    """A filled slot: what Lex answers, the caller's own words, and the listed value they stand for."""

    value: str
    original: str
    resolved: str | None = None


_BUILT_IN: dict[str, Callable[[Words, date], str | None]] = {
    "AMAZON.DATE": date_of,
    "AMAZON.TIME": lambda words, _: time_of(words),
    "AMAZON.NUMBER": lambda words, _: _text_or_none(number_of(words)),
    "AMAZON.FOUR_DIGIT_NUMBER": lambda words, _: _digits(words, 4, 4),
    "AMAZON.PHONE_NUMBER": lambda words, _: _digits(words, 5, 15),
    "AMAZON.PHONENUMBER": lambda words, _: _digits(words, 5, 15),
    "AMAZON.CONFIRMATION": lambda words, _: {True: "yes", False: "no", None: None}[yes_or_no(" ".join(words))],
}


def _text_or_none(number: int | None) -> str | None:
    return None if number is None else str(number)


def _digits(words: Words, fewest: int, most: int) -> str | None:
    spoken = "".join(word if word.isdigit() else str(digit_of(word)) for word in words)
    return spoken if spoken.isdigit() and fewest <= len(spoken) <= most else None


def is_open_ended(slot: Slot, bot: Bot) -> bool:
    """Return whether any words fill it: one of Lex's own types that has no fixed form (AMAZON.City and the like)."""
    return slot.type not in bot.slot_types and slot.type.upper() not in _BUILT_IN


def fill(slot: Slot, words: Words, bot: Bot, today: date) -> SlotFilling | None:
    """Return `slot` filled by exactly these words, or None if they are no value of its type."""
    if not words:
        return None
    original = " ".join(words)
    slot_type = bot.slot_types.get(slot.type)
    if slot_type:
        return _listed(slot_type, words)
    read = _BUILT_IN.get(slot.type.upper())
    value = read(words, today) if read else original
    return SlotFilling(value, original, value) if value is not None else None


def _listed(slot_type: SlotType, words: Words) -> SlotFilling | None:
    original = " ".join(words)
    if slot_type.digits:
        number = _digits(words, *slot_type.digits)
        return SlotFilling(number, original, number) if number else None
    for entry in slot_type.values:
        if words in [words_of(name) for name in (entry.value, *entry.synonyms)]:
            value = entry.value if slot_type.resolves or words == words_of(entry.value) else original
            return SlotFilling(value, original, entry.value)
    return None


def answer_of(slot: Slot, text: str, bot: Bot, today: date) -> SlotFilling | None:
    """Return `slot` filled by an answer to its prompt, or None if the answer has no value of its type.

    The value may have the usual words around it ("at noon please").
    """
    words = words_of(text)
    for candidate in (words, *_bare(words)):
        found = fill(slot, candidate, bot, today)
        if found:
            return found
    for utterance in slot.utterances:
        for candidate in (words, without_fillers(words)):
            fillings = match(utterance, candidate, {slot.name: slot}, bot, today)
            if fillings and slot.name in fillings:
                return fillings[slot.name]
    return None


def _bare(words: Words) -> Iterator[Words]:
    """The words with fewer and fewer of those around a value."""
    words = without_fillers(words)
    yield words
    found = True
    while found:
        found = False
        for phrase in BEFORE_A_VALUE:
            start = tuple(phrase.split())
            if words[: len(start)] == start and len(words) > len(start):
                words, found = words[len(start) :], True
                yield words
                break


# --- sample utterances ---


@dataclass(frozen=True, slots=True)
class Understanding:
    """An intent recognised in an utterance, with the slots it fills and how sure we are, 0 to 1."""

    intent: Intent
    fillings: Mapping[str, SlotFilling]
    confidence: float


def match(
    utterance: str, words: Words, slots: Mapping[str, Slot], bot: Bot, today: date
) -> dict[str, SlotFilling] | None:
    """Return the slots that `words` fill if they are this sample utterance, word for word; None if they are not."""
    return _match(pattern_of(utterance), words, slots, bot, today)


def pattern_of(utterance: str) -> Words:
    """Return the words of a sample utterance; a slot is "{Name}"."""
    pattern: list[str] = []
    for at, part in enumerate(_PLACEHOLDER.split(utterance)):
        pattern.extend([f"{{{part}}}"] if at % 2 else words_of(part))
    return tuple(pattern)


def _match(
    pattern: Words, words: Words, slots: Mapping[str, Slot], bot: Bot, today: date
) -> dict[str, SlotFilling] | None:
    if not pattern:
        return None if words else {}
    first, rest = pattern[0], pattern[1:]
    slot = slots.get(first[1:-1]) if first.startswith("{") else None
    if slot is None:
        return _match(rest, words[1:], slots, bot, today) if words[:1] == (first,) else None
    for length in range(len(words) - len(rest), 0, -1):
        found = fill(slot, words[:length], bot, today)
        if found is None:
            continue
        others = _match(rest, words[length:], slots, bot, today)
        if others is not None:
            return {slot.name: found, **others}
    return None


def understand(text: str, intents: Sequence[Intent], bot: Bot, today: date) -> Understanding | None:
    """Return the intent of `intents` that `text` is an utterance of, or None."""
    words = words_of(text)
    for candidate in (words, without_fillers(words)):
        exact = _exactly(candidate, intents, bot, today)
        if exact:
            return exact
    best = max((_roughly(words, intent, bot, today) for intent in intents), key=lambda u: u.confidence, default=None)
    return best if best and best.confidence >= SURE_ENOUGH else None


def _exactly(words: Words, intents: Sequence[Intent], bot: Bot, today: date) -> Understanding | None:
    for intent in intents:
        slots = {slot.name: slot for slot in intent.slots}
        for utterance in intent.utterances:
            fillings = match(utterance, words, slots, bot, today)
            if fillings is not None:
                return Understanding(intent, fillings, 1.0)
    return None


def _roughly(words: Words, intent: Intent, bot: Bot, today: date) -> Understanding:
    """Return how much of the caller's words are the intent's own words and slot values."""
    rest, fillings = _spot_values(words, intent, bot, today)
    said = {word for word in rest if word not in _STOP_WORDS | BEFORE | AFTER}
    best = 0.0
    for utterance in intent.utterances:
        pattern = pattern_of(utterance)
        wanted = {word for word in pattern if not word.startswith("{") and word not in _STOP_WORDS}
        named = {word[1:-1] for word in pattern if word.startswith("{")}
        shared = len(wanted & said) + len(named & fillings.keys())
        in_all = len(wanted) + len(named) + len(said) + len(fillings)
        if (wanted & said) or (named & fillings.keys()):
            best = max(best, 2 * shared / in_all)
    return Understanding(intent, fillings, round(min(best, 0.99), 2))


def _spot_values(words: Words, intent: Intent, bot: Bot, today: date) -> tuple[Words, dict[str, SlotFilling]]:
    """The words that are no slot value, and the values found, the longest first. A bare number is no date or time."""
    fillings: dict[str, SlotFilling] = {}
    spottable = [slot for slot in intent.slots if not is_open_ended(slot, bot)]
    for length in range(min(len(words), 6), 0, -1):
        for start in range(len(words) - length + 1):
            span = words[start : start + length]
            for slot in spottable:
                found = fill(slot, span, bot, today)
                if found and slot.name not in fillings and not (_is_clock(slot) and number_of(span) is not None):
                    fillings[slot.name] = found
                    words = (*words[:start], *("" for _ in span), *words[start + length :])
                    break
    return tuple(filter(None, words)), fillings


def _is_clock(slot: Slot) -> bool:
    return slot.type.upper() in ("AMAZON.DATE", "AMAZON.TIME")
