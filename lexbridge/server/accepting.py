"""The rule for which worker accepts a waiting connection: the one with the fewest media sockets.

All workers listen on one socket, and without a rule the worker that wakes first takes what comes. Measured at ten calls
a second with two workers: one of them got nearly all calls. So a worker that has more media sockets than another leaves
a connection to that other worker for a moment. After that moment it accepts the connection itself, so that no caller
waits for a worker that hangs. When many connections wait, every worker accepts, because accepting is then the
bottleneck.
"""

from lexbridge.net.policies import AcceptPolicy
from lexbridge.server.scoreboard import WorkerSlot

DEFER_S = 0.02
"""Seconds for which a connection is left to each worker that has fewer media sockets.

An idle worker takes it within 1 ms, but one with hundreds of calls only when its event loop comes round."""

MAX_DEFER_S = 0.05
"""Limits how long a connection is left to others, in seconds, because a caller waits meanwhile."""

CROWDED_QUEUE = 8
"""Connections in the queue above which every worker accepts.

With that many, a storm of calls or a flood of strangers has to be accepted as fast as possible."""

MAX_NEW_COUNTED = 4
"""Limits how many new connections count like media sockets before they have sent a request.

Strangers that send nothing must not make a worker look busy."""


class FewestSocketsFirst(AcceptPolicy):
    """A policy by which the worker with the fewest media sockets accepts."""

    def __init__(self, slot: WorkerSlot) -> None:
        self.slot = slot
        self._sockets = 0
        self._deferring_since_s: float | None = None

    @property
    def has_others(self) -> bool:
        return bool(self.slot.sockets_of_others())

    def report(self, open_sockets: int, new_connections: int) -> None:
        sockets = open_sockets + min(new_connections, MAX_NEW_COUNTED)
        if sockets != self._sockets:
            self._sockets = sockets
            self.slot.write_sockets(sockets)

    def defers(self, waiting: int, now_s: float) -> bool:
        """Return whether this worker leaves the `waiting` connections to workers with fewer. `now_s`: seconds."""
        if 0 < waiting <= CROWDED_QUEUE:
            with_fewer = sum(sockets < self._sockets for sockets in self.slot.sockets_of_others())
            if with_fewer and self._deferring_since_s is None:
                self._deferring_since_s = now_s
            longest_s = min(with_fewer * DEFER_S, MAX_DEFER_S)
            if self._deferring_since_s is not None and now_s - self._deferring_since_s < longest_s:
                return True
        self._deferring_since_s = None
        return False
