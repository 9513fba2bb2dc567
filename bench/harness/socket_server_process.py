"""Process of a SocketServer: the whole service on lexbridge's socket layer, or on stock gevent-websocket.

    python -m bench.harness.socket_server_process --kind ours

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
import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import geventwebsocket.handler
import greenlet
from flask import Flask
from gevent.fileobject import FileObject
from gevent.pywsgi import WSGIServer
from geventwebsocket.websocket import WebSocket as StockSocket

from bench.harness import proc
from bench.harness.settings import NOWHERE, PUBLIC_URL, lex_endpoints, service_settings
from lexbridge import logs
from lexbridge.bridge import bridge, live_call
from lexbridge.call.session import CallSession
from lexbridge.config.reading import read_settings
from lexbridge.net.http_server import MediaServer
from lexbridge.net.receiver import Receiver
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.server.build import build_service
from lexbridge.twilio import media_messages

STAMP = '"sent_ns":'
"""Field of a media message with the time at which it was sent, ns of the clock that all processes share."""
DELAYS_KEPT = 2000


class Figures:
    """Counts of the process."""

    def __init__(self) -> None:
        self.messages = 0
        self.frames: Counter[str] = Counter()
        """Stamped media messages that a call has taken, by stream."""
        self.delays_ms: list[float] = []
        """Times from the stamp of a message to the end of the call's work on it."""


figures = Figures()


class TimedSession(CallSession):
    """Call that notes how long after its stamp each message was done with."""

    text = ""
    """Message that was parsed last: the one whose event is received next."""

    @classmethod
    def parse(cls, text: str) -> Any:
        """Parse a message, and keep its text for the event that is received next."""
        cls.text = text
        return media_messages.parse(text)

    def receive_all(self, events: Iterable[Any]) -> bool:
        is_quiet = True
        for event in events:
            text, TimedSession.text = TimedSession.text, ""  # other events than messages have none
            is_quiet = super().receive_all((event,)) and is_quiet
            figures.messages += 1
            if STAMP in text:
                message = json.loads(text)
                figures.frames[message["streamSid"]] += 1
                figures.delays_ms.append((time.monotonic_ns() - message["sent_ns"]) / 1e6)
        return is_quiet


class ForgivingStockSocket(StockSocket):  # type: ignore[misc]
    """Stock gevent-websocket, except that a peer that breaks off ends the messages instead of raising."""

    limits = Limits()

    def ping(self, payload: bytes) -> None:
        """Do nothing: the peers of a measurement always send media."""

    def deliver_to(self, receiver: Receiver) -> None:
        """Hand each message to `receiver` as it comes, until the peer has closed the socket."""
        while (message := self.receive()) is not None:
            receiver.received([message], time.monotonic())
        receiver.ended()

    def pause_reading(self) -> None:
        """Do nothing: the receiver keeps what comes meanwhile."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def traffic(self) -> tuple[int, int]:
        """Return nothing: these sockets are not watched."""
        return 0, 0

    def receive(self) -> str | None:
        try:
            message: str | None = super().receive()
        except Exception:
            return None
        return message


def calls_app() -> Flask:
    """Return the application of the whole service, with timed calls."""
    for module, name, timed in ((bridge, "CallSession", TimedSession), (live_call, "parse", TimedSession.parse)):
        assert hasattr(module, name)
        setattr(module, name, timed)
    os.environ.update(lex_endpoints(NOWHERE))
    # What is measured is the socket layer, not the admission of calls.
    return build_service(read_settings(service_settings(URL=PUBLIC_URL, MAX_CALLS="100000"))).app


def state() -> dict[str, Any]:
    """Return what the process has used and holds."""
    gc.collect()
    return {
        **light_state(),
        "resident_mb": proc.resident_mb(os.getpid()),
        "greenlets": sum(isinstance(found, greenlet.greenlet) and not found.dead for found in gc.get_objects()),
        "frames": sum(figures.frames.values()),
        "delays_ms": sorted(figures.delays_ms)[-DELAYS_KEPT:],
        "refused": refused.totals,
    }


def light_state() -> dict[str, Any]:
    """Return the part of the state that can be told without stopping the loop for long."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "user_s": used.ru_utime,
        "system_s": used.ru_stime,
        "descriptors": proc.descriptors(os.getpid()),
        "messages": figures.messages,
    }


def make_server(kind: str, app: Flask) -> WSGIServer:
    """Return a server of lexbridge's socket layer ("ours") or of stock gevent-websocket ("stock")."""
    if kind == "ours":
        return MediaServer(
            ("127.0.0.1", 0), app, strangers=TokenBucket(1e9, 1e9)
        )  # refuse nothing for its rate, so that each refusal is seen
    geventwebsocket.handler.WebSocket = ForgivingStockSocket
    quiet = logging.getLogger("quiet")
    quiet.setLevel(logging.CRITICAL)
    handler = geventwebsocket.handler.WebSocketHandler
    server = WSGIServer(("127.0.0.1", 0), app, handler_class=handler, log=None, error_log=quiet)
    server.logger = quiet  # type: ignore[attr-defined]
    return server


def serve(server: WSGIServer) -> None:
    """Serve until standard input ends."""
    logs.configure("WARNING", "json", logging.StreamHandler(sys.stderr))
    gc.collect()
    gc.freeze()  # as server.py does
    server.start()
    print(server.server_port, flush=True)
    for line in FileObject(sys.stdin.fileno(), "rb", closefd=False):
        print(json.dumps(light_state() if line == b"light\n" else state()), flush=True)
    server.stop(timeout=0)


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=("ours", "stock"), default="ours", help="lexbridge's socket layer, or stock")
    options = parser.parse_args()
    proc.raise_descriptor_limit()
    serve(make_server(options.kind, calls_app()))


if __name__ == "__main__":
    main()
