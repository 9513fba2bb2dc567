"""The metrics of several processes, counted in each and shown as one, while workers come and go."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lexbridge.telemetry import metric_files, metrics
from lexbridge.telemetry.metric_table import LINE, METRICS, PREFIX, Kind
from lexbridge.telemetry.metric_values import MAX_LABEL_SETS, MAX_LINES
from tests.support.counting_worker import REPORT, CountingWorker, counting_worker
from tests.support.packages import ROOT
from tests.support.scraped_metrics import fallen, promtool, samples_of

ANSWERED = {
    "turn": 1,
    "outcome": "answered",
    "end_ms": 700,
    "queue_ms": 0,
    "lex_ms": 280,
    "update_ms": 9,
    "reply_ms": 989,
}
FAR_S = 3600
"""A time in seconds that no test takes."""

LATENCY = "lexbridge_caller_wait_seconds"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Count in a folder of the test's own."""
    made = tmp_path / "metrics"
    made.mkdir()
    yield metrics.start(made)
    metrics.stop()


def shown() -> dict[str, float]:
    """Return each sample of `/metrics`."""
    text, content_type = metrics.exposition()
    assert content_type.startswith("text/plain; version=0.0.4")
    return samples_of(text.decode())


def _streams(_: str) -> str:
    """Return the reply mode of each line."""
    return "stream"


def test_what_the_workers_count_is_added_up(folder: Path) -> None:
    with counting_worker(reply_mode_of=_streams) as one, counting_worker(reply_mode_of=_streams) as other:
        for worker, calls in ((one, 2), (other, 3)):
            worker.line("info", "turn-latency", **ANSWERED)
            worker.report(live_calls=calls, lag_s=0.01 * calls, memory_bytes=calls, frames=100 * calls)
        now = shown()
    assert now["lexbridge_calls_live"] == 5
    assert now["lexbridge_workers"] == 2
    assert now['lexbridge_turns_total{outcome="answered"}'] == 2
    assert now[LATENCY + '_bucket{le="0.75",reply_mode="stream"}'] == 0
    assert now[LATENCY + '_bucket{le="1.0",reply_mode="stream"}'] == 2
    assert now[LATENCY + '_sum{reply_mode="stream"}'] == pytest.approx(2 * 0.989)
    assert now['lexbridge_worker_resident_memory_bytes{worker="1"}'] == 3
    assert now['lexbridge_worker_memory_limit_bytes{worker="1"}'] == 9
    assert now['lexbridge_worker_loop_lag_seconds{worker="0"}'] == 0.02
    assert now["lexbridge_media_frames_total"] == 500


def test_a_killed_worker_takes_its_live_calls_with_it(folder: Path) -> None:
    """A worker that is killed has no live calls from that moment on, and its counters stand."""
    with counting_worker() as stays:
        stays.report(live_calls=2)
        dies = CountingWorker()
        dies.line("info", "turn-latency", **ANSWERED)
        dies.report(live_calls=3, frames=50)
        before = shown()
        assert before["lexbridge_calls_live"] == 5
        dies.kill()
        after = shown()
        assert (after["lexbridge_calls_live"], after["lexbridge_workers"]) == (2, 1)
        assert 'lexbridge_worker_resident_memory_bytes{worker="1"}' not in after
        assert fallen(before, after) == []


def test_the_next_worker_goes_on_counting_in_the_same_files(folder: Path) -> None:
    """Thirty workers, each of which is killed: no counter ever falls, and there are the files of one."""
    before = shown()
    for number in range(1, 31):
        with counting_worker() as worker:
            worker.line("info", "turn-latency", **ANSWERED)
            worker.line("warning", "lex-request-failed", error="Lex answered 429 Throttling", attempt=1)
            worker.report(live_calls=1, frames=10, facts_dropped=1)
            now = shown()
        assert fallen(before, now) == []
        assert now['lexbridge_turns_total{outcome="answered"}'] == number
        assert now['lexbridge_lex_errors_total{kind="throttled"}'] == number
        assert now["lexbridge_media_frames_total"] == 10 * number
        assert now["lexbridge_calls_live"] == 1
        before = now
    assert shown()["lexbridge_calls_live"] == 0
    assert {path.name for path in folder.glob("*_[0-9]*.db")} == {
        f"{kind}_0.db" for kind in ("counter", "histogram", "gauge_livesum")
    }


