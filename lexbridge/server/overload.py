"""Overload of a worker: how late and how busy its event loop is, and how much memory it uses."""

import os
import time
from collections import deque
from pathlib import Path
from statistics import fmean, median

from gevent.hub import get_hub

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.logs import Log

MEASURE_INTERVAL_S = 0.1
"""Interval between two measurements, and between two heartbeats, in seconds."""
LAG_SAMPLES = 9
"""Number of measurements of which the lag is the median.

A single hiccup, however long, is only one of them. At 100 ms of lag they span nearly two seconds, so that a lag has to
last for one second to count."""

MAX_BUSY = 0.95
"""Limits the share of time in which the event loop is busy.

A loop that never waits may still fire its timers in time, because each round is short. But data waits in the sockets
meanwhile, and replies come later and later."""
BUSY_SAMPLES = 50
"""Number of measurements whose mean is the utilization.

They span five seconds, because many calls that begin at once are no overload."""

MEMORY_SHARE = 0.8
"""Limits the memory of all workers to this share of the container or machine, if MAX_MEMORY_MB is not set."""

# An overload is over once the figure falls below this share of its limit. The gap keeps a figure that hovers around
# its limit from logging a line each time.
LAG_OVER = 0.8
BUSY_OVER = 0.95
MEMORY_OVER = 0.95

_LAST, _FIRST = -2, 2
"""The lowest and the highest priority of libev."""

_NO_LIMIT = 1 << 60
"""A memory limit, in bytes, from which on there is none: cgroup v1 then says a little less than 2^63."""


class OverloadDetector:
    """A detector of overload that stops new calls while a measurement exceeds its limit, and logs each change.

    `max_lag_s`: how late the event loop may be. `max_memory`: limit of resident memory in bytes, or None.
    """

    def __init__(self, calls: CallRegistry, max_lag_s: float, max_memory: int | None) -> None:
        self._calls = calls
        self._max_lag_s = max_lag_s
        self.max_memory = max_memory
        """Limit of this worker's resident memory in bytes, or None."""
        self._late_s = deque([0.0] * LAG_SAMPLES, LAG_SAMPLES)
        self._busy = deque([0.0] * BUSY_SAMPLES, BUSY_SAMPLES)
        self._reason: str | None = None

    @property
    def lag_s(self) -> float:
        """Lateness of the event loop in seconds, apart from single hiccups."""
        return median(self._late_s)

    @property
    def utilization(self) -> float:
        """Share of the last five seconds in which the event loop was busy."""
        return fmean(self._busy)

    def record(self, late_s: float, memory: int, busy: float) -> None:
        """Record a measurement.

        `late_s`: how late a timer of MEASURE_INTERVAL_S fired. `memory`: resident bytes. `busy`: share of the time
        since the last measurement in which the event loop was busy.
        """
        self._late_s.append(max(0.0, late_s))
        self._busy.append(busy)
        reason = self._find_reason(memory)
        if reason != self._reason:
            self._reason = reason
            self._calls.admission.is_overloaded = reason is not None
            self._log(memory)

    def _find_reason(self, memory: int) -> str | None:
        if self.max_memory is not None:
            over = MEMORY_OVER if self._reason == "memory" else 1.0
            if memory > over * self.max_memory:
                return "memory"
        over = LAG_OVER if self._reason == "lag" else 1.0
        if self.lag_s > over * self._max_lag_s:
            return "lag"
        over = BUSY_OVER if self._reason == "busy" else 1.0
        return "busy" if self.utilization > over * MAX_BUSY else None

    def _log(self, memory: int) -> None:
        figures = {
            "lag_ms": round(1000 * self.lag_s),
            "busy_percent": round(100 * self.utilization),
            "memory_mb": memory >> 20,
            "live_calls": self._calls.live_calls,
            "pid": os.getpid(),
        }
        if self._reason:
            Log().warning("overloaded", reason=self._reason, **figures)
        else:
            Log().info("no-longer-overloaded", **figures)


class LoopUtilization:
    """The share of time in which this thread's event loop is busy.

    The loop waits for events between libev's "prepare" and "check" hooks, and is busy the rest of the time. Source:
    http://pod.tst.eu/http://cvs.schmorp.de/libev/ev.pod (ev_prepare and ev_check)
    """

    def __init__(self) -> None:
        loop = get_hub().loop
        self._waits_from_s = self._measured_s = time.monotonic()
        self._waited_s = 0.0
        self.busy_since_s: float | None = self._measured_s
        """When the current round of the loop began, by time.monotonic(), or None while it waits. Any thread may read
        it."""
        # The hooks run last before the wait, because gevent does its own work in a hook there, and first after it.
        self._prepare = loop.prepare(ref=False, priority=_LAST)
        self._check = loop.check(ref=False, priority=_FIRST)
        self._prepare.start(self._begin_wait)
        self._check.start(self._end_wait)

    def measure(self, spare_s: float = 0.0) -> float:
        """Return the busy share since the last call, 0 to 1. `spare_s`: busy time that calls could have had instead."""
        now_s = time.monotonic()
        elapsed_s, self._measured_s = now_s - self._measured_s, now_s
        waited_s, self._waited_s = self._waited_s, 0.0
        return 1.0 - min(1.0, (waited_s + spare_s) / elapsed_s) if elapsed_s > 0 else 0.0

    def _begin_wait(self) -> None:
        self._waits_from_s = time.monotonic()
        self.busy_since_s = None

    def _end_wait(self) -> None:
        self.busy_since_s = now_s = time.monotonic()
        self._waited_s += now_s - self._waits_from_s


def resident_memory() -> int:
    """Return the resident memory of this process in bytes, or 0 on a system without /proc."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def memory_limit(max_memory_mb: int | None, workers: int, root: Path = Path("/")) -> int | None:
    """Return the memory limit of each of `workers` in bytes, or None if the system does not tell its memory.

    `max_memory_mb`: the limit of all workers together; None means MEMORY_SHARE of this container or machine. `root`:
    the directory in which `proc` and `sys` are, for tests.
    """
    if max_memory_mb is not None:
        return (max_memory_mb << 20) // workers
    limits = [*_cgroup_limits(root), *_machine_memory(root)]
    return int(MEMORY_SHARE * min(limits)) // workers if limits else None


def _machine_memory(root: Path) -> list[int]:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return [int(line.split()[1]) << 10]
    return []


def _cgroup_limits(root: Path) -> list[int]:
    """Return the limits of this process's cgroup and of those above it; the smallest one applies.

    A container often sees only the topmost of them.
    """
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            limit = _read(mount / folder / name).strip()
            if limit.isdecimal() and int(limit) < _NO_LIMIT:  # cgroup v2 says "max" if there is no limit
                found.append(int(limit))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
