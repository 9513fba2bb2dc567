"""The types of the fixtures in `tests/conftest.py`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gevent

Logged = Callable[[], list[dict[str, Any]]]
"""Return the log lines so far, as JSON objects."""

Pauses = Callable[["gevent.Greenlet[..., Any]"], list[float]]
"""Return the seconds of each `gevent.sleep` of a greenlet."""