def test_workers_of_two_generations_have_numbers_of_their_own(folder: Path) -> None:
    with counting_worker(worker=2) as old, counting_worker(worker=0) as new, counting_worker(worker=2) as newest:
        for worker in (old, new, newest):
            worker.report(live_calls=1)
        now = shown()
    pids = [now[f'lexbridge_worker_process_id{{worker="{number}"}}'] for number in (2, 0, 1)]
    assert pids == [old.pid, new.pid, newest.pid]


def test_a_total_that_falls_never_makes_a_counter_fall(folder: Path) -> None:
    with counting_worker() as worker:
        for frames, counted in ((100, 100), (60, 100), (110, 110)):
            worker.report(frames=frames)
            assert shown()["lexbridge_media_frames_total"] == counted


def test_the_supervisor_counts_deaths_and_says_what_runs(folder: Path) -> None:
    metrics.take_supervisor_line("error", "worker-died", {"pid": 7, "signal": "SIGKILL"})
    metrics.take_supervisor_line("error", "worker-died", {"pid": 8, "status": 1})
    serving = {"version": "1.2", "reply_mode": "stream", "detector": "hybrid", "locale": "en_US", "url": "https://x"}
    metrics.take_supervisor_line("info", "serving", serving)
    with counting_worker():
        now = shown()
    assert now['lexbridge_worker_deaths_total{how="SIGKILL"}'] == 1
    assert now['lexbridge_worker_deaths_total{how="status 1"}'] == 1
    assert now['lexbridge_faults_total{event="worker-died",level="error"}'] == 2
    assert 0 <= time.time() - now["lexbridge_start_time_seconds"] < FAR_S
    assert not [name for name in now if 'reply_mode="none"' in name]
    (build,) = [name for name in now if name.startswith("lexbridge_build_info")]
    python = ".".join(map(str, sys.version_info[:3]))
    assert build == (
        f'lexbridge_build_info{{detector="hybrid",lex_generation="V2",python="{python}",reply_mode="stream",version="1.2"}}'
    )


def test_a_forked_process_does_not_count_as_the_supervisor(folder: Path) -> None:
    """A line that a worker logs before it has metrics of its own is not written into the supervisor's values."""
    pid = os.fork()
    if pid == 0:
        metrics.take_supervisor_line("error", "worker-died", {"signal": "SIGKILL"})
        os._exit(0)
    os.waitpid(pid, 0)
    assert shown()['lexbridge_worker_deaths_total{how="SIGKILL"}'] == 0


def test_faults_of_the_observer_are_counted_when_it_is_scraped(folder: Path) -> None:
    """What the observer process logs is counted too, also by the next one, and nothing twice."""
    for count in (1, 2):
        told = folder / f"told-{count}"
        pid = os.fork()
        if pid == 0:
            try:
                listener = metrics.start_observer()
                assert listener is not None
                listener("warning", "event-not-taken", {"reason": "timeout", "count": 1})
                listener("info", "observing", {})
                metrics.exposition()
                told.write_bytes(metrics.exposition()[0])
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        now = samples_of(told.read_text(encoding="utf-8"))
        assert now['lexbridge_faults_total{event="event-not-taken",level="warning"}'] == count
        assert now["lexbridge_workers"] == 0


def test_a_label_has_a_limited_number_of_values(folder: Path) -> None:
    with counting_worker() as worker:
        for number in range(MAX_LABEL_SETS + 20):
            worker.line("warning", "peer-refused", reason=f"reason {number} " + 200 * "x", count=1)
        worker.report()
        now = shown()
    refusals = {name: value for name, value in now.items() if name.startswith("lexbridge_refusals_total")}
    assert len(refusals) == MAX_LABEL_SETS + 1
    assert refusals['lexbridge_refusals_total{reason="other"}'] == 20 + len(METRICS["refusals_total"].known)
    assert max(map(len, refusals)) < 130


