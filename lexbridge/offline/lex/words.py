"""Text to normalised words, and the fillers that people put around what they mean. Pure."""

import re
from collections.abc import Iterator
from unicodedata import combining, normalize

Words = tuple[str, ...]

_CONTRACTIONS = {
    "i'd": "i would",
    "i'm": "i am",
    "i'll": "i will",
    "i've": "i have",
    "let's": "let us",
    "it's": "it is",
    "that's": "that is",
    "what's": "what is",
    "don't": "do not",
    "can't": "can not",
    "cannot": "can not",
    "wanna": "want to",
    "ok": "okay",
    "oclock": "o'clock",
    "pm": "p m",
    "am": "a m",
    "an": "a",
}

_TOKEN = re.compile(r"\d{4}-\d{2}-\d{2}|\d+:\d{2}|\d{1,2}/\d{1,2}|\d+|[a-z]+(?:'[a-z]+)*")
_DOTTED = re.compile(r"\b([ap])\.\s?m\b\.?")

BEFORE = {"please", "um", "uh", "er", "well", "so", "hi", "hello", "hey", "okay", "yes", "yeah", "oh", "and"}
"""Fillers before what is meant."""

AFTER = {"please", "thanks"}
"""Fillers after what is meant."""

BEFORE_A_VALUE = (
    "i would like to order",
    "i would like",
    "i will have",
    "i will take",
    "i want",
    "can i have",
    "give me",
    "make it",
    "it is",
    "let us say",
    "for",
    "on",
    "at",
    "around",
    "about",
    "by",
    "some",
    "the",
    "a",
)
"""Phrases before the value of a slot."""


def split_words(words: str) -> list[str]:
    """Return the words between white space."""
    return words.split()


def words_of(text: str) -> Words:
    """Return the words of `text`, normalised: lower case, no accents and punctuation, contractions written out.

    Numbers in digits stay digits.
    """
    text = _DOTTED.sub(r" \1m ", _plain(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))
    text = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1", text)
    text = re.sub(r"(\d),(\d{3})\b", r"\1\2", text)
    text = re.sub(r"(\d)([a-z])", r"\1 \2", text)
    return tuple(" ".join(_expand(text)).split())


def _plain(text: str) -> str:
    """Return `text` with letters alone: without accents, as in German and Spanish."""
    if text.isascii():
        return text
    return "".join(one for one in normalize("NFKD", text.replace("ß", "ss")) if not combining(one))


def _expand(text: str) -> Iterator[str]:
    before = ""
    for word in _TOKEN.findall(text):
        yield word if (before, word) == ("i", "am") else _CONTRACTIONS.get(word, word)
        before = word


def without_fillers(words: Words) -> Words:
    """Return `words` without the polite ones before and after them. At least one word is left."""
    while len(words) > 1 and words[0] in BEFORE:
        words = words[1:]
    while len(words) > 1 and (words[-1] in AFTER or words[-2:] == ("thank", "you")):
        if words[-1] in AFTER:
            words = words[:-1]
        elif len(words) > 2:
            words = words[:-2]
        else:
            break
    return words
