"""A bound for the log lines of bugs in sinks, because one bug may come with each of a thousand facts a second."""

import time
from collections.abc import Callable

WINDOW_S = 10.0
"""Time in seconds for which one line is enough, because its traceback says all."""


class BugWindow:
    """A window in which one line is written. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open_until_s = -WINDOW_S
        self.count = 0
        """The number of bugs so far."""

    def may_log(self) -> bool:
        """Count a bug. Return whether its line is to be written."""
        self.count += 1
        now_s = self._clock()
        if now_s < self._open_until_s:
            return False
        self._open_until_s = now_s + WINDOW_S
        return True
