"""Simulation of one service over some hours, in steps of a second."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.scale.constants import CALL_MEAN_S, DEREGISTRATION_S
from bench.scale.fleet import Fleet, State
from bench.scale.scaling import Policy, Tracking
from bench.scale.scheduler import EVERY_S, Scheduler
from bench.scale.traffic import DAY_S, Burst, Lengths, rates


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of a run. `peak_calls`: average number of live calls at the peak. Deployments are at seconds of the day."""

    peak_calls: float
    policy: Policy
    max_calls: int = 100
    seconds: int = DAY_S
    is_daily: bool = True
    burst: Burst | None = None
    deployments_s: Sequence[int] = ()
    deregistration_s: int = int(DEREGISTRATION_S.value)
    lengths: Lengths = field(default_factory=lambda: Lengths(mean_s=CALL_MEAN_S.value))
    seed: int = 20261123


@dataclass(slots=True)
class Outcome:
    """Outcome of a run; the lists are by minute."""

    plan: Plan
    came: int = 0
    refused: int = 0
    moved: int = 0
    cut: int = 0
    task_hours: float = 0.0
    most_new_per_task: int = 0
    """Most calls that a task got in one second: a new task gets all, until it has as many as the others."""
    mean_live: float = 0.0
    deployments_took_s: list[int] = field(default_factory=list)
    """Time that each finished deployment took, seconds."""
    live: list[int] = field(default_factory=list)
    serving: list[int] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    came_by_minute: list[int] = field(default_factory=list)
    refused_by_minute: list[int] = field(default_factory=list)

    @property
    def refused_share(self) -> float:
        """Share of the calls that were refused."""
        return self.refused / max(1, self.came)

    @property
    def worst_minute_share(self) -> float:
        """Share of the calls that were refused in the minute with the most refusals."""
        return max((no / max(1, came) for no, came in zip(self.refused_by_minute, self.came_by_minute, strict=True)))


def simulate(plan: Plan) -> Outcome:
    """Run a plan. Return its outcome."""
    rng = np.random.default_rng(plan.seed)
    expected = rates(plan.peak_calls, plan.lengths.mean_s, plan.seconds, daily=plan.is_daily, burst=plan.burst)
    first = max(plan.policy.least, math.ceil(expected[0] * plan.lengths.mean_s / plan.policy.target))
    fleet = Fleet(3 * plan.policy.most, plan.max_calls, plan.lengths.longest_s, rng)
    scheduler, tracking = Scheduler(fleet, first, plan.deregistration_s), Tracking(plan.policy)
    fleet.start(first, -1, 0, 0)
    fleet.pass_on(0)
    outcome, calls = Outcome(plan), rng.poisson(expected)
    live_s = task_s = 0
    before = (0, 0)
    for now_s in range(plan.seconds):
        fleet.end_calls(now_s)
        if calls[now_s]:
            gets = fleet.take(plan.lengths.draw(rng, int(calls[now_s])), now_s)
            outcome.most_new_per_task = max(outcome.most_new_per_task, int(gets.max(initial=0)))
            outcome.came += int(calls[now_s])
        fleet.pass_on(now_s)
        if now_s in plan.deployments_s:
            scheduler.deploy(now_s)
        if now_s % 60 == 59:
            is_deploying = scheduler.deployment_began_s is not None
            scheduler.desired = tracking.desired(fleet, scheduler.desired, now_s, is_deploying=is_deploying)
            before = _note(outcome, fleet, before)
        if now_s % EVERY_S == 0:
            scheduler.look(now_s)
        live_s += int(fleet.calls.sum())
        task_s += int((fleet.state != State.GONE).sum())
    outcome.refused, outcome.moved, outcome.cut = fleet.refused, fleet.moved, fleet.cut
    outcome.task_hours, outcome.mean_live = task_s / 3600, live_s / plan.seconds
    outcome.deployments_took_s = scheduler.deployments_took_s
    return outcome


def _note(outcome: Outcome, fleet: Fleet, before: tuple[int, int]) -> tuple[int, int]:
    """Note the figures of the minute that is over. `before` and the result: calls that came and were refused so far."""
    outcome.live.append(int(fleet.calls.sum()))
    outcome.serving.append(fleet.count(State.SERVING))
    outcome.tasks.append(fleet.count(*(state for state in State if state != State.GONE)))
    outcome.came_by_minute.append(outcome.came - before[0])
    outcome.refused_by_minute.append(fleet.refused - before[1])
    return outcome.came, fleet.refused
