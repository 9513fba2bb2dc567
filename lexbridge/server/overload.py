"""Is this process overloaded? How late its loop is, how busy, and how much memory it has."""

import os
import time
from collections import deque
from pathlib import Path
from statistics import fmean, median

from gevent.hub import get_hub

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.logs import Log

MEASURE_EVERY_S = 0.1
SAMPLES = 9
"""The lag is the median of so many. At 100 ms of lag they span nearly two seconds, so that one has to last for one; a
hiccup, however long, is one of them."""

MAX_BUSY = 0.95
"""Share of its time that the loop may be busy. One that never waits is not late for its timers, as each round is short;
but what it has not come round to waits in the sockets, and calls are answered later and later."""
BUSY_SAMPLES = 50
"""Five seconds: many calls that begin at once are not an overload."""

MEMORY_SHARE = 0.8
"""Of all there is, unless MAX_MEMORY_MB says otherwise."""

# Below these shares of the limits it is over: figures that hover around a limit are not worth a line each time.
LAG_OVER = 0.8
BUSY_OVER = 0.95
MEMORY_OVER = 0.95

_LAST, _FIRST = -2, 2
"""libev's lowest and highest priority."""

_NO_LIMIT = 1 << 60
"""What cgroup v1 says where there is none is a little under 2^63."""


class Load:
    """Tells the CallRegistry when the process has all it can bear, and when no longer. It is told the figures.

    `max_lag_s`: how late the loop may be. `max_memory`: resident, bytes; None: no limit.
    """

    def __init__(self, calls: CallRegistry, max_lag_s: float, max_memory: int | None) -> None:
        self._calls = calls
        self._max_lag_s = max_lag_s
        self._max_memory = max_memory
        self._late_s = deque([0.0] * SAMPLES, SAMPLES)
        self._busy = deque([0.0] * BUSY_SAMPLES, BUSY_SAMPLES)
        self._reason: str | None = None

    @property
    def lag_s(self) -> float:
        """How late the loop is, apart from single hiccups."""
        return median(self._late_s)

    @property
    def busy(self) -> float:
        """Share of its time that the loop was not waiting."""
        return fmean(self._busy)

    def measured(self, late_s: float, memory: int, busy: float) -> None:
        """A timer of MEASURE_EVERY_S came `late_s` late, this many bytes are resident, and this share of the time since
        the last measurement the loop was not waiting."""
        self._late_s.append(max(0.0, late_s))
        self._busy.append(busy)
        reason = self._find_reason(memory)
        if reason != self._reason:
            self._reason = reason
            self._calls.admission.is_overloaded = reason is not None
            self._tell(memory)

    def _find_reason(self, memory: int) -> str | None:
        if self._max_memory is not None:
            over = MEMORY_OVER if self._reason == "memory" else 1.0
            if memory > over * self._max_memory:
                return "memory"
        over = LAG_OVER if self._reason == "lag" else 1.0
        if self.lag_s > over * self._max_lag_s:
            return "lag"
        over = BUSY_OVER if self._reason == "busy" else 1.0
        return "busy" if self.busy > over * MAX_BUSY else None

    def _tell(self, memory: int) -> None:
        figures = {
            "lag_ms": round(1000 * self.lag_s),
            "busy_percent": round(100 * self.busy),
            "memory_mb": memory >> 20,
            "live_calls": self._calls.live_calls,
            "pid": os.getpid(),
        }
        if self._reason:
            Log().warning("overloaded", reason=self._reason, **figures)
        else:
            Log().info("no-longer-overloaded", **figures)


class Busyness:
    """How busy this thread's loop is: it waits between libev's prepare and check, and works the rest of the time.

    http://pod.tst.eu/http://cvs.schmorp.de/libev/ev.pod (ev_prepare and ev_check)
    """

    def __init__(self) -> None:
        loop = get_hub().loop
        self._waits_from_s = self._measured_s = time.monotonic()
        self._waited_s = 0.0
        self.working_since_s: float | None = self._measured_s
        """Since when it has worked without coming round, by time.monotonic(); None: it waits. For any thread."""
        # The last to be called before the wait, as gevent does its own work there, and the first after it.
        self._prepare = loop.prepare(ref=False, priority=_LAST)
        self._check = loop.check(ref=False, priority=_FIRST)
        self._prepare.start(self._waits)
        self._check.start(self._woke)

    def measure(self, spare_s: float = 0.0) -> float:
        """The share since it was measured last, 0 to 1. `spare_s`: time of it that calls could have had."""
        now_s = time.monotonic()
        elapsed_s, self._measured_s = now_s - self._measured_s, now_s
        waited_s, self._waited_s = self._waited_s, 0.0
        return 1.0 - min(1.0, (waited_s + spare_s) / elapsed_s) if elapsed_s > 0 else 0.0

    def _waits(self) -> None:
        self._waits_from_s = time.monotonic()
        self.working_since_s = None

    def _woke(self) -> None:
        self.working_since_s = now_s = time.monotonic()
        self._waited_s += now_s - self._waits_from_s


def resident_memory() -> int:
    """Of this process, bytes. 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def memory_limit(max_memory_mb: int | None, workers: int, root: Path = Path("/")) -> int | None:
    """For each of `workers`, bytes. `max_memory_mb`: for all; None: a share of what this container or machine has.

    `root`: where the system's files are. Returns None if they do not tell.
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
    """Of our cgroup and of each one above it: the smallest counts. In a container the topmost is often all one sees."""
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
            if limit.isdecimal() and int(limit) < _NO_LIMIT:  # v2 says "max" where there is none
                found.append(int(limit))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
