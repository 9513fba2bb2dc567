"""A running supervisor of workers that do next to nothing (supervised_workers.py)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.log_lines import events_in
from tests.support.processes import children, is_running
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S


class Supervised:
    """A running supervisor of workers that do next to nothing."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.pid = process.pid
        """The process id of the supervisor."""
        self._log = log

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of `event`."""
        return events_in(self._log, event)

    def text(self) -> str:
        """Return the standard output and standard error so far."""
        return self._log.read_text(encoding="utf-8")

    def are_ready(self, count: int) -> list[int]:
        """Wait until `count` workers have become ready since the start. Return the pids of the workers that run."""
        wait_until(lambda: len(self.lines("serving") + self.lines("worker-started")) >= count)
        return children(self.pid)

    def end(self, *signums: signal.Signals) -> int:
        """Send the signals. Return the exit status, and check that no worker is left."""
        there = children(self.pid)
        for signum in signums:
            os.kill(self.pid, signum)
        status = self.process.wait(timeout=PATIENCE_S)
        assert not any(map(is_running, there))
        return status


@contextmanager
def supervised(folder: Path, *before: str, **options: Any) -> Iterator[Supervised]:
    """Run a supervisor. `before`: a command through which it is started."""
    log = folder / "supervisor.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*before, sys.executable, str(ROOT / "tests/support/supervised_workers.py"), json.dumps(options)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    started = Supervised(process, log)
    there: list[int] = []
    try:
        yield started
        there = children(process.pid)
    finally:
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(is_running, there)))
