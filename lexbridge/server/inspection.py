"""Inspection of a running worker on demand, and the switch of its log level.

SIGUSR1 logs what the worker does; SIGUSR2 switches its log to DEBUG and back.

SIGUSR1 is for a worker that does not respond. So its handler interrupts the code that holds the event loop, at the
interpreter's next instruction, and takes none of gevent's locks. SIGUSR2 changes the level of `logging`, which has such
locks, so the event loop handles it.
"""

import gc
import os
import signal
import sys
from collections import Counter
from types import FrameType
from typing import Any

import gevent
from gevent import get_hub, monkey
from greenlet import getcurrent, greenlet

from lexbridge import logs
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.logs import Log
from lexbridge.server.scoreboard import WorkerSlot
from lexbridge.server.watchdog import code_locations

MAX_CALLS = 1000
"""Limits the live calls that a report lists; it also gives their total number."""

MAX_STACKS = 100
"""Limits the different stacks that a report lists, the most frequent first.

Greenlets at the same place in the code count as one stack."""

_set_handler = monkey.get_original("signal", "signal")
_get_ident = monkey.get_original("_thread", "get_ident")


class Inspection:
    """The handlers of SIGUSR1 and SIGUSR2 in a worker. Make it on the main thread, after the log is configured.

    At SIGUSR1 it logs, whatever LOG_LEVEL is, one `worker-report`, a `live-call` for each call, and a `stack` for each
    place at which greenlets and threads wait or run. No line contains the value of a variable.
    """

    def __init__(self, slot: WorkerSlot) -> None:
        self._slot = slot
        self._calls: CallRegistry | None = None
        self._log = Log()
        self._is_reporting = False
        self._was_switched = False
        self.follow_log_level()
        _set_handler(signal.SIGUSR1, self._report)
        self._switching = gevent.signal_handler(signal.SIGUSR2, self._switch)

    def report_calls_of(self, calls: CallRegistry) -> None:
        """Include these calls in reports from now on."""
        self._calls = calls

    def follow_log_level(self) -> None:
        """Switch the log level as the supervisor did at SIGUSR2. The heartbeat calls this again and again."""
        is_switched = self._slot.is_level_switched()
        if is_switched != self._was_switched:
            self._was_switched = is_switched
            logs.switch_debug(logs.debugs_if_switched(is_switched))

    def _switch(self) -> None:
        """Switch the level of this worker alone, at a SIGUSR2 that was sent to it."""
        logs.switch_debug(not logs.is_debugging())

    def _report(self, _signum: int, frame: FrameType | None) -> None:
        """Log the report, as the handler of SIGUSR1. `frame`: the code that the signal interrupted."""
        if self._is_reporting:
            return  # a second SIGUSR1 came while the first report is being written
        self._is_reporting = True
        try:
            stacks = _count_stacks(frame)
            self._log_worker(stacks)
            for stream in self._calls.streams()[:MAX_CALLS] if self._calls else ():
                facts = stream.describe()
                self._log.answer("live-call", call_sid=stream.call_sid, stream_sid=stream.stream_sid, **facts)
            for (of, where), count in stacks.most_common(MAX_STACKS):
                self._log.answer("stack", pid=os.getpid(), of=of, count=count, where=list(where))
        finally:
            self._is_reporting = False

    def _log_worker(self, stacks: Counter[tuple[str, tuple[str, ...]]]) -> None:
        calls = self._calls
        self._log.answer(
            "worker-report",
            pid=os.getpid(),
            state="starting" if calls is None else calls.admission.own_refusal or "ready",
            live_calls=0 if calls is None else calls.live_calls,
            stacks=len(stacks),
            standing=sum(stacks.values()),
        )


def _count_stacks(frame: FrameType | None) -> Counter[tuple[str, tuple[str, ...]]]:
    """Count the greenlets and threads at each place in the code. `frame`: the place of this thread.

    Greenlets that were made before `gc.freeze()` are not found.
    """
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    current = getcurrent()
    for each in gc.get_objects():
        # isinstance() would ask a proxy, such as Flask's, for the object behind it.
        if not issubclass(type(each), greenlet) or each is current:
            continue
        if not each.dead and each.gr_frame is not None:
            found[_name(each), tuple(code_locations(each.gr_frame))] += 1
    found[_name(current), tuple(code_locations(frame))] += 1
    for thread, at in sys._current_frames().items():
        if thread != _get_ident():
            found["thread", tuple(code_locations(at))] += 1
    return found


def _name(of: Any) -> str:
    """Return the name of the function that a greenlet runs, or of its class if that is unknown."""
    run = getattr(of, "_run", None) if isinstance(of, gevent.Greenlet) else None
    kind = "hub" if of is get_hub() else type(of).__name__
    return str(getattr(run, "__qualname__", kind))
