"""What keeps a child process from doing harm: it may hang, or end again and again as soon as it is started."""

import os
import signal
import time
from collections.abc import Callable

ABORT_S = 1.0
"""Time between SIGABRT, which makes a hanging process print its stack, and SIGKILL, in seconds."""


class RestartDelay:
    """The delay before a child is started again. It doubles with each failure in a row.

    A persistent fault must not fork processes without end.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._delay_s = 0.0
        self._start_at_s = 0.0

    @property
    def is_over(self) -> bool:
        """Whether a child may be started."""
        return time.monotonic() >= self._start_at_s

    def add_failure(self) -> None:
        """Delay the next start from now on, for longer than after the last failure."""
        self._delay_s = min(max(self._first_s, 2 * self._delay_s), self._longest_s)
        self._start_at_s = time.monotonic() + self._delay_s

    def forget_failures(self) -> None:
        """Begin anew with the next failure, because a child has worked well."""
        self._delay_s = 0.0

    def space_from(self, started_s: float) -> None:
        """Start no child within the first delay after the one that was started at `started_s`."""
        self._start_at_s = max(self._start_at_s, started_s + self._first_s)


class HangGuard:
    """The guard that ends one child if it hangs: first by SIGABRT, and soon after by SIGKILL."""

    __slots__ = ("_aborted_s",)

    def __init__(self) -> None:
        self._aborted_s: float | None = None

    def look(self, pid: int, silent_s: float, limit_s: float, log_hang: Callable[[], object]) -> None:
        """End the child `pid` if it has been silent for more than `limit_s`. `log_hang`: called first, and once."""
        now_s = time.monotonic()
        if self._aborted_s is None and silent_s > limit_s:
            log_hang()
            os.kill(pid, signal.SIGABRT)
            self._aborted_s = now_s
        elif self._aborted_s is not None and now_s - self._aborted_s > ABORT_S:
            os.kill(pid, signal.SIGKILL)
