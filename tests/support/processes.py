"""Facts about processes from /proc, and process 1 of a PID namespace."""

import os
import signal
import subprocess
from pathlib import Path

import pytest


def children(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`, zombies among them."""
    try:
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))
    except OSError:  # it is gone
        return []


def state_of(pid: int) -> str:
    """Return one letter, such as "S" for a process that waits and "Z" for a zombie, or "" without such a process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(") ")[2][0]
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Return whether a process has not ended. A zombie has ended."""
    return state_of(pid) not in ("", "Z")


def serves(pid: int, port: int, peers_port: int) -> bool:
    """Return whether the process holds the connection from `peers_port` to `port`."""
    tables = [path for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")) if path.exists()]
    lines = [line.split() for table in tables for line in table.read_text(encoding="ascii").splitlines()[1:]]
    ends = (f":{port:04X}", f":{peers_port:04X}")
    held = {f"socket:[{line[9]}]" for line in lines if (line[1][-5:], line[2][-5:]) == ends}
    try:
        return any(os.readlink(number) in held for number in Path(f"/proc/{pid}/fd").iterdir())  # noqa: PTH115
    except OSError:  # one was closed meanwhile, or it is gone
        return False


def handles(pid: int, signum: signal.Signals) -> bool:
    """Return whether the process has a handler for the signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signum - 1) & 1)


def has_mapped(pid: int, name: str) -> bool:
    """Return whether the process has loaded a library with `name` in its path."""
    try:
        return name in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def as_process_1() -> list[str]:
    """Return the command that runs another one as process 1 of a new PID namespace, and ends with its status.

    The test is skipped where a new namespace is not permitted.
    """
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    try:
        permitted = subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        permitted = False
    if not permitted:
        pytest.skip("a PID namespace of one's own is not permitted here")
    return namespace
