"""Words as people say them: text to words, numbers, dates, times, yes and no. Pure."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from unicodedata import combining, normalize

Words = tuple[str, ...]


def split_words(words: str) -> list[str]:
    """Return the words between white space."""
    return words.split()


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

YES = "yes|yes please|yeah|yep|sure|okay|correct|right|that is right|that is correct|sounds good|yes it does|yes it is"

NO = "no|nope|no thanks|no thank you|that is wrong|not really|no it does not|no it is not|do not do that"


def words_of(text: str) -> Words:
    """The words of `text`, normalised; numbers written in digits stay digits."""
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


_YES = frozenset(words_of(phrase) for phrase in YES.split("|"))

_NO = frozenset(words_of(phrase) for phrase in NO.split("|"))


def yes_or_no(text: str) -> bool | None:
    """Return True for a yes, False for a no, or None for neither."""
    words = words_of(text)
    for candidate in (words, without_fillers(words), tuple(w for w in words if w not in AFTER)):
        if candidate in _YES:
            return True
        if candidate in _NO:
            return False
    return None


_UNITS = split_words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)

_TENS = {
    name: 10 * tens for tens, name in enumerate(split_words("twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}

_SMALL = {**{name: value for value, name in enumerate(_UNITS)}, "oh": 0}

_ORDINALS = split_words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)


def number_of(words: Words) -> int | None:
    """ "twenty five", "a hundred and six", "a dozen", "25", "five five one two" (digits, one after the other)."""
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
    return _below_hundred(words)


def _below_hundred(words: Words) -> int | None:
    match words:
        case (word,) if word.isdigit():
            return int(word)
        case (word,):
            return _SMALL.get(word, _TENS.get(word))
        case (tens, unit) if tens in _TENS:
            more = digit_of(unit)
            return _TENS[tens] + more if more else None
    return None


def _ordinal(words: Words) -> int | None:
    """ "fifth", "twenty first", also "5" and "five"."""
    match words:
        case (word,) if word in _ORDINALS:
            return _ORDINALS.index(word) + 1
        case ("thirtieth",):
            return 30
        case ("twenty" | "thirty" as tens, unit) if unit in _ORDINALS[:9]:
            return _TENS[tens] + _ORDINALS.index(unit) + 1
    return _below_hundred(words)


WEEKDAYS = split_words("monday tuesday wednesday thursday friday saturday sunday")

MONTHS = split_words("january february march april may june july august september october november december")

_DAYS_FROM_TODAY = {("today",): 0, ("tonight",): 0, ("tomorrow",): 1, ("the", "day", "after", "tomorrow"): 2}


def date_of(words: Words, today: date) -> str | None:
    """The day meant, as Lex writes it ("2026-12-05"), never one before `today`.

    "friday" is the first Friday after today, "next friday" the Friday of the week after this one (weeks start on
    Monday), "december fifth" the next one to come.
    """
    words = tuple(word for word in words if word not in ("on", "this"))
    if words in _DAYS_FROM_TODAY:
        return (today + timedelta(days=_DAYS_FROM_TODAY[words])).isoformat()
    day = _written_date(words, today) or _weekday(words, today) or _days_ahead(words, today) or _month_day(words, today)
    return day.isoformat() if day else None


def _written_date(words: Words, today: date) -> date | None:
    if len(words) != 1:
        return None
    if "/" in words[0]:
        month, day = map(int, words[0].split("/"))
        return _coming(month, day, today)
    try:
        return date.fromisoformat(words[0]) if "-" in words[0] else None
    except ValueError:
        return None


def _weekday(words: Words, today: date) -> date | None:
    match words:
        case (name,) if name in WEEKDAYS:
            return today + timedelta(days=(WEEKDAYS.index(name) - today.weekday() - 1) % 7 + 1)
        case ("next", name) if name in WEEKDAYS:
            return today + timedelta(days=7 - today.weekday() + WEEKDAYS.index(name))
    return None


def _days_ahead(words: Words, today: date) -> date | None:
    match words:
        case ("in", *many, "day" | "days"):
            days = _count(tuple(many))
        case ("in", *many, "week" | "weeks"):
            days = 7 * _count(tuple(many))
        case ("a", "week", "from", "today") | ("one", "week", "from", "today"):
            days = 7
        case _:
            return None
    return today + timedelta(days=days) if 0 < days < 3660 else None


def _count(words: Words) -> int:
    return 1 if words == ("a",) else number_of(words) or 0


def _month_day(words: Words, today: date) -> date | None:
    words = tuple(word for word in words if word not in ("the", "of"))
    for at, word in enumerate(words):
        if word in MONTHS:
            day = _ordinal(words[:at] or words[at + 1 :])
            both = bool(words[:at]) and bool(words[at + 1 :])
            return None if day is None or both else _coming(MONTHS.index(word) + 1, day, today)
    day = _ordinal(words) if words and words[-1] in (*_ORDINALS, "thirtieth") else None
    if day is None:
        return None
    months = ((today.year + (today.month - 1 + ahead) // 12, (today.month - 1 + ahead) % 12 + 1) for ahead in range(12))
    days = (_date_or_none(year, month, day) for year, month in months)
    return next((found for found in days if found and found >= today), None)


def _coming(month: int, day: int, today: date) -> date | None:
    years = (_date_or_none(today.year + ahead, month, day) for ahead in range(9))  # nine: a 29 February
    return next((found for found in years if found and found >= today), None)


def _date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_PARTS_OF_DAY: dict[Words, str] = {
    ("a", "m"): "a",
    ("in", "the", "morning"): "a",
    ("p", "m"): "p",
    ("in", "the", "afternoon"): "p",
    ("in", "the", "evening"): "p",
    ("at", "night"): "p",
}

_NAMED_TIMES: dict[Words, str] = {
    ("noon",): "12:00",
    ("midday",): "12:00",
    ("twelve", "noon"): "12:00",
    ("midnight",): "00:00",
    ("twelve", "midnight"): "00:00",
}

_FRACTIONS = {("half",): 30, ("a", "quarter"): 15, ("quarter",): 15}


def time_of(words: Words) -> str | None:
    """The time meant, as Lex writes it ("17:30").

    Lex asks again when neither "a m" nor "p m" was said; here 7 to 11 is the morning, and 12 and 1 to 6 the afternoon.
    """
    words = words[1:] if words[:1] == ("at",) else words
    if words in _NAMED_TIMES:
        return _NAMED_TIMES[words]
    half = ""
    for ending, which in _PARTS_OF_DAY.items():
        if words[-len(ending) :] == ending:
            words, half = words[: -len(ending)], which
    clock = _past_or_to(words) or _hour_and_minute(words)
    return _on_the_day(*clock, half) if clock else None


def _past_or_to(words: Words) -> tuple[int, int] | None:
    for word, sign in (("past", 1), ("after", 1), ("to", -1), ("of", -1)):
        if word in words:
            at = words.index(word)
            hour = number_of(tuple(w for w in words[at + 1 :] if w != "o'clock"))
            spoken = tuple(w for w in words[:at] if w not in ("minutes", "minute"))
            minutes = _FRACTIONS.get(spoken, number_of(spoken))
            if hour is None or not 1 <= hour <= 12 or minutes is None or not 0 < minutes < 60:
                return None
            return (hour, minutes) if sign > 0 else ((hour - 2) % 12 + 1, 60 - minutes)
    return None


def _hour_and_minute(words: Words) -> tuple[int, int] | None:
    if len(words) == 1 and ":" in words[0]:
        written, _, minutes = words[0].partition(":")
        return (int(written), int(minutes)) if int(written) < 24 and int(minutes) < 60 else None
    words = tuple(word for word in words if word != "o'clock")
    hour = number_of(words[:1])
    minute = _minute(words[1:])
    return (hour, minute) if hour is not None and minute is not None and 0 <= hour < 24 else None


def _minute(words: Words) -> int | None:
    """ "", "oh five", "fifteen": a single digit needs its "oh"."""
    if not words:
        return 0
    if len(words) == 2 and words[0] in ("oh", "zero", "0"):
        return digit_of(words[1])
    minute = _below_hundred(words)
    return minute if minute is not None and 10 <= minute < 60 else None


def _on_the_day(hour: int, minute: int, half: str) -> str | None:
    if hour > 12 or hour == 0:
        return f"{hour:02}:{minute:02}"
    if not half:
        half = "a" if 7 <= hour <= 11 else "p"
    return f"{hour % 12 + (12 if half == 'p' else 0):02}:{minute:02}"


BEFORE = {"please", "um", "uh", "er", "well", "so", "hi", "hello", "hey", "okay", "yes", "yeah", "oh", "and"}

AFTER = {"please", "thanks"}

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
