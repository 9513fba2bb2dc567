"""The watchdog: a thread that notices when the loop is held, and says by what.

Everything in a worker shares one loop. Code that works, or waits for the system, without coming round holds every call;
the loop cannot tell of it meanwhile, but a thread of the system can.
"""

import os
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from gevent import monkey

from lexbridge.logs import UnlockedLog
from lexbridge.server.overload import Busyness

_start_new_thread = monkey.get_original("_thread", "start_new_thread")
_get_ident = monkey.get_original("_thread", "get_ident")
_sleep = monkey.get_original("time", "sleep")

LOOK_EVERY_S = 0.25
HELD_S = 1.0
"""The loop is held when it has worked for so long; it is said again each time that this has doubled."""
FRAMES = 8
"""The innermost so many are told."""

_LATE_S = 2 * LOOK_EVERY_S
_WORKED_SHARE = 0.5
_PLACES = sysconfig.get_paths()
_ROOTS = sorted(
    (f"{root}{os.sep}" for root in (Path(__file__).resolve().parents[2], *map(_PLACES.get, ("purelib", "stdlib")))),
    key=len,
    reverse=True,  # packages may lie within the project
)


class Holds:
    """The events to log about the loop, from one look at it to the next. `now_s`: of the start, by time.monotonic().
    `cpu_s`: what the process has had of the processor."""

    def __init__(self, now_s: float, cpu_s: float) -> None:
        self._looked_s = now_s
        self._cpu_s = cpu_s
        self._since_s: float | None = None
        self._away_s = 0.0
        self._tell_at_s = HELD_S
        self.held_s = 0.0
        """For how long the loop is held, or was when it was looked at last."""

    def look(self, now_s: float, cpu_s: float, since_s: float | None) -> str | None:
        """The event that is to be logged. `since_s`: see Busyness.working_since_s."""
        elapsed_s, self._looked_s = now_s - self._looked_s, now_s
        worked_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        if since_s != self._since_s:
            was_told = self._tell_at_s > HELD_S
            self._since_s, self._away_s, self._tell_at_s = since_s, 0.0, HELD_S
            if was_told:
                return "loop-free"
        if since_s is None:
            return None
        # We come late too, and nobody here has worked: the machine or the process was stopped, and no code is to blame.
        # (Code that keeps the interpreter's lock for long makes us late as well, but it works.)
        if elapsed_s > _LATE_S and worked_s < _WORKED_SHARE * elapsed_s:
            self._away_s += max(0.0, min(elapsed_s, now_s - since_s) - worked_s)
        self.held_s = now_s - since_s - self._away_s
        if self.held_s < self._tell_at_s:
            return None
        while self._tell_at_s <= self.held_s:
            self._tell_at_s *= 2
        return "loop-held"


class Watchdog:
    """Watches the loop of the thread that makes it, until `stop`. `busyness`: the loop's.

    Log lines: `loop-held` (error) after HELD_S, and again when that has doubled, with `where` it stands; `loop-free`
    when it comes round.
    """

    def __init__(self, busyness: Busyness) -> None:
        self._busyness = busyness
        self._loop_thread = _get_ident()
        self._log = UnlockedLog()
        self._is_stopped = False
        _start_new_thread(self._watch, ())  # the system ends it with the process

    def stop(self) -> None:
        """Watches no more."""
        self._is_stopped = True

    def _watch(self) -> None:
        """The thread. It takes no lock of gevent's: the one that holds the loop may have it."""
        holds = Holds(time.monotonic(), time.process_time())
        while not self._is_stopped:
            _sleep(LOOK_EVERY_S)
            since_s = self._busyness.working_since_s
            event = holds.look(time.monotonic(), time.process_time(), since_s)
            if event == "loop-free":
                self._log.write("info", "loop-free", pid=os.getpid(), held_ms=round(1000 * holds.held_s))
            elif event:
                where = places(sys._current_frames().get(self._loop_thread))
                if self._busyness.working_since_s == since_s:  # else these are others
                    held_ms = round(1000 * holds.held_s)
                    self._log.write("error", "loop-held", pid=os.getpid(), held_ms=held_ms, where=where)


def places(frame: FrameType | None) -> list[str]:
    """The places where a thread stands, the innermost first: no values and no source text."""
    return [f"{_short(at.f_code.co_filename)}:{at.f_lineno} {at.f_code.co_qualname}" for at in _innermost(frame)]


def _innermost(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _short(path: str) -> str:
    """Relative to the project, or to where the package lies."""
    return path.removeprefix(next(filter(path.startswith, _ROOTS), ""))
