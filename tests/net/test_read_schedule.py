"""The schedule of reading: who is visited when, and for how long in one go."""

from collections import Counter

import pytest

from lexbridge.net.read_schedule import QUICK_STEPS, QUIET_STEPS, SLICE_S, STEP_S, ReadSchedule


class Clock:
    """A clock that only lines move."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class FakeLine:
    """A line whose visits are counted. `takes_s`: how long each of them takes."""

    def __init__(self, clock: Clock, takes_s: float = 0.0, is_quiet: bool = False) -> None:
        self._clock = clock
        self._takes_s = takes_s
        self.is_quiet = is_quiet
        self.visited_s: list[float] = []
        self.bug: Exception | None = None
        self.breaks = 0

    def read(self, now_s: float) -> bool:
        self.visited_s.append(now_s)
        self._clock.now_s += self._takes_s
        if self.bug:
            raise self.bug
        return self.is_quiet

    def broke(self) -> None:
        self.breaks += 1


def begun() -> tuple[Clock, ReadSchedule[FakeLine]]:
    """Return a clock, and a schedule whose steps have begun."""
    clock, schedule = Clock(), ReadSchedule[FakeLine]()
    schedule.step(clock.now_s)
    clock.now_s += STEP_S
    return clock, schedule


def run(schedule: ReadSchedule[FakeLine], clock: Clock, steps: int) -> list[float]:
    """Run `steps` steps on time, each with all that is due. Return the length of each slice, in seconds."""
    slices = []
    for _ in range(steps):
        due_s = clock.now_s + STEP_S
        schedule.step(clock.now_s)
        rest = True
        while rest:
            began_s = clock.now_s
            rest = schedule.read_due(clock)
            slices.append(clock.now_s - began_s)
        clock.now_s = max(due_s, clock.now_s)
    return slices


def visits(lines: list[FakeLine]) -> list[int]:
    return [len(line.visited_s) for line in lines]


@pytest.mark.parametrize(("is_quiet", "every"), [(False, QUICK_STEPS), (True, QUIET_STEPS)])
def test_a_line_is_visited_at_the_interval_of_its_kind(is_quiet: bool, every: int):
    clock, schedule = begun()
    lines = [FakeLine(clock, is_quiet=is_quiet) for _ in range(2000)]
    for line in lines:
        schedule.add(line, is_quiet)
    run(schedule, clock, 5 * every)
    assert set(visits(lines)) == {5}
    intervals = {
        round((b - a) / STEP_S) for line in lines for a, b in zip(line.visited_s, line.visited_s[1:], strict=False)
    }
    assert intervals == {every}


def test_lines_of_a_kind_are_spread_over_its_steps():
    clock, schedule = begun()
    lines = [FakeLine(clock, is_quiet=True) for _ in range(3 * QUIET_STEPS)]
    for line in lines:
        schedule.add(line, is_quiet=True)
    run(schedule, clock, QUIET_STEPS)
    assert set(Counter(line.visited_s[0] for line in lines).values()) == {3}


def test_a_line_is_quick_at_first_and_changes_with_what_it_says():
    clock, schedule = begun()
    line = FakeLine(clock)
    schedule.add(line)
    run(schedule, clock, 4 * QUICK_STEPS)
    assert visits([line]) == [4]
    line.is_quiet = True
    run(schedule, clock, QUICK_STEPS)  # it tells at its next visit
    line.visited_s.clear()
    run(schedule, clock, 4 * QUIET_STEPS)
    assert visits([line]) == [4]
    line.is_quiet = False
    run(schedule, clock, QUIET_STEPS)
    line.visited_s.clear()
    run(schedule, clock, 4 * QUICK_STEPS)
    assert visits([line]) == [4]


def test_no_slice_holds_the_loop_for_5_ms():
    clock, schedule = begun()
    takes_s = SLICE_S / 100
    lines = [FakeLine(clock, takes_s, is_quiet=True) for _ in range(1000)]
    for line in lines:
        schedule.add(line, is_quiet=True)
    slices = run(schedule, clock, QUIET_STEPS)
    assert set(visits(lines)) == {1}  # all have their turn all the same
    assert max(slices) < SLICE_S + takes_s + 1e-9
    assert max(slices) < 0.005


def test_without_time_for_all_each_is_visited_equally_often():
    clock, schedule = begun()
    lines = [FakeLine(clock, SLICE_S / 2, is_quiet=number % 2 == 0) for number in range(100)]
    for line in lines:
        schedule.add(line, line.is_quiet)
    for _ in range(1000):
        schedule.step(clock.now_s)
        schedule.read_due(clock)
        clock.now_s += STEP_S  # one slice a step is all that there is time for
    assert max(visits(lines)) - min(visits(lines)) <= 2
    assert min(visits(lines)) >= 15


def test_after_a_delay_each_line_is_visited_once():
    clock, schedule = begun()
    lines = [FakeLine(clock, is_quiet=number % 2 == 0) for number in range(100)]
    for line in lines:
        schedule.add(line, line.is_quiet)
    run(schedule, clock, QUIET_STEPS)
    for line in lines:
        line.visited_s.clear()
    clock.now_s += 10
    run(schedule, clock, 1)
    assert set(visits(lines)) == {1}


def test_a_delay_of_a_step_makes_up_for_it():
    clock, schedule = begun()
    lines = [FakeLine(clock, is_quiet=True) for _ in range(QUIET_STEPS)]
    for line in lines:
        schedule.add(line, is_quiet=True)
    run(schedule, clock, QUIET_STEPS)
    clock.now_s += STEP_S
    run(schedule, clock, 1)
    assert sorted(visits(lines)) == [1] * (QUIET_STEPS - 2) + [2, 2]


def test_a_line_that_was_removed_is_not_visited():
    clock, schedule = begun()
    remover, removed = FakeLine(clock), FakeLine(clock)
    for line in (remover, removed):
        schedule.add(line)
    run(schedule, clock, QUICK_STEPS)
    assert len(schedule) == 2
    schedule.remove(removed)
    schedule.remove(removed)  # nothing
    run(schedule, clock, QUICK_STEPS)
    assert visits([remover, removed]) == [2, 1]
    assert len(schedule) == 1


def test_a_line_that_another_line_removes_is_not_visited():
    clock, schedule = begun()
    removed = FakeLine(clock)

    class Remover(FakeLine):
        def read(self, now_s: float) -> bool:
            schedule.remove(removed)
            schedule.remove(self)
            return True

    schedule.add(Remover(clock))
    for _ in range(QUICK_STEPS - 1):
        schedule.add(FakeLine(clock))
    schedule.add(removed)  # in the group of the first
    run(schedule, clock, QUIET_STEPS)
    assert visits([removed]) == [0]
    assert len(schedule) == QUICK_STEPS - 1


def test_a_line_that_breaks_stops_no_other():
    clock, schedule = begun()
    lines = [FakeLine(clock) for _ in range(10)]
    lines[3].bug = RuntimeError("a bug")
    for line in lines:
        schedule.add(line)
    run(schedule, clock, 5 * QUICK_STEPS)
    assert visits(lines) == [5, 5, 5, 1, 5, 5, 5, 5, 5, 5]
    assert [line.breaks for line in lines] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    assert len(schedule) == 9
