"""Names in a table of lines: the settings of a line under their own names or shorter ones, and the layers of them.

A setting's own name is its variable in lower case: `hangover_ms` for HANGOVER_MS.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from lexbridge.config.line_layers import ACCOUNT, BOT_NAMES, LIMITS, LINE_VARIABLES, WORDS
from lexbridge.config.matching import Fact
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.setting import Setting, entries_of
from lexbridge.config.settings import BOTO3_SETTINGS
from lexbridge.errors import Problem

SHORT_NAMES: Mapping[str, str] = {
    "voice": "SAY_VOICE",
    "language": "SAY_LANGUAGE",
    "detector": "VAD",
    "transfers": "TRANSFER_NUMBERS",
    "after": "AFTER_URL",
    "max_calls": "LINE_MAX_CALLS",
    "max_requests": "LINE_MAX_REQUESTS",
    "account_sid": "TWILIO_ACCOUNT_SID",
    "auth_token": "TWILIO_AUTH_TOKEN",
    "auth_token_secondary": "TWILIO_AUTH_TOKEN_SECONDARY",
    "api_key_sid": "TWILIO_API_KEY_SID",
    "api_key_secret": "TWILIO_API_KEY_SECRET",
    "locale": "LEX_LOCALE_ID",
    "region": "AWS_REGION",
    "endpoint": "BOT_ENDPOINT_URL",
    "role": "BOT_ROLE_ARN",
}
"""The variable of each name that is no variable in lower case."""

Names = Mapping[str, str]
"""The variable of each name."""

ALL_NAMES: Names = {
    **{name.lower(): name for name in LINE_VARIABLES},
    **SHORT_NAMES,
}
"""Every name of a setting of a line."""


def _without(*variables: str) -> Names:
    return {name: variable for name, variable in ALL_NAMES.items() if variable not in variables}


LINE_NAMES = _without(*BOT_NAMES)
BOT_SETTING_NAMES = _without(*BOT_NAMES, *ACCOUNT, *LIMITS)
LOCALE_NAMES: Names = {name: variable for name, variable in ALL_NAMES.items() if variable in WORDS}

_OF_PROCESS = {one.name.lower() for one in (*entries_of(ServiceSettings), *BOTO3_SETTINGS)} - set(ALL_NAMES)
_PORT = {"port": "CONTAINER_PORT"}
_PLACES: Names = {
    **dict.fromkeys(ALL_NAMES, "it is a setting of a line: give it in [[lines]] or [defaults]"),
    **dict.fromkeys(("match", "bot", "weight"), "it belongs to one line: give it in [[lines]]"),
    **{
        name: f"it is a condition: write match.{name} = ..."
        for name in (*get_args(Fact.__annotations__["kind"]), "hours", "not_hours")
        if name not in ALL_NAMES
    },
    "timezone": "give it in [defaults], or as match.timezone",
    **dict.fromkeys(
        ("id", "alias", *(name.lower() for name in BOT_NAMES)),
        "a bot is named in [bots.NAME], by id or name, and by alias; a line then has bot = NAME",
    ),
}
"""Where a name belongs that is known in another table."""

_ELSEWHERE = "env:"
"""Beginning of a secret's text that names the variable with the secret."""

_VARIABLE = re.compile(r"[A-Z]+(_[A-Z0-9]+)+")
"""Form of the name of a variable that no secret has."""


def shown_name(variable: str) -> str:
    """Return the name by which a problem of a table names a variable: the short one, if it has one."""
    return next((short for short, name in SHORT_NAMES.items() if name == variable), variable.lower())


def read_layer(
    table: Mapping[str, Any], where: str, names: Names, others: Iterable[str], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[Problem]]:
    """Return the texts by variable that a table of the file has, and what is wrong with them.

    `where`: names the table in problems. `names`: those that may be there. `others`: those that somebody else reads.
    A text that is wrong is left out.
    """
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in table.items():
        if name in others:
            continue
        variable = names.get(name)
        if variable is None:
            problems.append(unknown(name, where, [*names, *others]))
        elif variable in texts:
            other = next(one for one in table if one != name and names.get(one) == variable)
            problems.append(Problem(f"{where}: {name}", "is set twice", f"it is the same as {other}"))
        else:
            setting = LINE_VARIABLES[variable]
            problem, text = _read(setting, value, environment)
            if problem is None:
                texts[variable] = text
            else:
                problems.append(Problem(f"{where}: {name}", *problem))
    return texts, problems


def unknown(name: str, where: str, known: Iterable[str]) -> Problem:
    """Return the problem of a name that is not known there."""
    shown = f"{where}: {name[:60]}" if name.isprintable() and name else f"{where}: {name[:60]!r}"
    if name.lower() in {*_OF_PROCESS, *_PORT}:
        variable = _PORT.get(name.lower(), name.upper())
        rule = f"it is one of the whole process: set {variable} in the environment"
        return Problem(shown, "is no setting of a line", rule)
    known = sorted(set(known))
    if name.lower() not in known and (place := _PLACES.get(name.lower())):
        return Problem(shown, "does not belong there", place)
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return Problem(shown, "is not known", f"did you mean {close[0]}?")
    few = f"must be one of {', '.join(known)}" if len(known) <= 12 else "it is no setting of a line"
    return Problem(shown, "is not known", few)


def _read(setting: Setting, value: Any, environment: Mapping[str, str]) -> tuple[tuple[str, str] | None, str]:
    """Return what is wrong with the value of a setting and the rule, or None, and its text."""
    try:
        text = as_text(value)
        if setting.secret and text.startswith(_ELSEWHERE):
            variable = text.removeprefix(_ELSEWHERE)
            text = environment.get(variable, "").strip()
            if not text:
                # Another text after `env:` may be the secret itself.
                named = variable if _VARIABLE.fullmatch(variable) else "the variable that it names after `env:`"
                return ("is not valid", f"{named} must be set in the environment"), ""
        if text:  # an empty text takes away what an earlier layer sets
            setting.parse(text)
    except ValueError as error:
        return ("is not valid" if setting.secret else f"is {value!r:.100}", str(error)), ""
    return None, text


def as_text(value: Any) -> str:
    """Return a value of a TOML file as the environment would have it. Raise ValueError with the rule."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        # Without items it is not unset, but a list of nothing.
        return ",".join(_items(value)) or ","
    if isinstance(value, dict):
        pairs = zip(value, _items(value.values()), strict=True)
        return ",".join(f"{name}={text}" for name, text in pairs) or ","
    raise ValueError("must be a text, a number, true or false, or a list of texts")


def _items(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, list | dict) or "," in (text := as_text(value)):
            raise ValueError("must have texts without commas in a list")
        yield text
