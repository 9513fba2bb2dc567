"""HTTP connections, from the accept to the whole request, read by the hub in slices.

No greenlet is made before a request is whole and admitted, and no turn of the loop spends more than SLICE_S here: a
flood of strangers' connections takes the time that calls leave, and each connection gets its turn. What is refused gets
a short answer; when too much has been refused lately, the connection is closed without one.

    accept -> head -> check_head -> body -> check -> an answer, a refusal, or on to Flask
                                                     and back here for the next request, or to end
"""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from random import uniform
from typing import Any

from gevent import get_hub
from gevent.monkey import get_original

from lexbridge.logs import Log
from lexbridge.net.http_connection import Connection, State
from lexbridge.net.http_request import Head, Request, RequestRefused
from lexbridge.net.policies import Admitted, DirectAnswer, Refusal, RequestPolicy
from lexbridge.net.read_tick import READABLE
from lexbridge.net.refused import refused
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.net.websocket import DISCARDED_BYTES, MAX_LINGER_BYTES

SLICE_S = 0.002
"""In one turn of the loop: what a call's frame waits for strangers at most, two times over with the accepting."""

READ_BYTES = 4 * 1024
"""Read of one connection in one turn: a webhook comes in one piece."""

READY_AT_ONCE = 64
"""Connections that the kernel is asked for at once. All of them have their turn before it is asked for others."""

ADMITTED_AT_ONCE = 4
"""Requests that go on to Flask or a media socket in one turn: each costs a millisecond or more there."""

SWEEP_EVERY_S = 0.1
"""How late a deadline may be noticed."""

SWEPT_AT_ONCE = 500
"""Connections that are cut off in one turn, of each kind: some 5 ms."""

NEW_S = 0.5
"""So long a connection that has asked for nothing yet may be a call's: who is honest asks at once."""

STRANGERS_HZ, STRANGERS_BURST = 20.0, 100.0
"""Requests that Twilio did not sign and that are answered all the same, a second in the long run, and at once: enough
for people who try things out. Beyond them a stranger's connection is closed without a word."""

