"""Which worker accepts a connection that waits: the one with the fewest media sockets.

All workers listen on one socket, and whoever wakes first would take what comes: at ten calls a second one of two
workers had nearly all of them. So a worker that has more media sockets than another one leaves a connection to it for
a moment. It takes the connection all the same when that moment is over, so that no caller waits for a worker that
hangs, and when many connections wait, since then accepting is what is scarce.
"""

from lexbridge.net.policies import AcceptPolicy
from lexbridge.server.scoreboard import Place

LEFT_S = 0.02
"""A connection is left for so long to each worker that has fewer media sockets: an idle one takes it within 1 ms, one
with hundreds of calls when its loop comes round."""

LONGEST_LEFT_S = 0.05
"""However many workers have fewer."""

CROWD = 8
"""When more connections wait, every worker takes what it can: a storm of calls, or a flood of strangers."""

MOST_NEW = 4
"""Connections that count although it is not known yet what they want. Strangers who say nothing can make no greater
difference between two workers."""


class Accepting(AcceptPolicy):
    """Decides whether the worker of `place` accepts, and tells the others how many media sockets it has."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._sockets = 0
        self._left_since_s: float | None = None

    @property
    def has_others(self) -> bool:
        return bool(self.place.sockets_of_others())

    def report(self, open_sockets: int, new_connections: int) -> None:
        held = open_sockets + min(new_connections, MOST_NEW)
        if held != self._sockets:
            self._sockets = held
            self.place.write_sockets(held)

    def defers(self, waiting: int, now_s: float) -> bool:
        if 0 < waiting <= CROWD:
            fewer = sum(sockets < self._sockets for sockets in self.place.sockets_of_others())
            if fewer and self._left_since_s is None:
                self._left_since_s = now_s
            if self._left_since_s is not None and now_s - self._left_since_s < min(fewer * LEFT_S, LONGEST_LEFT_S):
                return True
        self._left_since_s = None
        return False
