"""Reading of the conditions of a line, its table `match`."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, get_args

from lexbridge.config.line_names import as_text, unknown
from lexbridge.config.matching import Fact, Match, Texts, normalised_address
from lexbridge.config.opening_hours import OpeningHours, complement, parse_timezone, parse_week
from lexbridge.errors import Problem

_NAMED = {
    "query": (re.compile(r"[!-~]{1,100}"), "must be the name of a field of a query"),
    "sip_header": (re.compile(r"[Xx]-[!-9;-~]{1,100}"), "must be the name of a SIP header that begins with X-"),
    "parameter": (re.compile(r"[!-~]{1,100}"), "must be the name of a parameter"),
}
"""Kinds of facts that have names, with the form of these."""

_SIMPLE = ("to", "from", "direction", "account_sid")
KNOWN = (*_SIMPLE, *_NAMED, "hours", "not_hours", "timezone")

_NUMBER = (
    "must be a number with + and its country code, such as +12065550100, its beginning such as +1206*, a short code, a "
    "SIP address, or client: and an identity"
)
_QUOTED_NUMBER = 'must stand in quotes, with + and its country code: "+12065550100"'
_WHOLE_NUMBER = (
    "must be a number with + and its country code, such as +12065550100, a short code, a SIP address, or client: and "
    "an identity"
)
DIRECTIONS = ("inbound", "outbound", "outbound-api", "outbound-dial")


def read_match(table: Any, where: str, timezone: str | None) -> tuple[Match, list[Problem]]:
    """Return the conditions in the table `match` of a line, and what is wrong with them.

    `where`: names the line in problems. `timezone`: that of all lines, or None.
    """
    problems: list[Problem] = []
    if not isinstance(table, dict):
        rule = 'must be a table such as { to = "+12065550100" }'
        return Match(), [Problem(f"{where}: match", f"is {table!r:.100}", rule)]
    texts: dict[Fact, Texts] = {}
    for name, value in table.items():
        at = f"{where}: match.{name}"
        if name in _NAMED:
            _read_named(name, value, at, texts, problems)
        elif name in _SIMPLE:
            _read_texts(Fact(name), value, at, texts, problems)
        elif name not in KNOWN:
            problems.append(unknown(name, f"{where}: match", KNOWN))
    hours, hours_text = _read_hours(table, f"{where}: match", timezone, problems)
    return Match({fact: texts[fact] for fact in sorted(texts, key=_order)}, hours, hours_text), problems


def _order(fact: Fact) -> tuple[int, str]:
    """Sort facts in the order in which people think of them."""
    return get_args(Fact.__annotations__["kind"]).index(fact.kind), fact.name


def _read_named(kind: Any, value: Any, where: str, texts: dict[Fact, Texts], problems: list[Problem]) -> None:
    """Read conditions such as `query.bot`, whose names are the file's own."""
    form, rule = _NAMED[kind]
    if not isinstance(value, dict) or not value:
        example = '"X-Dept"' if kind == "sip_header" else "bot"
        problems.append(Problem(where, f"is {value!r:.100}", f'must have a name: {kind}.{example} = "sales"'))
        return
    for name, one in value.items():
        if not form.fullmatch(name):
            problems.append(Problem(f"{where}.{name[:60]!r}", "is not valid", rule))
            continue
        fact = Fact(kind, name.lower() if kind == "sip_header" else name)
        if fact in texts:
            problems.append(Problem(f"{where}.{name}", "is set twice", "upper and lower case count as the same there"))
        _read_texts(fact, one, f"{where}.{name}", texts, problems)


def _read_texts(fact: Fact, value: Any, where: str, texts: dict[Fact, Texts], problems: list[Problem]) -> None:
    """Read the texts of one condition: one text, or a list of them."""
    whole: set[str] = set()
    beginnings: set[str] = set()
    wrong = value
    try:
        for number, one in enumerate(_each(value)):
            wrong = value[number] if isinstance(value, list) else value
            text, is_beginning = _PARSERS[fact.kind](one)
            (beginnings if is_beginning else whole).add(text)
    except ValueError as error:
        # TOML reads digits without quotes as a whole number, and drops the plus.
        rule = _QUOTED_NUMBER if str(error) == _NUMBER and isinstance(wrong, int) else str(error)
        problems.append(Problem(where, f"{'is' if wrong is value else 'has'} {wrong!r:.100}", rule))
        return
    texts[fact] = Texts.of(frozenset(whole), frozenset(beginnings))


