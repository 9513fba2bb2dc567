"""Task protection and the metric on Amazon ECS: real requests to an agent that answers, fails or hangs."""

from itertools import pairwise

import gevent
import pytest

from lexbridge.server import ecs
from lexbridge.server.ecs import TaskProtection, metric
from lexbridge.server.scoreboard import Scoreboard, State, WorkerSlot
from tests.support.ecs_agent import OFF, OK, ON, Agent
from tests.support.rehearsal import wait_until


@pytest.fixture
def agent():
    return Agent()


def looks(protection: TaskProtection, *calls_each_s: int, from_s: int = 0) -> None:
    for second, live_calls in enumerate(calls_each_s):
        protection.update(live_calls, from_s + second)


def test_the_task_is_protected_from_the_first_call_to_the_last(agent):
    with agent.running() as uri:
        protection = TaskProtection(uri)
        looks(protection, 0, 0, 0)
        assert agent.told == [OFF]  # whatever state an earlier worker left
        looks(protection, 1, 2, 1, from_s=10)
        assert agent.told == [OFF, ON]
        looks(protection, 0, 0, from_s=20)
        assert agent.told == [OFF, ON, OFF]


def test_protection_is_renewed_each_minute_while_there_are_calls(agent):
    """Task protection is renewed each minute while there are calls, long before it expires."""
    with agent.running() as uri:
        looks(TaskProtection(uri), *[3] * 181)
    assert agent.told == [ON] * 4
    assert ecs.RENEW_EVERY_S * 2 < ecs.EXPIRES_MIN * 60


FAULTS = [
    (
        "400 Bad Request",
        '{"error": {"Code": "AccessDeniedException", "Message": "no", "Arn": "a"}}',
        "AccessDeniedException",
    ),
    ("200 OK", '{"failure": {"Reason": "TASK_NOT_VALID", "Detail": "", "Arn": "a"}}', "TASK_NOT_VALID"),
    ("500 Oops", "{}", "status 500"),
    ("200 OK", "[]", "status 200"),
    ("200 OK", "no json", "JSONDecodeError"),
    ("200 OK", "[" * 99_999, "RecursionError"),
    ("200 OK", " " * 300_000, "ConnectionError"),
]


