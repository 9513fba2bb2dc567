"""Watch on how late this process itself is: what a measured time may be wrong by."""

import time

import gevent

PERIOD_S = 0.02


class Lateness:
    """Watch of this process's greenlets, while it is entered as a context manager. It may be entered again."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        """Longest delay of a wake-up so far, seconds."""
        self._watching: gevent.Greenlet[[], None] | None = None

    def __enter__(self) -> None:
        self._watching = gevent.spawn(self._watch)

    def __exit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.kill()

    def _watch(self) -> None:
        while True:
            due_s = time.monotonic() + PERIOD_S
            gevent.sleep(PERIOD_S)
            self.worst_s = max(self.worst_s, time.monotonic() - due_s)