def _each(value: Any) -> list[str]:
    """Return the texts of a condition. Raise ValueError with the rule."""
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(one, bool | list | dict) for one in values):
        raise ValueError("must be a text, or a list of texts")
    return [as_text(one) for one in values]


def parse_address(text: str) -> str:
    """Return a number or an address as it is compared. Raise ValueError with the rule."""
    try:
        address, is_beginning = _number(text.strip())
    except ValueError as error:
        raise ValueError(_WHOLE_NUMBER) from error
    if is_beginning:
        raise ValueError("must be a whole number or address, without a *")
    return address


def parse_account_sid(text: str) -> str:
    """Return the SID of a Twilio account. Raise ValueError with the rule."""
    return _account_sid(text)[0]


def _number(text: str) -> tuple[str, bool]:
    """Return a number or an address as Twilio sends it, and whether it is the beginning of one."""
    is_beginning = text.endswith("*")
    body = text.removesuffix("*")
    scheme, colon, rest = body.partition(":")
    if colon and scheme.lower() in ("sip", "sips", "client"):
        if not rest or not re.fullmatch(r"[!-~]{1,300}", rest):
            raise ValueError(_NUMBER)
        return (normalised_address(body) if scheme.lower() != "client" else f"client:{rest}"), is_beginning
    if body.isascii() and body.isalpha():
        return body.lower(), is_beginning
    digits = re.sub(r"[ ().-]", "", body)
    # A short code has no country code; a longer number without one would never match what Twilio sends.
    form = r"\+?[0-9]{0,15}" if is_beginning else r"\+[1-9][0-9]{6,14}|[0-9]{3,6}"
    if not re.fullmatch(form, digits):
        raise ValueError(_NUMBER)
    return digits, is_beginning


def _direction(text: str) -> tuple[str, bool]:
    if text not in DIRECTIONS:
        raise ValueError(f"must be one of {', '.join(DIRECTIONS)}")
    return text, text == "outbound"


def _account_sid(text: str) -> tuple[str, bool]:
    if not re.fullmatch("AC[0-9a-fA-F]{32}", text):
        raise ValueError("must be the account's SID: AC and 32 hexadecimal digits")
    return text, False


def _any_text(text: str) -> tuple[str, bool]:
    if not text or len(text) > 500:
        raise ValueError("must be a text of 1 to 500 characters; `*` at its end stands for anything, or for nothing")
    return text.removesuffix("*"), text.endswith("*")


_PARSERS: Mapping[str, Callable[[str], tuple[str, bool]]] = {
    "to": _number,
    "from": _number,
    "direction": _direction,
    "account_sid": _account_sid,
    **dict.fromkeys(_NAMED, _any_text),
}
"""The parser of a text of each kind of fact. It returns the text, and whether it is a beginning."""


def _read_hours(
    table: Mapping[str, Any], where: str, timezone: str | None, problems: list[Problem]
) -> tuple[OpeningHours | None, str]:
    """Return the hours of a match, with how they were written, or None and "" if it has none."""
    given = {name: table[name] for name in ("hours", "not_hours") if name in table}
    zone = timezone
    if "timezone" in table:
        zone = read_timezone(table["timezone"], f"{where}.timezone", problems) or zone
    elif given and timezone is None:
        rule = 'must be set here or in [defaults], such as "Europe/Vienna"'
        problems.append(Problem(f"{where}.timezone", "is not set", rule))
    minutes = complement(0)
    said = []
    for name, value in given.items():
        try:
            texts = tuple(_each(value))
            week = _week(texts)
        except ValueError as error:
            problems.append(Problem(f"{where}.{name}", f"is {value!r:.100}", str(error)))
            continue
        minutes &= week if name == "hours" else complement(week)
        said.append(("" if name == "hours" else "not ") + "; ".join(texts))
    if given and not minutes:
        problems.append(Problem(f"{where}.hours", "has no minute", "must have some: `not_hours` takes all away"))
    if not said or zone is None:
        return None, ""
    return OpeningHours(zone, minutes), f"{', '.join(said)} ({zone})"


def read_timezone(value: Any, where: str, problems: list[Problem]) -> str | None:
    """Return the time zone, or None if it is none. What is wrong is added to `problems`."""
    try:
        return _zone(as_text(value))
    except ValueError as error:
        problems.append(Problem(where, f"is {value!r:.100}", str(error)))
        return None


# A thousand lines mostly have the same hours.
_zone = cache(parse_timezone)


@cache
def _week(texts: Iterable[str]) -> int:
    return parse_week(texts)
