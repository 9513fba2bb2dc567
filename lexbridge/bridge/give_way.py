"""Long work that gives way to calls."""

import time

import gevent

SLICE_S = 0.002
"""The longest time for which such work goes on in one go, in seconds, because all calls wait meanwhile."""

PAUSE_S = 0.004
"""The pause before it goes on, in seconds, so that it takes a third of the processor at most."""


class GiveWay:
    """The pauses of one piece of long work, on a greenlet of its own. It is to be called after each small step."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()

    def __call__(self) -> None:
        """Let calls have their turn, if the work has gone on for long enough."""
        if time.monotonic() - self._begun_s >= SLICE_S:
            gevent.sleep(PAUSE_S)
            self._begun_s = time.monotonic()