_EPOLLIN, _EPOLLOUT = READABLE, 4
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connections:
    """Reads the requests of a server's connections. Everything is called by the hub, but `go_on` and `linger`."""

    def __init__(
        self,
        policy: RequestPolicy,
        serve: Callable[[Connection, Request, Admitted], None],
        timeouts: Timeouts,
        strangers: TokenBucket,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`serve`: takes a request that was admitted, and its connection; it must not block. `strangers`: what is
        refused, or not signed, is answered while it has tokens. `changed`: called after `new` may have changed by what
        the hub read or cut off."""
        self.open_sockets = 0
        """Media sockets that are open, or about to be: counted by whoever serves them."""
        self.spent_s = 0.0
        """Time spent here so far: none of it on calls."""
        self._admitted = 0
        self._new: dict[int, float] = {}  # by descriptor, those that have asked for nothing yet: when they came
        self._policy = policy
        self._serve = serve
        self._changed = changed
        self._strangers = strangers
        # By descriptor, those that have been in the state longest first: so the deadlines of a state stand in order,
        # but for their jitter.
        self._connections: dict[State, dict[int, Connection]] = {state: {} for state in State}
        self._timeout_s = {
            State.READING: timeouts.header_s,
            State.IDLE: timeouts.keep_alive_s,
            State.LINGERING: timeouts.linger_s,
        }
        loop = get_hub().loop
        self._epoll = get_original("select", "epoll")()
        self._ready: deque[int] = deque()  # descriptors that had something and have not had their turn
        self._watcher = loop.io(self._epoll.fileno(), READABLE)
        self._watcher.start(self._read_ready)
        self._sweeper = loop.timer(SWEEP_EVERY_S, SWEEP_EVERY_S)
        self._sweeper.start(self._sweep)

    @property
    def silent(self) -> int:
        """Connections that were accepted and have said nothing yet."""
        reading = self._connections[State.READING].values()
        return sum(not (connection.served or connection.parser.has_part) for connection in reading)

    @property
    def new(self) -> int:
        """Connections that were accepted just now, and of which it is not known what they want."""
        return len(self._new)

    @property
    def waiting(self) -> int:
        """Connections that are read here."""
        return sum(map(len, self._connections.values()))

    def close(self) -> None:
        """Closes all that are read here."""
        for connections in self._connections.values():
            for connection in list(connections.values()):
                self._drop(connection)
        for watcher in (self._watcher, self._sweeper):
            watcher.stop()
            watcher.close()
        self._epoll.close()

    def accepted(self, descriptor: int, address: Any) -> None:
        """Reads a new connection; mostly its request is there already."""
        self._try(self._begin, Connection(descriptor, address))

    def _begin(self, connection: Connection) -> None:
        os.set_blocking(connection.descriptor, False)
        self._enter(connection, State.READING)
        self._new[connection.descriptor] = connection.since_s
        self._read(connection)
        if connection.state is State.READING and not connection.events:
            self._wait(connection, _EPOLLIN)

    def drop_oldest(self) -> bool:
        """Closes the oldest connection on which no request is under way, to make room. False if there is none."""
        heads = {state: next(iter(connections.values()), None) for state, connections in self._connections.items()}
        oldest = heads.pop(State.LINGERING) or min(
            filter(None, heads.values()), key=lambda connection: connection.since_s, default=None
        )
        if oldest is None:
            return False
        refused.count("crowded out")
        self._drop(oldest)
        return True

    def go_on(self, connection: Connection) -> None:
        """Reads the next request of a connection that was served."""
        connection.served += 1
        connection.descriptor = connection.socket.fileno()
        if connection.descriptor >= 0:  # else it was closed meanwhile
            self._await_next(connection)

    def linger(self, connection: Connection) -> None:
        """Ends our direction of a connection, and closes it when the peer has ended its own, or soon.

        Closing with something unread would be a reset, which can destroy our answer on its way.
        """
        if connection.socket is not None:
            connection.descriptor = connection.socket.fileno()
        if connection.descriptor < 0:
            return
        self._enter(connection, State.LINGERING)
        try:
            connection.end_sending()
        except OSError:
            self._drop(connection)
        else:
            self._wait(connection, _EPOLLIN)

    # What the hub calls

    def _read_ready(self) -> None:
        began_s = now_s = time.monotonic()
        admitted_before = self._admitted
        # Before the kernel is asked again: it would tell first of the same ones each time, and the others would starve.
        if not self._ready:
            self._ready.extend(descriptor for descriptor, _ in self._epoll.poll(0, READY_AT_ONCE))
        while self._ready:
            # One that was read before it may have ended it; another with its number is read early, which is no harm.
            if (connection := self._find(self._ready.popleft())) is not None:
                self._try(self._read, connection)
            now_s = time.monotonic()
            if now_s - began_s > SLICE_S or self._admitted - admitted_before >= ADMITTED_AT_ONCE:
                break
        self._changed()
        self.spent_s += now_s - began_s

    def _sweep(self) -> None:
        """Cuts off what is overdue."""
        now_s = began_s = time.monotonic()
        while self._new and now_s - next(iter(self._new.values())) >= NEW_S:
            del self._new[next(iter(self._new))]
        for state, connections in self._connections.items():
            overdue: list[Connection] = []
            for connection in connections.values():
                if now_s - connection.since_s < self._timeout_s[state] or len(overdue) >= SWEPT_AT_ONCE:
                    break
                if now_s >= connection.due_s:
                    overdue.append(connection)
            for connection in overdue:
                if state is not State.LINGERING:
                    refused.count("request too slow")
                self._drop(connection)
        self._changed()
        self.spent_s += time.monotonic() - began_s

    def _find(self, descriptor: int) -> Connection | None:
        return next((found for each in self._connections.values() if (found := each.get(descriptor))), None)

    # One connection

    def _try(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """Takes a step with a connection, or gives it up. An exception that left a callback of the hub would stop its
        watcher for good, and with it all accepting or reading."""
        try:
            step(connection)
        except Exception as error:
            if isinstance(error, OSError):  # such as epoll's, which is out of memory or of watches
                refused.count("connection lost")
            else:
                Log().exception("connection-broken")
            with suppress(OSError):
                self._leave(connection)
            with suppress(OSError):
                connection.close()

    def _read(self, connection: Connection) -> None:
        """Takes what has come, or what waits in the parser, and at most one request of it."""
        if connection.state is State.LINGERING:
            self._discard(connection)
            return
        try:
            if not connection.events & _EPOLLOUT:
                received = os.read(connection.descriptor, READ_BYTES)
                if not received:
                    self._ended(connection)
                    return
                if connection.state is State.IDLE:
                    self._enter(connection, State.READING)
                connection.parser.push(received)
            else:
                connection.parser.look_again()
            self._advance(connection)
        except BlockingIOError:
            return
        except RequestRefused as error:
            hints = {"remedy": error.remedy} if error.remedy else {}
            self._refuse(connection, Refusal(error.status, error.reason, hints))
        except OSError:
            refused.count("connection lost")
            self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        """Goes as far as what has come allows. Raises OSError."""
        head = connection.parser.head
        if head is None:
            self._wait(connection, _EPOLLIN)
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
        if is_new and head.expects_continue and not connection.write(_CONTINUE):
            self._drop(connection)
            return
        self._wait(connection, _EPOLLIN)

    def _take(self, connection: Connection, request: Request) -> None:
        self._new.pop(connection.descriptor, None)
        verdict = self._check(request)
        match verdict:
            case Refusal():
                self._refuse(connection, verdict)
            case DirectAnswer():
                self._answer(connection, verdict, request.head)
            case Admitted():
                if not verdict.is_trusted and not self._strangers.take(time.monotonic()):
                    refused.count("too many strangers")
                    self._drop(connection)
                    return
                if verdict.oddity:
                    refused.count(verdict.oddity.reason, verdict.oddity.hints)
                self._admitted += 1
                self._leave(connection)
                self._serve(connection, request, verdict)

    def _check(self, request: Request) -> Refusal | DirectAnswer | Admitted:
        try:
            return self._policy.check_request(request, self.open_sockets)
        except Exception as error:
            # The class only: the text may hold what a stranger, or a caller, said.
            Log().error("admit-broken", error=type(error).__name__)
            return Refusal("403 Forbidden", "admit broken")

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        """Answers with a status alone, while strangers have tokens, and ends the connection."""
        refused.count(refusal.reason, refusal.hints)
        if not self._strangers.take(time.monotonic()):
            self._drop(connection)
            return
        answer = f"HTTP/1.1 {refusal.status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        self._send_last(connection, answer.encode())

    def _answer(self, connection: Connection, answer: DirectAnswer, head: Head) -> None:
        keeps = answer.keeps_connection and head.keeps_alive
        lines = [
            f"HTTP/1.1 {answer.status}",
            "Content-Type: application/json",
            f"Content-Length: {len(answer.body)}",
            f"Connection: {'keep-alive' if keeps else 'close'}",
        ]
        output = "\r\n".join([*lines, "", ""]).encode()
        if head.method != "HEAD":
            output += answer.body
        if not keeps:
            self._send_last(connection, output)
        elif connection.write(output):
            connection.served += 1
            self._await_next(connection)
        else:
            self._drop(connection)

    def _send_last(self, connection: Connection, output: bytes) -> None:
        try:
            os.write(connection.descriptor, output)  # a socket without room for so little is not worth waiting for
        except OSError:
            self._drop(connection)
        else:
            self.linger(connection)

    def _await_next(self, connection: Connection) -> None:
        """Another request may follow, or is here already: then it has its turn after the others'."""
        has_part = connection.parser.has_part
        self._enter(connection, State.READING if has_part else State.IDLE)
        # A socket that takes output is ready in the next turn, and not before its peer has taken our last answer.
        self._wait(connection, _EPOLLOUT if has_part else _EPOLLIN)

    def _discard(self, connection: Connection) -> None:
        try:
            received = os.read(connection.descriptor, DISCARDED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        connection.lingered_bytes += len(received)
        if not received or connection.lingered_bytes > MAX_LINGER_BYTES:
            self._drop(connection)

    def _ended(self, connection: Connection) -> None:
        """The peer has ended its direction. In the middle of a request that is a fault."""
        if connection.parser.has_part:
            self._refuse(connection, Refusal("400 Bad Request", "bad request"))
        else:
            self._drop(connection)

    def _wait(self, connection: Connection, events: int) -> None:
        if connection.events == events:
            return
        if connection.events:
            self._epoll.modify(connection.descriptor, events)
        else:
            self._epoll.register(connection.descriptor, events)
        connection.events = events

    def _enter(self, connection: Connection, state: State) -> None:
        """Put the connection into `state`, with that state's timeouts."""
        if connection.state is not None:
            self._connections[connection.state].pop(connection.descriptor, None)
        if state is not State.READING:
            self._new.pop(connection.descriptor, None)
        connection.state = state
        connection.since_s = time.monotonic()
        connection.due_s = connection.since_s + jittered(self._timeout_s[state])
        self._connections[state][connection.descriptor] = connection

    def _leave(self, connection: Connection) -> None:
        """Stop reading the connection here."""
        self._new.pop(connection.descriptor, None)
        if connection.state is not None:
            self._connections[connection.state].pop(connection.descriptor, None)
            connection.state = None
        if connection.events:
            self._epoll.unregister(connection.descriptor)
            connection.events = 0

    def _drop(self, connection: Connection) -> None:
        self._leave(connection)
        connection.close()


def jittered(seconds: float) -> float:
    """Up to a third more: what came together does not all end together."""
    return seconds * uniform(1, 4 / 3)
