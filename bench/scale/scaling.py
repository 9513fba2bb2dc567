"""Application Auto Scaling's target tracking on ActiveCallsPerTask, and scheduled minimums."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from bench.scale.constants import IN_BELOW, IN_COOLDOWN_S, IN_MINUTES, METRIC_LATE_S, OUT_COOLDOWN_S, OUT_MINUTES
from bench.scale.fleet import Fleet, State


@dataclass(frozen=True, slots=True)
class Scheduled:
    """Scheduled minimum of tasks from a moment on."""

    at_s: int
    least: int


class Metric(Enum):
    """Metric that stands for the calls of a task."""

    AVERAGE = "the average of all that report, tasks that are leaving too"
    SUM_BY_DESIRED = "the sum of all that report, divided by the tasks desired"


@dataclass(frozen=True, slots=True)
class Policy:
    """Policy of scaling. `target`: CallsPerTask. `least`, `most`: numbers of tasks."""

    name: str
    target: float
    least: int
    most: int
    scheduled: Sequence[Scheduled] = ()
    metric: Metric = Metric.SUM_BY_DESIRED


class Tracking:
    """Target tracking: called once a minute, it decides the number of tasks."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        late = round(METRIC_LATE_S.value / 60)
        self._late: deque[float] = deque(maxlen=late + 1)
        self._seen: deque[float] = deque(maxlen=round(IN_MINUTES.value))
        self._out_s = self._in_s = -math.inf

    def desired(self, fleet: Fleet, desired: int, now_s: int, *, is_deploying: bool) -> int:
        """Return the number of tasks after another minute. During a deployment nothing is scaled in."""
        least = self._least(now_s)
        self._late.append(self._value(fleet, desired))
        if len(self._late) == self._late.maxlen and not math.isnan(self._late[0]):
            self._seen.append(self._late[0])
            # AWS also starts from the tasks that run, not from those desired (OUT_BASE).
            wanted = math.ceil(fleet.count(State.SERVING) * self._seen[-1] / self._policy.target)
            desired = self._tracked(desired, wanted, now_s, is_deploying=is_deploying)
        return min(max(desired, least), self._policy.most)

    def _tracked(self, desired: int, wanted: int, now_s: int, *, is_deploying: bool) -> int:
        target, last = self._policy.target, list(self._seen)[-round(OUT_MINUTES.value) :]
        if len(last) == OUT_MINUTES.value and min(last) > target:
            if now_s - self._out_s >= OUT_COOLDOWN_S.value:
                self._out_s = now_s
                return max(desired, wanted)
        elif len(self._seen) == IN_MINUTES.value and max(self._seen) < target * IN_BELOW.value:
            rested = min(now_s - self._in_s, now_s - self._out_s) >= IN_COOLDOWN_S.value
            if rested and not is_deploying:
                self._in_s = now_s
                return min(desired, wanted)
        return desired

    def _value(self, fleet: Fleet, desired: int) -> float:
        """Return the metric now, or NaN if no task reports."""
        reporting = fleet.of(State.SERVING, State.DEREGISTERED, State.DRAINING)
        if not len(reporting):
            return math.nan
        by = desired if self._policy.metric is Metric.SUM_BY_DESIRED else len(reporting)
        return float(fleet.calls[reporting].sum()) / by

    def _least(self, now_s: int) -> int:
        """Return the last scheduled minimum whose time has come."""
        past = [one.least for one in self._policy.scheduled if one.at_s <= now_s]
        return past[-1] if past else self._policy.least
