"""The route of a call: which line serves it, and which bot of the table does if it is not the line's own."""

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
"""Form of the name of a line or a bot in the table of lines."""

LOCALE_ID = re.compile(r"[A-Za-z]{2,3}_[A-Za-z0-9]{2,4}")
"""Form of a locale's id, as Lex writes it."""

_ROUTE = re.compile(r"([A-Za-z0-9_.-]{0,60})(?:/([A-Za-z0-9_.-]{0,60})(?:/([A-Za-z]{2,3}_[A-Za-z0-9]{2,4}))?)?")


@dataclass(frozen=True, slots=True)
class CallRoute:
    """The route of a call. All texts are "" for the default line and its own bot.

    `line`: name of the line. `bot`: name of the bot that the call was handed to. `locale_id`: locale that the call was
    handed to.
    """

    line: str = ""
    bot: str = ""
    locale_id: str = ""

    @classmethod
    def parse(cls, text: str) -> "CallRoute | None":
        """Return the route that `text` is the `text` of, or None if it is that of none."""
        found = _ROUTE.fullmatch(text)
        if found is None:
            return None
        route = cls(found[1], found[2] or "", found[3] or "")
        return route if route.text == text else None  # each route has one spelling

    @property
    def text(self) -> str:
        """The route as it stands in addresses and stream parameters, such as `sales` or `sales/flowers/de_DE`."""
        return "/".join((self.line, self.bot, self.locale_id)).rstrip("/")

    @property
    def log_fields(self) -> dict[str, str]:
        """The route as fields of a log line, without those that are "": `line`, `line_bot` and `line_locale`."""
        named = {"line": self.line, "line_bot": self.bot, "line_locale": self.locale_id}
        return {name: value for name, value in named.items() if value}
