"""The tasks, and the calls on them. Each call is known by its task and the second in which it ends."""

from enum import IntEnum

import numpy as np

from bench.scale.constants import DRAIN_S, MOVED_PER_S, MOVED_WITHIN_S


class State(IntEnum):
    """State of a task. GONE: its place is free."""

    GONE = 0
    STARTING = 1
    SERVING = 2
    DEREGISTERED = 3
    DRAINING = 4


class Fleet:
    """All tasks, by place. `places`: most tasks at a time.

    `max_calls`: of a task. `longest_s`: every call is shorter. The seconds of `calls_ending` are a ring.
    """

    def __init__(self, places: int, max_calls: int, longest_s: int, rng: np.random.Generator) -> None:
        self.max_calls = max_calls
        self.state = np.zeros(places, dtype=np.int8)
        self.calls = np.zeros(places, dtype=np.int64)
        self.is_old = np.zeros(places, dtype=bool)
        """Whether the task is of the revision before the present deployment."""
        self.due_s = np.zeros(places, dtype=np.int64)
        """Second at which a starting task serves, a deregistered one is told to end, and a draining one ends."""
        self.protected_s = np.full(places, -1, dtype=np.int64)
        """Second since which the task is protected without a rest; -1 without calls."""
        self.rests_until_s = np.zeros(places, dtype=np.int64)
        self.refused = self.moved = self.cut = 0
        self._ending = np.zeros((longest_s, places), dtype=np.int32)
        self._longest_s = longest_s
        self._rng = rng

    def of(self, *states: State) -> np.ndarray:
        """Return the places of the tasks in these states."""
        found = self.state == states[0]
        for state in states[1:]:
            found |= self.state == state
        return np.flatnonzero(found)

    def count(self, *states: State) -> int:
        """Return the number of tasks in these states."""
        return len(self.of(*states))

    def start(self, number: int, now_s: int, start_s: float, spread_s: float) -> None:
        """Start new tasks, in the first free places."""
        places = np.flatnonzero(self.state == State.GONE)[:number]
        self.state[places] = State.STARTING
        self.is_old[places] = False
        self.protected_s[places] = -1
        self.rests_until_s[places] = 0
        self.due_s[places] = now_s + self._rng.uniform(start_s - spread_s, start_s + spread_s, len(places)).astype(
            np.int64
        )

    def end_calls(self, now_s: int) -> None:
        """End the calls whose second has come."""
        ended = self._ending[now_s % self._longest_s]
        self.calls -= ended
        ended[:] = 0

    def take(self, lengths_s: np.ndarray, now_s: int) -> np.ndarray:
        """Give each new call to the serving task with the fewest calls. Return how many each serving task got.

        The load balancer does not know which tasks are full: a full task refuses the call that it gets.
        """
        serving = np.flatnonzero(self.state == State.SERVING)
        gets = self._spread(serving, len(lengths_s))
        taken = int(gets.sum())
        self.refused += len(lengths_s) - taken
        self._put(np.repeat(serving, gets), lengths_s[:taken], now_s)
        return gets

    def _spread(self, serving: np.ndarray, number: int) -> np.ndarray:
        """Spread calls one after the other to the task with the fewest: like water that fills a vessel."""
        gets = np.zeros(len(serving), dtype=np.int64)
        levels = self.calls[serving].copy()
        while number > 0 and len(levels):
            least = int(levels.min())
            if least >= self.max_calls:
                break
            lowest = np.flatnonzero(levels == least)
            if len(lowest) > number:
                lowest = self._rng.permutation(lowest)[:number]
            levels[lowest] += 1
            gets[lowest] += 1
            number -= len(lowest)
        return gets

    def _put(self, places: np.ndarray, lengths_s: np.ndarray, now_s: int) -> None:
        np.add.at(self._ending, ((now_s + lengths_s) % self._longest_s, places), 1)
        np.add.at(self.calls, places, 1)

    def pass_on(self, now_s: int) -> None:
        """Change the state of tasks whose time has come: they serve, have no calls left, are told to end, or end."""
        if not ((self.state != State.SERVING) & (self.state != State.GONE)).any():
            return
        due = self.due_s <= now_s
        self.state[(self.state == State.STARTING) & due] = State.SERVING
        # The load balancer ends a deregistration as soon as nothing is live, and ECS then the task.
        leaving = (self.state == State.DEREGISTERED) | (self.state == State.DRAINING)
        self.state[leaving & (self.calls == 0)] = State.GONE
        drains = (self.state == State.DEREGISTERED) & due
        self.state[drains] = State.DRAINING
        self.due_s[drains] = now_s + int(DRAIN_S.value)
        for place in self.of(State.DRAINING):
            if self.due_s[place] <= now_s and not drains[place]:
                self.cut += int(self.calls[place])
                self._ending[:, place] = 0
                self.calls[place] = 0
                self.state[place] = State.GONE
            else:
                self._move_some(int(place), now_s)

    def _move_some(self, place: int, now_s: int) -> None:
        """Move some calls a second from draining tasks to others."""
        most = int(max(MOVED_PER_S.value, -(-self.calls[place] // int(MOVED_WITHIN_S.value))))
        seconds = np.flatnonzero(self._ending[:, place])
        ends = np.repeat(seconds, self._ending[seconds, place])
        chosen = self._rng.permutation(ends)[:most]
        serving = np.flatnonzero(self.state == State.SERVING)
        gets = self._spread(serving, len(chosen))
        chosen = chosen[: int(gets.sum())]
        np.subtract.at(self._ending, (chosen, np.full(len(chosen), place)), 1)
        self.calls[place] -= len(chosen)
        self._put(np.repeat(serving, gets), (chosen - now_s) % self._longest_s, now_s)
        self.moved += len(chosen)