@pytest.mark.parametrize(("status", "body", "error"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_a_fault_is_said_once_tried_again_and_over_when_it_works(agent, status, body, error, logged):
    with agent.running() as uri:
        protection = TaskProtection(uri)
        agent.answer = (status, body)
        looks(protection, *[1] * 16)
        assert agent.told == [ON] * 3  # at 0, 5 and 15 s
        agent.answer = OK
        looks(protection, *[1] * 20, from_s=16)
        assert agent.told == [ON] * 4
    assert [line["event"] for line in logged()] == ["task-protection-failed", "task-protection-works-again"]
    assert logged()[0]["error"] == error


def test_a_busy_tasks_protection_rests_for_a_deployment(agent, logged):
    """The protection of a task that always has calls pauses, so that a deployment can go on."""
    with agent.running() as uri:
        protection = TaskProtection(uri)
        for second in range(0, 2 * int(ecs.MAX_PROTECTED_S + ecs.PAUSE_S), 10):
            agent.told.append(second)
            protection.update(7, second)
    asked = [(at, told) for at, told in pairwise(agent.told) if isinstance(at, int) and isinstance(told, dict)]
    cleared = [at for at, told in asked if told == OFF]
    assert cleared == [1800, 3900]
    assert [at for at, told in asked if told == ON and 1740 <= at <= 2160] == [
        1740,
        2100,
        2160,
    ]  # no request during the pause
    assert [line["event"] for line in logged()] == ["task-protection-rests"] * 2


@pytest.mark.parametrize(("before", "then"), [(0, []), (1, [OFF])], ids=["not yet protected", "protected"])
def test_protection_that_blocks_a_deployment_is_given_up(agent, before, then, logged):
    with agent.running() as uri:
        protection = TaskProtection(uri)
        protection.update(before, 0)
        agent.told.clear()
        agent.answer = ("200 OK", '{"failure": {"Reason": "DEPLOYMENT_BLOCKED", "Detail": "", "Arn": "a"}}')
        protection.update(1, 60)
        assert agent.told == [ON]
        agent.answer = OK
        looks(protection, *[1] * 300, from_s=61)
        assert agent.told == [ON, *then, ON]  # the last one after the pause
    assert [line["event"] for line in logged()] == ["task-protection-rests"]


def test_a_fault_that_lasts_is_tried_again_each_minute(agent):
    agent.answer = "500 Oops", "{}"
    with agent.running() as uri:
        looks(TaskProtection(uri), *[1] * 300)
    assert len(agent.told) == 8  # at 0, 5, 15, 35, 75, 135, 195 and 255 s


def some_looks() -> None:
    """Wait until the agent's answer has arrived and each worker has checked again, however slow the machine is."""
    for _ in range(30):
        gevent.sleep(0.01)


def test_who_speaks_again_does_not_trust_what_it_said_before(agent, monkeypatch):
    monkeypatch.setattr(ecs, "CHECK_INTERVAL_S", 0.01)
    scoreboard = Scoreboard(2)
    first, second = (WorkerSlot(scoreboard, slot, 1) for slot in range(2))
    first.write(State.READY, 1)
    second.write(State.READY)
    with agent.running() as uri:
        reports = [gevent.spawn(ecs.report, slot, uri, "flowers") for slot in (first, second)]
        wait_until(lambda: agent.told == [ON])
        some_looks()
        first.write(State.STARTING, 0)  # as if the worker hung
        wait_until(lambda: agent.told == [ON, OFF])
        some_looks()
        first.write(State.READY, 1)
        wait_until(lambda: agent.told == [ON, OFF, ON])
        gevent.killall(reports)


def test_an_unexpected_error_ends_neither_metric_nor_protection(agent, monkeypatch, logged):
    monkeypatch.setattr(ecs, "CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(ecs, "METRIC_EVERY_S", 0.05)
    scoreboard = Scoreboard(1)
    slot = WorkerSlot(scoreboard, 0, 1)
    slot.write(State.READY, 1)
    with agent.running() as uri, monkeypatch.context() as patched:
        patched.setattr(TaskProtection, "_put", lambda *_: 1 / 0)
        reporting = gevent.spawn(ecs.report, slot, uri, "flowers")
        wait_until(lambda: {"task-protection-broken", "active-calls"} <= {line["event"] for line in logged()})
        patched.undo()
        wait_until(lambda: agent.told == [ON])
        reporting.kill()


def test_an_ecs_agent_that_does_not_answer_stops_no_call(agent, monkeypatch, logged):
    monkeypatch.setattr(ecs, "TIMEOUT_S", 0.2)
    agent.hangs_s = 30
    with agent.running() as uri, gevent.Timeout(20):
        TaskProtection(uri).update(1, 0)
        TaskProtection("http://127.0.0.1:1").update(1, 0)
    assert [line["event"] for line in logged()] == ["task-protection-failed"] * 2


def test_the_metric_is_what_cloudwatch_takes_for_one():
    found = metric("flowers", 17, 1_800_000_000.5)
    assert found["_aws"]["Timestamp"] == 1_800_000_000_500
    (directive,) = found["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "lexbridge"
    assert [found[name] for dimensions in directive["Dimensions"] for name in dimensions] == ["flowers"]
    assert [found[one["Name"]] for one in directive["Metrics"]] == [17]


def test_one_worker_speaks_for_all_and_counts_all_their_calls(agent, monkeypatch, logged):
    monkeypatch.setattr(ecs, "CHECK_INTERVAL_S", 0.01)
    monkeypatch.setattr(ecs, "METRIC_EVERY_S", 0.2)
    scoreboard = Scoreboard(4)
    places = [WorkerSlot(scoreboard, slot, 1) for slot in range(3)]
    places[0].write(State.STARTING)
    places[1].write(State.READY, 2)
    places[2].write(State.DRAINING, 3)
    assert [slot.is_first_alive() for slot in places] == [False, True, False]
    with agent.running() as uri:

        def figures() -> list[int]:
            return [line["ActiveCallsPerTask"] for line in logged() if line["event"] == "active-calls"]

        reports = [gevent.spawn(ecs.report, slot, uri, "flowers") for slot in places]
        wait_until(lambda: len(figures()) == 2)
        assert (agent.told, figures()) == ([ON], [5, 5])
        places[1].write(State.NONE)
        places[2].write(State.DRAINING, 0)
        wait_until(lambda: len(figures()) == 4)
        assert (agent.told, figures()) == ([ON, OFF], [5, 5, 0, 0])  # the next worker reports
        gevent.killall(reports)
    moments = [line["_aws"]["Timestamp"] // 200 for line in logged() if line["event"] == "active-calls"]
    assert moments[0] < moments[1] <= moments[2] < moments[3]  # each worker reports one value, in turn


def test_a_worker_that_hangs_speaks_for_nobody(monkeypatch):
    scoreboard = Scoreboard(2)
    scoreboard.write(0, State.READY, 1)
    assert scoreboard.first_alive() == 0
    monkeypatch.setattr("lexbridge.server.scoreboard.MAX_HEARTBEAT_AGE_S", -1.0)
    assert scoreboard.first_alive() is None
