"""Patches gevent before a test imports anything: the shell, and its peers, run on it."""

from gevent import monkey

monkey.patch_all()

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lexbridge import logs

Logged = Callable[[], list[dict[str, Any]]]


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
