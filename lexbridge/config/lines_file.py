"""The table of lines, read from the text of LINES_FILE and checked as a whole.

`parse_lines` makes plain data of the text, and `build_table` a table of that. So another process may parse it.
"""

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from lexbridge.config.deep_keys import find_deep_key
from lexbridge.config.line_layers import ACCOUNT, Layers, LineLayer
from lexbridge.config.line_names import BOT_SETTING_NAMES, LINE_NAMES, LOCALE_NAMES, read_layer, unknown
from lexbridge.config.lines import LineTable
from lexbridge.config.lines_check import LinesCheck, Written
from lexbridge.config.match_reading import read_match, read_timezone
from lexbridge.config.places import locale_id
from lexbridge.config.route import NAME
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem

FILE = "LINES_FILE"

MAX_DEPTH = 20
"""Most tables in each other. A name with thousands of dots is too deep to be printed, or sent to workers."""

MAX_NUMBER = 2**63 - 1
"""Largest whole number. TOML has no larger ones, but `tomllib` reads them, and nothing prints one of 5,000 digits."""

PlainData = Mapping[str, Any]
"""A parsed file: what `tomllib` returns."""

_TABLES = ("defaults", "locales", "bots", "lines")
_TOML_RULE = "must be as https://toml.io describes: each text in quotes, and all from { to } on one line"
_DEPTH_RULE = f"must have at most {MAX_DEPTH} tables in each other"
_NUMBER_RULE = f"must be a whole number from -{MAX_NUMBER} to {MAX_NUMBER}"
_DEFAULTS_RULE = "must be a table: write [defaults], in one bracket"
_ANY_ZONE = "UTC"
"""Time zone in place of a wrong one, so that no line is told that it is missing."""
_LINES_RULE = "must be written as [[lines]], in two brackets, once for each line"
_NAMED_RULE = "must be a table: write [{kind}.NAME], once for each"
_NAME_RULE = "must have 1 to 60 letters, digits, or characters of _ . -"
_V1, _V2 = {"name": "LEX_BOT_NAME", "alias": "LEX_BOT_ALIAS"}, {"id": "LEX_BOT_ID", "alias": "LEX_BOT_ALIAS_ID"}
_ONE_BOT = "give id and alias for a Lex V2 bot, or name and alias for a Lex V1 bot"


def read_lines(text: str, environment: Mapping[str, str], settings: Settings) -> LineTable:
    """Return the table of lines that is written in `text`. Raise ConfigError with every problem of it.

    `environment`: that of the service, whose values count where the table has none. `settings`: those read of it.
    """
    return build_table(parse_lines(text), environment, settings)


def parse_lines(text: str) -> PlainData:
    """Return the plain data of the file's text. Raise ConfigError if it is not TOML, or too deep."""
    if (number := find_deep_key(text, MAX_DEPTH - 1)) is not None:
        raise ConfigError([Problem(FILE, f"is too deep: see line {number}", _DEPTH_RULE)])
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: lists in lists in lists
        wrong = f"is no TOML: {error}" if isinstance(error, tomllib.TOMLDecodeError) else "is no TOML"
        raise ConfigError([Problem(FILE, wrong, _TOML_RULE)]) from error
    if _is_deeper(data, MAX_DEPTH):
        raise ConfigError([Problem(FILE, "is too deep", _DEPTH_RULE)])
    if numbers := list(_large_numbers(data, f"{FILE}: ")):
        raise ConfigError([Problem(where, "is too large a number", _NUMBER_RULE) for where in numbers])
    return data


def _is_deeper(data: PlainData, most: int) -> bool:
    """Return whether more than `most` tables or lists stand in each other."""
    level: list[Any] = [data]
    for _ in range(most):
        level = [
            one for of in level for one in (of.values() if isinstance(of, dict) else of) if isinstance(one, dict | list)
        ]
    return bool(level)


