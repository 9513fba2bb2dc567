"""The bridge as a process of its own: `server.py` on a free port, with its log in a file."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

import gevent
import requests
from gevent import subprocess

from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
START_LIMIT_S = 120.0
STOP_LIMIT_S = 10.0
KILL_LIMIT_S = 2.0
MAX_LOOP_LAG_MS = "10000"
"""Limits how late the event loop may be, in milliseconds: a machine that is busy otherwise refuses no call for that."""

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "VIRTUAL_ENV")


def settings_of_local_bot(bot: Bot, generation: Literal["v1", "v2"], lex_url: str) -> dict[str, str]:
    """Return the settings with which a bridge asks this bot of a local Lex."""
    alias = next(iter(sorted(bot.aliases)), "TSTALIASID")
    if generation == "v1":
        named = {"LEX_BOT_NAME": bot.name, "LEX_BOT_ALIAS": alias}
    else:
        named = {"LEX_BOT_ID": bot.v2_id, "LEX_BOT_ALIAS_ID": alias, "LEX_LOCALE_ID": bot.locale_id}
    return {
        **named,
        "AWS_REGION": "us-east-1",
        "ACCESS_KEY_ID": "offline",
        "SECRET_ACCESS_KEY": "offline",
        "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE": lex_url,
        "AWS_ENDPOINT_URL_LEX_RUNTIME_V2": lex_url,
    }


class BridgeFailed(RuntimeError):
    """The bridge did not start; the message has the end of its log."""


class BridgeProcess:
    """`server.py` with the given settings over the ones of a test. Use it as a context manager.

    `settings`: the environment, which wins over CONTAINER_PORT, URL and MAX_LOOP_LAG_MS of this class. Nothing else is
    inherited but what Python needs, and the working directory is the log's, so that no `.env` of the project's gets in.
    `program`: another file that starts the server.
    """

    def __init__(self, settings: Mapping[str, str], log: Path, program: Path = ROOT / "server.py") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._program = program
        own = {"CONTAINER_PORT": str(self.port), "URL": self.url, "MAX_LOOP_LAG_MS": MAX_LOOP_LAG_MS}
        self._settings = {**own, **settings}
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Starts it and returns when it serves. Raises BridgeFailed."""
        self._log = self.log.open("wb")
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, str(self._program)],
            cwd=self.log.resolve().parent,
            env={**environment, "PYTHONUNBUFFERED": "1", **self._settings},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends it
        )
        try:
            self._await_ping(self._process)
        except BaseException:
            self._stop(self._process)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._stop(self._process)

    @property
    def pid(self) -> int:
        """Process id of the supervisor, whose children are the workers."""
        return self._running().pid

    def send_signal(self, signum: signal.Signals) -> None:
        """Send a signal to the supervisor, as an operator would."""
        self._running().send_signal(signum)

    def wait(self, timeout_s: float) -> int:
        """Wait until the process has ended by itself, and return its exit status. Raises TimeoutError if it goes on."""
        try:
            return int(self._running().wait(timeout=timeout_s))
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"server.py goes on after {timeout_s:g} s:\n{self._log_end()}") from None

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise AssertionError("it was not started")
        return self._process

    def _await_ping(self, process: "subprocess.Popen[bytes]") -> None:
        deadline_s = time.monotonic() + START_LIMIT_S
        with requests.Session() as session:
            session.trust_env = False
            while time.monotonic() < deadline_s:
                if process.poll() is not None:
                    raise BridgeFailed(f"server.py ended with status {process.returncode}:\n{self._log_end()}")
                try:
                    if session.get(f"{self.url}/ping", timeout=1).status_code == 200:
                        return
                except requests.RequestException:
                    gevent.sleep(0.05)
        raise BridgeFailed(f"server.py did not answer /ping within {START_LIMIT_S:.0f} s:\n{self._log_end()}")

    def _stop(self, process: "subprocess.Popen[bytes]") -> None:
        for limit_s in (STOP_LIMIT_S, KILL_LIMIT_S):  # the second signal ends its workers at once
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=limit_s)
        process.kill()
        process.wait()
        if self._log is not None:
            self._log.close()

    def _log_end(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
