"""The supervisor, over workers that do next to nothing (tests/support/supervised_workers.py)."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.server import supervisor as workers
from lexbridge.server.scoreboard import MAX_HEARTBEAT_AGE_S
from tests.support.processes import as_process_1, children, is_running, state_of
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.supervised import supervised

HANG_LIMIT_S = 3.0
"""Seconds after which a worker counts as hung, because none that lives is silent for so long on a busy machine."""

DRAIN_S = 3.0
"""Seconds for which a worker drains, because a test does something meanwhile, also on a busy machine."""


def test_a_worker_starts_with_nothing_of_its_parents(tmp_path: Path) -> None:
    with supervised(tmp_path, count=3) as started:
        there = started.are_ready(3)
        assert len(there) == 3
        begun = started.lines("begins")
        assert sorted(line["worker"] for line in begun) == there
        for line in begun:
            assert (line["blocked"], line["has_hub"], line["threads"]) == ([], False, 1)
            assert line["handlers"]["SIGTERM"] == line["handlers"]["SIGCHLD"] == str(signal.SIG_DFL)
            assert line["handlers"]["SIGINT"] == line["handlers"]["SIGHUP"] == str(signal.SIG_IGN)
        # A single worker, until it has shown that it can start
        assert begun[0]["worker"] == started.lines("serving")[0]["pid"]
        assert started.end(signal.SIGTERM) == 0


def test_a_parent_with_a_hub_does_not_fork(tmp_path: Path) -> None:
    with supervised(tmp_path, has_hub=True) as started:
        assert started.process.wait(timeout=PATIENCE_S) == 1
        assert "a gevent hub does not survive a fork" in started.text()
        assert not started.lines("begins")


def test_the_parent_of_the_real_server_has_no_hub_and_no_thread() -> None:
    words = (
        "import threading; from gevent._hub_local import get_hub_if_exists; from lexbridge import __main__ as program; "
        "program.destroy_gevent_hub(); print(get_hub_if_exists(), threading.active_count())"
    )
    ended = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "None 1\n"


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path, count=2) as started:
        one, other = started.are_ready(2)
        os.kill(one, signal.SIGKILL)
        now = started.are_ready(3)
        assert len(now) == 2
        assert other in now
        assert one not in now
        (died,) = started.lines("worker-died")
        assert (died["pid"], died["signal"]) == (one, "SIGKILL")
        assert started.end(signal.SIGTERM) == 0


def test_a_worker_that_was_stopped_is_ended_and_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path, hang_limit_s=HANG_LIMIT_S) as started:
        (one,) = started.are_ready(1)
        os.kill(one, signal.SIGSTOP)
        assert started.are_ready(2) != [one]
        assert [line["pid"] for line in started.lines("worker-hung")] == [one]
        assert [line["signal"] for line in started.lines("worker-died")] == ["SIGKILL"]
        assert started.end(signal.SIGTERM) == 0


def test_a_worker_that_hangs_leaves_its_stack_without_values(tmp_path: Path) -> None:
    with supervised(tmp_path, hang_limit_s=HANG_LIMIT_S) as started:
        (one,) = started.are_ready(1)
        os.kill(one, signal.SIGUSR1)
        assert started.are_ready(2) != [one]
        assert [line["signal"] for line in started.lines("worker-died")] == ["SIGABRT"]
        assert "supervised_workers.py" in started.text()
        assert "in hang" in started.text()
        assert "what a caller said" not in started.text()


def test_nobody_has_hung_if_all_were_stopped_together(tmp_path: Path) -> None:
    with supervised(tmp_path, hang_limit_s=HANG_LIMIT_S) as started:
        (one,) = started.are_ready(1)
        for pid in (started.pid, one):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(max(MAX_HEARTBEAT_AGE_S, HANG_LIMIT_S) + 0.5)
        os.kill(started.pid, signal.SIGCONT)
        time.sleep(0.5)  # longer than the supervisor's interval
        os.kill(one, signal.SIGCONT)
        time.sleep(1.0)
        assert children(started.pid) == [one]
        assert not started.lines("worker-hung")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_at_a_signal_all_drain(tmp_path: Path, signum: signal.Signals) -> None:
    with supervised(tmp_path, count=2, drain_s=0.3) as started:
        there = started.are_ready(2)
        assert started.end(signum) == 0
        assert sorted(line["worker"] for line in started.lines("told")) == there
        assert not started.lines("worker-died")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_at_a_second_signal_all_end_at_once(tmp_path: Path, second: signal.Signals) -> None:
    with supervised(tmp_path, count=2, drain_s=10 * PATIENCE_S) as started:
        started.are_ready(2)
        os.kill(started.pid, signal.SIGTERM)
        wait_until(lambda: len(started.lines("told")) == 2)
        assert started.end(second) == 1


def test_a_signal_that_comes_while_it_starts_is_not_lost(tmp_path: Path) -> None:
    for late_ms in (0, 5, 10, 20, 40):
        with supervised(tmp_path, count=3) as started:
            wait_until(
                lambda parent=started.pid: children(parent)
            )  # its signal handlers are set, and it goes on forking
            time.sleep(late_ms / 1000)
            assert started.end(signal.SIGTERM) == 0


def test_sighup_replaces_all_and_the_old_go_last(tmp_path: Path) -> None:
    with supervised(tmp_path, count=2, drain_s=DRAIN_S) as started:
        old = started.are_ready(2)
        os.kill(started.pid, signal.SIGHUP)
        wait_until(lambda: len(started.lines("told")) == 2)
        assert len(started.lines("worker-started")) == 1 + 2  # before any old worker got SIGTERM
        assert sorted(line["worker"] for line in started.lines("told")) == old
        for _ in range(3):  # during a renewal: one more is remembered
            os.kill(started.pid, signal.SIGHUP)
        new = started.are_ready(6)
        wait_until(lambda: len(children(started.pid)) == 2)
        time.sleep(0.5)
        assert not set(children(started.pid)) & {*old}
        assert len(new) <= 4
        assert len(started.lines("renewing")) == 2
        assert len(started.lines("begins")) == 6
        assert not started.lines("worker-died")
        assert started.end(signal.SIGTERM) == 0


def test_a_worker_ended_by_the_operator_is_replaced_at_once(tmp_path: Path) -> None:
    """A worker that the operator ends is replaced while it still drains."""
    with supervised(tmp_path, drain_s=DRAIN_S) as started:
        (one,) = started.are_ready(1)
        os.kill(one, signal.SIGTERM)
        assert one in started.are_ready(2)
        wait_until(lambda: one not in children(started.pid))
        assert not started.lines("worker-died")
        assert started.end(signal.SIGTERM) == 0


def test_workers_end_when_their_parent_is_gone(tmp_path: Path) -> None:
    with supervised(tmp_path, count=2) as started:
        there = started.are_ready(2)
        started.process.kill()
        wait_until(lambda: not any(map(is_running, there)))
        assert [line["orphaned"] for line in started.lines("told")] == [True, True]


def test_the_first_worker_that_cannot_start_ends_the_server(tmp_path: Path) -> None:
    with supervised(tmp_path, count=3, status=2) as started:
        assert started.process.wait(timeout=PATIENCE_S) == 2
        assert len(started.lines("begins")) == 1


@pytest.mark.parametrize("broken", [{"raises": True}, {"status": 3}])
def test_a_worker_that_dies_young_is_replaced_ever_later(tmp_path: Path, broken: dict[str, Any]) -> None:
    with supervised(tmp_path, count=3, **broken) as started:
        wait_until(lambda: len(started.lines("worker-died")) == 3)
        times = [line["timestamp"] for line in started.lines("begins")]
        seconds = [float(text[17:-1]) for text in times]
        waits = [(after - before) % 60 for before, after in pairwise(seconds)]
        assert waits[0] >= workers.FIRST_DELAY_S
        assert waits[1] >= 2 * workers.FIRST_DELAY_S
        assert ("it broke" in started.text()) == ("raises" in broken)
        assert started.end(signal.SIGTERM) == 0


def test_a_starting_worker_ended_by_the_operator_is_no_error(tmp_path: Path) -> None:
    with supervised(tmp_path, start_s=10 * PATIENCE_S) as started:
        told: list[int] = []
        for count in range(1, 7):
            wait_until(lambda count=count: len(started.lines("begins")) == count)
            (worker,) = children(started.pid)
            os.kill(worker, signal.SIGTERM)
            wait_until(lambda count=count: len(started.lines("worker-told-to-end")) == count)
            told.append(worker)
        wait_until(lambda: len(started.lines("begins")) == 7)
        lines = started.lines("worker-told-to-end")
        assert [(line["pid"], line["level"]) for line in lines] == [(worker, "info") for worker in told]
        assert not started.lines("worker-died")
        # However fast workers are ended, one is started in each FIRST_DELAY_S, no more and no less
        seconds = [float(line["timestamp"][17:-1]) for line in started.lines("begins")]
        assert (seconds[-1] - seconds[0]) % 60 >= 6 * workers.FIRST_DELAY_S - 0.1
        assert (seconds[-1] - seconds[-2]) % 60 < workers.MAX_DELAY_S
        assert started.end(signal.SIGTERM) == 0


def test_a_worker_that_ends_well_before_ready_is_no_error(tmp_path: Path) -> None:
    with supervised(tmp_path, status=0) as started:
        wait_until(lambda: len(started.lines("worker-told-to-end")) == 3)
        assert not started.lines("worker-died")
        assert started.end(signal.SIGTERM) == 0


def test_as_process_1_it_takes_signals_and_reaps_orphans(tmp_path: Path) -> None:
    with supervised(tmp_path, *as_process_1(), leaves_orphan=True) as started:
        started.are_ready(1)
        assert started.lines("parent")[0]["pid"] == 1
        (parent,) = children(started.pid)
        wait_until(lambda: len(children(parent)) == 1)  # the orphan came to process 1, ended, and was reaped
        assert "Z" not in [state_of(pid) for pid in children(parent)]
        os.kill(parent, signal.SIGTERM)
        assert started.process.wait(timeout=PATIENCE_S) == 0
