"""The admin port of a real `server.py`: what is reachable where, and that no call depends on the observer process."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests

from lexbridge.offline.commands.bridge_process import ROOT, BridgeProcess
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.events import EndReason, StreamOpened
from lexbridge.server.children import LAST_FACTS_S
from tests.support.flower_order import ORDER
from tests.support.processes import children, is_running
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.server_process import COMPLETE, said, start
from tests.support.watched_service import PASSWORD, SECRET, WatchedService, watched_service

HASTY_SERVER = ROOT / "tests" / "support" / "hasty_server.py"
FLOOD = ROOT / "tests" / "support" / "flood.py"
HANG = signal.SIGRTMIN
"""Signal at which an observer of HASTY_SERVER hangs in an endless loop."""

ADMIN_PATHS = (
    "/calls",
    "/calls/CA1",
    "/metrics",
    "/console/",
    "/console/static/console.css",
    "/console/api/stream",
)


def status_of(url: str, auth: tuple[str, str] | None = None) -> int:
    """Return the status of a page, of which no more is read: one of them never ends."""
    with requests.get(url, auth=auth, timeout=PATIENCE_S, stream=True, allow_redirects=False) as response:
        return response.status_code


def observer_of(service: WatchedService) -> int:
    """Return the process id of the observer, once the log has it: a thread of its own may write the line."""
    wait_until(lambda: said(service.bridge, "observing") != [])
    pid: int = said(service.bridge, "observing")[-1]["pid"]
    return pid


def test_without_an_admin_port_there_is_nothing_of_it(tmp_path: Path) -> None:
    with BridgeProcess(COMPLETE, tmp_path / "bridge.log") as bridge:
        assert len(children(bridge.pid)) == 1  # the worker
        assert said(bridge, "observing") == []
        assert [status_of(bridge.url + path) for path in ADMIN_PATHS] == [404] * len(ADMIN_PATHS)
        assert requests.get(f"{bridge.url}/ping", timeout=PATIENCE_S).json()["live_calls"] == 0


def test_nothing_of_the_admin_port_is_on_the_public_one(tmp_path: Path) -> None:
    with watched_service(tmp_path, workers=1) as service:
        assert [status_of(service.bridge.url + path) for path in ADMIN_PATHS] == [404] * len(ADMIN_PATHS)
        admin = [status_of(service.admin_url + path) for path in ADMIN_PATHS]
        assert admin == [401] * len(ADMIN_PATHS)
        known = [status_of(service.admin_url + path, ("any", PASSWORD)) for path in ADMIN_PATHS]
        assert known == [200, 404, 200, 200, 200, 200]
        assert status_of(service.admin_url + "/taken-for-nothing", ("any", PASSWORD)) == 404


def test_the_admin_port_listens_on_this_machine_alone(tmp_path: Path) -> None:
    with watched_service(tmp_path, workers=1) as service:
        port = int(service.admin_url.rpartition(":")[2])
        table = Path("/proc/net/tcp").read_text(encoding="ascii") + Path("/proc/net/tcp6").read_text(encoding="ascii")
        lines = [line.split() for line in table.splitlines()]
        listening = {line[1].partition(":")[0] for line in lines if line[1:2] and line[1].endswith(f":{port:04X}")}
        assert listening == {"0100007F"}


@pytest.mark.parametrize(
    ("wrong", "variable"),
    [
        ({"ADMIN_HOST": "0.0.0.0"}, "CONSOLE_PASSWORD"),
        ({"CONSOLE_PASSWORD": "short"}, "CONSOLE_PASSWORD"),
        ({"EVENTS_URL": "https://crm.example.com/calls"}, "EVENTS_SECRET"),
        ({"RECORD_DIR": "/nowhere"}, "RECORD_DIR"),
        ({"ADMIN_PORT": "8080"}, "ADMIN_PORT"),
    ],
)
def test_a_start_that_would_open_too_much_is_refused(tmp_path: Path, wrong: dict[str, str], variable: str) -> None:
    ran = start(tmp_path, **{**COMPLETE, "ADMIN_PORT": "9090", **wrong})
    assert ran.returncode == 2
    assert variable in ran.stderr
    assert "short" not in ran.stderr


def test_a_port_that_is_in_use_stops_the_start(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        ran = start(tmp_path, **{**COMPLETE, "CONTAINER_PORT": str(free_port()), "ADMIN_PORT": str(port)})
    assert ran.returncode == 2
    assert f"ADMIN_PORT: {port} cannot be listened on at 127.0.0.1" in ran.stderr


def test_operators_are_answered_in_a_flood_of_strangers(tmp_path: Path) -> None:
    with watched_service(tmp_path, workers=1) as service:
        port = service.admin_url.rpartition(":")[2]
        with subprocess.Popen([sys.executable, str(FLOOD), port], stdout=subprocess.PIPE) as flood:
            try:
                assert flood.stdout is not None
                assert flood.stdout.readline() == b"flooding\n"
                asked = ("/ping", "/metrics", "/console/", "/console/static/console.css", "/calls") * 4
                assert [service.get(path).status_code for path in asked] == [200] * len(asked)
            finally:
                flood.kill()
        assert "Traceback" not in service.bridge.log.read_text(encoding="utf-8")


def test_an_observer_that_is_killed_costs_no_call(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER, workers=1) as service:
        call = service.place_call(*ORDER)
        call.wait_for(StreamOpened, PATIENCE_S)
        before = service.metrics()
        os.kill(observer_of(service), signal.SIGKILL)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        wait_until(lambda: len(said(service.bridge, "observing")) == 2)
        assert len(said(service.bridge, "observer-died")) == 1
        wait_until(lambda: service.json("/calls")["workers"] != [])
        after = service.metrics()
        assert [name for name, value in before.items() if after[name] < value and name.endswith("_total")] == []
        assert after["lexbridge_calls_started_total"] == 1


def test_an_observer_that_stands_still_costs_no_call(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER, workers=1) as service:
        observer = observer_of(service)
        os.kill(observer, signal.SIGSTOP)
        try:
            call = service.place_call(*ORDER)
            assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        finally:
            os.kill(observer, signal.SIGCONT)
        wait_until(lambda: [one["call_sid"] for one in service.calls()] == [call.sid])
        assert service.calls()[0]["turns"] == len(ORDER)


@pytest.mark.parametrize(
    ("fault", "ended_by"), [(signal.SIGSTOP, "SIGKILL"), (HANG, "SIGABRT")], ids=["stopped", "loop"]
)
def test_an_observer_that_hangs_is_replaced(tmp_path: Path, fault: signal.Signals, ended_by: str) -> None:
    with watched_service(tmp_path, *ORDER, workers=1, program=HASTY_SERVER, PYTHONPATH=str(ROOT)) as service:
        done = service.place_call(*ORDER)
        assert done.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        before = service.metrics()
        observer = observer_of(service)
        call = service.place_call(ORDER[0])
        call.wait_for(StreamOpened, PATIENCE_S)
        os.kill(observer, fault)
        wait_until(lambda: len(said(service.bridge, "observing")) == 2)
        assert [line["pid"] for line in said(service.bridge, "observer-hung")] == [observer]
        assert [line["signal"] for line in said(service.bridge, "observer-died")] == [ended_by]
        wait_until(lambda: [one["call_sid"] for one in service.json("/calls")["live"]] == [call.sid])
        wait_until(lambda: service.calls()[0]["turns"] == 1)
        after = service.metrics()
        assert [name for name, value in before.items() if after[name] < value and name.endswith("_total")] == []
        assert after["lexbridge_calls_started_total"] == 2
        log = service.bridge.log.read_text(encoding="utf-8")
        assert ("in hang" in log) is (fault == HANG)
        assert "what a caller said" not in log


def test_the_service_ends_with_all_of_its_processes(tmp_path: Path) -> None:
    with watched_service(tmp_path, workers=1) as service:
        pids = children(service.bridge.pid)
        assert len(pids) == 2
        service.bridge.send_signal(signal.SIGTERM)
        assert service.bridge.wait(PATIENCE_S) == 0
        assert [pid for pid in pids if is_running(pid)] == []


def test_a_second_sigterm_waits_for_no_observer(tmp_path: Path) -> None:
    with watched_service(tmp_path, workers=1) as service:
        pids = children(service.bridge.pid)
        observer = observer_of(service)
        os.kill(observer, signal.SIGSTOP)
        service.bridge.send_signal(signal.SIGTERM)
        wait_until(lambda: children(service.bridge.pid) == [observer])
        service.bridge.send_signal(signal.SIGTERM)
        before_s = time.monotonic()
        assert service.bridge.wait(PATIENCE_S) == 0
        assert time.monotonic() - before_s < LAST_FACTS_S / 2
        assert [pid for pid in pids if is_running(pid)] == []


def test_no_word_is_in_the_log_or_the_metrics(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER, workers=1, LOG_LEVEL="DEBUG") as service:
        call = service.place_call(*ORDER)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        wait_until(lambda: len(service.posted("call.ended")) == 1)
        metrics = service.get("/metrics").text
        shown = json.dumps(service.json(f"/calls/{call.sid}"))
        posted = json.dumps(service.receiver.bodies)
        log = service.bridge.log.read_text(encoding="utf-8")
    for word in ("roses", "What type of flowers", "five pm"):
        assert word in shown  # so it was said, and words are not left out for another reason
        assert [word in text for text in (log, metrics, posted)] == [False] * 3
    for secret in (PASSWORD, SECRET):
        assert [secret in text for text in (log, metrics, posted, shown)] == [False] * 4
    assert call.sid not in metrics
