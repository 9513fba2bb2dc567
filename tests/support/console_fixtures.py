"""Fixtures of the tests of the console's pages: a Chromium, and a console with ended calls and live ones."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browser import open_browser
from tests.support.console_server import ConsoleServer
from tests.support.told_calls import Told, booking, flower_order, live_rows


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window, one for the module."""
    with open_browser() as chromium:
        yield chromium


@pytest.fixture
def server() -> Iterator[ConsoleServer]:
    """Console with calls that were drawn by hand."""
    now_s = time.time()
    with ConsoleServer([flower_order(now_s - 900), booking(now_s - 300)], live_rows(6, now_s)) as started:
        yield started


@pytest.fixture
def order(server: ConsoleServer) -> Told:
    """Call in call-update mode: an order of flowers."""
    return server.calls["CA42e9d7b3759554ce6070bf7bf93f3b2b"]


@pytest.fixture
def stream_call(server: ConsoleServer) -> Told:
    """Call in stream mode: a booking."""
    return server.calls["CA7c1f00d24be84a5e9d3a6b1c2f5e8a90"]
