"""The scoreboard: a few numbers in shared memory by which the supervisor and its workers know each other's state."""

import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

MAX_HEARTBEAT_AGE_S = 2.0
"""Limits the age of a worker's last heartbeat, in seconds.

A worker with an older one counts as absent, because workers write ten a second. A supervisor that did not run for
longer was itself stopped, and gives its workers time."""

MAX_PROMPT_HEARTBEAT_AGE_S = 0.5
"""Limits the age of a heartbeat, in seconds, for a worker to which new connections are left.

A worker with an older one hangs, or something holds its event loop, and callers would wait for it."""


class State(IntEnum):
    """The state of a worker, as the others see it."""

    NONE = 0
    """No worker runs in this slot."""
    STARTING = 1
    """The worker builds its service."""
    READY = 2
    """The worker takes new calls."""
    BUSY = 3
    """The worker is full or overloaded: it takes no new calls for now."""
    DRAINING = 4
    """The worker takes no new calls and is about to end."""


class Scoreboard:
    """The shared numbers of all workers of one server: state, live calls, heartbeat, media sockets.

    Each slot has one writer: its worker while there is one, else the supervisor. A number is one aligned machine word,
    so a reader never sees half of it and no lock is needed.
    """

    def __init__(self, slots: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 8 * (1 + 4 * slots))).cast("d")
        self._switch = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.slots = range(slots)

    @property
    def is_ending(self) -> bool:
        """Whether the whole server is about to end, so that no worker can take over the calls of another."""
        return bool(self._numbers[0])

    @is_ending.setter
    def is_ending(self, is_ending: bool) -> None:
        self._numbers[0] = is_ending

    @property
    def is_level_switched(self) -> bool:
        """Whether SIGUSR2 switched the log level: to DEBUG, or away from it if LOG_LEVEL is DEBUG."""
        return bool(self._switch[0])

    @is_level_switched.setter
    def is_level_switched(self, is_level_switched: bool) -> None:
        self._switch[0] = is_level_switched

    def write(self, index: int, state: State, live_calls: int = 0) -> None:
        """Write the state, the number of live calls and a heartbeat into slot `index`."""
        if state in (State.NONE, State.STARTING):
            self.write_sockets(index, 0)  # the previous worker may have been killed with sockets open
        self._numbers[3 + 4 * index] = live_calls
        self._numbers[2 + 4 * index] = state
        self._numbers[1 + 4 * index] = time.monotonic()

    def write_sockets(self, index: int, sockets: int) -> None:
        """Write the number of media sockets in slot `index`, including new connections that may become one."""
        self._numbers[4 + 4 * index] = sockets

    def sockets(self, index: int) -> int:
        """Return the number of media sockets in slot `index`, as last written."""
        return int(self._numbers[4 + 4 * index])

    def state(self, index: int) -> State:
        """Return the state in slot `index`, as last written."""
        return State(int(self._numbers[2 + 4 * index]))

    def heartbeat_s(self, index: int) -> float:
        """Return the time of the last heartbeat in slot `index`, by time.monotonic()."""
        return float(self._numbers[1 + 4 * index])

    def live_calls(self) -> int:
        """Return the number of live calls of all workers."""
        return sum(int(self._numbers[3 + 4 * index]) for index in self.slots)

    def first_alive(self) -> int | None:
        """Return the first slot whose worker serves or drains, or None if no worker does."""
        oldest_s = time.monotonic() - MAX_HEARTBEAT_AGE_S
        serving = (State.READY, State.BUSY, State.DRAINING)
        alive = (index for index in self.slots if self.state(index) in serving and self.heartbeat_s(index) >= oldest_s)
        return next(alive, None)

    def others_are_ready(self, index: int) -> bool:
        """Return whether a worker outside slot `index` takes new calls."""
        return next(self.ready_others(index, MAX_HEARTBEAT_AGE_S), None) is not None

    def ready_others(self, index: int, max_age_s: float) -> Iterator[int]:
        """Yield the slots outside slot `index` whose workers take new calls and whose heartbeat is not too old.

        Yields nothing while the whole server is about to end.
        """
        if self.is_ending:
            return
        numbers, oldest_s = self._numbers, time.monotonic() - max_age_s
        for other in self.slots:
            if numbers[2 + 4 * other] == State.READY and numbers[1 + 4 * other] >= oldest_s and other != index:
                yield other


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """One worker's slot on the scoreboard, through which the worker writes its own numbers and reads the others'."""

    scoreboard: Scoreboard
    index: int
    supervisor_pid: int

    def write(self, state: State, live_calls: int = 0) -> None:
        """Write the worker's state, its number of live calls and a heartbeat."""
        self.scoreboard.write(self.index, state, live_calls)

    def write_sockets(self, sockets: int) -> None:
        """Write the worker's number of media sockets, including new connections that may become one."""
        self.scoreboard.write_sockets(self.index, sockets)

    def live_calls_of_all(self) -> int:
        """Return the number of live calls of all workers."""
        return self.scoreboard.live_calls()

    def is_first_alive(self) -> bool:
        """Return whether this worker is the one that reports for the whole server: the first that is alive."""
        return self.scoreboard.first_alive() == self.index

    def others_are_ready(self) -> bool:
        """Return whether another worker takes new calls."""
        return self.scoreboard.others_are_ready(self.index)

    def sockets_of_others(self) -> list[int]:
        """Return the number of media sockets of each other worker that would accept a connection at once."""
        others = self.scoreboard.ready_others(self.index, MAX_PROMPT_HEARTBEAT_AGE_S)
        return [self.scoreboard.sockets(other) for other in others]

    def is_level_switched(self) -> bool:
        """Return whether SIGUSR2 switched the log level in the supervisor."""
        return self.scoreboard.is_level_switched

    def is_orphaned(self) -> bool:
        """Return whether the supervisor is gone: nothing would replace this worker, which still occupies the port."""
        return os.getppid() != self.supervisor_pid
