"""The folder of recordings: the names of its files, its bounds, and what a crash has left in it.

A recording is `NAME.wav` and `NAME.json`. While its call is live there are `NAME.wav.part` and `NAME.facts.part`: the
audio so far, and the call's events, one JSON a line. The latter is locked by the process that writes it.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

WAV, JSON = ".wav", ".json"
WAV_PART, FACTS_PART = ".wav.part", ".facts.part"
JSON_PART = ".json.part"

_FILE = re.compile(r"(\d{8}T\d{6}Z-[A-Za-z0-9]{1,64}(?:-\d+)?)(\.wav|\.json|\.wav\.part|\.facts\.part|\.json\.part)")
_DAY_S = 24 * 3600.0

MAX_SAME_NAMES = 100
"""The most recordings with the same second and call, because a call that goes on anew may have several."""


def recording_name(call_sid: str, began_s: float) -> str:
    """Return the name of a recording without an ending: the time in UTC, by which names sort, and the CallSid."""
    sid = re.sub("[^A-Za-z0-9]", "", call_sid)[:64] or "call"
    return f"{datetime.fromtimestamp(began_s, UTC):%Y%m%dT%H%M%SZ}-{sid}"


def is_free(folder: Path, name: str) -> bool:
    """Return whether no file of a recording has this name."""
    return not any((folder / (name + ending)).exists() for ending in (WAV, JSON, WAV_PART, FACTS_PART))


def free_name(folder: Path, call_sid: str, began_s: float) -> str:
    """Return a name that no recording has. Raises OSError if there are too many."""
    name = recording_name(call_sid, began_s)
    for number in range(1, MAX_SAME_NAMES):
        candidate = name if number == 1 else f"{name}-{number}"
        if is_free(folder, candidate):
            return candidate
    raise OSError(17, os.strerror(17))


@dataclass(slots=True)
class Found:
    """The files of one recording together."""

    name: str
    size_bytes: int = 0
    changed_s: float = 0.0
    is_live: bool = False
    """Whether it has files of a call that is not over, or of one that a crash has left."""


def found_in(folder: Path) -> list[Found]:
    """Return the recordings of a folder, the oldest first. Other files are none of ours. Raises OSError."""
    found: dict[str, Found] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _FILE.fullmatch(entry.name)
            if match is None:
                continue
            with suppress(OSError):  # deleted meanwhile
                status = entry.stat(follow_symlinks=False)
                one = found.setdefault(match[1], Found(match[1]))
                one.size_bytes += status.st_size
                one.changed_s = max(one.changed_s, status.st_mtime)
                one.is_live |= match[2] in (WAV_PART, FACTS_PART)
    return sorted(found.values(), key=lambda one: one.name)


def enforce(folder: Path, max_bytes: int, max_days: int) -> tuple[int, bool]:
    """Delete recordings beyond the bounds, the oldest first. Return how many went, and whether there is room for more.

    Raises OSError. Recordings of live calls stay.
    """
    recordings = found_in(folder)
    total_bytes = sum(one.size_bytes for one in recordings)
    deleted = 0
    for one in recordings:
        is_old = time.time() - one.changed_s > max_days * _DAY_S
        if one.is_live or not (is_old or total_bytes > max_bytes):
            continue
        for ending in (WAV, JSON, JSON_PART):
            with suppress(FileNotFoundError):
                (folder / (one.name + ending)).unlink()
        total_bytes -= one.size_bytes
        deleted += 1
    return deleted, total_bytes <= max_bytes


def unfinished(folder: Path) -> list[str]:
    """Return the names of recordings that are not finished. Processes may still write them. Raises OSError."""
    return [one.name for one in found_in(folder) if one.is_live]


def create_locked(facts: Path) -> int:
    """Create the file of a live call's events, locked from the moment at which it has its name. Raises OSError."""
    new = facts.with_name(f"{facts.name}.new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(facts)
    except OSError:
        os.close(file)
        raise
    return file


@contextmanager
def left_by_crash(facts: Path) -> Iterator[bool]:
    """Yield whether no process writes these events any more, and none finishes them. Until the end it is up to us."""
    try:
        file = facts.open("rb")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield os.fstat(file.fileno()).st_nlink > 0  # else another process has finished them meanwhile
