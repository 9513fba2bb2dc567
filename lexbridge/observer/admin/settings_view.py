"""The settings as they are in effect, for whoever looks at the console. Secrets and private values are left out."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from lexbridge.config.bots import LexV2Bot
from lexbridge.config.call_rules import PHRASE_SETTINGS
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.setting import simple_fields_of
from lexbridge.config.settings import BOTO3_SETTINGS, SETTINGS, Settings
from lexbridge.config.twilio_account import TwilioAccount


def effective_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each setting with the value that is in effect; None where it is unset, or where it is private."""
    values, hidden = _values_of(settings, environment), _hidden_names()
    for entry in SETTINGS:
        is_hidden = entry.secret or entry.name in hidden
        yield {
            "name": entry.name,
            "value": None if is_hidden else _written(values.get(entry.name)),
            "is_set": bool(environment.get(entry.name, "").strip()),
            "is_hidden": is_hidden,
            "default": entry.default,
            "group": entry.group.value,
            "help": entry.help,
        }


def _values_of(settings: Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the value of each setting by its variable."""
    line = settings.default_line
    parts = (settings.service, settings.service.account, *(() if line is None else (line,)))
    return {
        **{one.name: environment.get(one.name, "").strip() or None for one in BOTO3_SETTINGS},
        **({} if line is None else _values_of_bot(line)),
        **{one.name: getattr(part, field) for part in parts for field, one in simple_fields_of(type(part))},
    }


def _values_of_bot(line: LineSettings) -> dict[str, Any]:
    """Return the values of the settings that name the bot and its phrases."""
    bot = line.bot
    names = ("LEX_BOT_ID", "LEX_BOT_ALIAS_ID", "LEX_LOCALE_ID")
    of_bot = (bot.bot_id, bot.alias_id, bot.locale_id) if isinstance(bot, LexV2Bot) else (bot.name, bot.alias)
    return {
        **dict(zip(names if len(of_bot) == 3 else ("LEX_BOT_NAME", "LEX_BOT_ALIAS"), of_bot, strict=True)),
        **{one.name: line.phrases.named(phrase) for phrase, one in PHRASE_SETTINGS.items()},
    }


def _hidden_names() -> set[str]:
    """Return the settings that `repr` hides: those with phone numbers, too."""
    hidden = set()
    for part in (ServiceSettings, LineSettings, TwilioAccount):
        is_shown = {one.name: one.repr for one in fields(part)}
        hidden |= {one.name for field, one in simple_fields_of(part) if not is_shown[field]}
    return hidden


def _written(value: Any) -> str | None:
    """Return a value as it would stand in the environment."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return ",".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
