"""Hours of the week in a time zone, such as those in which people answer: `mon-fri 09:00-17:00`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = len(DAYS) * _DAY_MINUTES
_WEEK = (1 << _WEEK_MINUTES) - 1

RULE = "must be days and times with four digits, such as `mon-fri 09:00-17:00`, `sat,sun` or `22:00-06:00`"

_DAY = f"(?:{'|'.join(DAYS)})"
_DAY_LIST = rf"{_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*"
_TIMES = r"[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}"
_HOURS = re.compile(rf"(?:({_DAY_LIST})(?: +|$))?({_TIMES}(?:,{_TIMES})*)?")


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """Minutes of a week, by the clocks of a time zone. `minutes`: a bit for each, that of Monday 00:00 the lowest."""

    timezone: str
    minutes: int

    def include(self, at_s: float) -> bool:
        """Return whether this moment, in Unix time, is one of these hours."""
        at = self._at(at_s)
        return bool(self.minutes >> (at.weekday() * _DAY_MINUTES + at.hour * 60 + at.minute) & 1)

    def told(self, at_s: float) -> str:
        """Return the day and the time of a moment by the clocks of this zone, such as `mon 09:00`."""
        at = self._at(at_s)
        return f"{DAYS[at.weekday()]} {at:%H:%M}"

    def _at(self, at_s: float) -> datetime:
        return datetime.fromtimestamp(at_s, ZoneInfo(self.timezone))

    def cover(self, other: "OpeningHours") -> bool:
        """Return whether these hours are known to include all of `other`."""
        is_subset = not other.minutes & ~self.minutes
        return is_subset and (self.timezone == other.timezone or self.minutes == _WEEK)


def parse_timezone(text: str) -> str:
    """Return the name of a time zone of the IANA database. Raise ValueError with the rule."""
    try:
        return ZoneInfo(text).key
    except (ValueError, OSError, LookupError) as error:  # no such name, the name of a folder, or no name at all
        raise ValueError("must be a time zone such as Europe/Vienna or UTC") from error


def parse_week(texts: Iterable[str]) -> int:
    """Return the minutes of a week that lie in any of these hours, a bit for each. Raise ValueError with the rule.

    Hours that end before they begin go on after midnight. Without days they are those of each day, and without times
    the whole day.
    """
    minutes = 0
    for text in texts:
        minutes |= _minutes_of(" ".join(text.lower().split()))
    return minutes


def complement(minutes: int) -> int:
    """Return all other minutes of a week."""
    return _WEEK & ~minutes


def _minutes_of(text: str) -> int:
    found = _HOURS.fullmatch(text)
    if found is None or not text:
        raise ValueError(RULE)
    days, times = found[1], found[2]
    minutes = 0
    for day in range(len(DAYS)) if days is None else _days(days):
        for span in ["00:00-24:00"] if times is None else times.split(","):
            minutes |= _span(day, *map(_minute, span.split("-")))
    return minutes


def _days(text: str) -> Iterable[int]:
    """Yield the days of a list such as `mon-wed,sat`. A range may go on over Sunday."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        yield from (day % len(DAYS) for day in range(begin, end + 1 if end >= begin else end + 1 + len(DAYS)))


def _minute(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    if minutes > 59 or hours * 60 + minutes > _DAY_MINUTES:
        raise ValueError(RULE)
    return hours * 60 + minutes


def _span(day: int, begin: int, end: int) -> int:
    """Return the minutes from `begin` of the day to `end`, which is on the next day if it does not come later."""
    length = end - begin if end > begin else end + _DAY_MINUTES - begin
    bits = ((1 << length) - 1) << (day * _DAY_MINUTES + begin)
    return (bits & _WEEK) | bits >> _WEEK_MINUTES  # what goes beyond Sunday is on Monday
