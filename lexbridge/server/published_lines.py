"""The table of lines in shared memory: the supervisor publishes it, and each worker reads it when it is newer than its.

The supervisor makes the memory before it forks, so a worker that starts later finds the newest table, too. No file
holds the secrets of the lines.
"""

import mmap
import os
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from lexbridge.config.twilio_account import TwilioAccount


class DepartedAccount(msgspec.Struct, frozen=True):
    """A Twilio account that the table does not have any more, whose live calls go on. `until_s`: Unix time."""

    account: TwilioAccount
    until_s: float


class LinesRecord(msgspec.Struct, frozen=True):
    """The table as it is published. `lines`: the plain data of LINES_FILE."""

    lines: Mapping[str, Any]
    departed: list[DepartedAccount] = []


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a look at LINES_FILE.

    `result`: "reloaded": a new table was prepared; "unchanged": it is as served; "refused": it has problems; "unread":
    it could not be read. `version`: that of the file. `problems`: their number. `error`: why it could not be read.
    """

    result: Literal["reloaded", "unchanged", "refused", "unread"]
    version: str = ""
    problems: int = 0
    error: str = ""
    lines: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LinesRecord).decode


def through_memory(lines: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return plain data as those who read it find it: the dates and times of TOML are texts then."""
    return _decode(_encode(LinesRecord(lines))).lines


class SharedBytes:
    """Bytes that one process writes and others read, in memory that all of them share."""

    def __init__(self, name: str) -> None:
        """`name`: what the system shows in /proc."""
        self._descriptor = os.memfd_create(name)

    def write(self, content: bytes) -> None:
        """Write `content` instead of what is there."""
        os.ftruncate(self._descriptor, 0)
        at = 0
        while at < len(content):
            at += os.pwrite(self._descriptor, content[at:], at)

    def read(self) -> bytes:
        """Return what was written last."""
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0)

    def close(self) -> None:
        """Give the memory back, once all processes have done so."""
        os.close(self._descriptor)


class PublishedLines:
    """The newest table, and its generation: the number of tables so far. Make it in the supervisor, before any fork.

    One process prepares a table at a time, and the supervisor publishes it. Readers take no lock: of two places, the
    one that is not served is written.
    """

    def __init__(self) -> None:
        # One aligned machine word, so that no reader sees half of it.
        self._generation = memoryview(mmap.mmap(-1, 8)).cast("Q")
        self._places = [SharedBytes(f"lexbridge-lines-{number}") for number in range(2)]

    @property
    def generation(self) -> int:
        """The number of the newest table; 0 before the first one."""
        return self._generation[0]

    def prepare(self, record: LinesRecord) -> None:
        """Write the next table, which nobody reads yet."""
        self._places[(self.generation + 1) % 2].write(_encode(record))

    def publish(self) -> None:
        """Have all processes read what was prepared last, from now on."""
        self._generation[0] += 1

    def read(self) -> tuple[int, LinesRecord]:
        """Return the newest table and its generation."""
        while True:
            generation = self.generation
            content = self._places[generation % 2].read()
            if generation == self.generation:  # else this place may be written meanwhile
                return generation, _decode(content)

    def close(self) -> None:
        """Give the memory back, once all processes have done so."""
        for place in self._places:
            place.close()
