"""The check of a table of lines: that the settings of each line fit together, and that calls can be told apart."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from lexbridge.config.line_layers import BOT_NAMES, Layers, LineLayer
from lexbridge.config.line_names import shown_name
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import Line, LineTable
from lexbridge.config.match_index import MatchIndex
from lexbridge.config.matching import Match
from lexbridge.config.reading import read_line_settings
from lexbridge.config.switched import Switching
from lexbridge.config.twilio_account import TwilioAccount
from lexbridge.errors import ConfigError, Problem

_NAMES = {*BOT_NAMES, "LEX_BOT_ID and LEX_BOT_NAME"}
"""Variables of problems with the name of a bot, which are told where the name stands."""


@dataclass(frozen=True, slots=True)
class Written:
    """A line as it is written.

    `where`: names it in problems. `has_bot`: whether the bot that it names exists. `has_match`: whether its conditions
    are right, so that they can be compared with those of other lines.
    """

    name: str
    where: str
    layer: LineLayer
    match: Match
    weight: int | None
    has_bot: bool
    has_match: bool


class LinesCheck:
    """The check of all bots and lines of one table, and the table that comes of it."""

    def __init__(self, layers: Layers, own: TwilioAccount | None, known: Collection[Problem] = ()) -> None:
        """`own`: the Twilio account of the environment. `known`: problems that were told already."""
        self.problems: list[Problem] = []
        self._layers = layers
        self._own = own
        self._known = set(known)
        self._of_bots: dict[str, set[Problem]] = {}
        self._bots: dict[str, LineSettings] = {}
        self._accounts: dict[str, tuple[TwilioAccount, Written]] = {}
        self._lines: list[tuple[Written, Line]] = []

    def check_general(self, has_defaults: bool) -> None:
        """Check the defaults, or just learn what is wrong with the environment."""
        _, problems = _settings(self._layers.of_line(LineLayer()))
        problems = {one for one in problems if one.variable not in {*_NAMES, "AWS_REGION"}}
        if has_defaults:
            self._tell(problems - self._known, "LINES_FILE: [defaults]")
        self._known |= problems

    def check_bot(self, name: str, where: str) -> None:
        """Check the settings of one bot."""
        settings, problems = _settings(self._layers.of_line(LineLayer(bot=name)))
        if settings is not None:
            self._bots[name] = settings
        self._tell({one for one in problems - self._known if one.variable not in _NAMES}, where)
        self._of_bots[name] = problems

    def add_line(self, written: Written) -> None:
        """Check the settings of one line."""
        if not written.layer.bot and not self._layers.has_bot:
            if written.has_bot:
                names = ", ".join(sorted(self._layers.bots)[:10])
                rule = f"must be the name of one of [bots.NAME]{f': {names}' if names else ', and there is none'}"
                self.problems.append(Problem(f"{written.where}: bot", "is not set", rule))
            return
        settings, problems = _settings(self._layers.of_line(written.layer))
        self._tell(problems - self._known - self._of_bots.get(written.layer.bot, set()), written.where)
        if settings is not None:
            account_sid = self._account_sid(settings.account, written)
            line = Line(written.name, settings, written.match, written.layer.bot, account_sid, written.weight)
            self._lines.append((written, line))

    def check_choice(self, give_way: Callable[[], None]) -> None:
        """Check that each line can serve some call, and that no two serve the same ones without weights."""
        of_accounts: defaultdict[str, list[tuple[Written, Line]]] = defaultdict(list)
        for pair in (one for one in self._lines if one[0].has_match):
            of_accounts[pair[1].account_sid].append(pair)
        for pairs in of_accounts.values():
            index = MatchIndex([line.match for _, line in pairs])
            for position in range(len(pairs)):
                self._check_shadow(pairs, position, index)
                give_way()
            self._check_weights(pairs)

    def table(self, default: LineSettings | None) -> LineTable:
        """Return the table, if there are no problems."""
        lines = {written.name: written.layer for written, _ in self._lines}
        switching = Switching(self._layers, lines, has_default=default is not None)
        return LineTable(default, [line for _, line in self._lines], switching.settings_of, self._bots)

    def _check_shadow(self, pairs: list[tuple[Written, Line]], position: int, index: MatchIndex) -> None:
        """Check that no earlier line takes all calls of this one."""
        written, line = pairs[position]
        for earlier in takewhile(lambda at: at < position, index.of_match(line.match)):
            other, before = pairs[earlier]
            if not before.match.cover(line.match):
                continue
            name = other.where.removeprefix("LINES_FILE: ")
            if before.match.key != line.match.key:
                rule = f"{name}, which comes first, serves them all: put this line before it"
                self.problems.append(Problem(written.where, "serves no call", rule))
            elif before.weight is None or line.weight is None:
                rule = "must have another `match`, or both a `weight` to share them"
                self.problems.append(Problem(written.where, f"serves the same calls as {name}", rule))
            else:
                continue  # one that covers their calls is told at the first of them
            return

    def _check_weights(self, pairs: list[tuple[Written, Line]]) -> None:
        sums: defaultdict[object, int] = defaultdict(int)
        for _, line in pairs:
            sums[line.match.key] += 1 if line.weight is None else line.weight
        for written, line in pairs:
            if not sums[line.match.key]:
                rule = "must be more than 0 for one of the lines with this `match`; to switch them all off, remove them"
                self.problems.append(Problem(f"{written.where}: weight", "is 0", rule))

    def _account_sid(self, account: TwilioAccount, written: Written) -> str:
        """Return the SID of the line's Twilio account, or "" for that of the environment."""
        account_sid = account.twilio_account_sid
        if account_sid is None or account == self._own:
            return ""
        first, where = self._accounts.setdefault(account_sid, (account, written))
        if first != account:
            name = where.where.removeprefix("LINES_FILE: ")
            rule = "lines of one Twilio account must have the same tokens and API key"
            self.problems.append(Problem(f"{written.where}: account_sid", f"has other secrets than at {name}", rule))
        return account_sid

    def _tell(self, problems: set[Problem], where: str) -> None:
        for one in sorted(problems, key=lambda one: (one.variable, one.wrong)):
            self.problems.append(Problem(f"{where}: {shown_name(one.variable)}", one.wrong, one.rule))


def _settings(environment: Mapping[str, str]) -> tuple[LineSettings | None, set[Problem]]:
    """Return the settings of a line, or None, and what is wrong with them."""
    try:
        return read_line_settings(environment), set()
    except ConfigError as error:
        return None, set(error.problems)
