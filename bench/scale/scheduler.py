"""ECS in the model: as many tasks as desired, task protection, rolling deployments."""

import numpy as np

from bench.scale.constants import (
    PROTECTED_S,
    RENEWED_EVERY_S,
    REST_S,
    START_S,
    START_SPREAD_S,
    STARTS_PER_MIN,
    SURPLUS,
)
from bench.scale.fleet import Fleet, State

EVERY_S = 5
"""Time between two looks of the scheduler, seconds."""


class Scheduler:
    """Scheduler that looks after a fleet every `EVERY_S`."""

    def __init__(self, fleet: Fleet, desired: int, deregistration_s: int) -> None:
        self.fleet = fleet
        self.desired = desired
        self.deployment_began_s: int | None = None
        self.deployments_took_s: list[int] = []
        self._deregistration_s = deregistration_s

    def deploy(self, now_s: int) -> None:
        """Begin a deployment: all present tasks are of the old revision."""
        self.fleet.is_old[:] = self.fleet.state != State.GONE
        self.deployment_began_s = now_s

    def look(self, now_s: int) -> None:
        """Start and stop tasks as needed."""
        self._protect(now_s)
        if self.deployment_began_s is None:
            self._keep_desired(now_s)
        else:
            self._roll(now_s)

    def _protect(self, now_s: int) -> None:
        """Protect tasks with calls, with a rest now and then: otherwise a busy service could not be deployed."""
        fleet = self.fleet
        has_calls = fleet.calls > 0
        fleet.protected_s[~has_calls] = -1
        fleet.protected_s[has_calls & (fleet.protected_s < 0)] = now_s
        rests = has_calls & (now_s - fleet.protected_s >= PROTECTED_S.value)
        if self.deployment_began_s is not None and self._is_protected(now_s).sum() > self.desired:
            # Each task learns of the deployment when it renews its protection, at a second of its own in the minute.
            renewed = (np.arange(len(has_calls)) * 7 + now_s) % int(RENEWED_EVERY_S.value) < EVERY_S
            rests |= has_calls & renewed & (fleet.rests_until_s <= now_s)
        fleet.rests_until_s[rests] = now_s + int(REST_S.value)
        fleet.protected_s[rests] = now_s + int(REST_S.value)

    def _is_protected(self, now_s: int) -> np.ndarray:
        fleet = self.fleet
        return np.asarray((fleet.state == State.SERVING) & (fleet.calls > 0) & (fleet.rests_until_s <= now_s))

    def _keep_desired(self, now_s: int) -> None:
        fleet = self.fleet
        lacking = self.desired - fleet.count(State.STARTING, State.SERVING)
        if lacking > 0:
            self._start(lacking, now_s)
        elif lacking < 0:
            self._stop(fleet.of(State.STARTING, State.SERVING), -lacking, now_s)

    def _roll(self, now_s: int) -> None:
        """Start new tasks up to the surplus. For each new task that serves, an old one may end."""
        fleet = self.fleet
        is_live = (fleet.state == State.STARTING) | (fleet.state == State.SERVING)
        fresh, old = int((is_live & ~fleet.is_old).sum()), np.flatnonzero(is_live & fleet.is_old)
        everything = fleet.count(State.STARTING, State.SERVING, State.DEREGISTERED, State.DRAINING)
        self._start(min(self.desired - fresh, int(SURPLUS.value * self.desired) - everything), now_s)
        serves = fleet.count(State.SERVING)
        self._stop(old, min(len(old), serves - self.desired), now_s)
        if not (fleet.is_old & (fleet.state != State.GONE)).any():
            assert self.deployment_began_s is not None
            self.deployments_took_s.append(now_s - self.deployment_began_s)
            self.deployment_began_s = None

    def _start(self, number: int, now_s: int) -> None:
        most = int(STARTS_PER_MIN.value * EVERY_S / 60)
        self.fleet.start(max(0, min(number, most)), now_s, START_S.value, START_SPREAD_S.value)

    def _stop(self, places: np.ndarray, number: int, now_s: int) -> None:
        """Stop up to `number` unprotected tasks: first those that start, then those with the fewest calls."""
        fleet = self.fleet
        free = places[~self._is_protected(now_s)[places]]
        chosen = free[np.lexsort((fleet.calls[free], fleet.state[free]))][: max(0, number)]
        fleet.state[chosen] = State.DEREGISTERED
        fleet.due_s[chosen] = now_s + self._deregistration_s
