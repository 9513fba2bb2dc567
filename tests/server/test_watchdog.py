"""Code that holds the event loop, and uncaught exceptions, in the log of a real server
(tests/support/faulty_server.py)."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from lexbridge.server.watchdog import HELD_S, HoldDetector
from tests.support import faulty_server
from tests.support.faulty_server_process import running_faulty_server
from tests.support.log_lines import whole_lines
from tests.support.rehearsal import wait_until


def line_of(words: str) -> int:
    """Return the number of the first line of faulty_server.py that contains `words`."""
    lines = Path(faulty_server.__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if words in line)


def test_what_holds_the_loop_is_named_by_file_and_line(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path) as started:
        os.kill(started.worker, faulty_server.HOLD)
        wait_until(lambda: started.lines("loop-free"))
        held = started.lines("loop-held")
        assert len(held) >= 2  # after one second and after two
        for line, least_ms in zip(held, (1000, 2000), strict=False):
            assert (line["level"], line["pid"]) == ("error", started.worker)
            assert line["held_ms"] >= least_ms
            innermost = line["where"][0]
            at = int(re.fullmatch(r"tests/support/faulty_server.py:(\d+) hold", innermost)[1])  # type: ignore[index]
            assert line_of("def hold") < at < line_of("def work_on")
        (free,) = started.lines("loop-free")
        assert (free["level"], free["pid"]) == ("info", started.worker)
        assert free["held_ms"] >= 2000
        assert faulty_server.SECRET not in started.text()
        assert started.end() == 0


def test_what_holds_the_loop_is_named_as_text_too(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path, LOG_FORMAT="text") as started:
        os.kill(started.worker, faulty_server.HOLD)
        wait_until(lambda: "loop-free" in started.text())
        told = next(line for line in whole_lines(started.text()) if "loop-held" in line)
        assert "error" in told
        assert re.search(r"tests/support/faulty_server.py:\d+ hold", told)


def test_a_loop_that_waits_is_not_held(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path) as started:
        time.sleep(3)
        assert started.lines("loop-held") == []
        assert started.end() == 0


def test_a_process_that_was_stopped_was_not_held(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path) as started:
        worker = started.worker
        os.kill(worker, faulty_server.WORK_ON)
        time.sleep(0.5)  # the worker is in the middle of its work now
        os.kill(worker, signal.SIGSTOP)
        time.sleep(3)
        os.kill(worker, signal.SIGCONT)
        time.sleep(1)
        assert started.worker == worker
        assert started.lines("loop-held") == []


def test_what_escapes_is_one_json_line_without_values(tmp_path: Path) -> None:
    with running_faulty_server(tmp_path) as started:
        os.kill(started.worker, faulty_server.BREAK)
        wait_until(lambda: len(started.lines("greenlet-broken")) >= 5)
        assert started.end() == 0  # the server still runs, and ends as usual
        lines = started.lines("greenlet-broken")
        assert [line["of"] for line in lines[:3]] == ["Greenlet", "callback", "Broken.__del__"]
        of_threads = sorted(line["of"] for line in lines[3:])
        assert of_threads == ["thread" if sys.version_info >= (3, 13) else "fail", "thread"]
        for line in lines:
            assert line["level"] == "error"
            assert (line["exception"][0]["exc_type"], line["exception"][0]["exc_value"]) == ("ValueError", "it broke")
            assert line["exception"][0]["frames"][-1]["name"] == "fail"
        assert faulty_server.SECRET not in started.text()


# Each check: seconds since the last one, processor seconds used in them, when the current round of the loop began
@pytest.mark.parametrize(
    ("looks", "said"),
    [
        pytest.param([(0.25, 0, None)] * 20, [], id="it waits"),
        pytest.param([(0.25, 0.2, 0.25 * look) for look in range(20)], [], id="it works, and comes round"),
        pytest.param([(0.25, 0.2, 0.0)] * 3, [], id="it works for less than a second"),
        pytest.param([(0.25, 0.2, 0.0)] * 20, [1.0, 2.0, 4.0], id="it is held by work"),
        pytest.param([(0.25, 0.0, 0.0)] * 20, [1.0, 2.0, 4.0], id="it is held by waiting"),
        pytest.param([*[(0.25, 0.2, 0.0)] * 9, (0.25, 0, None)], [1.0, 2.0, "free"], id="it is free again"),
        pytest.param([*[(0.25, 0.2, 0.0)] * 9, (0.25, 0, 2.4)], [1.0, 2.0, "free"], id="it works at something else"),
        pytest.param([(0.25, 0.2, 0.1), (3.25, 0.2, 0.1), (0.25, 0, None)], [], id="all were stopped"),
        pytest.param([(0.25, 0.2, 0.1), (3.25, 3.2, 0.1)], [3.4], id="code kept the interpreter's lock"),
        pytest.param(
            [(0.25, 0.2, 0.0), (3.25, 0.2, 0.0), *[(0.25, 0.2, 0.0)] * 3],
            [1.2],
            id="it was held by work, and stopped meanwhile",
        ),
        pytest.param(
            [(0.25, 0, None), (3.25, 0.1, 3.45), *[(0.25, 0.2, 3.45)] * 4],
            [1.0],
            id="it is held after they were stopped",
        ),
    ],
)
def test_the_loop_is_held(looks: list[tuple[float, float, float | None]], said: list[float | str]) -> None:
    holds = HoldDetector(0.0, 0.0)
    now_s = cpu_s = 0.0
    events: list[float | str] = []
    for elapsed_s, worked_s, since_s in looks:
        now_s, cpu_s = now_s + elapsed_s, cpu_s + worked_s
        event = holds.check(now_s, cpu_s, since_s)
        if event == "loop-held":
            assert holds.held_s >= HELD_S
            events.append(round(holds.held_s, 1))
        elif event:
            events.append(event.removeprefix("loop-"))
    assert events == said
