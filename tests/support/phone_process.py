"""`python -m lexbridge.offline run` as a process of its own, with a page to open."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lexbridge.offline.commands.bridge_process import ROOT
from lexbridge.offline.ports import free_port
from tests.support.commands import DEADLINE_S, offline


class RunningPhone:
    """The command `run`, with its printed lines in a file. `port`: of the page."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self.address = f"http://localhost:{self.port}/"
        self.printed = ""
        self._arguments = arguments
        self._file = folder / "run.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it has printed the address."""
        command = offline("run", "--port", str(self.port), *self._arguments)
        hidden = {name: "" for name in os.environ if name.startswith(("LEX_BOT", "TWILIO_"))}
        with self._file.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **hidden}, stdout=out, stderr=subprocess.STDOUT
            )
        deadline_s = time.monotonic() + DEADLINE_S
        while self.address not in self._read():
            assert self._process.poll() is None, self.printed
            assert time.monotonic() < deadline_s, self.printed
            time.sleep(0.1)

    def stop(self, signum: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does, and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signum)
        status = self._process.wait(DEADLINE_S)
        self._read()
        return status

    def bridge_log(self) -> Path:
        """Return the file of the bridge's log."""
        found = re.search(r"The bridge's log is (\S+\.log)", self._read())
        assert found is not None, self.printed
        return Path(found[1])

    def _read(self) -> str:
        self.printed = self._file.read_text(encoding="utf-8", errors="replace")
        return self.printed


@contextmanager
def running_phone(folder: Path, *arguments: str) -> Iterator[RunningPhone]:
    """Run the command, and end it after the test."""
    phone = RunningPhone(folder, *arguments)
    phone.start()
    try:
        yield phone
    finally:
        phone.stop()
