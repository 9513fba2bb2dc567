"""The files in which processes count, and their sum.

    FOLDER/counter_0.db  histogram_0.db  gauge_livesum_0.db     the values of the worker with number 0
    FOLDER/0.lock                                               locked by that worker for as long as it lives
    FOLDER/counter_supervisor.db ...                            the supervisor's

The system releases the lock of a worker that ends in any way, a kill included. Then its gauges count no more, and its
counters stand until the next worker takes the number and goes on with them.
"""

import fcntl
import os
import shutil
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from lexbridge.telemetry.metric_table import LINE

SUPERVISOR = "supervisor"
"""Name of the supervisor's files, in place of a number."""

OBSERVER = "observer"
"""Name of the observer's files, in place of a number."""

MAX_NUMBERS = 1000
"""Limits the workers that live at the same time, because each takes the first free number: two generations of 500."""

FILE_BYTES = 512 * 1024
"""The room of each file from its beginning, in bytes: all label values need 100 kB, and those of 30 lines 250 kB more.

It is allocated at once: a worker that writes into a file without room, in shared memory that is full, would be killed.
"""

_PREFIX = "lexbridge-metrics-"
_GAUGES = "gauge_livesum"
_KINDS = ("counter", "histogram", _GAUGES)
_ATTEMPTS = 3
"""How often files are read of which one is deleted meanwhile: a worker that starts makes its gauges anew."""

_OLD_S = 60.0
"""Age at which a folder without a process is deleted, in seconds, because a service that starts has no lock yet."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
"""The place of the folders, on machines that have it, because what is written there never waits for a disk."""


def make_folder() -> Path:
    """Make a folder in shared memory, or where temporary files are. Delete those of supervisors that were killed."""
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        with suppress(OSError):
            _delete_left_ones(place)
            return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    raise OSError("there is no folder for the metrics that can be written to")


def _delete_left_ones(place: Path) -> None:
    for old in place.glob(f"{_PREFIX}*"):
        of_old = old.lstat()
        is_ours = stat.S_ISDIR(of_old.st_mode) and of_old.st_uid == os.getuid()
        if is_ours and time.time() - of_old.st_mtime > _OLD_S and _is_free(old / f"{SUPERVISOR}.lock"):
            shutil.rmtree(old, ignore_errors=True)


class Folder:
    """The folder in which all processes of one service count."""

    def __init__(self, path: Path) -> None:
        """`path`: exists, and is used by nobody else."""
        self.path = path
        self._locks: list[int] = []  # descriptors that have to stay open

    def open_supervisors(self) -> None:
        """Make the supervisor's files. Its lock is held until all processes that it forks have ended, too."""
        if not self._lock(SUPERVISOR):
            raise OSError(f"{self.path} is used by another service")
        self._make_files(SUPERVISOR)

    def take_number(self, preferred: int | None = None) -> str:
        """Take a number for as long as this process lives, and make its files. Return the number.

        Counters of the process that had it before are kept. Raise OSError if there is no room.
        """
        first = [] if preferred is None else [preferred]
        for number in map(str, [*first, *range(MAX_NUMBERS)]):
            if self._is_taken(number):
                return number
        raise OSError("too many workers")

    def take(self, name: str) -> None:
        """Take a name in place of a number. Raise OSError if there is no room, or if another process has it."""
        if not self._is_taken(name):
            raise OSError(f"{name} is taken")

    def _is_taken(self, number: str) -> bool:
        """Return whether this process has `number` from now on, with its files."""
        if not self._lock(number):
            return False
        self._forget_present(number)
        self._make_files(number)
        return True

    def files(self) -> Iterator[str]:
        """Yield the files that count now: all but the gauges of processes that are gone."""
        for path in sorted(self.path.glob("*.db")):
            kind, number = path.stem.rsplit("_", 1)
            if kind != _GAUGES or number == SUPERVISOR or not _is_free(self.path / f"{number}.lock"):
                yield str(path)

    def delete(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        while self._locks:
            os.close(self._locks.pop())

    def _lock(self, number: str) -> bool:
        """Return whether this process has `number` from now on."""
        descriptor = os.open(self.path / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._locks.append(descriptor)
        return True

    def _forget_present(self, number: str) -> None:
        (self.path / f"{_GAUGES}_{number}.db").unlink(missing_ok=True)

    def _make_files(self, number: str) -> None:
        """Make the files that are missing. Each appears when it has its room, because an empty one cannot be read."""
        for kind in _KINDS:
            path = self.path / f"{kind}_{number}.db"
            if path.exists():
                continue
            new = path.with_suffix(".new")
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _allocate(descriptor)
                new.rename(path)
            finally:
                os.close(descriptor)
                new.unlink(missing_ok=True)


def _allocate(descriptor: int) -> None:
    """Give a file FILE_BYTES of room. Raise OSError if there is none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
    else:  # macOS, where nothing of this is in shared memory
        os.ftruncate(descriptor, FILE_BYTES)


def _is_free(lock: Path) -> bool:
    """Return whether no process holds a lock."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class _Merged:
    """A collector of all files of a folder, as one process' metrics, sorted by name."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Any]:
        """Yield each metric with the sum of its values."""
        from prometheus_client.multiprocess import MultiProcessCollector

        merged = MultiProcessCollector.merge(list(self._folder.files()), accumulate=True)  # type: ignore[no-untyped-call]
        for metric in sorted(merged, key=lambda metric: metric.name):
            # Prometheus takes a label without a value for no label: a service without lines has none to show.
            metric.samples = [
                sample._replace(labels={name: value for name, value in sample.labels.items() if value or name != LINE})
                for sample in metric.samples
            ]
            yield metric


def exposition(folder: Folder) -> tuple[bytes, str]:
    """Return the sum of all files of a folder in Prometheus' text format, and its content type."""
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    for left in reversed(range(_ATTEMPTS)):
        try:
            return generate_latest(_Merged(folder)), CONTENT_TYPE_PLAIN_0_0_4
        except (OSError, RuntimeError, struct.error):
            if not left:
                raise
    raise AssertionError("unreachable")
