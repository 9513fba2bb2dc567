"""Tables of lines with a default line and bots that a call may be handed to."""

from collections.abc import Mapping

from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.route import CallRoute
from tests.support.rig import settings


def table_of(line: Mapping[str, str], bots: Mapping[str, Mapping[str, str]]) -> LineTable:
    """Return a table whose default line has the settings `line`, and whose bots add `bots` to them.

    A bot is named after its route: `flowers`, or `flowers/de_DE`.
    """
    default = settings(**line).line
    routes: dict[CallRoute, LineSettings] = {}
    for name, changes in bots.items():
        kept = {
            variable: text
            for variable, text in line.items()
            if not variable.startswith(("LEX_", "WELCOME", "GREETING"))
        }
        bot, _, locale_id = name.partition("/")
        routes[CallRoute("", bot, locale_id)] = settings(**{**kept, **changes}).line
    return LineTable(default, switched=routes.get)
