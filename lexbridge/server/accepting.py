"""Which worker accepts a connection that waits: the one with the fewest media sockets.

All workers listen on one socket, and whoever wakes first would take what comes: at ten calls a second one of two
workers had nearly all of them. So a worker that has more media sockets than another one leaves a connection to it for
a moment. It takes the connection all the same when that moment is over, so that no caller waits for a worker that
hangs, and when many connections wait, since then accepting is what is scarce.
"""

import struct
from socket import IPPROTO_TCP, TCP_INFO, socket

from lexbridge.server.scoreboard import Place

LEFT_S = 0.02
"""A connection is left for so long to each worker that has fewer media sockets: an idle one takes it within 1 ms, one
with hundreds of calls when its loop comes round."""

LONGEST_LEFT_S = 0.05
"""However many workers have fewer."""

LOOK_EVERY_S = 0.005
"""A worker that leaves a connection does not watch the listener, which would wake it again and again: it looks."""

CROWD = 8
"""When more connections wait, every worker takes what it can: a storm of calls, or a flood of strangers."""

MOST_NEW = 4
"""Connections that count although it is not known yet what they want. Strangers who say nothing can make no greater
difference between two workers."""


class Accepting:
    """Decides whether the worker of `place` accepts, and tells the others how many media sockets it has."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._sockets = 0
        self._left_since_s: float | None = None

    @property
    def has_others(self) -> bool:
        """Whether another worker would take a new connection."""
        return bool(self.place.sockets_of_others())

    def holds(self, sockets: int, new: int) -> None:
        """Tells the others of `sockets` media sockets, and of `new` connections that may become one at any moment."""
        held = sockets + min(new, MOST_NEW)
        if held != self._sockets:
            self._sockets = held
            self.place.write_sockets(held)

    def leaves(self, waiting: int, now_s: float) -> bool:
        """Decides whether this worker leaves a connection to another one. `waiting`: connections that wait to be
        accepted, 0 where the system does not tell. `now_s`: by time.monotonic()."""
        if 0 < waiting <= CROWD:
            fewer = sum(sockets < self._sockets for sockets in self.place.sockets_of_others())
            if fewer and self._left_since_s is None:
                self._left_since_s = now_s
            if self._left_since_s is not None and now_s - self._left_since_s < min(fewer * LEFT_S, LONGEST_LEFT_S):
                return True
        self._left_since_s = None
        return False


_WAITING = struct.Struct("24x I")
"""Where struct tcp_info (linux/tcp.h) has tcpi_unacked. Of a listener that is how many connections wait."""


def count_waiting(listener: socket) -> int:
    """Counts the connections that wait to be accepted. Returns 0 where the system does not tell."""
    try:
        told = listener.getsockopt(IPPROTO_TCP, TCP_INFO, _WAITING.size)
        return int(_WAITING.unpack(told)[0])
    except (OSError, struct.error):
        return 0
