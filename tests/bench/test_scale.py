"""The simulation of `python -m bench scale` against what is known of such systems, and against its own books."""

import math

import numpy as np
import pytest

from bench.scale.constants import GIVENS, Origin
from bench.scale.fleet import Fleet, State
from bench.scale.scaling import Metric, Policy, Scheduled, Tracking
from bench.scale.simulation import Outcome, Plan, simulate
from bench.scale.traffic import Burst, Lengths, rates

SHORT = Lengths(mean_s=30, sigma=0.9, longest_s=900)


def erlang_b(servers: int, erlangs: float) -> float:
    """Return the share of calls that find all servers busy, whatever the distribution of their lengths."""
    blocked = 1.0
    for server in range(1, servers + 1):
        blocked = erlangs * blocked / (server + erlangs * blocked)
    return blocked


def fixed(tasks: int) -> Policy:
    return Policy("fixed", 10, tasks, tasks)


def steady(peak_calls: float, policy: Policy, **others: object) -> Outcome:
    return simulate(Plan(peak_calls, policy, is_daily=False, lengths=SHORT, **others))  # type: ignore[arg-type]


@pytest.mark.parametrize("erlangs", [40.0, 60.0])
def test_a_fixed_number_of_tasks_blocks_as_erlang_b_says(erlangs: float) -> None:
    """The calls are long, because in a step of a second calls end before others begin, which helps short ones."""
    plan = Plan(erlangs, fixed(2), max_calls=20, seconds=20_000, is_daily=False, lengths=Lengths(120, 0.9, 3600))
    assert simulate(plan).refused_share == pytest.approx(erlang_b(40, erlangs), rel=0.15)


def test_live_calls_are_their_rate_times_their_length() -> None:
    outcome = steady(200, fixed(10), seconds=10_000)
    assert outcome.refused == 0
    assert outcome.mean_live == pytest.approx(200, rel=0.03)  # Little's law


def test_lengths_are_as_long_as_asked_for() -> None:
    drawn = SHORT.draw(np.random.default_rng(1), 200_000)
    assert drawn.mean() == pytest.approx(30, rel=0.02)
    assert np.median(drawn) == pytest.approx(30 / math.exp(0.9**2 / 2), rel=0.05)
    assert drawn.min() >= 1
    assert drawn.max() < SHORT.longest_s


def test_the_busiest_hour_has_the_peak_and_a_burst_multiplies_it() -> None:
    quiet, loud = (rates(100, 50, 86_400, burst=burst) for burst in (None, Burst(36_000, 60, 3.0)))
    assert quiet.max() == pytest.approx(2.0)
    assert loud[36_030] == pytest.approx(6.0, rel=0.01)
    assert loud[36_060] == quiet[36_060]


def test_calls_go_to_the_task_with_the_fewest_up_to_its_most() -> None:
    fleet = Fleet(4, 5, 100, np.random.default_rng(1))
    fleet.start(3, 0, 0, 0)
    fleet.pass_on(0)
    fleet.take(np.full(4, 50), 0)
    assert sorted(fleet.calls) == [0, 1, 1, 2]
    fleet.take(np.full(20, 50), 0)
    assert sorted(fleet.calls) == [0, 5, 5, 5]
    assert fleet.refused == 9
    fleet.end_calls(50)
    assert fleet.calls.sum() == 0


def draining_fleet(calls: int, *, others: int, room: int) -> Fleet:
    """Return a fleet in which a task with calls is told to end now, beside others."""
    fleet = Fleet(1 + others, max(calls, room), 1000, np.random.default_rng(1))
    fleet.start(1, 0, 0, 0)
    fleet.pass_on(0)
    fleet.take(np.full(calls, 500), 0)
    fleet.start(others, 0, 0, 0)
    fleet.state[0], fleet.due_s[0] = State.DEREGISTERED, 1
    fleet.max_calls = room
    for now_s in range(1, 130):
        fleet.pass_on(now_s)
    return fleet


def test_a_draining_task_moves_its_calls_unchanged() -> None:
    fleet = draining_fleet(35, others=1, room=100)
    assert (fleet.moved, fleet.cut, fleet.state[0]) == (35, 0, State.GONE)
    assert fleet.calls[1] == 35
    fleet.end_calls(500)
    assert fleet.calls[1] == 0


def test_calls_without_room_elsewhere_end_with_their_task() -> None:
    fleet = draining_fleet(35, others=1, room=20)
    assert (fleet.moved, fleet.cut) == (20, 15)


def test_a_deployment_replaces_every_task_without_a_lost_call() -> None:
    outcome = steady(300, Policy("fixed", 60, 6, 6), seconds=6500, deployments_s=(1000,))
    (took_s,) = outcome.deployments_took_s
    assert 100 < took_s < 5500
    assert (outcome.refused, outcome.cut) == (0, 0)
    assert max(outcome.tasks) == 12


def test_the_sooner_a_deployment_ends_the_more_calls_it_moves() -> None:
    soon, late = (
        steady(300, Policy("fixed", 60, 6, 6), seconds=6500, deployments_s=(1000,), deregistration_s=delay_s)
        for delay_s in (0, 3600)
    )
    assert soon.moved > 100 > late.moved
    assert soon.deployments_took_s[0] < late.deployments_took_s[0]


def test_scaling_holds_the_target_and_follows_a_schedule() -> None:
    policy = Policy("scaled", 50, 2, 40, scheduled=(Scheduled(5_000, 30),))
    outcome = steady(500, policy, seconds=6000)
    assert outcome.serving[80] == pytest.approx(10, abs=2)
    assert outcome.serving[-1] >= 30


def test_leaving_tasks_lower_the_average_but_not_the_sum() -> None:
    fleet = Fleet(4, 100, 100, np.random.default_rng(1))
    fleet.calls[:] = (90, 90, 0, 0)
    fleet.state[:] = (State.SERVING, State.SERVING, State.DEREGISTERED, State.DEREGISTERED)
    wanted = {}
    for metric in Metric:
        tracking = Tracking(Policy("scaled", 60, 1, 40, metric=metric))
        for minute in range(6):
            wanted[metric] = tracking.desired(fleet, 2, 60 * minute, is_deploying=False)
    assert wanted == {Metric.AVERAGE: 2, Metric.SUM_BY_DESIRED: 3}


def test_every_figure_of_the_model_says_where_it_is_from() -> None:
    assert all(one.source for one in GIVENS if one.origin is not Origin.ASSUMED)
    assert all("/" in one.source for one in GIVENS if one.origin is Origin.DOCUMENTED)
