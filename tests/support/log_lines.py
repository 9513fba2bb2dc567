"""Lines of a log: those that are whole, and those that tell something that is private."""

from collections.abc import Iterable, Mapping
from typing import Any

RANDOM = {"timestamp", "call_sid", "stream_sid"}
"""Fields in which any digits may stand by chance."""


def whole_lines(log: str) -> list[str]:
    """Return the lines of a log that have been written to their ends: the last one may be half a line so far."""
    return log[: log.rfind("\n") + 1].splitlines()


def lines_with(private: str, lines: Iterable[Mapping[str, Any]], *, but_for_debug: bool = False) -> list[str]:
    """Return the log lines in which `private` stands. `but_for_debug`: it may stand in a line of the level DEBUG."""
    told = [
        str({name: value for name, value in line.items() if name not in RANDOM})
        for line in lines
        if not (but_for_debug and line["level"] == "debug")
    ]
    return [line for line in told if private in line]
