"""The table of lines: which calls a line serves, with which settings."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate

from lexbridge.config.line_settings import LineSettings
from lexbridge.config.match_index import MatchIndex
from lexbridge.config.matching import IncomingCall, Match
from lexbridge.config.route import CallRoute
from lexbridge.config.settings import Settings
from lexbridge.config.twilio_account import TwilioAccount

__all__ = ["IncomingCall", "Line", "LineTable"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line: its name, its settings, and which calls it serves. The default line has the name "".

    `bot`: name of its bot in the table, or "" for that of the environment. `account_sid`: Twilio account whose calls it
    serves, or "" for that of the environment. `weight`: its share of the calls that other lines serve as well.
    """

    name: str
    settings: LineSettings
    match: Match = field(default_factory=Match)
    bot: str = ""
    account_sid: str = ""
    weight: int | None = None


class LineTable:
    """The lines of a process, the first that serves a call first. It does not change: a new table takes its place."""

    def __init__(
        self,
        default: LineSettings | None,
        lines: Iterable[Line] = (),
        switched: Callable[[CallRoute], LineSettings | None] | None = None,
        bots: Mapping[str, LineSettings] | None = None,
    ) -> None:
        """`default`: settings of the line for all other calls, or None if they are refused.

        `switched`: returns the settings of a call that was handed to another bot or locale, or None if there is no such
        bot. `bots`: settings of each bot of the table by its name, without those of a line.
        """
        self.default = default
        self.bots = bots or {}
        self.lines: Mapping[str, Line] = {line.name: line for line in lines}
        self._switched = switched
        of_accounts: defaultdict[str, list[Line]] = defaultdict(list)
        for line in self.lines.values():
            of_accounts[line.account_sid].append(line)
        self._choices = {account_sid: _Choice(lines) for account_sid, lines in of_accounts.items()}

    @classmethod
    def of(cls, settings: Settings) -> "LineTable":
        """Return the table with the default line alone."""
        return cls(settings.default_line)

    def choose(self, call: IncomingCall) -> CallRoute | None:
        """Return the route of a new call, or None if no line serves it. Any process with this table chooses the same.

        A call is served only by the lines of its Twilio account.
        """
        account_sid = self.account_of(call)
        choice = self._choices.get(account_sid)
        name = None if choice is None else choice.of(call)
        if name is not None:
            return CallRoute(name)
        return None if self.default is None or account_sid else CallRoute()

    def account_of(self, call: IncomingCall) -> str:
        """Return the SID of the call's Twilio account if it has lines of its own, else ""."""
        account_sid = call.form.get("AccountSid", "")
        return account_sid if account_sid in self._choices else ""

    def settings_of(self, route: CallRoute) -> LineSettings | None:
        """Return the settings that a call with this route has, or None if the table does not know the route."""
        if route.bot or route.locale_id:
            return self._switched(route) if self._switched is not None else None
        line = self.lines.get(route.line)
        return line.settings if line is not None else None if route.line else self.default

    def routes(self) -> Iterator[CallRoute]:
        """Yield the route of each line, the default one last."""
        yield from map(CallRoute, self.lines)
        if self.default is not None:
            yield CallRoute()

    def all_settings(self) -> Iterator[LineSettings]:
        """Yield the settings of each line and each bot. A call may be handed to a bot that no line has."""
        yield from filter(None, map(self.settings_of, self.routes()))
        yield from self.bots.values()

    def accounts(self) -> Iterator[TwilioAccount]:
        """Yield the Twilio account of each line but the default one."""
        yield from (line.settings.account for line in self.lines.values())


class _Choice:
    """The choice among the lines of one Twilio account."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._index = MatchIndex([line.match for line in lines])
        self._equals: defaultdict[object, list[Line]] = defaultdict(list)
        for line in lines:
            if line.weight is not None:
                self._equals[line.match.key].append(line)

    def of(self, call: IncomingCall) -> str | None:
        """Return the name of the line that serves the call, or None if none does."""
        found = next((at for at in self._index.of_call(call) if self._lines[at].match.serves(call)), None)
        if found is None:
            return None
        line = self._lines[found]
        return line.name if line.weight is None else _by_weight(self._equals[line.match.key], call)


def _by_weight(lines: list[Line], call: IncomingCall) -> str:
    """Return the name of one of the lines, each as often as its weight says. A call has the same in any process."""
    total = sum(line.weight or 0 for line in lines)
    drawn = int.from_bytes(sha256(call.form.get("CallSid", "").encode()).digest()[:8]) % total
    ends = accumulate(line.weight or 0 for line in lines)
    return next(line.name for line, end in zip(lines, ends, strict=True) if drawn < end)
