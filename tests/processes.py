"""Processes, as /proc tells of them."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes whose parent `pid` is, zombies too."""
    try:
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))
    except OSError:  # it is gone
        return []


def state_of(pid: int) -> str:
    """One letter, such as "S" for one that waits and "Z" for a zombie. Empty: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0]
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """It has not ended; a zombie has."""
    return state_of(pid) not in ("", "Z")
