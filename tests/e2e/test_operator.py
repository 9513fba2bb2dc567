"""A bad night of an operator: each fault is found from the console alone, the metrics alone, and the events alone."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.events import EndReason, StreamOpened
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support.flower_order import ORDER
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S
from tests.support.watched_service import WatchedService, watched_service

pytestmark = pytest.mark.e2e


def order_to_its_end(service: WatchedService) -> str:
    """Let a caller order flowers. Return the CallSid."""
    call = service.place_call(*ORDER)
    assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
    return call.sid


def ended_event(service: WatchedService, call_sid: str) -> dict[str, Any]:
    """Wait for the posted end of a call, and return it."""
    found: list[dict[str, Any]] = []

    def is_here() -> bool:
        found[:] = [one for one in service.posted("call.ended") if one["call_sid"] == call_sid]
        return bool(found)

    wait_until(is_here)
    return found[0]


def names(service: WatchedService, call_sid: str) -> list[str]:
    """Return the names of a call's events so far."""
    return [event[4] for event in service.json(f"/calls/{call_sid}")["events"]]


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return by how much each metric has grown, where it has."""
    return {name: value - before.get(name, 0) for name, value in after.items() if value > before.get(name, 0)}


def until_grown(service: WatchedService, before: dict[str, float], has: Callable[[dict[str, float]], bool]) -> None:
    """Wait until the metrics show a fault."""
    wait_until(lambda: has(grown(before, service.metrics())))


def test_a_slow_bot_is_found(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER) as service:
        before = service.metrics()
        service.lex.faults.append(LexFault(kind="slow", after_s=3.0))
        sid = order_to_its_end(service)
        ended = ended_event(service, sid)
        # the events
        assert ended["worst_lex_ms"] >= 3000
        slow = [turn for turn in service.posted("turn") if (turn["lex_ms"] or 0) >= 3000]
        assert [turn["call_sid"] for turn in slow] == [sid]
        # the console
        slowest = service.json("/console/api/latency")["slowest"][0]
        assert slowest["call_sid"] == sid
        assert slowest["lex_ms"] >= 3000
        turns = service.json(f"/calls/{sid}")["turns"]
        assert sum(1 for turn in turns if (turn["lex_ms"] or 0) >= 3000) == 1
        # the metrics
        name = 'lexbridge_lex_total_seconds_bucket{le="%s",reply_mode="call-update"}'
        after = service.metrics()
        assert after[name % "+Inf"] - after[name % "2.0"] == 1
        assert before[name % "+Inf"] == before[name % "2.0"]


def test_a_killed_worker_is_found(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER, pace=0.5) as service:
        before = service.metrics()
        call = service.place_call(*ORDER)
        call.wait_for(StreamOpened, PATIENCE_S)
        wait_until(lambda: [one["call_sid"] for one in service.calls() if one["worker_pid"]] == [call.sid])
        killed = service.calls()[0]["worker_pid"]
        os.kill(killed, signal.SIGKILL)
        assert call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
        ended = ended_event(service, call.sid)
        # the events
        pids = [stream["worker_pid"] for stream in ended["streams"]]
        assert pids[0] == killed
        assert pids[-1] != killed
        assert ended["streams"][0]["how"] == "worker-ended"
        (died,) = service.posted("worker.died")
        assert (died["pid"], died["signal"], died["call_sids"]) == (killed, "SIGKILL", [call.sid])
        assert [one["workers"] for one in service.posted("service.started")] == [2]
        bodies = service.receiver.bodies
        assert sorted(body["sequence"] for body in bodies) == list(range(1, len(bodies) + 1)), "no event is missing"
        # the console
        shown = service.json(f"/calls/{call.sid}")
        assert [stream["worker_pid"] for stream in shown["streams"]] == pids
        lines = service.json("/console/api/health")["lines"]
        assert [line["fields"]["signal"] for line in lines if line["name"] == "worker-died"] == ["SIGKILL"]
        states = {worker["pid"]: worker["state"] for worker in service.json("/calls")["workers"]}
        assert states[killed] == "ended"
        # the metrics
        until_grown(service, before, lambda more: more.get('lexbridge_calls_resumed_total{how="lost"}') == 1)
        assert grown(before, service.metrics())['lexbridge_worker_deaths_total{how="SIGKILL"}'] == 1


@pytest.mark.parametrize("thinks", [True, False])
def test_what_a_killed_worker_had_heard_is_found(tmp_path: Path, thinks: bool) -> None:
    """The turn that is lost is posted at once: while Lex thinks, or while the caller speaks."""
    with watched_service(tmp_path, *ORDER, pace=0.2 if thinks else 0.5) as service:
        if thinks:
            service.lex.faults.append(LexFault(kind="slow", after_s=20.0))
        first = (
            ORDER[0] if thinks else f"{ORDER[0]}, a lot of flowers of many colours, for all the tables of a large hall"
        )
        call = service.place_call(first, *ORDER[1:])
        step = "utterance-ended" if thinks else "utterance-opened"
        wait_until(lambda: any(step in names(service, one["call_sid"]) for one in service.calls()))
        os.kill(service.calls()[0]["worker_pid"], signal.SIGKILL)
        wait_until(lambda: any(turn["outcome"] == "lost" for turn in service.posted("turn")))
        assert service.posted("call.ended") == []
        lost = [turn for turn in service.posted("turn") if turn["outcome"] == "lost"]
        assert [(turn["why"], turn["call_sid"]) for turn in lost] == [("worker-ended", call.sid)]
        wait_until(lambda: len(service.json(f"/calls/{call.sid}")["streams"]) == 2)
        call.hang_up()  # because what is left of the words may take the order anywhere
        assert ended_event(service, call.sid)["outcomes"]["lost"] >= 1


def test_a_twilio_that_throttles_is_found(tmp_path: Path) -> None:
    with watched_service(tmp_path, *ORDER) as service:
        before = service.metrics()
        service.twilio.rest_faults.append(RestFault(status=429, code=20429, message="Too Many Requests"))
        sid = order_to_its_end(service)
        ended = ended_event(service, sid)
        # the events
        (fault,) = [fault for fault in ended["faults"] if fault["kind"] == "call-update-failed"]
        assert fault["count"] == 1
        assert "429" in fault["error"]
        # the console
        (summary,) = [one for one in service.calls() if one["call_sid"] == sid]
        assert summary["faults"] >= 1
        lines = service.json("/console/api/health")["lines"]
        assert ["429" in line["fields"]["error"] for line in lines if line["name"] == "call-update-failed"] == [True]
        # the metrics
        kind = 'lexbridge_call_update_errors_total{kind="throttled",outcome="retried"}'
        until_grown(service, before, lambda more: any(name.startswith(kind[:46]) for name in more))
