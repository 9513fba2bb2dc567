"""Dates as people say them, to days of the calendar. Pure."""

from datetime import date, timedelta

from lexbridge.offline.lex.spoken_numbers import ORDINALS, number_of, ordinal_of
from lexbridge.offline.lex.words import Words, split_words

WEEKDAYS = split_words("monday tuesday wednesday thursday friday saturday sunday")

MONTHS = split_words("january february march april may june july august september october november december")

_DAYS_FROM_TODAY = {("today",): 0, ("tonight",): 0, ("tomorrow",): 1, ("the", "day", "after", "tomorrow"): 2}


def date_of(words: Words, today: date) -> str | None:
    """Return the day that is meant, as Lex writes it ("2026-12-05"), never one before `today`; or None.

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
            day = ordinal_of(words[:at] or words[at + 1 :])
            both = bool(words[:at]) and bool(words[at + 1 :])
            return None if day is None or both else _coming(MONTHS.index(word) + 1, day, today)
    day = ordinal_of(words) if words and words[-1] in (*ORDINALS, "thirtieth") else None
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
