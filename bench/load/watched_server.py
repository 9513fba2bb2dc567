"""`server.py` whose workers note the CPU of their reading, and the stalls of their event loops if that is asked for.

    python bench/load/watched_server.py FOLDER READING STALLS

FOLDER: the project. Each second a line is added to the file READING: the worker's process id, the time
(CLOCK_MONOTONIC), and the CPU time, in seconds, that reading and hearing media took so far. STALLS: a file, or "-" for
none. With it a timer of 1 ms finds out for how long the loop did not come back to it. Each second a line is added: the
time, the longest stall of that second in ms, the longest one by the CPU time of the thread without garbage collection,
and the longest garbage collection.
"""

from gevent import monkey

monkey.patch_all()

import gc
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

from gevent import get_hub

from lexbridge import __main__ as command_line
from lexbridge.net.read_schedule import ReadSchedule
from lexbridge.server import worker

PERIOD_S = 0.001


class LoopWatch:
    """Watch on the loop of this process."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._at_s, self._cpu_s = time.monotonic(), time.thread_time()
        self._written_s = self._at_s
        self._collects_since_s = 0.0
        self._collected_s = 0.0  # since the timer fired last
        self._longest = [0.0, 0.0, 0.0]
        gc.callbacks.append(self._collection)
        self._timer = get_hub().loop.timer(PERIOD_S, PERIOD_S, ref=False)
        self._timer.start(self._tick)

    def stop(self) -> None:
        """Stop the timer."""
        self._timer.stop()

    def _collection(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collects_since_s = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collects_since_s

    def _tick(self) -> None:
        now_s, cpu_s = time.monotonic(), time.thread_time()
        found = (now_s - self._at_s - PERIOD_S, cpu_s - self._cpu_s - self._collected_s, self._collected_s)
        self._longest = [max(pair) for pair in zip(self._longest, found, strict=True)]
        self._at_s, self._cpu_s, self._collected_s = now_s, cpu_s, 0.0
        if now_s > self._written_s + 1:
            self._written_s = now_s
            with self._output.open("a", encoding="ascii") as file:
                file.write(f"{now_s:.3f} {' '.join(f'{1000 * longest_s:.3f}' for longest_s in self._longest)}\n")
            self._longest = [0.0, 0.0, 0.0]
            self._at_s, self._cpu_s = time.monotonic(), time.thread_time()


def note_reading(output: Path) -> None:
    """Make each worker note the CPU of its reading."""
    read_due, spent_s, written_s = ReadSchedule.read_due, 0.0, 0.0

    def timed(schedule: ReadSchedule[Any], clock: Callable[[], float]) -> bool:
        nonlocal spent_s, written_s
        began_s = time.thread_time()
        rest = read_due(schedule, clock)
        spent_s += time.thread_time() - began_s
        now_s = time.monotonic()
        if now_s > written_s + 1:
            written_s = now_s
            with output.open("a", encoding="ascii") as file:
                file.write(f"{os.getpid()} {now_s:.6f} {spent_s:.6f}\n")
        return rest

    ReadSchedule.read_due = timed  # type: ignore[method-assign, assignment]


def watch_workers(output: Path) -> None:
    """Make each worker watch its loop."""
    serve = worker.serve

    def watched(*arguments: Any) -> int:
        watch = LoopWatch(output)
        status = serve(*arguments)
        watch.stop()
        return status

    assert hasattr(command_line, "serve")
    command_line.serve = watched


if __name__ == "__main__":
    note_reading(Path(sys.argv[2]))
    if sys.argv[3] != "-":
        watch_workers(Path(sys.argv[3]))
    sys.exit(command_line.main([]))
