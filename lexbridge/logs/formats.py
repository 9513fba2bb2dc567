"""Format of log lines: JSON for machines, and text for people.

An ordinary event is made into a line here. structlog makes the lines of libraries, and those with an exception, in the
same form.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from time import time_ns
from typing import Any

import structlog

Line = MutableMapping[str, Any]

_SHORT_SID = 8
"""Characters of the CallSid in front of a line of text: few enough to read, and enough to tell live calls apart."""

_TIME_OF_DAY = slice(11, 23)
"""Part of a timestamp such as 2026-11-28T03:21:05.123456Z that a line of text shows."""

_LONG = ("call_sid", "stream_sid", "pid")
_COLUMNS = ("timestamp", "level", "call", "event")
_BEGINS_A_STREAM = ("call-answered", "stream-started")
_FAULTS = ("warning", "error")
_EXCEPTIONS = frozenset(("exc_info", "exception", "stack"))
"""Fields that structlog writes below a line of text."""


class LineFormat(ABC):
    """A format of events. `pid`: process id that each line gets, or None for lines without one."""

    def __init__(self, pid: int | None) -> None:
        self._pid: Mapping[str, Any] = {} if pid is None else {"pid": pid}
        shared: list[Callable[[Any, str, Line], Any]] = [
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda _, __, line: {**self._pid, **line},
        ]
        rendered = self._processors()
        self._all = [*shared, *rendered]
        self.of_libraries = structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered], foreign_pre_chain=shared
        )
        """Formatter of the records that libraries log."""

    @abstractmethod
    def line(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        """Return the line of an event."""

    @abstractmethod
    def _processors(self) -> list[Any]:
        """Return structlog's processors that make a line of an event and its fields."""

    def _line_of_structlog(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        line: Any = {**fields, "event": event}
        for processor in self._all:
            line = processor(None, level, line)
        return str(line)


class JsonFormat(LineFormat):
    """Lines that are JSON objects."""

    def __init__(self, pid: int | None = None) -> None:
        super().__init__(pid)
        self._encode = json.JSONEncoder(default=_described).encode

    def line(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        """Return the line of an event."""
        if "exc_info" in fields:
            return self._line_of_structlog(level, event, fields)
        return self._encode({**self._pid, **fields, "event": event, "level": level, "timestamp": timestamp()})

    def _processors(self) -> list[Any]:
        # Tracebacks come without the values of variables, because those hold tokens and the words of callers.
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer()]


class TextFormat(LineFormat):
    """Lines of text: the time of day and the beginning of the CallSid in front, and no field that is None.

    The whole SIDs and the process id are long. So they come last, and only in lines whose reader may have to look for
    them elsewhere. Exceptions come with plain tracebacks.
    """

    def __init__(self, pid: int | None = None, colors: bool = False) -> None:
        dev = structlog.dev
        self._dim: str = dev.DIM if colors else ""
        self._bright: str = dev.BRIGHT if colors else ""
        self._key: str = dev.CYAN if colors else ""
        self._reset: str = dev.RESET_ALL if colors else ""
        styles = dev.ConsoleRenderer.get_default_level_styles(colors)
        width = max(map(len, styles))
        self._levels = {level: f"[{style}{level:<{width}}{self._reset}]" for level, style in styles.items()}
        super().__init__(pid)

    def line(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        """Return the line of an event."""
        if not _EXCEPTIONS.isdisjoint(fields):
            return self._line_of_structlog(level, event, fields)
        key, reset = self._key, self._reset
        call = _in_one_line(_short_sid(fields)).ljust(_SHORT_SID)
        parts = [
            f"{self._dim}{timestamp()[_TIME_OF_DAY]}{reset}",
            self._levels[level],
            f"{self._bright}{call}{reset}",
        ]
        if event or reset:
            parts.append(f"{self._bright}{event}{reset}")
        for name, value in fields.items():
            if value is not None and name not in _LONG and name not in _COLUMNS:
                parts.append(f"{key}{name}{reset}={_in_one_line(value)}{reset}")
        if _is_whole(level, event, fields):
            fields = {**self._pid, **fields}
            parts += [
                f"{key}{name}{reset}={_in_one_line(fields[name])}{reset}"
                for name in _LONG
                if fields.get(name) is not None
            ]
        return " ".join(parts).rstrip(" ")

    def _processors(self) -> list[Any]:
        dev = structlog.dev
        columns = [
            dev.Column("", dev.KeyValueColumnFormatter(self._key, "", self._reset, _in_one_line)),
            dev.Column("timestamp", dev.KeyValueColumnFormatter(None, self._dim, self._reset, str)),
            dev.Column("level", lambda _, level: self._levels.get(str(level), f"[{level}]")),
            dev.Column("call", dev.KeyValueColumnFormatter(None, self._bright, self._reset, _in_one_line, _SHORT_SID)),
            dev.Column("event", dev.KeyValueColumnFormatter(None, self._bright, self._reset, str)),
        ]
        plain = dev.plain_traceback
        return [_arrange_as_text, dev.ConsoleRenderer(columns=columns, sort_keys=False, exception_formatter=plain)]


class _Second:
    """The second of the newest timestamp, since 1970, and its text."""

    newest = (-1, "")


def timestamp() -> str:
    """Return the time in UTC, such as 2026-11-28T03:21:05.123456Z, as datetime.isoformat() would write it."""
    second, us = divmod(time_ns() // 1000, 1_000_000)
    newest = _Second.newest  # read once, because a thread may replace it
    if newest[0] != second:
        newest = _Second.newest = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{newest[1]}.{us:06d}Z" if us else f"{newest[1]}Z"


def _described(value: object) -> object:
    """Return a value that JSON does not know as structlog does."""
    try:
        return value.__structlog__()  # type: ignore[attr-defined]
    except AttributeError:
        return repr(value)


def _arrange_as_text(_logger: object, _level: str, line: Line) -> Line:
    """Arrange a line that structlog writes as `TextFormat.line` does."""
    shown = {name: value for name, value in line.items() if value is not None and name not in _LONG}
    shown["timestamp"] = line["timestamp"][_TIME_OF_DAY]
    shown["call"] = _short_sid(line)
    is_whole = _is_whole(line["level"], line["event"], line)
    return {**shown, **{name: line[name] for name in _LONG if is_whole and line.get(name) is not None}}


def _short_sid(fields: Mapping[str, Any]) -> str:
    return str(fields.get("call_sid") or "-")[:_SHORT_SID]


def _is_whole(level: str, event: str, fields: Mapping[str, Any]) -> bool:
    """Return whether a line of text has the whole SIDs and the process id."""
    return level in _FAULTS or "call_sid" not in fields or event in _BEGINS_A_STREAM


def _in_one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(value)
