"""The spread of calls over the workers of `server.py`, as processes with real sockets."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import gevent
import pytest
import requests

from bench.harness.raw_client import RawClient
from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from tests.support.processes import children, serves, state_of
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, SIGNED, V1_BOT

PATIENT_SERVER = ROOT / "tests" / "support" / "patient_server.py"

NOWHERE = {
    "TWILIO_API_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": "http://127.0.0.1:9",
}


class RunningServer:
    """A running `server.py`, and the media sockets that are open to it."""

    def __init__(self, bridge: BridgeProcess, calls: ExitStack) -> None:
        self.bridge = bridge
        self._calls = calls
        self._ports: list[int] = []

    def log_has(self, event: str, count: int) -> bool:
        """Return whether the log has at least `count` lines of `event`."""
        return self.bridge.log.read_text(encoding="utf-8").count(f'"{event}"') >= count

    def call(self, count: int) -> None:
        """Open media sockets, one after the other, each while all workers wait for one."""
        for _ in range(count):
            wait_until(lambda: all(state_of(worker) not in "RD" for worker in children(self.bridge.pid)))
            one = self._calls.enter_context(RawClient(("127.0.0.1", self.bridge.port), PATIENCE_S))
            assert one.upgrade(headers=SIGNED) == 101
            self._ports.append(one._socket.getsockname()[1])
            gevent.sleep(0.02)

    def spread(self) -> dict[int, int]:
        """Return how many of the media sockets each worker has."""
        workers = children(self.bridge.pid)
        has = Counter(next((pid for pid in workers if serves(pid, self.bridge.port, port)), 0) for port in self._ports)
        return {pid: has[pid] for pid in workers}


@contextmanager
def running_server(folder: Path, workers: int) -> Iterator[RunningServer]:
    """Start the server, and wait until all its workers are ready."""
    settings = {**ENVIRONMENT, **V1_BOT, **NOWHERE, "WEB_CONCURRENCY": str(workers), "DRAIN_S": "1"}
    with (
        BridgeProcess({**settings, "PYTHONPATH": str(ROOT)}, folder / "bridge.log", PATIENT_SERVER) as bridge,
        ExitStack() as calls,
    ):
        opened = RunningServer(bridge, calls)
        wait_until(lambda: opened.log_has("worker-started", workers - 1))
        gevent.sleep(0.5)  # the first heartbeats of the last worker
        yield opened


@pytest.mark.parametrize(("workers", "calls"), [(1, 5), (2, 30), (4, 60)])
def test_each_worker_gets_its_share_of_the_calls(tmp_path: Path, workers: int, calls: int) -> None:
    with running_server(tmp_path, workers) as opened:
        opened.call(calls)
        spread = sorted(opened.spread().values())
        assert sum(spread) == calls
        # At most 1 if the event loop of each worker comes round in time.
        assert spread[-1] - spread[0] <= 3


def test_a_hanging_worker_keeps_no_connection_waiting(tmp_path: Path) -> None:
    """Another worker accepts a new connection if the worker with the fewest calls hangs."""
    with running_server(tmp_path, 2) as opened:
        opened.call(6)
        hung, other = opened.spread()
        os.kill(hung, signal.SIGSTOP)
        opened.call(10)
        # All calls are answered before the supervisor notices that the worker hangs
        assert state_of(hung) == "T"
        assert not opened.log_has("worker-hung", 1)
        os.kill(hung, signal.SIGCONT)
        spread = opened.spread()
        assert spread[other] >= 10 + 1
        opened.call(8)
        assert opened.spread()[hung] >= spread[hung] + 6  # the worker has the fewest calls, and takes calls again


def test_a_killed_workers_successor_gets_the_next_calls(tmp_path: Path) -> None:
    with running_server(tmp_path, 2) as opened:
        opened.call(20)
        killed, other = opened.spread()
        before = opened.spread()[other]
        os.kill(killed, signal.SIGKILL)
        opened.call(2)  # while the supervisor replaces the worker
        wait_until(lambda: opened.log_has("worker-started", 2))
        gevent.sleep(0.5)
        opened.call(10)
        spread = opened.spread()
        (new,) = {*spread} - {other}
        assert new != killed
        assert spread[new] >= 8
        assert spread[other] <= before + 4


def test_webhooks_leave_no_connection_for_a_handshake(tmp_path: Path) -> None:
    with running_server(tmp_path, 2) as opened, requests.Session() as session:
        answer = session.get(f"{opened.bridge.url}/nothing", timeout=PATIENCE_S)
        assert (answer.status_code, answer.headers["Connection"]) == (404, "close")
        for _ in range(3):  # a load balancer may send its probes on one connection
            assert session.get(f"{opened.bridge.url}/ready", timeout=PATIENCE_S).headers["Connection"] == "keep-alive"
