"""HTTP connections, from their acceptance to a whole request, read by the hub in short slices.

No greenlet is made before a request is whole and admitted, and no turn of the loop spends more than SLICE_S here. So a
flood of strangers' connections takes only the time that calls leave, and each connection gets its turn. A refused
request gets a short answer. When many were refused lately, the connection is closed without one.

    accepted -> head -> policy.check_head -> body -> policy.check_request -> a refusal, an answer, or on to Flask,
                                                                             and back here for the next request
"""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gevent import get_hub

from lexbridge.logs import Log
from lexbridge.net.connection_table import EPOLLIN, EPOLLOUT, ConnectionTable
from lexbridge.net.http_answers import CONTINUE, answer_bytes, refusal_bytes
from lexbridge.net.http_connection import Connection, State
from lexbridge.net.http_request import Head, Request, RequestRefused
from lexbridge.net.lingering import LingeringConnections
from lexbridge.net.policies import Admitted, DirectAnswer, Refusal, RequestPolicy
from lexbridge.net.read_tick import READABLE
from lexbridge.net.refused import refused
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.token_bucket import TokenBucket

SLICE_S = 0.002
"""Longest time spent here in one turn of the loop, in seconds, because a call's frame waits meanwhile.

Accepting may take as much again.
"""

READ_BYTES = 4 * 1024
"""Bytes read of one connection in one turn. A webhook arrives in one piece."""

READY_AT_ONCE = 64
"""Connections that the kernel reports at once. Each of them has its turn before the kernel is asked again."""

ADMITTED_AT_ONCE = 4
"""Requests that go on to Flask or to a media socket in one turn, because each costs a millisecond or more there."""

SWEEP_EVERY_S = 0.1
"""Interval between two searches for overdue connections, and so the longest delay of a deadline."""

STRANGERS_HZ, STRANGERS_BURST = 20.0, 100.0
"""Unsigned requests that are answered all the same: per second in the long run, and at once.

That is enough for people who try things out. Beyond it a stranger's connection is closed without an answer.
"""


