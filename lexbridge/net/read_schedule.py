"""The schedule by which lines are read: quick lines often, quiet lines seldom, both in groups that take turns.

A line is one WebSocket. At each step one group of either kind is due, so that the lines of a kind are spread over their
interval, and no step has to read all of them. No I/O and no clock here: the time comes from the caller.

    step        0   1   2   3   4   5   6   7   8   9   10  ...
    quick       a   b   a   b   a   b   a   b   a   b   a        each line every QUICK_STEPS steps
    quiet       A   B   C   D   E   F   G   H   I   J   A        each line every QUIET_STEPS steps
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

STEP_S = 0.006
"""Interval between two steps, in seconds. Each wakes the process, which costs about 40 us of CPU."""

QUICK_STEPS = 2
"""The interval between two visits of a quick line, in steps: 12 ms. It delays a frame by half of it on average."""

QUIET_STEPS = 10
"""The interval between two visits of a quiet line, in steps: 60 ms, in which three media messages arrive.

Nobody waits for an answer to silence, nor to the middle of an utterance. At 400 calls a message costs 13.2 us of CPU
so, and 16.1 us in visits of 42 ms.
"""

SLICE_S = 0.004
"""Longest time that lines are read in one go, in seconds, because everything else in the process waits meanwhile.

One more line may be under way then, which takes less than 1 ms.
"""


class Line(Protocol):
    """A WebSocket, as the schedule sees it."""

    def read(self, now_s: float) -> bool:
        """Read what has arrived, without waiting. Return whether the line is quiet. `now_s`: time.monotonic()."""
        ...

    def broke(self) -> None:
        """Give the line up, because of an exception out of `read`, which is being handled."""
        ...


LineT = TypeVar("LineT", bound=Line)


class _Group(Generic[LineT]):
    """Lines that are due together. The dict serves as an ordered set."""

    __slots__ = ("is_quiet", "lines")

    def __init__(self, is_quiet: bool) -> None:
        self.is_quiet = is_quiet
        self.lines: dict[LineT, None] = {}


class ReadSchedule(Generic[LineT]):
    """The lines that are read, and the order of their turns."""

    def __init__(self) -> None:
        self._quick: list[_Group[LineT]] = [_Group(is_quiet=False) for _ in range(QUICK_STEPS)]
        self._quiet: list[_Group[LineT]] = [_Group(is_quiet=True) for _ in range(QUIET_STEPS)]
        self._group_of: dict[LineT, _Group[LineT]] = {}
        self._due: deque[LineT] = deque()
        self._step = 0
        self._stepped_s = 0.0  # when the last step was

    def __len__(self) -> int:
        """Number of lines."""
        return len(self._group_of)

    def add(self, line: LineT, is_quiet: bool = False) -> None:
        """Visit `line` from now on, in the smallest group of its kind. A line that is there already changes its kind.

        A line that was quiet and becomes quick is visited within QUICK_STEPS.
        """
        self.remove(line)
        group = min(self._quiet if is_quiet else self._quick, key=_size)
        group.lines[line] = None
        self._group_of[line] = group

    def remove(self, line: LineT) -> None:
        """Visit `line` no more. Do nothing if it is not there."""
        if (group := self._group_of.pop(line, None)) is not None:
            del group.lines[line]

    def step(self, now_s: float) -> None:
        """Make the groups due whose turn it is at `now_s`. After a delay these are several, but none of them twice.

        Lines that are still due keep their turn, and no others get theirs before. So a process without the time for all
        lines visits all of them equally often.
        """
        if self._due:
            return
        steps = min(max(1, round((now_s - self._stepped_s) / STEP_S)), QUIET_STEPS)
        self._stepped_s = now_s
        quick, quiet = self._quick, self._quiet
        last = self._step + steps
        for number in range(max(self._step, last - QUICK_STEPS), last):
            self._due.extend(quick[number % QUICK_STEPS].lines)
        for number in range(self._step, last):
            self._due.extend(quiet[number % QUIET_STEPS].lines)
        self._step = last

    def read_due(self, clock: Callable[[], float]) -> bool:
        """Read the lines that are due, for SLICE_S at most. Return whether some of them have not had their turn.

        A line that changes between quiet and quick changes its group at once.
        """
        due, group_of = self._due, self._group_of
        now_s = clock()
        end_s = now_s + SLICE_S
        while due and now_s < end_s:
            line = due.popleft()
            group = group_of.get(line)
            if group is None:  # a line that was read before has removed this one
                continue
            try:
                is_quiet = line.read(now_s)
            except Exception:  # a bug in the reading of one line must not stop that of all others
                line.broke()
                self.remove(line)
            else:
                if is_quiet is not group.is_quiet and line in group_of:
                    self.add(line, is_quiet)
            now_s = clock()
        return bool(due)


def _size(group: _Group[LineT]) -> int:
    return len(group.lines)
