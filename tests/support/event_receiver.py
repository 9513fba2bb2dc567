"""A receiver of posted events: a real HTTP server that keeps what it got, and answers as a test wants."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gevent
from gevent.event import Event as Signal
from gevent.pywsgi import WSGIServer

from tests.support.packages import ROOT, block

Answer = tuple[int, Mapping[str, str]]
OK: Answer = (204, {})

FAR_S = 20
"""Deadline of what a test waits for."""


def verifier_of_the_docs() -> Callable[..., bool]:
    """Return the function `is_genuine` that docs/events.md shows."""
    text = block((ROOT / "docs" / "events.md").read_text(encoding="utf-8"), "verify")
    source = re.sub("^```.*$", "", text, flags=re.MULTILINE)
    names: dict[str, Any] = {}
    exec(f"import base64, hashlib, hmac\n{source}", names)  # noqa: S102 - a document of this repository
    found: Callable[..., bool] = names["is_genuine"]
    return found


class EventReceiver:
    """The receiver. `answers`: what the next requests get; those after them get 204."""

    def __init__(self, *answers: Answer, **ssl: Any) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        """Headers with small letters and body of each request, as it came."""
        self.paths: list[str] = []
        self.came_s: list[float] = []
        self.may_answer = Signal()
        self.may_answer.set()
        self.url = ""
        self._ssl = ssl

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies, read."""
        return [json.loads(body) for _, body in self.requests]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        names = {key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
        body = environ["wsgi.input"].read()
        self.requests.append((names | {"content-type": environ["CONTENT_TYPE"]}, body))
        self.paths.append(environ["PATH_INFO"])
        self.came_s.append(time.monotonic())
        self.may_answer.wait()
        status, headers = self.answers.pop(0) if self.answers else OK
        start_response(f"{status} Whatever", list(headers.items()))
        return [b"" if status == 204 else b"an answer"]

    @contextmanager
    def running(self) -> Iterator["EventReceiver"]:
        """Run the receiver on a port of this machine."""
        server = WSGIServer(("127.0.0.1", 0), self, log=None, error_log=None, **self._ssl)
        server.start()
        self.url = f"http{'s' if self._ssl else ''}://127.0.0.1:{server.server_port}/events"
        try:
            yield self
        finally:
            self.may_answer.set()
            server.stop(timeout=0)

    def gets(self, count: int) -> None:
        """Wait until `count` requests came."""
        waits_until(lambda: len(self.requests) >= count)


def waits_until(is_so: Callable[[], object]) -> None:
    """Wait until `is_so()`, up to a far deadline."""
    give_up_s = time.monotonic() + FAR_S
    while not is_so():
        assert time.monotonic() < give_up_s
        gevent.sleep(0.01)
