"""Server under test in a process of its own: lexbridge's socket layer, or stock gevent-websocket for comparison.

    python -m bench.harness.socket_server --kind ours --app calls

It prints its port, answers each line on its standard input with a line of JSON about itself, and ends with its input.
"""

from gevent import monkey

monkey.patch_all()

import argparse
import gc
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import gevent
import geventwebsocket.handler
import greenlet
from flask import Flask
from gevent.fileobject import FileObject
from gevent.pywsgi import WSGIServer
from geventwebsocket.websocket import WebSocket as StockSocket

from lexbridge import logs
from lexbridge.bridge import live_call as bridge
from lexbridge.call.session import CallSession
from lexbridge.config.reading import read_settings
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_server import MediaServer
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.server.build import build_service

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"  # nobody here ever speaks, so nobody is ever asked
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "ACCESS_KEY_ID": "offline",
    "SECRET_ACCESS_KEY": "offline",
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "URL": "https://voice.example.com",
    "LEX_BOT_NAME": "OrderFlowers",
    "LEX_BOT_ALIAS": "prod",
    "TWILIO_API_URL": NOWHERE,
}
STAMP = '"sent_ns":'

frames: Counter[str] = Counter()
"""Media messages that carry a stamp and were taken by their call, by stream."""
delays_ms: list[float] = []
"""From the stamp to the end of the call's own work on the message."""
messages = 0


class TimedSession(CallSession):
    """A call that notes how late each stamped message was when it was done with it."""

    def receive(self, text: str) -> None:
        global messages
        super().receive(text)
        messages += 1
        if STAMP in text:
            message = json.loads(text)
            frames[message["streamSid"]] += 1
            delays_ms.append((time.monotonic_ns() - message["sent_ns"]) / 1e6)


class ForgivingStockSocket(StockSocket):  # type: ignore[misc]
    """Stock gevent-websocket, but a peer that breaks off is the end and not an exception."""

    limits = Limits()

    def ping(self, payload: bytes) -> None:
        """Does nothing: its peers here always send media."""

    def receive(self) -> str | None:
        try:
            message: str | None = super().receive()
        except Exception:
            return None
        return message


def calls_app() -> Flask:
    """The whole bridge, with timed calls."""
    bridge.CallSession = TimedSession  # type: ignore[misc]
    os.environ["AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE"] = NOWHERE
    settings = read_settings(ENVIRONMENT)
    return build_service(settings).app


def drain_app() -> Flask:
    """A socket whose messages are taken and dropped: the socket layer alone."""
    app = Flask("drain")

    @Sockets(app).route("/")  # type: ignore[untyped-decorator]
    def drain(websocket: Any) -> None:
        global messages
        while websocket.receive() is not None:
            messages += 1

    return app


APPS: dict[str, Callable[[], Flask]] = {"calls": calls_app, "drain": drain_app}


def state() -> dict[str, Any]:
    """What the process has used and holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        **light_state(),
        "resident_mb": pages * resource.getpagesize() / 1e6,
        "greenlets": sum(isinstance(found, greenlet.greenlet) and not found.dead for found in gc.get_objects()),
        "frames": sum(frames.values()),
        "delays_ms": sorted(delays_ms)[-2000:],
        "refused": refused.totals,
    }


def light_state() -> dict[str, Any]:
    """What can be told without stopping the loop for long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "user_s": used.ru_utime,
        "system_s": used.ru_stime,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "messages": messages,
    }


def serve(kind: str, app: Flask) -> None:
    """Serves until standard input ends."""
    logs.configure("WARNING", "json", logging.StreamHandler(sys.stderr))
    if kind == "stock":
        geventwebsocket.handler.WebSocket = ForgivingStockSocket
        quiet = logging.getLogger("quiet")
        quiet.setLevel(logging.CRITICAL)
        server = WSGIServer(
            ("127.0.0.1", 0), app, handler_class=geventwebsocket.handler.WebSocketHandler, log=None, error_log=quiet
        )
        server.logger = quiet
    else:
        server = MediaServer(("127.0.0.1", 0), app, strangers=TokenBucket(1e9, 1e9))  # every refusal is to be seen
    gc.collect()
    gc.freeze()  # as server.py does
    server.start()
    print(server.server_port, flush=True)
    for line in FileObject(sys.stdin.fileno(), "rb", closefd=False):
        print(json.dumps(light_state() if line == b"light\n" else state()), flush=True)
    server.stop(timeout=0)


class Door:
    """A server under test. `kind`: "ours" or "stock"; `app`: one of APPS."""

    def __init__(self, kind: str, app: str) -> None:
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the door
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "bench.harness.socket_server", "--kind", kind, "--app", app],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
        )
        assert self._process.stdout
        self.address = ("127.0.0.1", int(self._process.stdout.readline()))

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self.errors.close()

    def ask(self, what: str = "state") -> dict[str, Any]:
        """The server's state, or with "light" a part of it that costs nothing."""
        assert self._process.stdin
        assert self._process.stdout
        with gevent.Timeout(120):
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    @property
    def is_running(self) -> bool:
        """Whether it has not crashed."""
        return self._process.poll() is None

    def tracebacks(self) -> int:
        """How many it has written."""
        self.errors.seek(0)
        return self.errors.read().count(b"Traceback")


def table(rows: list[list[str]]) -> str:
    """Rows in columns; the first is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("ours", "stock"), default="ours")
    parser.add_argument("--app", choices=sorted(APPS), default="calls")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    del soft
    serve(options.kind, APPS[options.app]())


if __name__ == "__main__":
    main()
