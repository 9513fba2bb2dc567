"""The watchdog: a thread that notices when code holds the event loop, and logs which code it is.

All calls of a worker share one event loop. Code that computes or waits for long without returning to the loop stops all
of them. The loop cannot report that meanwhile, but a thread of the operating system can.
"""

import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from gevent import monkey

from lexbridge.logs import Log
from lexbridge.server.overload import LoopUtilization

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_get_ident = monkey.get_original("_thread", "get_ident")
_sleep = monkey.get_original("time", "sleep")

CHECK_INTERVAL_S = 0.25
"""Interval in seconds at which the watchdog checks the event loop."""
HELD_S = 1.0
"""Limits one round of the event loop, in seconds, before `loop-held` is logged.

Callers notice a second. The event is logged again each time that the duration has doubled."""
FRAMES = 8
"""Limits how many stack frames a log line names: the innermost ones, because they show what runs."""

_LATE_S = 2 * CHECK_INTERVAL_S
_WORKED_SHARE = 0.5
_PATHS = sysconfig.get_paths()
_ROOTS = sorted(
    (f"{root}{os.sep}" for root in (Path(__file__).resolve().parents[2], *map(_PATHS.get, ("purelib", "stdlib")))),
    key=len,
    reverse=True,  # the longest first, because the directory of packages may lie within the project
)


class HoldDetector:
    """A detector that decides at each check of the event loop which event to log, if any.

    `now_s`: time of the start, by time.monotonic(). `cpu_s`: processor time that the process has used so far.
    """

    def __init__(self, now_s: float, cpu_s: float) -> None:
        self._checked_s = now_s
        self._cpu_s = cpu_s
        self._busy_since_s: float | None = None
        self._stopped_s = 0.0
        self._log_at_s = HELD_S
        self.held_s = 0.0
        """How long the event loop has been held, in seconds, as of the last check that found it busy."""

    def check(self, now_s: float, cpu_s: float, busy_since_s: float | None) -> str | None:
        """Return the event to log, or None. `busy_since_s`: as in LoopUtilization."""
        elapsed_s, self._checked_s = now_s - self._checked_s, now_s
        worked_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        if busy_since_s != self._busy_since_s:
            was_logged = self._log_at_s > HELD_S
            self._busy_since_s, self._stopped_s, self._log_at_s = busy_since_s, 0.0, HELD_S
            if was_logged:
                return "loop-free"
        if busy_since_s is None:
            return None
        # This check is late too, and the process used no processor time: the machine or the process was stopped, and no
        # code is to blame. (Code that keeps the interpreter's lock delays this thread as well, but uses the processor.)
        if elapsed_s > _LATE_S and worked_s < _WORKED_SHARE * elapsed_s:
            self._stopped_s += max(0.0, min(elapsed_s, now_s - busy_since_s) - worked_s)
        self.held_s = now_s - busy_since_s - self._stopped_s
        if self.held_s < self._log_at_s:
            return None
        while self._log_at_s <= self.held_s:
            self._log_at_s *= 2
        return "loop-held"


class Watchdog:
    """A thread that watches the event loop of the thread that made it, until `stop`.

    It logs `loop-held` (error) after HELD_S, and again each time that the duration has doubled, with the code locations
    in `where`; and `loop-free` once the loop goes on.
    """

    def __init__(self, utilization: LoopUtilization) -> None:
        self._utilization = utilization
        self._loop_thread = _get_ident()
        self._log = Log()
        self._is_stopped = False
        _start_new_thread(self._watch, ())  # the system ends this thread together with the process

    def stop(self) -> None:
        """Stop watching."""
        self._is_stopped = True

    def _watch(self) -> None:
        """Check the event loop again and again, as a thread.

        The thread takes none of gevent's locks, because the code that holds the loop may own it.
        """
        detector = HoldDetector(time.monotonic(), time.process_time())
        while not self._is_stopped:
            _sleep(CHECK_INTERVAL_S)
            busy_since_s = self._utilization.busy_since_s
            event = detector.check(time.monotonic(), time.process_time(), busy_since_s)
            if event == "loop-free":
                self._log.info("loop-free", pid=os.getpid(), held_ms=round(1000 * detector.held_s))
            elif event:
                where = code_locations(sys._current_frames().get(self._loop_thread))
                # If the loop has gone on since, these locations are not those of the code that held it.
                if self._utilization.busy_since_s == busy_since_s:
                    held_ms = round(1000 * detector.held_s)
                    self._log.error("loop-held", pid=os.getpid(), held_ms=held_ms, where=where)


def code_locations(frame: FrameType | None) -> list[str]:
    """Return the file, line and function of each stack frame, the innermost first: no values and no source text."""
    return [f"{_short(at.f_code.co_filename)}:{at.f_lineno} {at.f_code.co_qualname}" for at in _innermost(frame)]


def _innermost(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _short(path: str) -> str:
    """Return a path relative to the project, or to the directory of installed packages or of Python's own modules."""
    return path.removeprefix(next(filter(path.startswith, _ROOTS), ""))
