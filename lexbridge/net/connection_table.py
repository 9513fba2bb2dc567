"""The connections that the hub reads, by state: what epoll watches, and which connections are overdue."""

import time
from collections.abc import Iterator
from random import uniform

from gevent.monkey import get_original

from lexbridge.net.http_connection import Connection, State
from lexbridge.net.read_tick import READABLE
from lexbridge.net.timeouts import Timeouts

NEW_S = 0.5
"""Time for which a connection without a request counts as new, in seconds, because it may still become a call's.

An honest client sends its request at once.
"""

SWEPT_AT_ONCE = 500
"""Connections of one state that are cut off in one turn of the loop. They take some 5 ms."""

EPOLLIN, EPOLLOUT = READABLE, 4


class ConnectionTable:
    """A set of connections. Each is in one state, and has a deadline there."""

    def __init__(self, timeouts: Timeouts) -> None:
        # Each state's connections by descriptor, the longest in that state first: in order of their deadlines, but for
        # the random part.
        self._by_state: dict[State, dict[int, Connection]] = {state: {} for state in State}
        self._new: dict[int, float] = {}  # when each connection without a request was accepted, by descriptor
        self._timeouts_s = {
            State.READING: timeouts.header_s,
            State.KEPT_ALIVE: timeouts.keep_alive_s,
            State.LINGERING: timeouts.linger_s,
        }
        self._epoll = get_original("select", "epoll")()

    def __len__(self) -> int:
        """Number of connections in the table."""
        return sum(map(len, self._by_state.values()))

    def __iter__(self) -> Iterator[Connection]:
        """Yield the connections."""
        for connections in self._by_state.values():
            yield from list(connections.values())

    @property
    def idle(self) -> int:
        """Number of connections that were accepted and have sent nothing yet."""
        reading = self._by_state[State.READING].values()
        return sum(not (connection.served or connection.parser.has_part) for connection in reading)

    @property
    def new(self) -> int:
        """Number of connections that were accepted just now, and whose request is not known yet."""
        return len(self._new)

    def fileno(self) -> int:
        """Return a descriptor that is readable while a connection has something to read."""
        descriptor: int = self._epoll.fileno()
        return descriptor

    def close(self) -> None:
        """Close all connections."""
        for connection in self:
            self.drop(connection)
        self._epoll.close()

    def poll(self, most: int) -> list[int]:
        """Return the descriptors of at most `most` connections that have something to read."""
        return [descriptor for descriptor, _ in self._epoll.poll(0, most)]

    def find(self, descriptor: int) -> Connection | None:
        """Return the connection of a descriptor, or None if it is not in the table."""
        return next((found for each in self._by_state.values() if (found := each.get(descriptor))), None)

    def add_new(self, connection: Connection) -> None:
        """Add a connection that was just accepted."""
        self.enter(connection, State.READING)
        self._new[connection.descriptor] = connection.since_s

    def mark_asked(self, connection: Connection) -> None:
        """Note that a connection has sent its request, so that it no longer counts as new."""
        self._new.pop(connection.descriptor, None)

    def enter(self, connection: Connection, state: State) -> None:
        """Put a connection into `state`, with that state's deadline."""
        if connection.state is not None:
            self._by_state[connection.state].pop(connection.descriptor, None)
        if state is not State.READING:
            self._new.pop(connection.descriptor, None)
        connection.state = state
        connection.since_s = time.monotonic()
        connection.due_s = connection.since_s + with_jitter(self._timeouts_s[state])
        self._by_state[state][connection.descriptor] = connection

    def wait(self, connection: Connection, events: int) -> None:
        """Let epoll watch a connection for `events`."""
        if connection.events == events:
            return
        if connection.events:
            self._epoll.modify(connection.descriptor, events)
        else:
            self._epoll.register(connection.descriptor, events)
        connection.events = events

    def remove(self, connection: Connection) -> None:
        """Take a connection out of the table, without closing it."""
        self._new.pop(connection.descriptor, None)
        if connection.state is not None:
            self._by_state[connection.state].pop(connection.descriptor, None)
            connection.state = None
        if connection.events:
            self._epoll.unregister(connection.descriptor)
            connection.events = 0

    def drop(self, connection: Connection) -> None:
        """Take a connection out of the table, and close it."""
        self.remove(connection)
        connection.close()

    def oldest(self) -> Connection | None:
        """Return the connection that is closed first to make room, or None if the table is empty.

        A lingering connection comes first. Otherwise it is the one that has been in its state longest.
        """
        first = {state: next(iter(connections.values()), None) for state, connections in self._by_state.items()}
        return first.pop(State.LINGERING) or min(
            filter(None, first.values()), key=lambda connection: connection.since_s, default=None
        )

    def overdue(self, now_s: float) -> list[Connection]:
        """Return connections whose deadline is over, at most SWEPT_AT_ONCE of each state."""
        found: list[Connection] = []
        for state, connections in self._by_state.items():
            most = len(found) + SWEPT_AT_ONCE
            for connection in connections.values():
                if now_s - connection.since_s < self._timeouts_s[state] or len(found) >= most:
                    break
                if now_s >= connection.due_s:
                    found.append(connection)
        return found

    def expire_new(self, now_s: float) -> None:
        """Stop counting connections as new that have had NEW_S for a request."""
        while self._new and now_s - next(iter(self._new.values())) >= NEW_S:
            del self._new[next(iter(self._new))]


def with_jitter(seconds: float) -> float:
    """Return `seconds` and up to a third more, so that connections that came together do not all end together."""
    return seconds * uniform(1, 4 / 3)
