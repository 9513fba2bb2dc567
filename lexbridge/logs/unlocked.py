"""A log for threads and hooks that may not wait for a greenlet."""

import logging
from collections.abc import Mapping
from typing import Any

from lexbridge.logs.formats import LineFormatter
from lexbridge.logs.writers import LineWriter


class UnlockedLog:
    """A log that goes past `logging`, because the locks there are gevent's.

    It is for threads of the system, for gevent's hub and for finalizers: none of them may wait for a greenlet. Make it
    in the thread that logs otherwise, after `configure` with a LineWriter.
    """

    def __init__(self) -> None:
        root = logging.getLogger()
        self._out = next(handler for handler in root.handlers if isinstance(handler, LineWriter))
        self._out.start()
        self._root = root

    def write(self, level: str, event: str, **fields: Any) -> None:
        """Write one line. Never raises. A field `exc_info` is what sys.exc_info() returns."""
        if logging.getLevelNamesMapping()[level.upper()] >= self._root.level:
            self._write(level, event, fields)

    def answer(self, event: str, **fields: Any) -> None:
        """Write one line of level info whatever LOG_LEVEL is, because an operator has asked for it. Never raises."""
        self._write("info", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        formatter = self._out.formatter
        if not isinstance(formatter, LineFormatter):
            return
        try:
            line = formatter.render(level, event, fields)
        except Exception:  # there is no caller that could handle it
            line = formatter.render(level, event, {})
        self._out.put(line)
