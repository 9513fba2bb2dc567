"""Figures of a process from /proc: CPU, memory, threads, descriptors. Linux only."""

import contextlib
import os
import resource
from pathlib import Path

_CLOCK_HZ = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """Return the living children of the process."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text(encoding="ascii").split()]
    return [child for child in found if _stat(child)[0] not in ("", "Z")]


def cpu_s(pid: int) -> float:
    """Return the CPU time of the process and of all its children: of those that have ended, and of the living."""
    _, fields = _stat(pid)
    if not fields:
        return 0.0
    spent_s = sum(map(int, fields[10:14])) / _CLOCK_HZ  # utime, stime, cutime, cstime: fields 14 to 17 of proc(5)
    return spent_s + sum(map(cpu_s, children(pid)))


def schedule_s(pid: int) -> tuple[float, float]:
    """Return the CPU time of the process's threads, and the time that the first of them waited for a core, seconds.

    The other threads wait for the first one where they share a core with it.
    """
    spent_ns = sum(_schedule_ns(path)[0] for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return spent_ns / 1e9, _schedule_ns(Path(f"/proc/{pid}/schedstat"))[1] / 1e9


def _schedule_ns(path: Path) -> tuple[int, int]:
    spent_ns, waited_ns, *_ = [*map(int, _read(str(path)).split()), 0, 0]
    return spent_ns, waited_ns


def machine_busy_s() -> float:
    """Return the CPU time that all processors of the machine have spent on anything since the boot."""
    fields = _read("/proc/stat").split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, soft_irq, steal, *_ = map(int, fields)
    return (user + nice + system + irq + soft_irq + steal) / _CLOCK_HZ


def proportional_mb(pid: int) -> float:
    """Return the proportional set size: memory of the process alone, and its share of what it shares with others."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def resident_mb(pid: int) -> float:
    """Return the resident memory of the process, or 0 if it has ended."""
    pages = _read(f"/proc/{pid}/statm").split()
    return int(pages[1]) * _PAGE_BYTES / 1e6 if pages else 0.0


def threads(pid: int) -> int:
    """Return the number of threads of the process."""
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of the process."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def sockets(pid: int) -> int:
    """Return the number of open sockets of the process."""
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found += descriptor.readlink().name.startswith("socket:")
    return found


def raise_descriptor_limit() -> int:
    """Allow this process as many descriptors as the machine lets it have, and return that number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _stat(pid: int) -> tuple[str, list[str]]:
    """Return the state of the process, and the fields of its `stat` after the state; empty if it has ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[1:]) if fields else ("", [])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