def _large_numbers(data: PlainData | list[Any], where: str) -> Iterator[str]:
    """Yield where each number stands that is too large."""
    for name, value in data.items() if isinstance(data, Mapping) else enumerate(data, 1):
        text = str(name)[:60]
        place = f"{where}{text if text.isprintable() else repr(text)}"
        if isinstance(value, dict | list):
            yield from _large_numbers(value, f"{place}.")
        elif isinstance(value, int) and abs(value) > MAX_NUMBER:
            yield place


def build_table(
    data: PlainData,
    environment: Mapping[str, str],
    settings: Settings | None,
    give_way: Callable[[], None] = lambda: None,
    known: Collection[Problem] = (),
) -> LineTable:
    """Return the table of lines of a parsed file. Raise ConfigError with every problem of it.

    `settings`: those of the environment, or None if they are wrong: then the file is checked alone. `give_way` is
    called after each bot and line, because a table may have thousands. `known`: problems that were told already.
    """
    reading = _Reading(data, environment)
    layers = reading.layers()
    check = LinesCheck(layers, None if settings is None else settings.service.account, known)
    check.check_general(reading.has_defaults)
    for name in layers.bots:
        check.check_bot(name, f"{FILE}: [bots.{name}]")
        give_way()
    lines = []
    for number, written in enumerate(reading.lines, 1):
        if (line := reading.line(number, written)) is not None:
            lines.append(line)
        give_way()
    for line in lines:
        check.add_line(line)
        give_way()
    check.check_choice(give_way)
    if not lines and not layers.has_bot and "lines" not in data:
        reading.problems.append(Problem(FILE, "has no [[lines]]", "must have one, as the environment has no bot"))
    told = {one.variable for one in reading.problems}  # what is wrong in itself is left out, and then may be missed
    if problems := [*reading.problems, *(one for one in check.problems if one.variable not in told)]:
        raise ConfigError(list(dict.fromkeys(problems)))
    return check.table(None if settings is None else settings.default_line)


