"""The timer that reads all sockets: what else is due has its turn between two slices."""

import time

import gevent
import pytest
from gevent import get_hub

from lexbridge.net.read_schedule import SLICE_S, STEP_S
from lexbridge.net.read_tick import ReadTick

TAKES_S = SLICE_S * 0.75
"""Time that the reading of a line takes by the test's clock, seconds: two lines are more than a slice."""


class SlowLine:
    """A line whose reading takes a while by the test's clock, and which notes each visit in `events`."""

    def __init__(self, events: list[str], clock_s: list[float]) -> None:
        self._events = events
        self._clock_s = clock_s

    def read(self, now_s: float) -> bool:
        self._events.append("line")
        self._clock_s[0] += TAKES_S
        return False

    def broke(self) -> None:
        """Do nothing: the line never breaks."""


@pytest.mark.parametrize("count", [7, 10, 12, 14])
def test_the_loop_has_its_turn_after_each_slice(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a turn of the loop all other timers and sockets that are due are served.

    The clock is the test's own: a process that the system stops in the middle of a slice would read less in it.
    """
    clock_s, events = [100.0], list[str]()
    monkeypatch.setattr(time, "monotonic", lambda: clock_s[0])
    tick = ReadTick()
    turns = get_hub().loop.prepare()  # called at the beginning of each turn of the loop
    turns.start(lambda: events.append("turn"))
    lines = [SlowLine(events, clock_s) for _ in range(count)]
    for line in lines:
        tick.add(line)
    while events.count("line") < 5 * count:
        gevent.sleep(STEP_S)
    for line in lines:
        tick.remove(line)
    turns.stop()
    turns.close()
    slices = [part.count("line") for part in " ".join(events).split("turn")]
    assert set(slices) <= {0, 1, 2}
    assert slices.count(2) >= 5
