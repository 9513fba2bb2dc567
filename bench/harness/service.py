"""The processes of the survival bench, and what /proc tells of them. Not a measurement itself. Linux only."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from bench.harness import light_http
from bench.harness.light_http import ConnectionFailed, NoAnswer

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0
_CLOCK_HZ = os.sysconf("SC_CLK_TCK")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class StartFailed(RuntimeError):
    """A process did not start; the message has the end of its log."""


def children(pid: int) -> list[int]:
    """The process's children that are alive."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text(encoding="ascii").split()]
    return [child for child in found if _stat(child)[0] not in ("", "Z")]


def cpu_s(pid: int) -> float:
    """CPU that the process used, with all its children: those that it has waited for, and those that are alive."""
    _, fields = _stat(pid)
    if not fields:
        return 0.0
    own = sum(map(int, fields[10:14])) / _CLOCK_HZ  # utime, stime, cutime, cstime: fields 14 to 17 of proc(5)
    return own + sum(map(cpu_s, children(pid)))


def resident_mb(pid: int) -> float:
    """Memory of the process that no other shares, and its part of what they do: its PSS."""
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def threads(pid: int) -> int:
    """Threads of the process."""
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208


def descriptors(pid: int) -> int:
    """Open descriptors of the process."""
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


def _stat(pid: int) -> tuple[str, list[str]]:
    """The process's state, and the fields of its stat from the state on."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[1:]) if fields else ("", [])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def raise_descriptor_limit() -> None:
    """As many as we may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A port of the loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """One process of ours, its output in a file. Use it as an asynchronous context manager."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        """`arguments`: Python's."""
        self.log = log
        self._arguments = arguments
        self._environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environment)
        self._output: IO[bytes] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Service":
        self._output = self.log.open("wb")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._arguments,
            cwd=self.log.parent,
            env={**self._environment, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
            stdout=self._output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
            except TimeoutError:
                for pid in [*children(process.pid), process.pid]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await process.wait()
        assert self._output
        self._output.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._running.returncode is None

    @property
    def workers(self) -> list[int]:
        """The processes that serve calls: its children, or itself where it has none."""
        return children(self.pid) or [self.pid]

    def send_signal(self, signum: signal.Signals) -> None:
        """To the process, and to none of its children."""
        self._running.send_signal(signum)

    async def first_line(self) -> str:
        """The first line it prints. Raises StartFailed."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s and self.is_running:
            line, newline, _ = self.log.read_text(encoding="utf-8", errors="replace").partition("\n")
            if newline:
                return line
            await asyncio.sleep(0.02)
        raise StartFailed(f"{self._arguments} said nothing: {self.log_end()}")

    async def until_served(self, port: int, path: str) -> None:
        """Waits until it answers a GET of `path` with 200. Raises StartFailed."""
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s and self.is_running:
            with contextlib.suppress(ConnectionFailed, NoAnswer):
                if (await get(port, path))[0] == 200:
                    return
            await asyncio.sleep(0.05)
        raise StartFailed(f"{self._arguments} does not answer {path}: {self.log_end()}")

    def log_end(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process, "it was not started"
        return self._process


async def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET. Raises ConnectionFailed or NoAnswer."""
    connection = await light_http.connect(("127.0.0.1", port), 2)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    status, _, body = await light_http.ask(connection, head.encode(), 5)
    return status, body


def counting_lex(log: Path, least: int, most: int, thinking_s: float, say_s: float) -> Service:
    """The bot; its first line is its port."""
    turns = ["--least-turns", str(least), "--turns", str(most)]
    takes = ["--thinking-s", str(thinking_s), "--say-s", str(say_s)]
    return Service(["-m", "bench.harness.counting_lex", *turns, *takes], {}, log)


async def lex_counts(port: int) -> dict[str, int]:
    """What the bot has counted."""
    counts: dict[str, int] = json.loads((await get(port, "/counts"))[1])
    return counts


def bridge(
    log: Path, *, port: int, lex_port: int, twilio_url: str, auth_token: str, settings: Mapping[str, str],
    program: str = "server.py",
) -> Service:  # fmt: skip
    """The bridge under test. `settings`: over those of the bench. `program`: in the project's directory."""
    environment = {
        "AWS_REGION": "us-east-1",
        "ACCESS_KEY_ID": "offline",
        "SECRET_ACCESS_KEY": "offline",
        "LEX_BOT_ID": "COUNTINGV2",
        "LEX_BOT_ALIAS_ID": "TSTALIASID",
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": f"http://127.0.0.1:{lex_port}",
        "TWILIO_AUTH_TOKEN": auth_token,
        "TWILIO_API_URL": twilio_url,
        "CONTAINER_PORT": str(port),
        "URL": f"http://127.0.0.1:{port}",
        "GREETING": "turn 1",
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    return Service([str(ROOT / program)], environment, log)
