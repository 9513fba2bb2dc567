"""The drain of a worker, and the probes that find whether other workers or instances are ready."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
import requests
from gevent.pywsgi import WSGIServer

from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.net.capped_http import capped_session
from lexbridge.server.drain import CLOSE_S, LAST_REQUESTS_S, drain, is_ready, probing_others
from lexbridge.server.scoreboard import Scoreboard, State, WorkerSlot
from tests.support import answering_peers
from tests.support.fixtures import Logged, Pauses
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S


class Calls(CallRegistry):
    """A registry with one live call, which notes what it is asked. `ends_at`: the request at which it ends."""

    def __init__(self, ends_at: str = "") -> None:
        super().__init__(max_calls=10)
        self.told: list[str] = []
        self._ends_at = ends_at
        self.stream = LiveStream("CA1", "MZ1", lambda: None, lambda: self._note("leave"), lambda: self._note("close"))
        self.add(self.stream)

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self._ends_at:
            self.remove(self.stream)


def yes() -> bool:
    return True


def no() -> bool:
    return False


def seconds(run: Callable[[], object]) -> float:
    """Return how long `run` takes, in seconds."""
    before_s = time.monotonic()
    with gevent.Timeout(PATIENCE_S):
        run()
    return time.monotonic() - before_s


def test_without_a_call_draining_is_over_at_once(logged: Logged, pauses: Pauses) -> None:
    calls = CallRegistry(max_calls=1)
    drain(calls, no, 100)
    assert pauses(gevent.getcurrent()) == []
    assert calls.admission.refusal == "draining"
    assert [(line["event"], line["live_calls"]) for line in logged()] == [("draining", 0), ("stopped", 0)]


def test_alone_it_waits_for_the_last_call_to_end(logged: Logged) -> None:
    calls = Calls()
    draining = gevent.spawn(drain, calls, no, 100)
    gevent.sleep(0.2)
    assert not draining.dead
    assert not calls.is_leaving
    calls.remove(calls.stream)
    assert seconds(draining.get) >= LAST_REQUESTS_S - 0.01  # Twilio may still send webhooks
    assert calls.told == []
    assert [line["live_calls"] for line in logged() if "live_calls" in line] == [1, 0]  # others may log meanwhile


def test_calls_are_told_to_leave_once_and_not_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Draining asks each call to leave once, spread over time, while other workers take calls."""
    monkeypatch.setattr("lexbridge.server.drain.MIN_LEAVES_PER_S", 10.0)
    calls = CallRegistry(max_calls=10)
    told: list[float] = []
    for number in range(4):
        calls.add(
            LiveStream(f"CA{number}", f"MZ{number}", lambda: None, lambda: told.append(time.monotonic()), lambda: None)
        )
    draining = gevent.spawn(drain, calls, yes, 100)
    wait_until(lambda: len(told) == 4)
    gevent.sleep(0.3)
    assert len(told) == 4
    assert told[-1] - told[0] >= 0.25
    draining.kill()


def test_with_little_time_they_are_told_sooner() -> None:
    calls = CallRegistry(max_calls=1000)
    told: list[float] = []
    for number in range(200):
        calls.add(
            LiveStream(f"CA{number}", f"MZ{number}", lambda: None, lambda: told.append(time.monotonic()), lambda: None)
        )
    draining = gevent.spawn(drain, calls, yes, 3)
    wait_until(lambda: len(told) == 200)
    assert told[-1] - told[0] < 15  # at MIN_LEAVES_PER_S it would be 20
    draining.kill()


def test_calls_stay_while_no_other_worker_is_there() -> None:
    calls = Calls()
    there = [True]
    draining = gevent.spawn(drain, calls, lambda: there[0], 100)
    wait_until(lambda: calls.is_leaving)
    there[0] = False
    wait_until(lambda: not calls.is_leaving)
    there[0] = True
    wait_until(lambda: calls.is_leaving)
    assert calls.told == ["leave"]
    draining.kill()


