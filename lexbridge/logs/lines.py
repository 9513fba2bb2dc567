"""The way of a log line from its event to the handlers of `logging`, which takes no lock and never raises."""

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lexbridge.logs.formats import LineFormat

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_root = logging.getLogger()


Listener = Callable[[str, str, Mapping[str, Any]], object]
"""A function that takes the level, the event and the fields of each line. Any thread may call it."""


class _Configured:
    """Configuration of this process's lines."""

    format: LineFormat | None = None
    """The format of the lines, or None before the log is configured."""
    listener: Listener | None = None


class LineHandler(logging.Handler):
    """A handler that takes whole lines, too, which need no lock."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record that a library has logged."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self.put(line)

    @abstractmethod
    def put(self, line: str) -> None:
        """Write a line. Any thread may call this, and also a handler of signals, which may interrupt another `put`."""


class _LineRecord(logging.LogRecord):
    """A whole line as a record, for the handlers that take nothing else, such as those of tests."""

    def __init__(self, level: str, line: str) -> None:
        super().__init__("lexbridge", LEVELS[level], "", 0, line, None, None)


class _Formatter(logging.Formatter):
    """A formatter of libraries' records. `line_format`: format of all lines of this process."""

    def __init__(self, line_format: LineFormat) -> None:
        super().__init__()
        self._of_libraries = line_format.of_libraries

    def format(self, record: logging.LogRecord) -> str:
        return str(record.msg) if isinstance(record, _LineRecord) else self._of_libraries.format(record)


def send_lines_to(out: logging.Handler, line_format: LineFormat) -> None:
    """Send every line of this process to `out`."""
    out.setFormatter(_Formatter(line_format))
    _root.handlers[:] = [out]
    _Configured.format = line_format


def listen(listener: Listener | None) -> None:
    """Have `listener` take every line of this process from now on, also lines of levels that are not written.

    It must not block, and what it raises is dropped. It gets no lines of libraries. None: nobody listens any more.
    """
    _Configured.listener = listener


def tell_listener(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """Tell the listener of a line, if there is one."""
    if (listener := _Configured.listener) is not None:
        with suppress(Exception):  # no code that logs could handle it
            listener(level, event, fields)


def is_listened_to() -> bool:
    """Return whether somebody listens to the lines of this process."""
    return _Configured.listener is not None


def is_written(level: str) -> bool:
    """Return whether lines of a level are written now."""
    return LEVELS[level] >= _root.level


def write_line(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """Write the line of an event, whatever the level is that is written now.

    Threads, gevent's hub, finalizers and handlers of signals may call this, none of which may wait for a greenlet.
    """
    line_format = _Configured.format
    if line_format is None:
        return
    try:
        line = line_format.line(level, event, fields)
    except Exception:  # no code that logs could handle it
        line = line_format.line(level, event, {})
    for handler in _root.handlers:
        if isinstance(handler, LineHandler):
            handler.put(line)
        elif LEVELS[level] >= handler.level:
            handler.handle(_LineRecord(level, line))
