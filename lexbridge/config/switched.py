"""Settings of calls that were handed to another bot of the table of lines, or to another locale."""

from collections.abc import Mapping

from lexbridge.config.bots import LexV2Bot
from lexbridge.config.line_layers import Layers, LineLayer
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.places import locale_id
from lexbridge.config.reading import read_line_settings
from lexbridge.config.route import CallRoute
from lexbridge.errors import ConfigError


class Switching:
    """The settings of each route with a bot or a locale of its own."""

    def __init__(self, layers: Layers, lines: Mapping[str, LineLayer], *, has_default: bool) -> None:
        """`lines`: what the table says of each line. `has_default`: whether the environment names a bot."""
        self._layers = layers
        self._lines = {**lines, **({"": LineLayer(has_defaults=False)} if has_default else {})}

    def settings_of(self, route: CallRoute) -> LineSettings | None:
        """Return the settings of a call with this route, or None if there is no such line, bot or locale."""
        line = self._lines.get(route.line)
        if line is None or (route.bot and route.bot not in self._layers.bots) or not _is_locale(route.locale_id):
            return None
        try:
            settings = self._settings(line, route)
        except ConfigError:
            return None
        # A V1 bot has one language, and its locale is no setting of ours.
        return settings if not route.locale_id or isinstance(settings.bot, LexV2Bot) else None

    def _settings(self, line: LineLayer, route: CallRoute) -> LineSettings:
        if route.bot in ("", line.bot):
            return read_line_settings(self._layers.of_line(line, route.locale_id))
        try:
            return read_line_settings(self._layers.of_switched(line, route))
        except ConfigError:
            # What the line sets does not fit what the bot sets, such as one bound of the hangover with the other. The
            # bot's settings alone were checked with the table.
            return read_line_settings(self._layers.of_switched(line, route, own_rules=False))


def _is_locale(text: str) -> bool:
    if not text:
        return True
    try:
        locale_id(text)
    except ValueError:
        return False
    return True