class Connections:
    """Reader of the requests of a server's connections. The hub calls all methods but `read_next`."""

    def __init__(
        self,
        policy: RequestPolicy,
        serve: Callable[[Connection, Request, Admitted], None],
        timeouts: Timeouts,
        strangers: TokenBucket,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Start reading.

        `serve`: takes a connection and its admitted request; it must not block. `strangers`: limits how many
        requests are answered that are refused or not signed. `on_change`: called after `new` may have changed.
        """
        self.open_sockets = 0
        """Number of WebSockets that are open, or about to be. The server counts them."""
        self.busy_s = 0.0
        """Time that this reader has taken of the loop, in seconds."""
        self._admitted = 0
        self._policy = policy
        self._serve = serve
        self._on_change = on_change
        self._strangers = strangers
        self.table = ConnectionTable(timeouts)
        self.lingering = LingeringConnections(self.table)
        """The connections that end after their last answer."""
        loop = get_hub().loop
        self._ready: deque[int] = deque()  # descriptors that the kernel has reported and that wait for their turn
        self._watcher = loop.io(self.table.fileno(), READABLE)
        self._watcher.start(self._read_ready)
        self._sweeper = loop.timer(SWEEP_EVERY_S, SWEEP_EVERY_S)
        self._sweeper.start(self._sweep)

    def close(self) -> None:
        """Close all connections that are read here."""
        for watcher in (self._watcher, self._sweeper):
            watcher.stop()
            watcher.close()
        self.table.close()

    def add(self, descriptor: int, address: Any) -> None:
        """Read a new connection. Mostly its request has arrived already."""
        self._try(self._begin, Connection(descriptor, address))

    def _begin(self, connection: Connection) -> None:
        os.set_blocking(connection.descriptor, False)
        self.table.add_new(connection)
        self._read(connection)
        if connection.state is State.READING and not connection.events:
            self.table.wait(connection, EPOLLIN)

    def drop_oldest(self) -> bool:
        """Close the oldest connection on which no request is under way. Return False if there is none."""
        oldest = self.table.oldest()
        if oldest is None:
            return False
        refused.count("crowded out")
        self.table.drop(oldest)
        return True

    def read_next(self, connection: Connection) -> None:
        """Read the next request of a connection whose last one was answered."""
        connection.served += 1
        connection.descriptor = connection.socket.fileno()
        if connection.descriptor >= 0:  # else it was closed meanwhile
            self._await_next(connection)

    # What the hub calls

    def _read_ready(self) -> None:
        began_s = now_s = time.monotonic()
        admitted_before = self._admitted
        # Asked earlier, the kernel would name the same connections first each time, and the others would starve.
        if not self._ready:
            self._ready.extend(self.table.poll(READY_AT_ONCE))
        while self._ready:
            # The connection may have ended meanwhile. If a new one has its number, that one is read early: no harm.
            if (connection := self.table.find(self._ready.popleft())) is not None:
                self._try(self._read, connection)
            now_s = time.monotonic()
            if now_s - began_s > SLICE_S or self._admitted - admitted_before >= ADMITTED_AT_ONCE:
                break
        self._on_change()
        self.busy_s += now_s - began_s

    def _sweep(self) -> None:
        """Cut off overdue connections."""
        now_s = time.monotonic()
        self.table.expire_new(now_s)
        for connection in self.table.overdue(now_s):
            if connection.state is State.READING:  # a peer may keep an idle connection, and leave its end to us
                refused.count("request too slow")
            self.table.drop(connection)
        self._on_change()
        self.busy_s += time.monotonic() - now_s

    # One connection

    def _try(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Take a step with a connection, or give the connection up.

        An exception that leaves a callback of the hub would stop its watcher, and so all accepting or reading.
        """
        try:
            step(connection)
        except Exception as error:
            if isinstance(error, OSError):  # such as epoll's, when the system is out of memory
                refused.count("connection lost")
            else:
                Log().exception("connection-broken")
            with suppress(OSError):
                self.table.remove(connection)
            with suppress(OSError):
                connection.close()

    def _read(self, connection: Connection) -> None:
        """Take what has arrived, or what waits in the parser, and at most one request of it."""
        if connection.state is State.LINGERING:
            self.lingering.discard(connection)
            return
        try:
            if not connection.events & EPOLLOUT:
                received = os.read(connection.descriptor, READ_BYTES)
                if not received:
                    self._ended(connection)
                    return
                if connection.state is State.KEPT_ALIVE:
                    self.table.enter(connection, State.READING)
                connection.parser.push(received)
            else:
                connection.parser.parse_buffered()
            self._advance(connection)
        except BlockingIOError:
            return
        except RequestRefused as error:
            hints = {"remedy": error.remedy} if error.remedy else {}
            self._refuse(connection, Refusal(error.status, error.reason, hints))
        except OSError:
            refused.count("connection lost")
            self.table.drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Check the head, and take the request if it is complete. Raise OSError."""
        head = connection.parser.head
        if head is None:
            self.table.wait(connection, EPOLLIN)
            return
        is_new, connection.is_checked = not connection.is_checked, True
        if is_new and (refusal := self._policy.check_head(head)):
            self._refuse(connection, refusal)
            return
        request = connection.parser.take_request()
        if request is not None:
            connection.is_checked = False
            self._take(connection, request)
            return
        if is_new and head.expects_continue and not connection.write(CONTINUE):
            self.table.drop(connection)
            return
        self.table.wait(connection, EPOLLIN)

    def _take(self, connection: Connection, request: Request) -> None:
        self.table.mark_asked(connection)
        verdict = self._check(request)
        match verdict:
            case Refusal():
                self._refuse(connection, verdict)
            case DirectAnswer():
                self._answer(connection, verdict, request.head)
            case Admitted():
                if not verdict.is_trusted and not self._strangers.take(time.monotonic()):
                    refused.count("too many strangers")
                    self.table.drop(connection)
                    return
                if verdict.oddity:
                    refused.count(verdict.oddity.reason, verdict.oddity.hints)
                self._admitted += 1
                self.table.remove(connection)
                self._serve(connection, request, verdict)

    def _check(self, request: Request) -> Refusal | DirectAnswer | Admitted:
        try:
            return self._policy.check_request(request, self.open_sockets)
        except Exception as error:
            # Only the class: the error's text may hold what a stranger, or a caller, said.
            Log().error("admit-broken", error=type(error).__name__)
            return Refusal("403 Forbidden", "admit broken")

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answer with a status alone, while the rate for strangers allows it, and end the connection."""
        refused.count(refusal.reason, refusal.hints)
        if not self._strangers.take(time.monotonic()):
            self.table.drop(connection)
            return
        self._send_last(connection, refusal_bytes(refusal))

    def _answer(self, connection: Connection, answer: DirectAnswer, head: Head) -> None:
        keeps = answer.keeps_connection and head.keeps_alive
        output = answer_bytes(answer, head, keeps=keeps)
        if not keeps:
            self._send_last(connection, output)
        elif connection.write(output):
            connection.served += 1
            self._await_next(connection)
        else:
            self.table.drop(connection)

    def _send_last(self, connection: Connection, output: bytes) -> None:
        try:
            os.write(connection.descriptor, output)  # a socket without room for so little is not worth waiting for
        except OSError:
            self.table.drop(connection)
        else:
            self.lingering.add(connection)

    def _await_next(self, connection: Connection) -> None:
        """Wait for another request. If it has arrived already, it has its turn after other connections."""
        has_part = connection.parser.has_part
        self.table.enter(connection, State.READING if has_part else State.KEPT_ALIVE)
        # A writable socket is reported in the next turn, but not before its peer has taken the last answer.
        self.table.wait(connection, EPOLLOUT if has_part else EPOLLIN)

    def _ended(self, connection: Connection) -> None:
        """Close a connection whose peer has ended it. In the middle of a request that is a fault."""
        if connection.parser.has_part:
            self._refuse(connection, Refusal("400 Bad Request", "bad request"))
        else:
            self.table.drop(connection)
