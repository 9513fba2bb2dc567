"""The deadline of a turn, which counts from the end of the caller's utterance."""

import math
import time
from typing import Self

import gevent

from lexbridge.lex.utterance import Utterance

_RETRY_WITHIN = 0.75
"""The share of the deadline within which a failed request is sent again, because after it too little time is left."""


class TurnDeadline:
    """A context that throws `timeout` into the greenlet that made it, `seconds` after the utterance ended.

    It counts whether or not a request has read the end of the utterance: a name may not resolve, and an address may not
    answer.
    """

    def __init__(self, utterance: Utterance, seconds: float) -> None:
        # Not started: Timeout.start() would throw into the greenlet that ends the utterance.
        self.timeout = gevent.Timeout(seconds)
        self.ended_s = math.inf
        """The time at which the utterance ended, in monotonic seconds."""
        self._seconds = seconds
        self._utterance = utterance
        self._greenlet = gevent.getcurrent()
        self._timer = gevent.get_hub().loop.timer(seconds)

    def __enter__(self) -> Self:
        self._utterance.on_close(self._start)
        return self

    def __exit__(self, *_: object) -> None:
        self._utterance.on_close(lambda: None)
        self._timer.stop()
        self._timer.close()
        self.timeout.close()

    @property
    def is_near(self) -> bool:
        """Whether it is too late for another request."""
        return time.monotonic() > self.ended_s + _RETRY_WITHIN * self._seconds

    def _start(self) -> None:
        self.ended_s = time.monotonic()
        self._timer.start(self._greenlet.throw, self.timeout)
