"""The requests of one line at Lex: a limited number at a time, and the others wait their turn in order.

So the callers of one line cannot use up the quota of an AWS account that serves other lines, too.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent.event import Event

from lexbridge.errors import LexUnavailable
from lexbridge.logs import Log, RateLimitedLog

_waits = RateLimitedLog("lex-requests-wait")


class NotSentError(LexUnavailable):
    """A request that was not sent, because the breaker is open, the line has too many, or AWS has just forbidden it.

    It tells nothing new of Lex, so the breaker does not count it: else an open breaker would never close.
    """


class RequestQueue:
    """The queue of one line's requests. All requests of the line in this process share it."""

    def __init__(self, line: str = "", limit: int | None = None) -> None:
        """`line`: name of the line. `limit`: the most requests at Lex at a time, or None if they are not limited."""
        self._line = line
        self._limit = limit
        self._at_lex = 0
        self._waiting: deque[Event] = deque()  # the one that has waited longest first

    @property
    def limit(self) -> int | None:
        """The most requests at Lex at a time, or None. A new limit holds for requests that wait already, too."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self._limit = limit
        self._let_in()

    @contextmanager
    def place(self, deadline: gevent.Timeout, log: Log | None = None) -> Iterator[None]:
        """Wait for a place among the line's requests at Lex, and hold it for as long as the context lasts.

        Raise NotSentError if `deadline`, which has to be running, ends first.
        """
        if self._has_room and not self._waiting:
            self._at_lex += 1
        else:
            self._wait(deadline, log)
        try:
            yield
        finally:
            self._at_lex -= 1
            self._let_in()

    @property
    def _has_room(self) -> bool:
        return self._limit is None or self._at_lex < self._limit

    def _wait(self, deadline: gevent.Timeout, log: Log | None) -> None:
        """Wait for a place, and take it."""
        _waits.count(self._line or "default line", {"line": self._line, "check": "LINE_MAX_REQUESTS"})
        since_s = time.monotonic()
        turn = Event()
        self._waiting.append(turn)
        try:
            turn.wait()
        except BaseException as error:
            if turn.is_set():  # the place came in the same moment
                self._at_lex -= 1
                self._let_in()
            else:
                self._waiting.remove(turn)
            if error is deadline:
                limit = f"{self._limit} other requests of the line were at Lex (LINE_MAX_REQUESTS)"
                raise NotSentError(f"not asked within {deadline.seconds:g} s: {limit}") from None
            raise
        if log is not None:
            waited_ms = round((time.monotonic() - since_s) * 1000)
            log.write("debug", "lex-request-waited", {"waited_ms": waited_ms})

    def _let_in(self) -> None:
        """Give the places that are free to those that have waited longest."""
        while self._waiting and self._has_room:
            self._at_lex += 1
            self._waiting.popleft().set()
