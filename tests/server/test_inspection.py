"""The signals SIGUSR1 and SIGUSR2, which make all processes of `server.py` report; neither ends a process."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
import requests

from lexbridge.offline.commands.bridge_process import BridgeProcess
from tests.support import faulty_server
from tests.support.faulty_server_process import running_faulty_server
from tests.support.log_lines import whole_lines
from tests.support.processes import children, handles
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, TOKEN
from tests.support.server_process import COMPLETE, STARTING_S, live_call, said, starting


def has_begun(worker: int, signum: signal.Signals) -> bool:
    """Return whether a worker has its own signal handlers: a fork begins with the supervisor's."""
    return handles(worker, signum) and not handles(worker, signal.SIGHUP)


@contextmanager
def two_workers(folder: Path, level: str) -> Iterator[BridgeProcess]:
    """Run `server.py` with two workers, both built, at a LOG_LEVEL at which it logs nothing of its start."""
    with BridgeProcess({**COMPLETE, "WEB_CONCURRENCY": "2", "LOG_LEVEL": level}, folder / "bridge.log") as bridge:
        wait_until(lambda: [has_begun(pid, signal.SIGTERM) for pid in children(bridge.pid)] == [True, True])
        yield bridge


def lines(bridge: BridgeProcess, event: str, count: int) -> list[dict[str, Any]]:
    """Wait until the log has `count` lines of `event`, and return them."""
    wait_until(lambda: len(said(bridge, event)) >= count)
    return said(bridge, event)


def is_well(bridge: BridgeProcess) -> bool:
    return requests.get(f"{bridge.url}/ready", timeout=PATIENCE_S).status_code == 200


def test_sigusr1_has_every_process_say_what_it_does(tmp_path: Path) -> None:
    with two_workers(tmp_path, "ERROR") as bridge:
        workers = children(bridge.pid)
        os.kill(bridge.pid, signal.SIGUSR1)
        reports = lines(bridge, "worker-report", 2)
        wait_until(lambda: {line["pid"] for line in said(bridge, "stack")} == {*workers})
        states = said(bridge, "worker-state")
        assert sorted(line["pid"] for line in states) == workers
        assert {line["state"] for line in states} <= {"starting", "ready"}
        assert sorted(line["pid"] for line in reports) == workers
        assert {(line["state"], line["live_calls"]) for line in reports} == {("ready", 0)}
        stacks = lines(bridge, "stack", sum(line["stacks"] for line in reports))
        assert any("worker.py" in place for line in stacks for place in line["where"])
        assert {"hub", "thread"} <= {line["of"] for line in stacks}
        assert sum(line["count"] for line in stacks) == sum(line["standing"] for line in reports)
        assert children(bridge.pid) == workers
        assert is_well(bridge)
        assert TOKEN not in bridge.log.read_text(encoding="utf-8")


def test_a_live_call_is_one_line_and_a_draining_worker_says_so(tmp_path: Path) -> None:
    with live_call(tmp_path) as live:
        os.kill(live.bridge.pid, signal.SIGUSR1)
        (line,) = lines(live.bridge, "live-call", 1)
        assert (line["call_sid"], line["turns"]) == (live.call.sid, 0)
        assert line["age_s"] >= 0
        assert isinstance(line["state"], str)
        os.kill(live.bridge.pid, signal.SIGTERM)
        lines(live.bridge, "draining", 1)
        os.kill(live.bridge.pid, signal.SIGUSR1)
        assert lines(live.bridge, "worker-report", 2)[1]["state"] == "draining"
        assert len(lines(live.bridge, "live-call", 2)) == 2
        live.call.hang_up()
        assert live.bridge.wait(PATIENCE_S) == 0


def test_a_worker_whose_loop_is_held_says_by_what(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path) as started:
        os.kill(started.worker, faulty_server.HOLD)
        wait_until(lambda: started.lines("loop-held"))
        os.kill(started.worker, signal.SIGUSR1)
        wait_until(lambda: started.lines("worker-report") and started.lines("loop-free"))
        assert any(line["where"][0].endswith(" hold") for line in started.lines("stack"))
        events = [json.loads(line)["event"] for line in whole_lines(started.text())]
        assert events.index("stack") < events.index("loop-free")  # the report did not wait for the event loop
        assert faulty_server.SECRET not in started.text()
        assert started.end() == 0


def levels(bridge: BridgeProcess) -> dict[int, list[str]]:
    """Return the log levels that each process switched to."""
    found: dict[int, list[str]] = {}
    for line in said(bridge, "log-level"):
        found.setdefault(line["pid"], []).append(line["log_level"])
    return found


def test_sigusr2_switches_debug_in_all_processes(tmp_path: Path) -> None:
    """SIGUSR2 switches DEBUG on and off in all processes, and in those that start later."""
    with two_workers(tmp_path, "WARNING") as bridge:
        one, other = workers = children(bridge.pid)
        os.kill(bridge.pid, signal.SIGUSR2)
        wait_until(lambda: levels(bridge) == {pid: ["DEBUG"] for pid in (bridge.pid, *workers)})
        os.kill(one, signal.SIGKILL)
        wait_until(lambda: len(children(bridge.pid)) == 2 and one not in children(bridge.pid))
        (new,) = {*children(bridge.pid)} - {other}
        wait_until(lambda: levels(bridge).get(new) == ["DEBUG"])
        assert said(bridge, "worker-died")
        os.kill(bridge.pid, signal.SIGUSR2)
        wait_until(lambda: levels(bridge)[new] == ["DEBUG", "WARNING"] == levels(bridge)[bridge.pid])
        assert is_well(bridge)


def test_sigusr2_to_one_worker_switches_that_one(tmp_path: Path) -> None:
    with two_workers(tmp_path, "DEBUG") as bridge:
        one, other = children(bridge.pid)
        os.kill(one, signal.SIGUSR2)
        wait_until(lambda: levels(bridge) == {one: ["INFO"]})
        os.kill(one, signal.SIGUSR2)
        wait_until(lambda: levels(bridge) == {one: ["INFO", "DEBUG"]})
        os.kill(other, signal.SIGTERM)
        lines(bridge, "draining", 1)


@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2])
def test_while_it_starts_they_end_nothing(tmp_path: Path, signum: signal.Signals) -> None:
    for after_s in STARTING_S[::2]:
        with starting(tmp_path) as (process, server):
            gevent.sleep(after_s)
            os.kill(server, signum)
            for worker in children(server):
                os.kill(worker, signum)
            assert process.stdout is not None
            while '"serving"' not in process.stdout.readline():
                assert process.poll() is None
            os.kill(server, signal.SIGTERM)
            out, err = process.communicate(timeout=PATIENCE_S)
            assert (after_s, process.returncode, err) == (after_s, 0, "")
            assert '"error"' not in out


def test_a_worker_that_starts_can_be_asked(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "bridge.log") as bridge:
        (worker,) = children(bridge.pid)
        os.kill(bridge.pid, signal.SIGHUP)
        wait_until(lambda: len(children(bridge.pid)) == 2)
        (new,) = {*children(bridge.pid)} - {worker}
        wait_until(lambda: has_begun(new, signal.SIGUSR1))
        os.kill(new, signal.SIGUSR1)
        wait_until(lambda: [line for line in said(bridge, "worker-report") if line["pid"] == new])
        assert not said(bridge, "worker-died")
