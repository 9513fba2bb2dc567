"""Is this process overloaded? How late its loop is, and how much memory it has."""

import os
from collections import deque
from pathlib import Path
from statistics import median

from lexbridge.call_log import CallLog
from lexbridge.logs import Log

MEASURE_EVERY_S = 0.1
SAMPLES = 9
"""The lag is the median of so many. At 100 ms of lag they span nearly two seconds, so that one has to last for one; a
hiccup, however long, is one of them."""

MEMORY_SHARE = 0.8
"""Of all there is, unless MAX_MEMORY_MB says otherwise."""

# Below these shares of the limits it is over: figures that hover around a limit are not worth a line each time.
LAG_OVER = 0.8
MEMORY_OVER = 0.95

_NO_LIMIT = 1 << 60
"""What cgroup v1 says where there is none is a little under 2^63."""


class Load:
    """Tells the CallLog when the process has all it can bear, and when no longer. It is told the figures.

    `max_lag_s`: how late the loop may be. `max_memory`: resident, bytes; None: no limit.
    """

    def __init__(self, calls: CallLog, max_lag_s: float, max_memory: int | None) -> None:
        self._calls = calls
        self._max_lag_s = max_lag_s
        self._max_memory = max_memory
        self._late_s = deque([0.0] * SAMPLES, SAMPLES)
        self._reason: str | None = None

    @property
    def lag_s(self) -> float:
        """How late the loop is, apart from single hiccups."""
        return median(self._late_s)

    def measured(self, late_s: float, memory: int) -> None:
        """A timer of MEASURE_EVERY_S came `late_s` late, and this many bytes are resident."""
        self._late_s.append(max(0.0, late_s))
        reason = self._find_reason(memory)
        if reason != self._reason:
            self._reason = reason
            self._calls.is_overloaded = reason is not None
            self._tell(memory)

    def _find_reason(self, memory: int) -> str | None:
        if self._max_memory is not None:
            over = MEMORY_OVER if self._reason == "memory" else 1.0
            if memory > over * self._max_memory:
                return "memory"
        over = LAG_OVER if self._reason == "lag" else 1.0
        return "lag" if self.lag_s > over * self._max_lag_s else None

    def _tell(self, memory: int) -> None:
        figures = {
            "lag_ms": round(1000 * self.lag_s),
            "memory_mb": memory >> 20,
            "live_calls": self._calls.live_calls,
            "pid": os.getpid(),
        }
        if self._reason:
            Log().warning("overloaded", reason=self._reason, **figures)
        else:
            Log().info("no-longer-overloaded", **figures)


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
