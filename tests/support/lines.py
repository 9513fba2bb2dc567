"""Tables of lines for tests, each line with a number of its own."""

from collections.abc import Callable

from lexbridge.config.lines import IncomingCall, Line, LineTable
from lexbridge.config.settings import Settings
from tests.support.rig import settings


def called(number: str) -> Callable[[IncomingCall], bool]:
    """Return a function that returns whether a call is one to `number`."""
    return lambda call: call.form.get("To") == number


def line(name: str, number: str, **changes: str) -> Line:
    """Return a line that serves the calls to `number` with the usual settings and `changes`."""
    return Line(name, settings(**changes).line, called(number))


def lines(*served: Line) -> Callable[[Settings], LineTable]:
    """Return a function that makes the table of these lines, with the default line of the settings that it is given."""
    return lambda environment: LineTable(environment.default_line, served)
