"""Lines of a log: those that are whole, and those that tell something that is private."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RANDOM = {"timestamp", "call_sid", "stream_sid"}
"""Fields in which any digits may stand by chance."""


def whole_lines(log: str) -> list[str]:
    """Return the lines of a log that have been written to their ends: the last one may be half a line so far."""
    return log[: log.rfind("\n") + 1].splitlines()


def events_in(log: Path, event: str) -> list[dict[str, Any]]:
    """Return the lines of a log file for `event`. Lines that are no JSON, such as those of a stack, are left out.

    Tests ask for it again and again while they wait, so it parses no line in which the event does not stand.
    """
    lines = whole_lines(log.read_text(encoding="utf-8"))
    parsed = [json.loads(line) for line in lines if line.startswith("{") and f'"{event}"' in line]
    return [line for line in parsed if line["event"] == event]


def lines_with(private: str, lines: Iterable[Mapping[str, Any]], *, but_for_debug: bool = False) -> list[str]:
    """Return the log lines in which `private` stands. `but_for_debug`: it may stand in a line of the level DEBUG."""
    told = [
        str({name: value for name, value in line.items() if name not in RANDOM})
        for line in lines
        if not (but_for_debug and line["level"] == "debug")
    ]
    return [line for line in told if private in line]
