"""Tables of lines for tests, each line with a number of its own."""

from collections.abc import Callable

from lexbridge.config.lines import Line, LineTable
from lexbridge.config.matching import Fact, Match, Texts
from lexbridge.config.settings import Settings
from tests.support.rig import settings


def called(number: str) -> Match:
    """Return the conditions of calls to `number`."""
    return Match({Fact("to"): Texts(frozenset({number}))})


def line(name: str, number: str, **changes: str) -> Line:
    """Return a line that serves the calls to `number` with the usual settings and `changes`."""
    return Line(name, settings(**changes).line, called(number))


def lines(*served: Line) -> Callable[[Settings], LineTable]:
    """Return a function that makes the table of these lines, with the default line of the settings that it is given."""
    return lambda environment: LineTable(environment.default_line, served)
