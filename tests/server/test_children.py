"""The keeper of the observer process: when it ends one that hangs, and when it starts the next."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lexbridge.server import children
from lexbridge.server.child_guards import ABORT_S
from lexbridge.server.children import (
    FIRST_DELAY_S,
    GOOD_AGE_S,
    HANG_LIMIT_S,
    MAX_DELAY_S,
    ObserverKeeper,
)

SIGNALS: Any = None  # no process is forked here


@dataclass
class System:
    """A clock, and the processes that the keeper forked."""

    now_s: float = 1000.0
    forks: list[float] = field(default_factory=list)
    """Times of the forks. The first process has the id 1."""
    sent: list[tuple[int, int]] = field(default_factory=list)
    """Signals by process id."""
    mains: list[Callable[[], int]] = field(default_factory=list)

    def fork(self, _signals: Any, main: Callable[[], int], _log_bug: Any) -> int:
        self.forks.append(self.now_s)
        self.mains.append(main)
        return len(self.forks)

    def kill(self, pid: int, signum: int) -> None:
        self.sent.append((pid, signum))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    monkeypatch.setattr(children, "fork_child", system.fork)
    monkeypatch.setattr("lexbridge.server.children.os.kill", system.kill)
    monkeypatch.setattr("lexbridge.server.children.time.monotonic", lambda: system.now_s)
    return system


def observed(beat: Callable[[], None]) -> int:
    """Beat once, in place of an observer."""
    beat()
    return 0


def after_a_hang(system: System, keeper: ObserverKeeper) -> None:
    """Let the process that runs hang until it is ended."""
    system.now_s += HANG_LIMIT_S + 0.1
    keeper.watch(0.0)
    system.now_s += ABORT_S + 0.1
    keeper.watch(0.0)
    keeper.reaped(len(system.forks), -signal.SIGKILL)


def delay_of_next(system: System, keeper: ObserverKeeper) -> float:
    """Return after how long the next process is forked, in seconds, in steps of a tenth."""
    before, ended_s = len(system.forks), system.now_s
    while len(system.forks) == before:
        system.now_s += 0.1
        keeper.start_if_due(SIGNALS)
    return round(system.now_s - ended_s, 1)


def test_a_silent_observer_is_aborted_and_then_killed(system: System, logged: Callable[[], Any]) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    system.now_s += HANG_LIMIT_S
    keeper.watch(0.0)
    assert system.sent == []
    system.now_s += 0.2
    keeper.watch(0.0)
    keeper.watch(0.0)
    assert system.sent == [(1, signal.SIGABRT)]
    system.now_s += ABORT_S + 0.1
    keeper.watch(0.0)
    assert system.sent == [(1, signal.SIGABRT), (1, signal.SIGKILL)]
    keeper.reaped(1, -signal.SIGKILL)
    keeper.watch(0.0)  # there is none
    assert [(line["event"], line["pid"]) for line in logged()] == [("observer-hung", 1), ("observer-died", 1)]
    assert logged()[0]["silent_s"] == HANG_LIMIT_S + 0.2


def test_an_observer_whose_loop_turns_is_left_alone(system: System) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    for _ in range(10):
        system.now_s += HANG_LIMIT_S - 1
        system.mains[0]()  # beats
        keeper.watch(0.0)
    assert system.sent == []


def test_time_in_which_the_supervisor_stood_still_is_free(system: System) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    system.now_s += 3600
    keeper.watch(judged_from_s=system.now_s)
    system.now_s += HANG_LIMIT_S - 1
    keeper.watch(judged_from_s=system.now_s - HANG_LIMIT_S + 1)
    assert system.sent == []


def test_the_next_one_has_its_own_time(system: System) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    after_a_hang(system, keeper)
    delay_of_next(system, keeper)
    before = len(system.sent)
    keeper.watch(0.0)
    assert len(system.sent) == before


def test_hanging_again_and_again_is_replaced_ever_later(system: System) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    delays = []
    for _ in range(9):
        after_a_hang(system, keeper)
        delays.append(delay_of_next(system, keeper))
    assert delays[0] == pytest.approx(FIRST_DELAY_S, abs=0.2)
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(MAX_DELAY_S, abs=0.2)


def test_after_a_good_one_the_delay_begins_anew(system: System) -> None:
    keeper = ObserverKeeper(observed)
    keeper.start_if_due(SIGNALS)
    for _ in range(4):
        after_a_hang(system, keeper)
        delay_of_next(system, keeper)
    system.now_s += GOOD_AGE_S
    system.mains[-1]()  # beats
    after_a_hang(system, keeper)
    assert delay_of_next(system, keeper) == pytest.approx(FIRST_DELAY_S, abs=0.2)
