"""Patches gevent before a test imports anything: the shell, and its peers, run on it."""

from gevent import monkey

monkey.patch_all()

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from lexbridge import logs
from tests.support.fixtures import Logged, Pauses


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Everything this process logs, at DEBUG and as JSON: a function that returns the lines so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("DEBUG", "json", logging.StreamHandler(stream))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Every `gevent.sleep`: a function that returns the seconds that one greenlet slept, each time it did."""
    slept: list[tuple[Any, float]] = []
    sleep = gevent.sleep

    def noted(seconds: float = 0, ref: bool = True) -> None:
        slept.append((gevent.getcurrent(), seconds))
        sleep(seconds, ref)

    monkeypatch.setattr(gevent, "sleep", noted)
    return lambda greenlet: [seconds for sleeper, seconds in slept if sleeper is greenlet]
