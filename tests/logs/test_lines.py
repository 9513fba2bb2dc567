"""Bytes of log lines: as recorded, and as structlog writes them."""

import json
import logging
import random
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import pytest
import structlog

from lexbridge import logs
from lexbridge.logs import Log, formats
from lexbridge.logs.lines import LineHandler
from tests.support.fixtures import Logged
from tests.support.log_cases import CASES, CONFIGURATIONS, TEXTS, VALUES, Case

RECORDED = Path(__file__).resolve().parents[1] / "data" / "log-lines.json"
RECORDED_AT = "2026-11-28T03:21:05.123456Z"
RECORDED_AT_NS = 1_795_836_065_123_456_789
SEED = 20261128
Configuration = tuple[str, bool, int | None]


class Lines(LineHandler):
    """An output that keeps the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def put(self, line: str) -> None:
        self.lines.append(line)


Configure = Callable[[str, bool, int | None], Lines]


@pytest.fixture
def configure(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Give a function that configures the log, stop its clock, and restore the log afterwards."""
    monkeypatch.setattr(formats, "time_ns", lambda: RECORDED_AT_NS)

    def configured(log_format: str, colors: bool, pid: int | None) -> Lines:
        out = Lines()
        logs.configure("DEBUG", log_format, out, colors, pid)
        return out

    return configured


def write(case: Case) -> None:
    log = Log()
    for fields in case.bound:
        log = log.bind(**fields)
    log.write(case.level, case.event, case.fields)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_each_line_is_as_recorded(configuration: Configuration, configure: Configure) -> None:
    log_format, colors, pid = configuration
    recorded = json.loads(RECORDED.read_text())[f"{log_format} {'coloured' if colors else 'plain'} {pid}"]
    out = configure(*configuration)
    for case, line in zip(CASES, recorded, strict=True):
        write(case)
        assert out.lines.pop() == line
        assert out.lines == []


def reference(configuration: Configuration) -> structlog.stdlib.ProcessorFormatter:
    """Return structlog's own way to the lines of a format."""
    log_format, colors, pid = configuration
    of = formats.TextFormat(pid, colors) if log_format == "text" else formats.JsonFormat(pid)
    return of.of_libraries


def of_structlog(configuration: Configuration, level: str, event: str, fields: dict[str, Any]) -> str:
    """Return the line that structlog makes of an event."""
    formatter = reference(configuration)
    line: Any = {**fields, "event": event, "level": level, "timestamp": RECORDED_AT}
    if configuration[2] is not None:
        line = {"pid": configuration[2], **line}
    record = logging.makeLogRecord({"msg": line, "_logger": None, "_name": level})
    return formatter.format(record)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_any_line_is_as_structlog_writes_it(configuration: Configuration, configure: Configure) -> None:
    """Lines of random fields are the same from the code that is fast as from structlog."""
    out = configure(*configuration)
    chance = random.Random(SEED)
    names = ("call_sid", "stream_sid", "pid", "turn", "text", "value", "level", "timestamp", "logger", "odd name", "é")
    values = (*VALUES, *TEXTS)
    for _ in range(3000):
        fields = {name: chance.choice(values) for name in chance.sample(names, chance.randrange(len(names)))}
        level = chance.choice(("debug", "info", "warning", "error"))
        event = chance.choice((*TEXTS, "call-answered", "stream-started"))
        Log(**fields).write(level, event, {})
        assert out.lines.pop() == of_structlog(configuration, level, event, fields)


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_a_line_about_an_exception_is_as_structlog_writes_it(
    configuration: Configuration, configure: Configure
) -> None:
    out = configure(*configuration)
    log = Log(call_sid="CA1")
    try:
        raise ValueError("broken")
    except ValueError:
        current = sys.exc_info()
        log.exception("call-broken", turn=1)
    log.error("call-broken", turn=1, exc_info=current)
    line = of_structlog(configuration, "error", "call-broken", {"call_sid": "CA1", "turn": 1, "exc_info": current})
    assert "broken" in line
    assert [undated(written) for written in out.lines] == [undated(line)] * 2


def undated(line: str) -> str:
    """Return a line without its time, because structlog reads its own clock."""
    return re.sub(r"(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d\.\d{3}(\d{3}Z)?", "", line)


@pytest.mark.parametrize("us", [0, 1, 999_999, 10**15 + 7])
def test_a_timestamp_is_that_of_datetime(us: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for further in (0, 1, 10**6, 86_399 * 10**6):
        at_us = RECORDED_AT_NS // 10**9 * 10**6 + us + further
        monkeypatch.setattr(formats, "time_ns", lambda at_us=at_us: 1000 * at_us + 999)
        seconds, rest = divmod(at_us, 10**6)
        expected = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat()
        assert formats.timestamp() == expected.replace("+00:00", "Z")


class Unwritable:
    """A value of which no text can be made."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_a_value_that_cannot_be_written_costs_the_fields_alone(
    configuration: Configuration, configure: Configure
) -> None:
    circle: list[Any] = []
    circle.append(circle)
    out = configure(*configuration)
    Log(call_sid="CA1").error("odd", value=Unwritable())
    assert out.lines == [of_structlog(configuration, "error", "odd", {})]


def test_each_level_is_written_from_its_own_on(configure: Configure) -> None:
    out = configure("json", False, None)
    log = Log()
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        logging.getLogger().setLevel(level)
        for each in ("debug", "info", "warning", "error"):
            log.write(each, f"{each} at {level}", {})
        log.answer(f"answer at {level}")
    written = [json.loads(line)["event"] for line in out.lines]
    assert [event for event in written if event.startswith("answer")] == [
        event for event in written if "answer" in event
    ]
    assert [sum(event.endswith(f" {level}") for event in written) for level in ("DEBUG", "INFO", "WARNING")] == [
        5,
        4,
        3,
    ]
    assert sum(event.endswith("CRITICAL") for event in written) == 1
    assert log.faults == 10


def test_a_log_follows_a_later_configuration(configure: Configure) -> None:
    first = configure("json", False, None)
    log = Log(call_sid="CA1")
    log.info("one")
    second = configure("text", False, None)
    log.info("two")
    assert [len(first.lines), len(second.lines)] == [1, 1]
    assert second.lines[0].endswith("CA1      two")


def test_hub_and_signals_may_log(configure: Configure) -> None:
    """gevent's hub, where nothing may wait, and a handler that interrupts the code that logs may log."""
    out = configure("json", False, None)
    log = Log()
    before = signal.signal(signal.SIGALRM, lambda *_: log.info("signal"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for _ in range(20_000):
            log.info("interrupted")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    events = [json.loads(line)["event"] for line in out.lines]
    assert events.count("interrupted") == 20_000
    assert events.count("signal") > 1
    gevent.get_hub().loop.run_callback(log.info, "hub")
    gevent.sleep(0.01)
    assert "hub" in [json.loads(line)["event"] for line in out.lines[20_000:]]
