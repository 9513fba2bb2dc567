"""Times of day as people say them, to hours and minutes. Pure."""

from lexbridge.offline.lex.spoken_numbers import below_hundred, digit_of, number_of
from lexbridge.offline.lex.words import Words

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
    """Return the time that is meant, as Lex writes it ("17:30"), or None.

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
    """Return the minute of "" (0), "oh five" or "fifteen", or None: a single digit needs its "oh"."""
    if not words:
        return 0
    if len(words) == 2 and words[0] in ("oh", "zero", "0"):
        return digit_of(words[1])
    minute = below_hundred(words)
    return minute if minute is not None and 10 <= minute < 60 else None


def _on_the_day(hour: int, minute: int, half: str) -> str | None:
    if hour > 12 or hour == 0:
        return f"{hour:02}:{minute:02}"
    if not half:
        half = "a" if 7 <= hour <= 11 else "p"
    return f"{hour % 12 + (12 if half == 'p' else 0):02}:{minute:02}"
