"""The timer that reads all sockets: what else is due has its turn between two slices."""

import time

import gevent
import pytest
from gevent import get_hub

from lexbridge.net.read_schedule import SLICE_S
from lexbridge.net.read_tick import ReadTick

TAKES_S = SLICE_S * 0.75
"""Time that the reading of a line takes, seconds: two lines are more than a slice."""


class SlowLine:
    """A line whose reading takes a while, and which notes each visit in `visits`."""

    def __init__(self, visits: list[str]) -> None:
        self._visits = visits

    def read(self, now_s: float) -> bool:
        self._visits.append("line")
        until_s = time.monotonic() + TAKES_S
        while time.monotonic() < until_s:
            pass
        return False

    def broke(self) -> None:
        """Do nothing: the line never breaks."""


@pytest.mark.parametrize("count", [7, 10, 12, 14])
def test_another_timer_has_its_turn_after_each_slice(count: int) -> None:
    tick, visits = ReadTick(), list[str]()
    other = get_hub().loop.timer(0.001, 0.001)
    other.start(lambda: visits.append("other"))
    lines = [SlowLine(visits) for _ in range(count)]
    for line in lines:
        tick.add(line)
    gevent.sleep(30 * TAKES_S)
    for line in lines:
        tick.remove(line)
    other.stop()
    slices = " ".join(visits).split("other")
    assert max(part.count("line") for part in slices) == 2
