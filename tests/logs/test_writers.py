"""Output of log lines: a slow reader makes nobody wait, and dropped lines are counted."""

import json
import os
from pathlib import Path
from typing import Any

import gevent
import pytest

from lexbridge import logs
from lexbridge.logs import Log
from tests.support.fixtures import Logged
from tests.support.rig import PATIENCE_S


def test_a_slow_reader_of_the_log_delays_no_writer(logged: Logged) -> None:
    reading, writing = os.pipe()
    out = logs.LineWriter(writing, capacity=100)
    logs.configure("INFO", "json", out)
    with gevent.Timeout(PATIENCE_S):
        for number in range(5000):  # far more than a pipe and the queue hold
            Log().info("said", number=number, words="x" * 200)
    lines: list[dict[str, Any]] = []

    def read_on() -> None:
        """Read what is there, and so make room."""
        data = os.read(reading, 1 << 20)
        while not data.endswith(b"\n"):
            data += os.read(reading, 1 << 20)
        lines.extend(json.loads(line) for line in data.splitlines())

    said: list[int] = []
    dropped = 0
    with gevent.Timeout(PATIENCE_S):
        while len(said) + dropped < 5000:  # every line is written or counted; there may be several counts
            read_on()
            Log().info("said", number=-1)
            gevent.sleep(0.001)
            said = [line["number"] for line in lines if line["event"] == "said" and line["number"] >= 0]
            dropped = sum(line["count"] for line in lines if line["event"] == "log-lines-dropped")
    assert said == sorted(set(said))  # whole lines, in order
    assert said[:100] == list(range(100))
    assert len(said) < 1000  # the rest was dropped, because nothing was read
    out.close()
    os.close(reading)
    os.close(writing)


def test_a_line_that_waits_is_written_at_the_end(logged: Logged) -> None:
    reading, writing = os.pipe()
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    Log().info("last words")
    out.close()
    assert json.loads(os.read(reading, 1 << 16))["event"] == "last words"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("is_pipe_of_another_user", [False, True])
def test_an_instant_writer_writes_now_or_drops_and_counts(
    logged: Logged, monkeypatch: pytest.MonkeyPatch, is_pipe_of_another_user: bool
) -> None:
    if is_pipe_of_another_user:
        monkeypatch.setattr("lexbridge.logs.writers._open_again", lambda descriptor: descriptor)
    reading, writing = os.pipe()
    logs.configure("INFO", "json", logs.InstantWriter(writing))
    with gevent.Timeout(PATIENCE_S):
        for number in range(1000):  # more than a pipe holds
            Log().info("said", number=number, words="x" * 200)
    assert os.get_blocking(writing)  # other processes that share it still wait
    lines = os.read(reading, 1 << 20).splitlines()
    Log().info("said", number=1000, words="y" * 5000)  # too long to be written whole: dropped
    Log().info("said", number=1001)
    lines += os.read(reading, 1 << 20).splitlines()
    said = [json.loads(line) for line in lines]
    dropped = sum(line["count"] for line in said if line["event"] == "log-lines-dropped")
    numbers = [line["number"] for line in said if line["event"] == "said"]
    assert numbers == [*range(len(numbers) - 1), 1001]
    assert 10 < len(numbers) < 1000
    assert len(numbers) + dropped == 1002
    os.close(reading)
    Log().info("nobody hears this")
    os.close(writing)


def test_a_line_goes_into_a_pipe_at_once(logged: Logged) -> None:
    reading, writing = os.pipe()
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    os.set_blocking(reading, False)
    for number in range(100):
        Log().info("said", number=number)
        assert json.loads(os.read(reading, 1 << 16))["number"] == number
    assert os.get_blocking(writing)  # other processes that share it still wait
    out.close()
    os.close(writing)
    gevent.sleep(0.01)  # gevent closes a descriptor in its loop
    assert os.read(reading, 1) == b""  # the writer holds no end of the pipe any more
    os.close(reading)


def test_a_line_that_may_not_stay_whole_waits_for_the_thread(logged: Logged) -> None:
    """A line longer than PIPE_BUF is written by the thread, and those behind it keep their order."""
    reading, writing = os.pipe()
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    with gevent.Timeout(PATIENCE_S):
        for number in range(15):
            Log().info("said", number=number, words="x" * (5000 if number % 3 == 1 else 10))
            if number % 5 == 4:
                gevent.sleep(0.01)
    out.close()
    os.close(writing)
    gevent.sleep(0.01)  # gevent closes a descriptor in its loop
    with os.fdopen(reading) as lines:
        assert [json.loads(line)["number"] for line in lines] == list(range(15))


def test_a_file_gets_every_line_in_order(logged: Logged, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as file:
        out = logs.LineWriter(file.fileno())
        logs.configure("INFO", "json", out)
        for number in range(1000):
            Log().info("said", number=number)
            if number % 200 == 199:
                gevent.sleep(0.05)
        out.close()
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["number"] for line in written if line["event"] == "said"] == list(range(1000))


def test_an_instant_writer_appends_to_a_file(logged: Logged, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("ab") as out:
        out.write(b"before\n")
        out.flush()
        logs.configure("INFO", "json", logs.InstantWriter(out.fileno()))
        Log().info("after")
    first, second = path.read_text(encoding="utf-8").splitlines()
    assert (first, json.loads(second)["event"]) == ("before", "after")


def test_a_reader_that_went_away_is_no_fault(logged: Logged) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    out = logs.LineWriter(writing)
    logs.configure("INFO", "json", out)
    Log().info("nobody hears this")
    out.close()
    os.close(writing)