def test_a_line_that_cannot_be_counted_stops_nothing(folder: Path) -> None:
    with counting_worker() as worker:
        worker.line("info", "turn-latency", turn=1)  # a bug: it has no figures
        worker.line("info", "filler-said", turn=1)
        worker.report()
        now = shown()
    assert now["lexbridge_fillers_total"] == 1
    assert now["lexbridge_lines_uncounted_total"] == 1


def test_more_lines_than_there_is_room_for_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_LINES", 5)
    with counting_worker() as worker:
        for _ in range(8):
            worker.line("info", "filler-said", turn=1)
        worker.report()
        worker.report()
        now = shown()
    assert now["lexbridge_fillers_total"] == 5
    assert now["lexbridge_lines_uncounted_total"] == 3


def test_without_room_a_worker_works_and_counts_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metric_files.os, "posix_fallocate", no_room)
    with counting_worker() as worker:
        assert worker.fault == "OSError: [Errno 28] No space left on device"
        worker.line("info", "filler-said", turn=1)
        worker.report(live_calls=1)
    assert shown()["lexbridge_calls_live"] == 0


def test_systems_that_cannot_allocate_count_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(metric_files.os, "posix_fallocate")
    metrics.start(tmp_path)
    with counting_worker() as worker:
        worker.report(live_calls=1)
        assert shown()["lexbridge_calls_live"] == 1
    metrics.stop()


def test_without_a_folder_there_are_no_metrics() -> None:
    with counting_worker() as worker:
        assert worker.fault is not None
        worker.report()
    with pytest.raises(RuntimeError, match="start"):
        metrics.exposition()
    metrics.take_supervisor_line("error", "worker-died", {"signal": "SIGKILL"})
    assert metrics.start_observer() is None


