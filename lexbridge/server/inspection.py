"""What goes on in a worker, on demand: SIGUSR1 writes it to the log, SIGUSR2 has the log tell more, or less again.

SIGUSR1 is for a worker of which nobody knows what it does. So its handler runs in the middle of whatever holds the
loop, as soon as the interpreter comes to its next instruction, and takes no lock of gevent's. SIGUSR2 changes the level
of `logging`, which has such locks: it is taken by the loop.
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
from lexbridge.logs import UnlockedLog
from lexbridge.server.scoreboard import Place
from lexbridge.server.watchdog import places

MOST_CALLS = 1000
"""Live calls that are written; the report says how many there are."""

MOST_STACKS = 100
"""Different stacks that are written, the commonest first; what stands at the same place is one of them."""

_set_handler = monkey.get_original("signal", "signal")
_get_ident = monkey.get_original("_thread", "get_ident")


class Inspection:
    """Takes SIGUSR1 and SIGUSR2 in the worker that makes it, on its main thread, once its log is configured.

    SIGUSR1 writes, whatever LOG_LEVEL is, `worker-report`, then a `live-call` for each call, and a `stack` for each
    place where greenlets and threads stand. No line has the value of a variable.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._calls: CallRegistry | None = None
        self._log = UnlockedLog()
        self._is_reporting = False
        self._was_switched = False
        self.follow_level()
        _set_handler(signal.SIGUSR1, self._report)
        self._switching = gevent.signal_handler(signal.SIGUSR2, self._switch)

    def has_calls(self, calls: CallRegistry) -> None:
        """From now on the report tells of these calls."""
        self._calls = calls

    def follow_level(self) -> None:
        """Does as the parent did when it was told by SIGUSR2: it is called again and again."""
        is_switched = self._place.is_level_switched()
        if is_switched != self._was_switched:
            self._was_switched = is_switched
            logs.switch_debug(logs.debugs_when(is_switched))

    def _switch(self) -> None:
        """SIGUSR2 came to this worker alone."""
        logs.switch_debug(not logs.is_debugging())

    def _report(self, _signum: int, frame: FrameType | None) -> None:
        """SIGUSR1's handler. `frame`: where the worker was interrupted."""
        if self._is_reporting:
            return  # it came again meanwhile
        self._is_reporting = True
        try:
            stacks = _stacks(frame)
            self._tell_report(stacks)
            for stream in self._calls.streams()[:MOST_CALLS] if self._calls else ():
                facts = stream.describe()
                self._log.answer("live-call", call_sid=stream.call_sid, stream_sid=stream.stream_sid, **facts)
            for (of, where), count in stacks.most_common(MOST_STACKS):
                self._log.answer("stack", pid=os.getpid(), of=of, count=count, where=list(where))
        finally:
            self._is_reporting = False

    def _tell_report(self, stacks: Counter[tuple[str, tuple[str, ...]]]) -> None:
        calls = self._calls
        self._log.answer(
            "worker-report",
            pid=os.getpid(),
            state="starting" if calls is None else calls.admission.own_refusal or "ready",
            live_calls=0 if calls is None else calls.live_calls,
            stacks=len(stacks),
            standing=sum(stacks.values()),
        )


def _stacks(frame: FrameType | None) -> Counter[tuple[str, tuple[str, ...]]]:
    """How many greenlets and threads stand at each place. `frame`: where this thread stands.

    Greenlets that were made before the garbage collector was told to freeze what there is are not found.
    """
    found: Counter[tuple[str, tuple[str, ...]]] = Counter()
    current = getcurrent()
    for each in gc.get_objects():
        if not issubclass(type(each), greenlet) or each is current:  # isinstance would ask proxies what they are for
            continue
        if not each.dead and each.gr_frame is not None:
            found[_name(each), tuple(places(each.gr_frame))] += 1
    found[_name(current), tuple(places(frame))] += 1
    for thread, at in sys._current_frames().items():
        if thread != _get_ident():
            found["thread", tuple(places(at))] += 1
    return found


def _name(of: Any) -> str:
    """What a greenlet runs, as far as it says so; else its class."""
    run = getattr(of, "_run", None) if isinstance(of, gevent.Greenlet) else None
    kind = "hub" if of is get_hub() else type(of).__name__
    return str(getattr(run, "__qualname__", kind))
