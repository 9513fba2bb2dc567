"""What consoles cost: the limits, and one round of a few calls with consoles that read, and one that does not."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.load import programs
from bench.load.case import OURS, Case, Figures, Lateness
from bench.load.consoles import WATCHES, Round, Watch, observer_of, one_round, rows_of, verdicts
from bench.load.measure import Times
from bench.load.programs import CALLERS, Place

FIGURES = Figures(
    **dict.fromkeys(("busiest", "waited", "messages", "turns", "cpu_s", "seconds", "idle_mb", "kb_a_call"), 0),
    **dict.fromkeys(("stall_ms", "stall_cpu_ms", "gc_ms", "lost", "late", "odd", "broken", "client_late_ms"), 0),
    case=Case(OURS, 5, talks=True),
    us_a_message=40.0,
    shares=(0.1,),
    age=Lateness(10, 20.0, 50.0, 60.0, 70.0),
    closed=Lateness(),
)


def found(**changes: object) -> dict[str, list[Round]]:
    """Return three rounds of each watch, of which those with consoles differ by `changes`."""
    made = {watch.name: [Round(FIGURES)] * 3 for watch in WATCHES}
    made["consoles"] = [Round(replace(FIGURES, **changes))] * 3
    return made


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"us_a_message": 43.9}, ""),
        ({"us_a_message": 44.1}, "consoles: CPU a message / alone"),
        ({"age": Lateness(10, 20.0, 50.0, 65.1, 70.0)}, "consoles: age p99 beyond alone, ms"),
        ({"late": 1}, "consoles: frames lost or late, streams broken, errors"),
    ],
)
def test_a_limit_that_is_missed_is_told(changes: dict[str, object], missed: str) -> None:
    rows = verdicts(found(**changes))
    assert len(rows) == 6
    assert [row[0] for row in rows if row[-1] == "NO"] == ([missed] if missed else [])
    assert [row[0] for row in rows_of(found(**changes))[1:]] == [watch.name for watch in WATCHES]


def test_times_of_a_worker_without_a_core_are_not_judged() -> None:
    rows = verdicts(found(waited=0.2, age=Lateness(10, 20.0, 50.0, 900.0, 900.0)))
    assert len(rows) == 5
    assert [row[0] for row in rows if row[-1] == "NO"] == []


def test_the_observer_is_found_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    assert observer_of(log) is None
    log.write_text('{"pid": 7, "admin_port": 8083, "event": "observing"}\n{"pid": 9, "event": "worker-started"}\n')
    assert observer_of(log) == 7


@pytest.mark.parametrize("watch", [WATCHES[2], WATCHES[3], WATCHES[4]], ids=lambda watch: watch.name)
def test_a_round_with_few_calls(watch: Watch, tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    place = Place(tmp_path, programs.compiled(CALLERS, tmp_path))
    made = asyncio.run(one_round(watch, Case(OURS, 5, talks=True), place, Times(warm_s=1.0, measured_s=2.0)))
    assert made.figures.messages > 0
    assert len(made.figures.shares) == 1  # the observer is no worker
    assert (made.told_kb_s > 0) == (watch.readers > 0)
