"""Processes of the measurements that run on asyncio: `server.py` under test, and the Lex or Twilio beside it.

Measurements that run on gevent start `server.py` by `lexbridge.offline.commands.bridge_process.BridgeProcess` instead,
with the same settings (`bench.harness.settings`).
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from bench.harness import light_http, proc
from bench.harness.light_http import ConnectionFailed, NoAnswer
from bench.harness.settings import ROOT, service_settings, v2_bot

START_LIMIT_S = 120.0
STOP_LIMIT_S = 10.0
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


OBSERVING = re.compile(r'"pid": (\d+)[^\n]*"event": "observing"')
"""The line of the log that an observer process writes when it starts."""


class StartFailed(RuntimeError):
    """A process did not start; the message has the end of its log."""


class Process:
    """Process whose output goes to a file. It runs while it is entered as an asynchronous context manager.

    `program`: Python if it is not given. `cores`: those that it and its children may use; any if it is not given. It
    inherits nothing of this process's environment but what Python needs.
    """

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        log: Path,
        program: str = sys.executable,
        cores: Collection[int] = (),
    ) -> None:
        self.log = log
        self._program = program
        self._cores = cores
        self._arguments = arguments
        self._environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environment)
        self._output: IO[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Process":
        self._output = self.log.open("wb")
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            *self._arguments,
            cwd=self.log.parent,
            env={**self._environment, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
            stdout=self._output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        if self._cores:
            os.sched_setaffinity(self._process.pid, self._cores)  # long before it has children
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                for pid in [*proc.children(process.pid), process.pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await process.wait()
        assert self._output
        self._output.close()

    @property
    def pid(self) -> int:
        """Process id; of `server.py`, the supervisor's."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._running.returncode is None

    @property
    def workers(self) -> list[int]:
        """Processes that serve calls: the children, but for one that observes, or the process itself without any."""
        log = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        observers = set(map(int, OBSERVING.findall(log)))
        return [pid for pid in proc.children(self.pid) if pid not in observers] or [self.pid]

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal to the process, and not to its children."""
        self._running.send_signal(signum)

    async def first_line(self) -> str:
        """Return the first line that the process prints. Raises StartFailed."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s and self.is_running:
            line, newline, _ = self.log.read_text(encoding="utf-8", errors="replace").partition("\n")
            if newline:
                return line
            await asyncio.sleep(0.02)
        raise StartFailed(f"{self._arguments} printed nothing: {self.log_end()}")

    async def until_served(self, port: int, path: str) -> None:
        """Wait until a GET of `path` is answered with 200. Raises StartFailed."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s and self.is_running:
            with contextlib.suppress(ConnectionFailed, NoAnswer):
                if (await get(port, path))[0] == 200:
                    return
            await asyncio.sleep(0.05)
        raise StartFailed(f"{self._arguments} does not answer {path}: {self.log_end()}")

    def log_end(self) -> str:
        """Return the last 2,000 characters that the process printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process, "it was not started"
        return self._process


async def get(port: int, path: str) -> tuple[int, bytes]:
    """Return status and body of a GET. Raises ConnectionFailed or NoAnswer."""
    connection = await light_http.connect(("127.0.0.1", port), 2)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    status, _, body = await light_http.ask(connection, head.encode(), 5)
    return status, body


def counting_lex(log: Path, least: int, most: int, thinking_s: float, say_s: float) -> Process:
    """Return the process of the counting Lex. The first line that it prints is its port."""
    turns = ["--least-turns", str(least), "--turns", str(most)]
    takes = ["--thinking-s", str(thinking_s), "--say-s", str(say_s)]
    return Process(["-m", "bench.harness.counting_lex", *turns, *takes], {}, log)


async def lex_counts(port: int) -> dict[str, int]:
    """Return what the counting Lex has counted."""
    counts: dict[str, int] = json.loads((await get(port, "/counts"))[1])
    return counts


def server(
    log: Path, *, port: int, lex_port: int, twilio_url: str, auth_token: str, settings: Mapping[str, str],
    program: str = "server.py",
) -> Process:  # fmt: skip
    """Return the process of the service under test.

    `settings`: take precedence over those of all measurements. `program`: path from the folder of the project.
    """
    environment = service_settings(
        v2_bot("COUNTINGV2"),
        lex_url=f"http://127.0.0.1:{lex_port}",
        twilio_url=twilio_url,
        auth_token=auth_token,
        CONTAINER_PORT=str(port),
        URL=f"http://127.0.0.1:{port}",
        GREETING="turn 1",
        LOG_LEVEL="WARNING",
    )
    return Process([str(ROOT / program)], {**environment, **settings}, log)
