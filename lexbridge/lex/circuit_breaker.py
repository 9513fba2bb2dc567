"""A circuit breaker: while Lex is down, a turn that would only wait for it in vain is answered with an apology at once.

Each bot alias has one in each process. Its clock is given, so that it is tested without waiting.
"""

from collections.abc import Callable, Hashable

FAILURES = 5
"""Failed turns in a row, of any calls, that open it."""

OPEN_S = 10.0
"""Then no turn is tried for so long; after that one at a time, until one succeeds."""


class Breaker:
    """Whether Lex may be asked."""

    def __init__(self, clock: Callable[[], float], failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        """`clock`: seconds, monotonic."""
        self._clock = clock
        self._most = failures
        self._open_s = open_s
        self._failures = 0
        self._open_until_s: float | None = None  # None: it is closed

    @property
    def is_open(self) -> bool:
        """Whether Lex is taken to be down."""
        return self._open_until_s is not None

    def may_ask(self) -> bool:
        """Whether the next turn may be tried. Who is told yes once the time is over tries for all: nobody else is told
        yes for as long again, unless it succeeds."""
        if self._open_until_s is None:
            return True
        now_s = self._clock()
        if now_s < self._open_until_s:
            return False
        self._open_until_s = now_s + self._open_s
        return True

    def failed(self) -> bool:
        """A turn failed. Returns whether that opened it."""
        self._failures += 1
        if self._failures < self._most:
            return False
        is_new = not self.is_open
        self._open_until_s = self._clock() + self._open_s
        return is_new

    def succeeded(self) -> bool:
        """A turn was answered. Returns whether that closed it."""
        was_open = self.is_open
        self._failures, self._open_until_s = 0, None
        return was_open


class Breakers:
    """The breakers of one process: a fault of one bot's Lex says nothing of another bot's."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds, monotonic."""
        self._clock = clock
        self._breakers: dict[Hashable, Breaker] = {}

    def of(self, alias: Hashable) -> Breaker:
        """The one breaker of a bot's alias. `alias`: what tells it from others, its locale and its Lex among it."""
        return self._breakers.setdefault(alias, Breaker(self._clock))
