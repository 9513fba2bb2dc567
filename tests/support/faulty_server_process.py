"""The server of tests/support/faulty_server.py as a process of its own, with its log."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.ports import free_port
from tests.support.log_lines import events_in
from tests.support.processes import children
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, V1_BOT


class Server:
    """A running `faulty_server.py`."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def worker(self) -> int:
        """Process id of the server's only worker."""
        (worker,) = children(self._process.pid)
        return worker

    def text(self) -> str:
        """Return the standard output and standard error so far."""
        return self._log.read_text(encoding="utf-8")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of `event`. All lines are JSON."""
        return events_in(self._log, event)

    def end(self) -> int:
        """Send SIGTERM. Return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=PATIENCE_S)


@contextmanager
def running_faulty_server(folder: Path, **changes: str) -> Iterator[Server]:
    """Start the server, and wait until it serves."""
    log = folder / "server.log"
    environment = {**ENVIRONMENT, **V1_BOT, "CONTAINER_PORT": str(free_port()), "PYTHONPATH": str(ROOT)}
    nowhere = {"TWILIO_API_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": "http://127.0.0.1:9"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/support/faulty_server.py")],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environment, **nowhere, **changes},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    started = Server(process, log)
    there: list[int] = []
    try:
        wait_until(lambda: "serving" in started.text() or process.poll() is not None)
        there = children(process.pid)
        yield started
    finally:
        for pid in there:  # one that is stopped would outlive its parent
            if pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
