"""Socket layer under test, in a process of its own: lexbridge's ("ours"), or stock gevent-websocket for comparison."""

import json
import subprocess
import sys
import tempfile
from typing import IO, Any

import gevent

from bench.harness.settings import ROOT

ANSWER_LIMIT_S = 120.0


class SocketServer:
    """Server that runs while it is entered as a context manager.

    `kind`: "ours", the service on lexbridge's socket layer; or "stock", on gevent-websocket's.
    """

    def __init__(self, kind: str) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "bench.harness.socket_server_process", "--kind", kind],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
        )
        assert self._process.stdout
        self.address = ("127.0.0.1", int(self._process.stdout.readline()))

    def __enter__(self) -> "SocketServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self.errors.close()

    def ask(self, what: str = "state") -> dict[str, Any]:
        """Return the server's state, or with "light" the part of it that costs the server nothing."""
        assert self._process.stdin
        assert self._process.stdout
        with gevent.Timeout(ANSWER_LIMIT_S):
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    @property
    def is_running(self) -> bool:
        """Whether the process has not crashed."""
        return self._process.poll() is None

    def tracebacks(self) -> int:
        """Return how many tracebacks the process has written."""
        self.errors.seek(0)
        return self.errors.read().count(b"Traceback")
