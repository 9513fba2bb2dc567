"""Log objects that the code writes to: one for each subject, and one that limits the number of lines."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import gevent

from lexbridge.logs.lines import is_listened_to, is_written, tell_listener, write_line


class Log:
    """A log of one subject. Each line carries the subject's `fields`, such as a call's SIDs.

    Its methods take no lock and never raise. So threads of the system, gevent's hub, finalizers and handlers of signals
    may call them, none of which may wait for a greenlet.
    """

    __slots__ = ("_faults", "_fields")

    def __init__(self, **fields: Any) -> None:
        self._fields = fields
        self._faults: Counter[str] = Counter()  # lines by level, of this log and of all that `bind` made of it

    @property
    def faults(self) -> int:
        """Number of warnings and errors so far, those of bound logs included."""
        return self._faults["warning"] + self._faults["error"]

    @property
    def worst_fault(self) -> str | None:
        """The worst level so far, "error" or "warning", or None. Lines of bound logs count too."""
        return next((level for level in ("error", "warning") if self._faults[level]), None)

    def bind(self, **fields: Any) -> "Log":
        """Return a log of the same subject with more fields."""
        bound = Log(**{**self._fields, **fields})
        bound._faults = self._faults
        return bound

    def write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Write one line. `level`: "debug", "info", "warning" or "error"."""
        self._faults[level] += 1
        is_line = is_written(level)
        if is_line or is_listened_to():
            fields = {**self._fields, **fields}
            tell_listener(level, event, fields)
        if is_line:
            write_line(level, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write one line about something that is as it should be."""
        self.write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write one line about a fault that a caller may have noticed."""
        self.write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write one line about a fault that somebody has to mend."""
        self.write("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Write one line with the traceback of the exception that is being handled, which is a bug."""
        self.write("error", event, {"exc_info": True, **fields})

    def answer(self, event: str, **fields: Any) -> None:
        """Write one line of level info whatever LOG_LEVEL is, because an operator has asked for it."""
        self._faults["info"] += 1
        write_line("info", event, {**self._fields, **fields})


class RateLimitedLog:
    """A log of events that strangers can cause at any rate: at most one line for each reason in `window_s`.

    The first event is written at once. Those that follow are counted, and written as one line when the window ends.
    """

    def __init__(self, event: str, window_s: float = 10.0) -> None:
        self._event = event
        self._window_s = window_s
        # Reasons whose window is open, with the number of further events, and the hints of the newest one.
        self._unwritten: dict[str, tuple[int, Mapping[str, str]]] = {}
        self.totals: Counter[str] = Counter()
        """Number of events so far, by reason."""

    def count(self, reason: str, hints: Mapping[str, str] | None = None) -> None:
        """Count one event, and write it if no line about `reason` was written within the window.

        `reason`: one of a small set. `hints`: more fields of the line, such as the remedy. Neither may hold text that a
        stranger has sent.
        """
        self.totals[reason] += 1
        hints = hints or {}
        if reason in self._unwritten:
            self._unwritten[reason] = self._unwritten[reason][0] + 1, hints
            return
        self._open_window(reason, 1, hints)

    def _open_window(self, reason: str, count: int, hints: Mapping[str, str]) -> None:
        self._unwritten[reason] = 0, {}
        Log().warning(self._event, reason=reason, count=count, **hints)
        gevent.spawn_later(self._window_s, self._close_window, reason)

    def _close_window(self, reason: str) -> None:
        count, hints = self._unwritten.pop(reason)
        if count:
            self._open_window(reason, count, hints)
