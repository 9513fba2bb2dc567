"""Layers of the settings of a line: the environment, what the table of lines says for all lines, its bot, itself.

A layer has texts by variable, as an environment has. A later layer wins. Some variables belong together: where a layer
has one of them, those of earlier layers do not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lexbridge.config.bots import BOT_SETTINGS
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.route import CallRoute
from lexbridge.config.setting import Group, entries_of
from lexbridge.config.twilio_account import TwilioAccount

Layer = Mapping[str, str]
"""Texts by variable."""

LINE_VARIABLES = {one.name: one for one in entries_of(LineSettings)}
"""Each setting of a line by its variable."""

WORDS = frozenset(name for name, one in LINE_VARIABLES.items() if one.group is Group.WORDS)
"""Variables with words in a language, and with the voice that says them."""

ACCOUNT = frozenset(one.name for one in entries_of(TwilioAccount))
BOT_NAMES = frozenset(one.name for one in BOT_SETTINGS) - {"LEX_LOCALE_ID"}
"""Variables that name the bot, without its locale."""
_BOT = frozenset(name for name, one in LINE_VARIABLES.items() if one.group is Group.BOT)
LIMITS = frozenset(name for name, one in LINE_VARIABLES.items() if one.group is Group.LINES)
"""Variables with limits of a line, so that no line takes the place of others."""

_KEPT = ACCOUNT | LIMITS | {"REPLY_MODE"}
"""Variables that are the line's whichever bot its calls are handed to."""

_INTENTS = frozenset({"WELCOME", "WELCOME_INTENT", "TRANSFER_FAILED_INTENT", "MACHINE_INTENT"})
"""Variables that name intents of one bot, which another bot need not have."""

_LOCALE = "LEX_LOCALE_ID"
_DEFAULT_LOCALE = "en_US"


@dataclass(frozen=True, slots=True)
class LineLayer:
    """Settings that the table gives to one line.

    `bot`: name of its bot in the table, or "" for that of the environment. `has_defaults`: whether the table's defaults
    count for it, as they do for each line but the default one.
    """

    texts: Layer = field(default_factory=dict)
    bot: str = ""
    has_defaults: bool = True


class Layers:
    """All layers of a table of lines, and what they come to for one call."""

    def __init__(
        self,
        environment: Mapping[str, str],
        defaults: Layer,
        locales: Mapping[str, Layer],
        bots: Mapping[str, Layer],
    ) -> None:
        """`locales`: words and voice of each locale. `bots`: settings of each bot, with what names it."""
        self._environment = {name: environment[name] for name in LINE_VARIABLES if environment.get(name, "").strip()}
        self._defaults, self._locales, self.bots = defaults, locales, bots
        self.has_bot = not BOT_NAMES.isdisjoint(self._environment)

    def of_line(self, line: LineLayer, locale_id: str = "") -> dict[str, str]:
        """Return the settings of a line's calls. `locale_id`: the locale that they were handed to, if any."""
        own = self._own_locale(line)
        locale = locale_id or own
        layers = [
            self._of_environment(line.bot, own, locale),
            _in_language(self._defaults_of(line), own, locale),
            self._locales.get(locale, {}),
            _in_language(self.bots.get(line.bot, {}), self._bot_locale(line.bot, own), locale),
            _in_language(line.texts, own, locale),
        ]
        return _merged([*layers, {_LOCALE: locale_id}] if locale_id else layers)

    def of_switched(self, line: LineLayer, route: CallRoute, *, own_rules: bool = True) -> dict[str, str]:
        """Return the settings of a line's calls that were handed to another bot. `route`: with that bot's name.

        The reply mode stays that of the line, because the documents of a call keep their form, and so do its limits and
        its Twilio account. `own_rules`: whether the line's other settings count, those that are no words and name no
        intents of its own bot.
        """
        bot = self.bots[route.bot]
        own = self._own_locale(line)
        bot_locale = self._bot_locale(route.bot, own)
        locale = route.locale_id or bot_locale
        of_line = {name: text for name, text in line.texts.items() if name not in WORDS | _BOT | _INTENTS}
        environment = self._of_environment(route.bot, own, locale)
        kept = self.of_line(line)
        return _merged(
            [
                {name: text for name, text in environment.items() if name not in _INTENTS},
                _in_language(self._defaults, own, locale),
                of_line if own_rules else {},
                self._locales.get(locale, {}),
                _in_language(bot, bot_locale, locale),
                {_LOCALE: locale},
                {name: kept.get(name, "") for name in _KEPT},
            ]
        )

    def _of_environment(self, bot: str, own: str, locale: str) -> Layer:
        """Return the layer of the environment for a call to a bot. `own`: the line's own locale."""
        layer: Layer = self._environment
        if bot:
            layer = {name: text for name, text in layer.items() if name not in BOT_NAMES | {_LOCALE}}
        spoken = self._environment.get(_LOCALE, _DEFAULT_LOCALE) if self.has_bot else own
        return _in_language(layer, spoken, locale)

    def _defaults_of(self, line: LineLayer) -> Layer:
        return self._defaults if line.has_defaults else {}

    def _own_locale(self, line: LineLayer) -> str:
        given = line.texts.get(_LOCALE) or self.bots.get(line.bot, {}).get(_LOCALE)
        given = given or self._defaults_of(line).get(_LOCALE)
        return given or ("" if line.bot else self._environment.get(_LOCALE)) or _DEFAULT_LOCALE

    def _bot_locale(self, bot: str, own: str) -> str:
        """Return the locale of a bot of the table. `own`: that of the line, for a line without a bot of the table."""
        if not bot:
            return own
        return self.bots.get(bot, {}).get(_LOCALE) or self._defaults.get(_LOCALE) or _DEFAULT_LOCALE


def _in_language(layer: Layer, spoken: str, locale: str) -> Layer:
    """Return the layer for a call in `locale`: without its words if they are in another language, that of `spoken`."""
    if _language(spoken) == _language(locale):
        return layer
    return {name: text for name, text in layer.items() if name not in WORDS}


def _language(locale: str) -> str:
    return locale.partition("_")[0]


def _merged(layers: list[Layer]) -> dict[str, str]:
    """Return the texts of all layers, a later one first."""
    merged: dict[str, str] = {}
    for layer in layers:
        for together in (ACCOUNT, BOT_NAMES):
            if not together.isdisjoint(layer):
                for name in together:
                    merged.pop(name, None)
        if "AWS_REGION" in layer:
            merged.pop("BOT_ENDPOINT_URL", None)  # an endpoint is one in its region
        merged.update(layer)
    return merged