class _Reading:
    """The parts of one file, read one after the other, and the problems found."""

    def __init__(self, data: PlainData, environment: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._environment = environment
        self._bots: dict[str, dict[str, str]] = {}
        self._names: dict[str, str] = {}
        self._timezone: str | None = None
        self._data = data
        self.problems.extend(unknown(name, FILE, _TABLES) for name in data if name not in _TABLES)
        self.lines = data.get("lines", [])
        if not isinstance(self.lines, list):
            self.problems.append(Problem(f"{FILE}: lines", "is no list", _LINES_RULE))
            self.lines = []
        self.has_defaults = bool(data.get("defaults"))

    def layers(self) -> Layers:
        """Read everything but the lines."""
        where = f"{FILE}: [defaults]"
        defaults: dict[str, str] = {}
        if (table := self._table(self._data.get("defaults", {}), where, _DEFAULTS_RULE)) is not None:
            defaults = self._layer(table, where, LINE_NAMES, ("timezone",))
            self._check_account(table, defaults, where)
            if "timezone" in table:
                zone = read_timezone(table["timezone"], f"{where}: timezone", self.problems)
                self._timezone = zone or _ANY_ZONE
        else:
            self._timezone = _ANY_ZONE
        locales = {}
        for name, where, table in self._named_tables("locales"):
            try:
                locales[locale_id(name)] = self._layer(table, where, LOCALE_NAMES)
            except ValueError as error:
                self.problems.append(Problem(where, "is not known", str(error)))
        for name, where, table in self._named_tables("bots"):
            if NAME.fullmatch(name):
                self._bots[name] = self._bot(table, where)
            else:
                self.problems.append(Problem(where, "is no name of a bot", _NAME_RULE))
        return Layers(self._environment, defaults, locales, self._bots)

    def line(self, number: int, table: Any) -> Written | None:
        """Return the line with this number, or None if it is no table."""
        where = f"{FILE}: [[lines]] {number}"
        if (table := self._table(table, where, _LINES_RULE)) is None:
            return None
        name = table.get("name", f"line-{number}")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.problems.append(Problem(f"{where}: name", f"is {name!r:.100}", _NAME_RULE))
            name = f"line-{number}"
        elif "name" in table:
            where = f'{where} "{name}"'
        if name in self._names:
            self.problems.append(Problem(f"{where}: name", "is taken", f"it is the name of {self._names[name]} too"))
        self._names[name] = where.removeprefix(f"{FILE}: ")
        texts = self._layer(table, where, LINE_NAMES, ("name", "match", "bot", "weight"))
        self._check_account(table, texts, where)
        match, problems = read_match(table.get("match", {}), where, self._timezone)
        self.problems += problems
        bot = self._bot_of(table, where)
        layer, weight = LineLayer(texts, bot or ""), self._weight(table, where)
        return Written(name, where, layer, match, weight, has_bot=bot is not None, has_match=not problems)

    def _table(self, table: Any, where: str, rule: str) -> dict[str, Any] | None:
        if isinstance(table, dict):
            return table
        # The value itself is not told, because a list of tables may have secrets.
        self.problems.append(Problem(where, "is a list" if isinstance(table, list) else "is a single value", rule))
        return None

    def _named_tables(self, kind: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Return the name, the place and the content of each table such as `[bots.NAME]`."""
        rule = _NAMED_RULE.format(kind=kind)
        tables = self._table(self._data.get(kind, {}), f"{FILE}: {kind}", rule) or {}
        found = []
        for name, table in tables.items():
            where = f"{FILE}: [{kind}.{name}]" if NAME.fullmatch(name) else f"{FILE}: [{kind}.{name[:60]!r}]"
            if (checked := self._table(table, where, rule)) is not None:
                found.append((name, where, checked))
        return found

    def _layer(
        self, table: Mapping[str, Any], where: str, names: Mapping[str, str], others: Collection[str] = ()
    ) -> dict[str, str]:
        texts, problems = read_layer(table, where, names, others, self._environment)
        self.problems += problems
        return texts

    def _bot(self, table: dict[str, Any], where: str) -> dict[str, str]:
        """Return the settings of a bot, with what names it."""
        if "id" in table and "name" in table:
            self.problems.append(Problem(where, "id and name are both set", f"one bot only: {_ONE_BOT}"))
        elif "id" not in table and "name" not in table:
            self.problems.append(Problem(where, "has neither id nor name", _ONE_BOT))
        naming = _V1 if "name" in table and "id" not in table else _V2
        texts = self._layer(table, where, {**BOT_SETTING_NAMES, **naming}, {"id", "name"} - naming.keys())
        given = next(iter(naming))
        if given in table and "alias" not in table:
            self.problems.append(Problem(f"{where}: alias", "is not set", f"it goes with {given}"))
        return texts

    def _bot_of(self, table: Mapping[str, Any], where: str) -> str | None:
        """Return the name of the line's bot, "" for that of the environment, or None if it is none of the table."""
        bot = table.get("bot", "")
        if isinstance(bot, str) and (not bot or bot in self._bots):
            return bot
        few = f": {', '.join(sorted(self._bots)[:10])}" if self._bots else ", and there is none"
        self.problems.append(
            Problem(f"{where}: bot", f"is {bot!r:.100}", f"must be the name of one of [bots.NAME]{few}")
        )
        return None

    def _weight(self, table: Mapping[str, Any], where: str) -> int | None:
        weight = table.get("weight")
        if weight is None or (isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 1000):
            return weight
        rule = "must be a whole number from 0 to 1000"
        self.problems.append(Problem(f"{where}: weight", f"is {weight!r:.100}", rule))
        return None

    def _check_account(self, table: Mapping[str, Any], texts: Mapping[str, str], where: str) -> None:
        """Check that a Twilio account is whole, because no part of another one may count for it."""
        needed = {"account_sid": "TWILIO_ACCOUNT_SID", "auth_token": "TWILIO_AUTH_TOKEN"}
        if ACCOUNT.isdisjoint(LINE_NAMES.get(name, "") for name in table):
            return
        for name, variable in needed.items():
            if not texts.get(variable) and not any(LINE_NAMES.get(given) == variable for given in table):
                rule = "a Twilio account of its own needs account_sid and auth_token in the same place"
                self.problems.append(Problem(f"{where}: {name}", "is not set", rule))
