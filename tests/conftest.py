"""Configuration of all tests: gevent's patch, the choice of pure tests, Hypothesis's profiles, and three fixtures.

Plain `pytest` runs every test in one process that gevent has patched, as it patches the service. `pytest -m pure` runs
the tests that need no gevent, and does not patch: coverage is fast there, and the process may be one of many.
"""

import gc
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import property_tests
from tests.support.fixtures import Logged, Pauses
from tests.support.purity import needs_gevent

PURE = "pure"
"""Marker of the tests that need no gevent."""

gc.disable()  # until all modules are imported
property_tests.load_profile()


def _is_pure(config: pytest.Config) -> bool:
    """Return whether only pure tests are to run: `-m` says `pure`, alone or `and` more."""
    return bool(config.option.markexpr.split(" and ")[0] == PURE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs a few tests of each module."""
    parser.addoption(
        "--first",
        type=int,
        metavar="N",
        help="run the first N test functions of each module, each with its first parameters",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Patch the standard library before any test module is imported, unless only pure tests are to run."""
    if not _is_pure(config):
        from gevent import monkey

        monkey.patch_all()


def pytest_collection_finish() -> None:
    """Look for garbage again, but never among what was imported: that took an eighth of the CPU of all tests."""
    gc.freeze()
    gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the modules that need gevent where only pure tests run: they are not even imported."""
    is_module = collection_path.suffix == ".py"
    return True if _is_pure(config) and is_module and needs_gevent(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the pure tests, before `-m` chooses by markers. Keep the first tests of each module if `--first` says so."""
    if PURE in config.option.markexpr:
        for item in items:
            if not needs_gevent(item.path):
                item.add_marker(PURE)
    if (count := config.getoption("first")) is not None:
        items[:] = _first(items, count)


def _first(items: list[pytest.Item], count: int) -> list[pytest.Item]:
    """Return the first `count` test functions of each module, each with its first parameters."""
    names: dict[Path, set[str]] = {}
    kept = []
    for item in items:
        name = item.nodeid.partition("[")[0]
        there = names.setdefault(item.path, set())
        if name not in there and len(there) < count:
            there.add(name)
            kept.append(item)
    return kept


@pytest.fixture(autouse=True)
def no_lines_after_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End the windows of rate-limited logs with the test: their lines would come 10 s later, in another test."""
    if _is_pure(request.config):
        yield
        return
    import gevent

    from lexbridge.logs import RateLimitedLog

    windows: list[tuple[RateLimitedLog, gevent.Greenlet]] = []
    spawn_later = gevent.spawn_later

    def noted(seconds: float, run: Callable[..., object], *arguments: object) -> gevent.Greenlet:
        greenlet = spawn_later(seconds, run, *arguments)
        if isinstance(log := getattr(run, "__self__", None), RateLimitedLog):
            windows.append((log, greenlet))
        return greenlet

    monkeypatch.setattr(gevent, "spawn_later", noted)
    yield
    for log, window in windows:
        window.kill(block=False)
        log._unwritten.clear()


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Log at DEBUG and as JSON. Give a function that returns the lines so far."""
    from lexbridge import logs

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("DEBUG", "json", logging.StreamHandler(stream))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    """Watch `gevent.sleep`. Give a function that returns the seconds of each sleep of a greenlet."""
    import gevent

    slept: list[tuple[Any, float]] = []
    sleep = gevent.sleep

    def noted(seconds: float = 0, ref: bool = True) -> None:
        slept.append((gevent.getcurrent(), seconds))
        sleep(seconds, ref)

    monkeypatch.setattr(gevent, "sleep", noted)
    return lambda greenlet: [seconds for sleeper, seconds in slept if sleeper is greenlet]