def test_the_folder_of_a_killed_service_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next service deletes the folder of one that was killed, and leaves those that are new or in use."""
    monkeypatch.setattr(metric_files, "SHARED_MEMORY", tmp_path)
    used = metrics.start()
    left, new = tmp_path / "lexbridge-metrics-left", tmp_path / "lexbridge-metrics-new"
    for one in (left, new):
        one.mkdir()
        (one / "supervisor.lock").touch()
    for one in (left, used):
        os.utime(one, (1, 1))
    made = metric_files.make_folder()
    assert {*tmp_path.iterdir()} == {used, new, made}
    metrics.stop()
    assert {*tmp_path.iterdir()} == {new, made}


def test_without_shared_memory_files_are_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_files, "SHARED_MEMORY", tmp_path / "missing")
    monkeypatch.setattr(metric_files.tempfile, "gettempdir", lambda: str(tmp_path))
    assert metric_files.make_folder().parent == tmp_path
    monkeypatch.setattr(metric_files.tempfile, "gettempdir", lambda: str(tmp_path / "missing"))
    with pytest.raises(OSError, match="no folder"):
        metric_files.make_folder()


def test_promtool_has_no_complaint(folder: Path) -> None:
    serving = {"version": "1.2", "reply_mode": "stream", "detector": "hybrid", "locale": "en_US"}
    metrics.take_supervisor_line("info", "serving", serving)
    with counting_worker() as worker:
        worker.line("info", "turn-latency", **ANSWERED)
        worker.line("warning", "peer-refused", reason="unknown path", count=1)
        worker.report()
        assert promtool("check", "metrics", text=metrics.exposition()[0].decode()) == ""


def test_all_that_is_shown_is_in_the_table(folder: Path) -> None:
    with counting_worker() as worker:
        worker.report(**REPORT)
        text = metrics.exposition()[0].decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    told = {metric.full_name.removesuffix("_total"): metric for metric in METRICS.values()}
    for name, family in families.items():
        metric = told[name]
        assert (family.type, family.documentation) == (metric.kind.value, metric.help)
        for sample in family.samples:
            assert {*sample.labels} - {"le"} == {*metric.labels} - {LINE}  # the default line has no label
    # A metric has no sample until one of its label values is known.
    labelled = {
        name
        for name, metric in told.items()
        if metric.labels
        and not metric.known
        and not metric.is_by_line
        and metric.kind is not Kind.HISTOGRAM
        and "worker" not in metric.labels
    }
    assert {*told} - {*families} == labelled


def _mode_of(line: str) -> str:
    return "stream" if line == "clinic" else "call-update"


def test_lines_are_told_apart(folder: Path) -> None:
    with counting_worker(reply_mode_of=_mode_of) as worker:
        for line in ("shop", "shop", "clinic"):
            worker.line("info", "call-answered", call_sid="CA1", line=line)
        worker.line("info", "turn-latency", line="clinic", **ANSWERED)
        worker.line("info", "turn-latency", **ANSWERED)
        worker.line("warning", "lex-request-failed", line="shop", error="Lex answered 429 ThrottlingException")
        worker.line("warning", "call-refused", line="shop", why="line full")
        worker.line("debug", "lex-request-waited", line="shop", waited_ms=20)
        worker.report(live_calls=3, live_by_line={"shop": 2, "": 1})
        now = shown()
        worker.report(live_calls=0, live_by_line={"shop": 0})
        later = shown()
    assert now['lexbridge_calls_answered_total{line="shop"}'] == 2
    assert now['lexbridge_calls_answered_total{line="clinic"}'] == 1
    assert now["lexbridge_calls_answered_total"] == 0
    assert now['lexbridge_turns_total{line="clinic",outcome="answered"}'] == 1
    assert now['lexbridge_turns_total{outcome="answered"}'] == 1
    assert now['lexbridge_lex_errors_total{kind="throttled",line="shop"}'] == 1
    assert now['lexbridge_lex_errors_total{kind="throttled",line="clinic"}'] == 0
    assert now['lexbridge_calls_refused_total{line="shop",why="line full"}'] == 1
    assert now['lexbridge_lex_requests_waited_total{line="shop"}'] == 1
    assert now[LATENCY + '_count{line="clinic",reply_mode="stream"}'] == 1
    assert now[LATENCY + '_count{reply_mode="call-update"}'] == 1
    assert (now['lexbridge_calls_live{line="shop"}'], now["lexbridge_calls_live"]) == (2, 1)
    assert (later['lexbridge_calls_live{line="shop"}'], later["lexbridge_calls_live"]) == (0, 0)


def test_lines_beyond_a_limit_are_counted_together(folder: Path) -> None:
    """The files keep the room that they have: a worker that needs more, in memory that is full, would be killed."""
    lines = [f"a-line-with-a-name-of-sixty-characters-and-no-more-{number:09d}" for number in range(MAX_LINES + 20)]
    with counting_worker(reply_mode_of=_mode_of) as worker:
        for line in lines:
            worker.line("info", "call-answered", line=line)
            worker.line("info", "turn-latency", line=line, **ANSWERED)
            worker.line("debug", "lex-timed", line=line, first_byte_ms=200, total_ms=300)
        worker.report(live_calls=len(lines), live_by_line=dict.fromkeys(lines, 1))
        now = shown()
        assert {path.stat().st_size for path in folder.glob("*.db")} == {metric_files.FILE_BYTES}
    answered = {name: value for name, value in now.items() if name.startswith("lexbridge_calls_answered_total")}
    assert len(answered) == MAX_LINES + 1
    assert answered['lexbridge_calls_answered_total{line="other"}'] == sum(answered.values()) - (MAX_LINES - 1)
    live = {name: value for name, value in now.items() if name.startswith("lexbridge_calls_live")}
    assert sum(live.values()) == len(lines)


def test_nothing_is_imported_where_nobody_watches() -> None:
    code = (
        "import sys, lexbridge.telemetry.metrics as metrics; metrics.Metrics(); "
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
    assert PREFIX == "lexbridge_"


def test_the_next_worker_inherits_no_gauge(folder: Path) -> None:
    with counting_worker() as worker:
        worker.line("error", "lex-down", bot="x", error="no answer within 5 s")
        worker.report()
        assert shown()["lexbridge_lex_down"] == 1
    with counting_worker() as worker:
        worker.report()
        assert shown()["lexbridge_lex_down"] == 0
