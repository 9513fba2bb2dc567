"""The table of lines of a server: read and checked at the start and at each reload, and published to all workers."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from lexbridge.bridge.lines import LoadedTable
from lexbridge.config.lines import LineTable
from lexbridge.config.lines_file import PlainData, build_table, parse_lines
from lexbridge.config.settings import Settings
from lexbridge.errors import ConfigError, Problem
from lexbridge.logs import Log
from lexbridge.server.lines_source import LinesText, source_of
from lexbridge.server.published_lines import DepartedAccount, LinesRecord, Look, PublishedLines, through_memory

LONGEST_CALL_S = 4 * 60 * 60
"""How long a call may go on, in seconds, so that an account which has left the table is known for that long.

Twilio ends a call after four hours. Source: https://www.twilio.com/docs/voice/api/call-resource .
"""

_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")


class Source(Protocol):
    """The place of LINES_FILE."""

    def read(self, unless: str | None = None) -> LinesText | None:
        """Return the file, or None if its version is still `unless`. It may take long. Raise ConfigError."""


class ServedLines:
    """The table of lines of a server. The supervisor makes it before it forks, and a child of it looks at the file."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], make_source: Callable[[], Source]) -> None:
        """`environment`: that of which `settings` were read. `make_source`: called in each process that reads."""
        self._settings = settings
        self._environment = environment
        self._make_source = make_source  # not one for all: processes cannot share its connections
        self._published = PublishedLines()
        self.version = ""
        """The version of the file that is served."""
        self._loaded: LoadedTable | None = None  # by this process

    def start(self) -> LineTable:
        """Publish the first table, and return it. Raise ConfigError with every problem of the file."""
        found = self._make_source().read()
        if found is None:
            raise AssertionError("a version was not asked for")
        data = through_memory(parse_lines(found.text))
        table = self._build(data)
        self._published.prepare(LinesRecord(data))
        self._published.publish()
        self.version = found.version
        self._loaded = LoadedTable(table, self.generation)
        return table

    @property
    def generation(self) -> int:
        """The number of the newest table."""
        return self._published.generation

    def load(self, give_way: Callable[[], None]) -> LoadedTable:
        """Build the newest table, unless this process has it. `give_way`: called after each small step."""
        if self._loaded is not None and self._loaded.generation == self.generation:
            return self._loaded
        generation, record = self._published.read()
        departed = [(one.account, one.until_s) for one in record.departed]
        self._loaded = LoadedTable(self._build(record.lines, give_way), generation, departed)
        return self._loaded

    def table(self) -> LineTable:
        """Return the table that this process has loaded last."""
        if self._loaded is None:
            raise AssertionError("the first table is loaded at the start")
        return self._loaded.table

    def newest_table(self) -> LineTable:
        """Return the newest table, which takes some time if this process has not loaded it yet."""
        return self.load(lambda: None).table

    def publish(self) -> None:
        """Have all workers serve new calls by the table that the last look has prepared."""
        self._published.publish()

    def look(self, known: str) -> Look:
        """Read and check the file, and prepare a new table. Log each of its problems. `known`: version to leave alone.

        It may take long, so a process of its own does it.
        """
        try:
            found = self._make_source().read(known or None)
        except ConfigError as error:
            return Look(result="unread", error="; ".join(_without_numbers(one.wrong) for one in error.problems))
        if found is None:
            return Look(result="unchanged", version=known)
        try:
            data = through_memory(parse_lines(found.text))
            table = self._build(data)
        except ConfigError as error:
            _log_problems(error.problems)
            return Look(result="refused", version=found.version, problems=len(error.problems))
        _, record = self._published.read()
        if data == record.lines:
            return Look(result="unchanged", version=found.version)
        before = self._build(record.lines)
        self._published.prepare(LinesRecord(data, list(_departed(record, before, table, self._settings))))
        both = table.lines.keys() & before.lines.keys()
        return Look(
            result="reloaded",
            version=found.version,
            lines=len(table.lines),
            added=len(table.lines.keys() - both),
            changed=sum(table.lines[name] != before.lines[name] for name in both),
            removed=len(before.lines.keys() - both),
        )

    def _build(self, data: PlainData, give_way: Callable[[], None] = lambda: None) -> LineTable:
        return build_table(data, self._environment, self._settings, give_way)


def served_lines(settings: Settings, environment: Mapping[str, str]) -> ServedLines | None:
    """Return the table of lines, which has to be started, or None if there is no LINES_FILE."""

    def make_source() -> Source:
        source = source_of(settings)
        if source is None:
            raise AssertionError("there is no LINES_FILE")
        return source

    return None if source_of(settings) is None else ServedLines(settings, environment, make_source)


def _log_problems(problems: Iterable[Problem]) -> None:
    """Log each problem on a line of its own, because the system keeps only short lines whole."""
    for one in problems:
        Log().warning("lines-problem", where=one.variable, wrong=_without_numbers(one.wrong), rule=one.rule)


def _without_numbers(text: str) -> str:
    """Return a text without what may be a phone number."""
    return _NUMBER.sub("(number)", text)


def _departed(
    record: LinesRecord, before: LineTable, table: LineTable, settings: Settings
) -> Iterator[DepartedAccount]:
    """Yield the Twilio accounts that `table` does not have any more, and whose calls may still be live."""
    now_s = time.time()
    left = {one.account.twilio_account_sid: one for one in record.departed if one.until_s > now_s}
    left |= {
        account.twilio_account_sid: DepartedAccount(account, now_s + LONGEST_CALL_S)
        for account in before.accounts()
        if account != settings.service.account
    }
    known = {account.twilio_account_sid for account in table.accounts()}
    yield from (one for account_sid, one in left.items() if account_sid not in known)
