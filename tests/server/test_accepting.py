"""The rule for which worker accepts a connection, on a scoreboard and in a server that shares its listener."""

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import gevent
import pytest
from flask import Flask

from lexbridge.net import connection_table
from lexbridge.net.accept_queue import count_waiting
from lexbridge.net.http_server import RETRY_ACCEPT_S, MediaServer
from lexbridge.server.accepting import CROWDED_QUEUE, DEFER_S, MAX_DEFER_S, MAX_NEW_COUNTED, FewestSocketsFirst
from lexbridge.server.scoreboard import MAX_PROMPT_HEARTBEAT_AGE_S, Scoreboard, State, WorkerSlot
from tests.support.rig import PATIENCE_S


def ready_workers(*sockets: int) -> list[FewestSocketsFirst]:
    """Return a policy for each worker; all are ready, and `sockets` are their media sockets."""
    scoreboard = Scoreboard(len(sockets))
    found = [FewestSocketsFirst(WorkerSlot(scoreboard, slot, 1)) for slot in scoreboard.slots]
    for worker, held in zip(found, sockets, strict=True):
        worker.slot.write(State.READY)
        worker.report(held, 0)
    return found


def who_takes(workers: list[FewestSocketsFirst]) -> list[bool]:
    """Return for each worker whether it accepts a connection that has just come."""
    return [not worker.defers(1, 0.0) for worker in workers]


def left_s(worker: FewestSocketsFirst) -> float:
    """Return the seconds for which a worker leaves a connection that no other accepts, to a millisecond."""
    return next(at_ms for at_ms in itertools.count() if not worker.defers(1, 100.0 + at_ms / 1000)) / 1000


def test_those_with_the_fewest_media_sockets_take_a_connection() -> None:
    assert who_takes(ready_workers(3, 2, 4, 2)) == [False, True, False, True]
    assert who_takes(ready_workers(1)) == [True]
    one, other = ready_workers(5, 5)
    assert who_takes([one, other]) == [True, True]
    one.report(6, 0)
    assert who_takes([one, other]) == [False, True]


def test_any_number_of_calls_comes_out_even() -> None:
    workers, held = ready_workers(0, 0, 0, 7), [0, 0, 0, 7]
    for number in range(1, 50):
        taker = who_takes(workers).index(True)
        held[taker] += 1
        workers[taker].report(held[taker], 0)
        if number > 21:
            assert max(held) - min(held) <= 1


def test_a_connection_is_left_longer_to_more_idle_workers() -> None:
    """A worker leaves a connection the longer, the more others have fewer calls, but only up to a limit."""
    assert left_s(ready_workers(1, 0)[0]) == pytest.approx(DEFER_S, abs=0.0011)
    assert left_s(ready_workers(2, 1, 0)[0]) == pytest.approx(2 * DEFER_S, abs=0.0011)
    assert left_s(ready_workers(9, *[0] * 7)[0]) == pytest.approx(MAX_DEFER_S, abs=0.0011)


def test_the_next_connection_is_left_for_as_long() -> None:
    worker, _ = ready_workers(1, 0)
    for _ in range(2):
        assert left_s(worker) > 0  # after that time the worker accepts the connection
    assert worker.defers(1, 500.0)
    assert not worker.defers(0, 500.0 + DEFER_S)  # another worker has accepted the connection
    assert worker.defers(1, 500.0 + DEFER_S)


def test_of_a_crowd_everybody_takes() -> None:
    worker, _ = ready_workers(100, 0)
    assert worker.defers(CROWDED_QUEUE, 0.0)
    assert not worker.defers(CROWDED_QUEUE + 1, 0.0)


@pytest.mark.parametrize("state", [State.NONE, State.STARTING, State.BUSY, State.DRAINING])
def test_nothing_is_left_to_who_does_not_take_calls(state: State) -> None:
    one, other = ready_workers(5, 0)
    other.slot.write(state)
    assert not one.defers(1, 0.0)
    assert not one.has_others


def test_nothing_is_left_to_who_hangs_nor_while_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ready_workers(5, 0)
    assert one.has_others
    one.slot.scoreboard.is_ending = True
    assert not one.defers(1, 0.0)
    one.slot.scoreboard.is_ending = False
    assert one.defers(1, 0.0)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + MAX_PROMPT_HEARTBEAT_AGE_S + 0.1)
    assert not one.defers(1, 0.0)
    other.slot.write(State.READY)
    assert one.defers(1, 0.0)


