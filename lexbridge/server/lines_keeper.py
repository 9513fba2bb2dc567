"""The supervisor's part in the table of lines: it has a child look at LINES_FILE, and publishes what was found good.

Reading may take long, or hang, and leaves threads and connections behind. So each look is a short-lived process.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from lexbridge.logs import Log
from lexbridge.server.children import fork_child
from lexbridge.server.published_lines import Look, SharedBytes
from lexbridge.server.signals import SignalQueue

LOOK_EVERY_S = 60.0
"""Interval in seconds at which LINES_FILE is looked at."""

LOOK_LIMIT_S = 120.0
"""Limits a look, in seconds: a process that takes longer is ended, and the next one tries again."""

NICENESS = 10
"""What a look adds to its niceness, because calls go first."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Look).decode


class Lines(Protocol):
    """The table of lines of the server."""

    version: str
    """The version of the file that is served."""

    @property
    def generation(self) -> int:
        """The number of the newest table."""

    def look(self, known: str) -> Look:
        """Read and check the file, and prepare a new table. `known`: version to leave alone, or ""."""

    def publish(self) -> None:
        """Have all workers serve new calls by the table that was prepared."""


class LinesKeeper:
    """The keeper of the table of lines, which has it read at SIGHUP, and when the file has changed.

    Nothing waits for it. What is wrong with a file is logged once, and again at SIGHUP; the table before stays.
    """

    def __init__(self, lines: Lines, configure_log: Callable[[], object]) -> None:
        """`configure_log`: called first in the process that looks."""
        self._lines = lines
        self._configure_log = configure_log
        self._report = SharedBytes("lexbridge-lines-look")
        self._known = lines.version  # the newest version that was looked at
        self._error = ""  # why the file could not be read last
        self._pid: int | None = None
        self._started_s = time.monotonic()
        self._is_asked = False  # for another look, by SIGHUP
        self._answers = False  # whether the present look was asked for
        self._log = Log()

    def read_anew(self) -> None:
        """Read the file as soon as possible, although its version may be known."""
        self._is_asked = True

    def start_if_due(self, signals: SignalQueue) -> None:
        """Have a process look at the file, if it is time and none does."""
        if self._pid is not None or not (self._is_asked or self._age_s() >= LOOK_EVERY_S):
            return
        self._started_s, self._answers, self._is_asked = time.monotonic(), self._is_asked, False
        known = "" if self._answers else self._known
        try:
            self._report.write(b"")
            self._pid = fork_child(signals, lambda: self._look(known), self._log_bug)
        except OSError as error:  # no memory, or no more processes allowed
            self._take(Look(result="unread", error=str(error.strerror)))

    def watch(self) -> None:
        """End a look that takes too long."""
        if self._pid is not None and self._age_s() > LOOK_LIMIT_S:
            os.kill(self._pid, signal.SIGKILL)

    def reaped(self, pid: int, status: int) -> bool:
        """Take what a look has found, if it is one that has ended. Return whether it is."""
        if pid != self._pid:
            return False
        self._pid = None
        try:
            look = _decode(self._report.read())
        except msgspec.MsgspecError:
            how = f"status {status}" if status >= 0 else signal.Signals(-status).name
            look = Look(result="unread", error=f"the reading process ended: {how}")
        self._take(look)
        return True

    def end(self) -> None:
        """End a look, because the service ends."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)

    def _look(self, known: str) -> int:
        """Look at the file, as the main function of a process. Return the exit status."""
        os.nice(NICENESS)
        self._configure_log()
        self._report.write(_encode(self._lines.look(known)))
        return 0

    def _take(self, look: Look) -> None:
        """Publish the table that was found, or log why it stays."""
        fields: Mapping[str, object] = {"by": "signal" if self._answers else "file"}
        was_unread, self._error = self._error, look.error
        if look.result == "unread":
            if self._answers or look.error != was_unread:
                self._log.warning("lines-unread", error=look.error, **fields)
            return
        self._known = look.version
        if look.result == "refused":
            self._log.error("lines-refused", problems=look.problems, generation=self._lines.generation, **fields)
        elif look.result == "reloaded":
            self._lines.publish()
            counts = {name: getattr(look, name) for name in ("lines", "added", "changed", "removed")}
            self._log.info("lines-reloaded", generation=self._lines.generation, **counts, **fields)
        elif self._answers or was_unread:
            self._log.info("lines-unchanged", generation=self._lines.generation, **fields)

    def _age_s(self) -> float:
        return time.monotonic() - self._started_s

    def _log_bug(self) -> None:
        self._log.exception("lines-broken")
