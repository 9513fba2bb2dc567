"""Numbers as people say them, to integers: cardinals, ordinals, and digits one after the other. Pure."""

from lexbridge.offline.lex.words import Words, split_words

_UNITS = split_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)

_TENS = {
    name: 10 * tens for tens, name in enumerate(split_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}

_SMALL = {**{name: value for value, name in enumerate(_UNITS)}, "oh": 0}

ORDINALS = split_words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
"""The ordinals from first to twentieth."""


def number_of(words: Words) -> int | None:
    """Return the number that is meant, or None.

    Such as "twenty five", "a hundred and six", "a dozen", "25", or "five five one two": digits, one after the other.
    """
    if not words:
        return None
    special = {("a", "couple"): 2, ("couple",): 2, ("a", "dozen"): 12, ("dozen",): 12, ("half", "a", "dozen"): 6}
    if words in special:
        return special[words]
    if len(words) > 1 and all(digit_of(word) is not None for word in words):
        return int("".join(str(digit_of(word)) for word in words))
    return _cardinal(words)


def digit_of(word: str) -> int | None:
    """Return the digit that a word names, 0 to 9, or None if it names none."""
    value = _SMALL.get(word, int(word) if word.isdigit() and len(word) == 1 else 10)
    return value if value < 10 else None


def _cardinal(words: Words) -> int | None:
    for scale, worth in (("thousand", 1000), ("hundred", 100)):
        if scale in words:
            at = words.index(scale)
            many = 1 if words[:at] == ("a",) else _cardinal(words[:at])
            rest = words[at + 1 :]
            rest = rest[1:] if rest[:1] == ("and",) else rest
            more = _cardinal(rest) if rest else 0
            return None if many is None or more is None else many * worth + more
    return below_hundred(words)


def below_hundred(words: Words) -> int | None:
    """Return the number from 0 to 99 that one or two words name, or that is written in digits; or None."""
    match words:
        case (word,) if word.isdigit():
            return int(word)
        case (word,):
            return _SMALL.get(word, _TENS.get(word))
        case (tens, unit) if tens in _TENS:
            more = digit_of(unit)
            return _TENS[tens] + more if more else None
    return None


def ordinal_of(words: Words) -> int | None:
    """Return the place that is meant, such as "fifth" or "twenty first", also "5" and "five"; or None."""
    match words:
        case (word,) if word in ORDINALS:
            return ORDINALS.index(word) + 1
        case ("thirtieth",):
            return 30
        case ("twenty" | "thirty" as tens, unit) if unit in ORDINALS[:9]:
            return _TENS[tens] + ORDINALS.index(unit) + 1
    return below_hundred(words)
