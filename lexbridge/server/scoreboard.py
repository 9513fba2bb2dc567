"""What the processes of one server know of each other: a board in memory that they share, and a place on it."""

import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

FRESH_S = 2.0
"""A worker whose heartbeat is older is not counted on. A parent that was away for longer was stopped itself."""
PROMPT_S = 0.5
"""No new connection is left to a worker whose heartbeat, one in 0.1 s, is older: it hangs, or its loop is held."""


class State(IntEnum):
    """What a worker is doing."""

    NONE = 0
    """There is no worker."""
    STARTING = 1
    READY = 2
    """It would take a new call."""
    BUSY = 3
    """It takes no new call now: full, or overloaded."""
    DRAINING = 4
    """It takes no new call, and is about to end."""


class Board:
    """What the processes of one server know of each other, in memory that they share. Each slot has one writer: its
    worker while there is one, else the parent. A number is one aligned word, so nobody reads half of it."""

    def __init__(self, slots: int) -> None:
        self._numbers = memoryview(mmap.mmap(-1, 8 * (1 + 4 * slots))).cast("d")
        self._switch = memoryview(mmap.mmap(-1, 8)).cast("d")
        self.slots = range(slots)

    @property
    def is_ending(self) -> bool:
        """The whole server is about to end: no worker can go on with another's calls."""
        return bool(self._numbers[0])

    @is_ending.setter
    def is_ending(self, is_ending: bool) -> None:
        self._numbers[0] = is_ending

    @property
    def is_level_switched(self) -> bool:
        """The log's level is switched to DEBUG, or away from it where LOG_LEVEL is DEBUG."""
        return bool(self._switch[0])

    @is_level_switched.setter
    def is_level_switched(self, is_level_switched: bool) -> None:
        self._switch[0] = is_level_switched

    def write(self, slot: int, state: State, live_calls: int = 0) -> None:
        """The state of the worker in `slot`, how many calls it has, and its heartbeat."""
        if state in (State.NONE, State.STARTING):
            self.write_sockets(slot, 0)  # those of the worker before it, which may have been killed
        self._numbers[3 + 4 * slot] = live_calls
        self._numbers[2 + 4 * slot] = state
        self._numbers[1 + 4 * slot] = time.monotonic()

    def write_sockets(self, slot: int, sockets: int) -> None:
        """How many media sockets the worker in `slot` has, with the connections that may become one at any moment."""
        self._numbers[4 + 4 * slot] = sockets

    def sockets(self, slot: int) -> int:
        """As last written."""
        return int(self._numbers[4 + 4 * slot])

    def state(self, slot: int) -> State:
        """As last written."""
        return State(int(self._numbers[2 + 4 * slot]))

    def heartbeat_s(self, slot: int) -> float:
        """When it was last written, by time.monotonic()."""
        return float(self._numbers[1 + 4 * slot])

    def live_calls(self) -> int:
        """Of all workers."""
        return sum(int(self._numbers[3 + 4 * slot]) for slot in self.slots)

    def first_alive(self) -> int | None:
        """The first slot whose worker serves, or drains; None: there is none."""
        fresh_s = time.monotonic() - FRESH_S
        serving = (State.READY, State.BUSY, State.DRAINING)
        alive = (slot for slot in self.slots if self.state(slot) in serving and self.heartbeat_s(slot) >= fresh_s)
        return next(alive, None)

    def others_are_ready(self, slot: int) -> bool:
        """Whether another worker than the one in `slot` would take a call."""
        return next(self.ready_others(slot, FRESH_S), None) is not None

    def ready_others(self, slot: int, fresh_s: float) -> Iterator[int]:
        """The slots of the other workers than the one in `slot` that would take a call, and whose heartbeat is no older
        than `fresh_s`; none while the whole server is about to end."""
        if self.is_ending:
            return
        numbers, since_s = self._numbers, time.monotonic() - fresh_s
        for other in self.slots:
            if numbers[2 + 4 * other] == State.READY and numbers[1 + 4 * other] >= since_s and other != slot:
                yield other


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place among the others."""

    board: Board
    slot: int
    parent: int
    """The parent's process id."""

    def write(self, state: State, live_calls: int = 0) -> None:
        """See Board."""
        self.board.write(self.slot, state, live_calls)

    def live_calls(self) -> int:
        """See Board."""
        return self.board.live_calls()

    def speaks_for_all(self) -> bool:
        """Whether this worker is the one of all that says what is said once for the whole server."""
        return self.board.first_alive() == self.slot

    def others_are_ready(self) -> bool:
        """See Board."""
        return self.board.others_are_ready(self.slot)

    def write_sockets(self, sockets: int) -> None:
        """Writes how many media sockets this worker has, with the connections that may become one at any moment."""
        self.board.write_sockets(self.slot, sockets)

    def sockets_of_others(self) -> list[int]:
        """Returns the media sockets of each other worker that would take a new connection at once."""
        return [self.board.sockets(other) for other in self.board.ready_others(self.slot, PROMPT_S)]

    def is_level_switched(self) -> bool:
        """See Board."""
        return self.board.is_level_switched

    def is_orphaned(self) -> bool:
        """The parent is gone: nobody would replace us, and we keep the port from whoever starts anew."""
        return os.getppid() != self.parent
