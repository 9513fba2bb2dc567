"""Format of log lines: JSON for machines, and text for people."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

_SHORT_SID = 8
"""Characters of the CallSid in front of a line of text: few enough to read, and enough to tell live calls apart."""

_TIME_OF_DAY = slice(11, 23)
"""Part of a timestamp such as 2026-11-28T03:21:05.123456Z that a line of text shows."""

_LONG = ("call_sid", "stream_sid", "pid")
_BEGINS_A_STREAM = ("call-answered", "stream-started")


def arrange_as_text(_logger: object, _level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Arrange a line as text: its time of day and the beginning of its CallSid in front, and no field that is None.

    The whole SIDs and the process id are long. So they come last, and only in lines whose reader may have to look for
    them elsewhere.
    """
    shown = {name: value for name, value in line.items() if value is not None and name not in _LONG}
    shown["timestamp"] = line["timestamp"][_TIME_OF_DAY]
    shown["call"] = str(line.get("call_sid") or "-")[:_SHORT_SID]
    is_whole = line["level"] in ("warning", "error") or "call_sid" not in line or line["event"] in _BEGINS_A_STREAM
    return {**shown, **{name: line[name] for name in _LONG if is_whole and line.get(name) is not None}}


def text_renderer(colors: bool) -> structlog.dev.ConsoleRenderer:
    """Return the renderer of lines that `arrange_as_text` has arranged."""
    dev = structlog.dev
    dim, bright, key, reset = (dev.DIM, dev.BRIGHT, dev.CYAN, dev.RESET_ALL) if colors else ("", "", "", "")
    columns = [
        dev.Column("", dev.KeyValueColumnFormatter(key, "", reset, _in_one_line)),
        dev.Column("timestamp", dev.KeyValueColumnFormatter(None, dim, reset, str)),
        dev.Column("level", dev.LogLevelColumnFormatter(dev.ConsoleRenderer.get_default_level_styles(colors), reset)),
        dev.Column("call", dev.KeyValueColumnFormatter(None, bright, reset, _in_one_line, width=_SHORT_SID)),
        dev.Column("event", dev.KeyValueColumnFormatter(None, bright, reset, str)),
    ]
    return dev.ConsoleRenderer(columns=columns, sort_keys=False, exception_formatter=dev.plain_traceback)


def _in_one_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(value)


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """A formatter of logging records, and of events that are no records.

    `shared`, `rendered`: structlog's processors, those that both kinds of events need and those that make text.
    """

    def __init__(self, shared: list[Any], rendered: list[Any]) -> None:
        super().__init__(processors=[self.remove_processors_meta, *rendered], foreign_pre_chain=shared)
        self._all = [*shared, *rendered]

    def render(self, level: str, event: str, fields: Mapping[str, Any]) -> str:
        """Return the line of an event, without taking a lock."""
        line: Any = {**fields, "event": event}
        for processor in self._all:
            line = processor(None, level, line)
        return str(line)
