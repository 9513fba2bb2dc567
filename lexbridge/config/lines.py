"""The table of lines: which calls a line serves, with which settings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lexbridge.config.line_settings import LineSettings
from lexbridge.config.route import CallRoute
from lexbridge.config.settings import Settings
from lexbridge.config.twilio_account import TwilioAccount


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """What is known of a call when a line is chosen for it.

    `form`: fields of Twilio's webhook. `query`: those of the address that Twilio was told. `at_s`: Unix time.
    """

    form: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    at_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its name, its settings, and a function that returns whether it serves a call.

    The default line has the name "".
    """

    name: str
    settings: LineSettings
    serves: Callable[[IncomingCall], bool] = field(repr=False)


class LineTable:
    """The lines of a process, the first that serves a call first. It does not change: a new table takes its place."""

    def __init__(
        self,
        default: LineSettings | None,
        lines: Iterable[Line] = (),
        switched: Callable[[CallRoute], LineSettings | None] | None = None,
    ) -> None:
        """`default`: settings of the line for all other calls, or None if they are refused.

        `switched`: returns the settings of a call that was handed to another bot or locale, or None if there is no such
        bot.
        """
        self.default = default
        self._lines = {line.name: line for line in lines}
        self._switched = switched

    @classmethod
    def of(cls, settings: Settings) -> "LineTable":
        """Return the table with the default line alone."""
        return cls(settings.default_line)

    def choose(self, call: IncomingCall) -> CallRoute | None:
        """Return the route of a new call, or None if no line serves it."""
        name = next((line.name for line in self._lines.values() if line.serves(call)), None)
        if name is not None:
            return CallRoute(name)
        return None if self.default is None else CallRoute()

    def settings_of(self, route: CallRoute) -> LineSettings | None:
        """Return the settings that a call with this route has, or None if the table does not know the route."""
        if route.bot or route.locale_id:
            return self._switched(route) if self._switched is not None else None
        line = self._lines.get(route.line)
        return line.settings if line is not None else None if route.line else self.default

    def routes(self) -> Iterator[CallRoute]:
        """Yield the route of each line, the default one last."""
        yield from (CallRoute(name) for name in self._lines)
        if self.default is not None:
            yield CallRoute()

    def accounts(self) -> Iterator[TwilioAccount]:
        """Yield the Twilio account of each line but the default one."""
        yield from (line.settings.account for line in self._lines.values())