def test_what_is_left_at_the_end_is_closed(logged: Logged) -> None:
    calls = Calls(ends_at="close")
    drain(calls, no, 0.2)
    assert calls.told == ["close"]
    assert [line["live_calls"] for line in logged()] == [1, 1]


def test_a_call_that_does_not_even_close_is_not_waited_for() -> None:
    assert seconds(lambda: drain(Calls(), no, 0)) >= CLOSE_S


@contextmanager
def answering(status: str, pieces: int = 1) -> Iterator[str]:
    """Run a server that answers `status`, with a body that drips for `pieces` tenths of a second."""

    def app(environ: object, start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response(status, [("Location", "/elsewhere")])
        for _ in range(pieces):
            yield b"x"
            gevent.sleep(0.1)

    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/ready"
    finally:
        server.stop(timeout=0)


@pytest.mark.parametrize(("status", "ok"), [("200 OK", True), ("503 No", False), ("302 Found", False)])
def test_others_answer_200_or_they_are_not_there(status: str, ok: bool) -> None:
    with answering(status, pieces=1000) as address, requests.Session() as session:
        assert is_ready(session, address) is ok  # however slowly its body comes


def test_nobody_listens_or_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexbridge.server.drain.PROBE_TIMEOUT_S", 0.2)

    def silent(*_: object) -> list[bytes]:
        gevent.sleep(PATIENCE_S)
        return []

    server = WSGIServer(("127.0.0.1", 0), silent, log=None)
    server.start()
    address = f"http://127.0.0.1:{server.server_port}/ready"
    with requests.Session() as session:
        assert seconds(lambda: is_ready(session, address)) < PATIENCE_S / 2
        assert not is_ready(session, address)
        server.stop(timeout=0)
        assert not is_ready(session, address)
        assert not is_ready(session, "http://voice.invalid/ready")


@pytest.mark.parametrize(
    ("begin", "piece"), [("", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), ("HTTP/1.1 200 OK\nX: ", b"y" * 65536)]
)
def test_heads_without_end_do_not_hold_who_drains(begin: str, piece: bytes) -> None:
    with answering_peers.answering(answering_peers.endless(begin, piece)) as peer:
        with capped_session() as session:
            assert not is_ready(session, f"http://127.0.0.1:{peer.port}/ready")
        assert peer.sent_bytes < answering_peers.MOST_BYTES


def test_others_are_workers_of_ours_or_whoever_answers_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lexbridge.server.drain.PROBE_INTERVAL_S", 0.05)
    monkeypatch.setattr("lexbridge.server.drain.PROBE_TIMEOUT_S", 0.5)
    slot = WorkerSlot(Scoreboard(2), 0, 1)
    with answering("503 No") as address, probing_others(slot, address) as others_are_ready:
        gevent.sleep(0.2)
        assert not others_are_ready()
        slot.scoreboard.write(1, State.READY)
        assert others_are_ready()
        slot.scoreboard.write(1, State.DRAINING)
        assert not others_are_ready()
    with answering("200 OK") as address, probing_others(slot, address) as others_are_ready:
        assert not others_are_ready()
        wait_until(others_are_ready)


@pytest.mark.parametrize(("ca_file", "checked_by"), [(None, True), ("/etc/ca.pem", "/etc/ca.pem")])
def test_the_certificate_of_others_is_always_checked(
    monkeypatch: pytest.MonkeyPatch, ca_file: str | None, checked_by: object
) -> None:
    checks: list[object] = []
    monkeypatch.setattr("lexbridge.server.drain.PROBE_INTERVAL_S", 0.01)
    monkeypatch.setattr("lexbridge.server.drain.is_ready", lambda session, _: checks.append(session.verify))
    with probing_others(WorkerSlot(Scoreboard(1), 0, 1), "https://voice.example.com/ready", ca_file):
        wait_until(lambda: checks)
    assert {*checks} == {checked_by}
