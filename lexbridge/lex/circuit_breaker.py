"""A circuit breaker: while Lex is down, a turn is answered with an apology at once instead of waiting in vain.

Each bot alias has one breaker in each process. The clock is passed in, so that tests need not wait.
"""

from collections.abc import Callable, Hashable
from weakref import WeakValueDictionary

MAX_FAILURES = 5
"""The number of failed turns in a row, of any calls, that opens the breaker."""

OPEN_S = 10.0
"""The time without any requests after the breaker has opened, in seconds. Then one at a time is tried."""


class Breaker:
    """The circuit breaker of one bot alias: it decides whether a request may be sent."""

    def __init__(self, clock: Callable[[], float], max_failures: int = MAX_FAILURES, open_s: float = OPEN_S) -> None:
        """`clock`: returns monotonic seconds."""
        self._clock = clock
        self._max_failures = max_failures
        self._open_s = open_s
        self._failures = 0
        self._open_until_s: float | None = None  # None: it is closed

    @property
    def is_open(self) -> bool:
        """Whether Lex is considered down."""
        return self._open_until_s is not None

    def allow_request(self) -> bool:
        """Return whether a request may be sent now. Half-open, one probe in `open_s` is allowed."""
        if self._open_until_s is None:
            return True
        now_s = self._clock()
        if now_s < self._open_until_s:
            return False
        self._open_until_s = now_s + self._open_s
        return True

    def record_failure(self) -> bool:
        """Count a failed turn. Return whether the breaker opened by it."""
        self._failures += 1
        if self._failures < self._max_failures:
            return False
        is_new = not self.is_open
        self._open_until_s = self._clock() + self._open_s
        return is_new

    def record_success(self) -> bool:
        """Count an answered turn. Return whether the breaker closed by it."""
        was_open = self.is_open
        self._failures, self._open_until_s = 0, None
        return was_open


class Breakers:
    """The circuit breakers of one process, because the fault of one bot tells nothing about another bot."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: returns monotonic seconds."""
        self._clock = clock
        self._breakers: WeakValueDictionary[Hashable, Breaker] = WeakValueDictionary()  # as long as a client has it

    def for_bot(self, alias: Hashable) -> Breaker:
        """Return the one breaker of a bot alias. `alias`: identifies the bot with its language and its endpoint."""
        return self._breakers.setdefault(alias, Breaker(self._clock))
