"""The reading of all WebSockets of a process by one timer, in short slices."""

import time
from typing import Any
from weakref import WeakKeyDictionary

from gevent import get_hub

from lexbridge.net.read_schedule import STEP_S, Line, ReadSchedule

READABLE, WRITABLE = 1, 2
"""Event bits, which libev and epoll number alike."""

PAUSE_S = 0.001
"""Shortest time between two slices, in seconds, unless the loop has had its turn between them."""


class ReadTick:
    """Reader of the WebSockets of one gevent hub. Its timer runs only while there are any.

    Each line that is due is read without asking the system first whether it has data. That costs 0.8 us where two
    messages wait, as they do at nearly every visit of a quiet line, and 0.9 us where nothing waits. An epoll object
    would cost 1.0 us in the first case, and would have to be kept for each group of lines.
    """

    def __init__(self) -> None:
        self._schedule: ReadSchedule[Line] = ReadSchedule()
        loop = get_hub().loop
        self._timer = loop.timer(STEP_S, STEP_S)
        # A timer without delay runs after the sockets and timers that are due have had their turn. A callback of the
        # hub could run before them.
        self._rest = loop.timer(0.0)
        self._has_rest = False  # whether that timer is running
        self._read_s = 0.0  # when the last slice ended

    def add(self, line: Line) -> None:
        """Read `line` from now on."""
        if not len(self._schedule):
            self._timer.start(self._step)
        self._schedule.add(line)

    def remove(self, line: Line) -> None:
        """Stop reading `line`. Do nothing if it is not being read."""
        self._schedule.remove(line)
        if not len(self._schedule):
            self._timer.stop()

    def _step(self) -> None:
        now_s = time.monotonic()
        self._schedule.step(now_s)
        # Two slices in one turn of the loop would be a long stall.
        if self._has_rest:
            return
        if now_s >= self._read_s + PAUSE_S:
            self._read_due()
        else:
            self._await_turn()

    def _read_due(self) -> None:
        self._has_rest = False
        if self._schedule.read_due(time.monotonic):
            self._await_turn()
        self._read_s = time.monotonic()

    def _await_turn(self) -> None:
        self._has_rest = True
        self._rest.start(self._read_due, update=True)


_ticks: WeakKeyDictionary[Any, ReadTick] = WeakKeyDictionary()


def get_read_tick(hub: Any) -> ReadTick:
    """Return the read tick of a gevent hub. It is made at the first call."""
    if hub not in _ticks:
        _ticks[hub] = ReadTick()
    return _ticks[hub]