def test_strangers_who_say_nothing_hardly_count() -> None:
    one, other = ready_workers(0, 0)
    one.report(0, 10_000)
    other.report(MAX_NEW_COUNTED, 0)
    assert who_takes([one, other]) == [True, True]


@pytest.mark.parametrize("state", [State.NONE, State.STARTING])
def test_a_worker_that_is_replaced_leaves_no_count_behind(state: State) -> None:
    one, other = ready_workers(0, 90)
    assert one.slot.sockets_of_others() == [90]
    other.slot.scoreboard.write(1, state)  # as the supervisor does after the worker was killed
    other.slot.write(State.READY)
    assert one.slot.sockets_of_others() == [0]


def test_a_listener_tells_how_many_connections_wait() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ExitStack() as callers:
        for waiting in range(3):
            assert count_waiting(listener) == waiting
            callers.enter_context(socket.create_connection(listener.getsockname()))
    with closing(socket.socket(socket.AF_UNIX)) as other:
        assert count_waiting(other) == 0


@contextmanager
def shared_server(other_has: int) -> Iterator[tuple[tuple[str, int], Scoreboard]]:
    """Run a server beside a ready worker that never accepts. Yield the server's address and the scoreboard.

    `other_has`: media sockets of that other worker.
    """
    app = Flask("test")
    app.add_url_rule("/page", "page", lambda: "here")
    scoreboard = Scoreboard(2)
    server = MediaServer(("127.0.0.1", 0), app)
    server.share_listener(FewestSocketsFirst(WorkerSlot(scoreboard, 0, 1)))
    scoreboard.write_sockets(1, other_has)

    def beat() -> None:
        while True:
            for slot in scoreboard.slots:
                scoreboard.write(slot, State.READY)
            gevent.sleep(0.05)

    beating = gevent.spawn(beat)
    server.start()
    try:
        yield ("127.0.0.1", server.server_port), scoreboard
    finally:
        beating.kill()
        server.stop(timeout=0)


def ask(caller: socket.socket, connection: str = "keep-alive") -> bytes:
    """Request a page on a connection. Return the head of the answer."""
    caller.sendall(f"GET /page HTTP/1.1\r\nHost: here\r\nConnection: {connection}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = caller.recv(4096)
        assert piece
        answer += piece
    return answer.partition(b"\r\n\r\n")[0]


def test_a_connection_that_no_other_worker_takes_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    leaves = FewestSocketsFirst.defers

    def note(self: FewestSocketsFirst, waiting: int, now_s: float) -> bool:
        is_left = leaves(self, waiting, now_s)
        if waiting:
            left.append(is_left)
        return is_left

    monkeypatch.setattr(FewestSocketsFirst, "defers", note)
    with shared_server(other_has=0) as (address, _), ExitStack() as callers:
        silent = callers.enter_context(socket.create_connection(address, PATIENCE_S))
        while left != [False]:
            gevent.sleep(0.001)
        # The worker now has one connection more than the other, one that has sent no request yet
        second = callers.enter_context(socket.create_connection(address, PATIENCE_S))
        assert ask(second).startswith(b"HTTP/1.1 200")
        assert 1 <= left.count(True) <= MAX_DEFER_S / RETRY_ACCEPT_S + 1  # it retries at intervals, without spinning
        assert left[-1] is False
        assert ask(silent).startswith(b"HTTP/1.1 200")


def test_a_connection_counts_until_it_is_known_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_table, "NEW_S", 3.0)  # a busy machine looks within that
    with shared_server(other_has=9) as (address, scoreboard), ExitStack() as callers:
        asking, silent = (callers.enter_context(socket.create_connection(address, PATIENCE_S)) for _ in range(2))
        with gevent.Timeout(PATIENCE_S):
            while scoreboard.sockets(0) != 2:
                gevent.sleep(0.001)
            ask(asking)
            while scoreboard.sockets(0) == 2:
                gevent.sleep(0.001)
            while scoreboard.sockets(0):  # the connection that sends nothing stops counting after NEW_S
                gevent.sleep(0.01)
        assert ask(silent).startswith(b"HTTP/1.1 200")
        assert scoreboard.sockets(0) == 0


def test_beside_others_a_connection_is_not_kept_for_a_handshake() -> None:
    with shared_server(other_has=9) as (address, scoreboard):
        with socket.create_connection(address, PATIENCE_S) as caller:
            assert b"Connection: close" in ask(caller)
            assert caller.recv(4096) in (b"", b"here")
        scoreboard.is_ending = True  # from now on no other worker counts
        with socket.create_connection(address, PATIENCE_S) as caller:
            for _ in range(2):
                assert b"connection" not in ask(caller).lower()
