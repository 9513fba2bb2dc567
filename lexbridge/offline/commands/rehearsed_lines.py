"""A table of lines for a rehearsal: asked of the local Lex, with all calls those of one simulated Twilio account."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lexbridge.config.lines_file import PlainData, parse_lines
from lexbridge.errors import ConfigError
from lexbridge.offline.commands.bridge_process import settings_of_local_bot
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.phone.bridges import OfferedBot, local_bot

_ELSEWHERE = {
    *("endpoint", "bot_endpoint_url", "role", "bot_role_arn", "account_sid", "auth_token", "auth_token_secondary"),
    *("api_key_sid", "api_key_secret", "twilio_account_sid", "twilio_auth_token", "twilio_auth_token_secondary"),
    *("twilio_api_key_sid", "twilio_api_key_secret"),
}
"""Settings that lead to AWS or to Twilio accounts. A rehearsal has neither."""


class RehearsedLines:
    """The table of a file, as a rehearsal serves it. `numbers`: the line's name by each whole number that it serves."""

    def __init__(self, data: PlainData, bots: Sequence[Bot]) -> None:
        """`bots`: those of the local Lex, in each locale. Raises ValueError if the table needs others."""
        self._data = _without_elsewhere(data)
        self._bots = bots
        self._check_bots()
        self.numbers = dict(reversed([*_numbers(data)]))  # the first line that serves a number wins
        if not self.numbers:
            raise ValueError("no line has a match.to with a whole number, so there is nothing to dial")

    def text(self) -> str:
        """Return the table in TOML."""
        return "".join(f"{json.dumps(name)} = {_toml(value)}\n" for name, value in self._data.items())

    def offered(self, lex_url: str, place: Path) -> list[OfferedBot]:
        """Return a choice for each number. `place`: where the table's text was written."""
        settings = {
            name: text
            for name, text in settings_of_local_bot(self._bots[0], "v2", lex_url).items()
            if not name.startswith("LEX_")
        }
        found = []
        for number, line in sorted(self.numbers.items()):
            bot = self._bot_of(line)
            examples = local_bot(bot, "v2", lex_url, {}).examples if bot else ()
            found.append(OfferedBot(f"{number} ({line})", {**settings, "LINES_FILE": str(place)}, examples, number))
        return found

    def _check_bots(self) -> None:
        missing = []
        named = self._data.get("bots", {})
        for name, written in named.items():
            known = {bot.v2_id for bot in self._bots} | {bot.name for bot in self._bots}
            if (written.get("id") or written.get("name")) not in known:
                missing.append(f"{name} ({written.get('id') or written.get('name')})")
        if missing:
            have = ", ".join(sorted({f"{bot.v2_id} ({bot.name})" for bot in self._bots}))
            raise ValueError(f"the local Lex has no bot for {', '.join(missing)}. It has {have}. --bot FILE adds one.")
        if not named or any("bot" not in line for line in self._data.get("lines", [])):
            raise ValueError("each line of a rehearsed table needs a bot of the table, because no other one is there")

    def _bot_of(self, line: str) -> Bot | None:
        """Return the bot of a line, to know what may be said to it."""
        written = next(one for name, one in _named_lines(self._data) if name == line)
        bot = self._data["bots"].get(written["bot"], {})
        locale = written.get("locale") or bot.get("locale") or "en_US"
        ids = (bot.get("id"), bot.get("name"))
        found = [one for one in self._bots if one.v2_id in ids or one.name in ids]
        return next((one for one in found if one.locale_id == locale), None)


def read_rehearsed_lines(place: Path, bots: Sequence[Bot]) -> RehearsedLines:
    """Return the table in the file `place`. Raises ValueError."""
    try:
        return RehearsedLines(parse_lines(place.read_text(encoding="utf-8-sig")), bots)
    except OSError as error:
        raise ValueError(f"{place} cannot be read: {error.strerror}") from error
    except (AttributeError, TypeError, KeyError) as error:  # no table where one has to be
        rule = "python server.py --check tells what is wrong"
        raise ValueError(f"{place} is no table of lines: {error}; {rule}") from error
    except (ConfigError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from error


def _without_elsewhere(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {
            name: value if name == "match" else _without_elsewhere(value)
            for name, value in data.items()
            if name not in _ELSEWHERE
        }
    return [_without_elsewhere(one) for one in data] if isinstance(data, list) else data


def _named_lines(data: PlainData) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(data.get("lines", []), 1):
        yield line.get("name", f"line-{number}"), line


def _numbers(data: PlainData) -> Iterator[tuple[str, str]]:
    for name, line in _named_lines(data):
        served = line.get("match", {}).get("to", [])
        for number in [served] if isinstance(served, str) else served:
            if number.startswith("+") and number[1:].isdigit():
                yield number, name


def _toml(value: Any) -> str:
    """Return a value in TOML, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
