"""What an operator must find after a fault: words that were lost, the calls of a dead worker, and why a call ended."""

from typing import Any

import msgspec
import pytest

from lexbridge.observer.calls.call_book import CallBook, Limits
from lexbridge.observer.calls.call_file import read_call
from lexbridge.observer.calls.call_summary import Summary
from lexbridge.observer.calls.workers import MAX_WORKERS
from lexbridge.telemetry.facts import Event
from tests.support.told_facts import BEGAN_S, WORKER_PID, ToldCall, worker_report


def summary(call: ToldCall) -> Summary:
    found: Summary = call.view["summary"]
    return found


def worker_fact(name: str, at: float, pid: int = WORKER_PID, **fields: Any) -> Event:
    """Return what the supervisor tells of the end of a worker."""
    level = "error" if name == "worker-died" else "debug"
    return Event(BEGAN_S + at, "", "", -1, level, name, {"pid": pid, **fields})


def kill_worker(book: CallBook, at: float) -> None:
    book.take(worker_fact("worker-ended", at, slot=0))
    book.take(worker_fact("worker-died", at, signal="SIGKILL"))


def outcomes(call: ToldCall) -> list[tuple[int, str | None, str | None]]:
    return [(turn.turn, turn.outcome, turn.why) for turn in call.view["turns"]]


def speaking_call(stream_sid: str = "MZ1") -> ToldCall:
    """Return a call with a turn, words that wait for Lex, and words that the caller is still saying."""
    call = ToldCall(stream_sid=stream_sid).begin()
    call.turn(1)
    call.tell("utterance-opened", turn=2, started_ms=4000)
    call.tell("utterance-ended", turn=2, started_ms=4000, ended_ms=5000, silent_ms=700)
    call.at = 9
    call.tell("utterance-opened", turn=3, started_ms=8500)
    call.at = 10
    return call


def test_words_are_lost_with_their_worker() -> None:
    call = speaking_call()
    kill_worker(call.book, 10)
    assert outcomes(call) == [(1, "answered", None), (2, "lost", "worker-ended"), (3, "lost", "worker-ended")]
    last = call.view["turns"][-1]
    assert (last.began_s, last.started_ms, last.over_s, last.is_said) == (BEGAN_S + 8.5, 8500, BEGAN_S + 10, False)
    assert (summary(call).turns, sum(turn.counts for turn in call.view["turns"])) == (3, 3)
    assert [(stream.how, stream.ended_s) for stream in call.view["streams"]] == [("worker-ended", BEGAN_S + 10)]


@pytest.mark.parametrize("why", ["stream lost", "bug", "bad message", "service stopped"])
def test_words_are_lost_with_a_stream_that_a_fault_ended(why: str) -> None:
    call = speaking_call()
    call.tell("stream-ended", how="lost")
    call.tell("call-left", why=why)
    assert outcomes(call)[1:] == [(2, "lost", why), (3, "lost", why)]


def test_a_caller_who_hangs_up_loses_only_what_was_said() -> None:
    call = speaking_call()
    call.end()
    assert outcomes(call)[1:] == [(2, "dropped", "caller hung up"), (3, None, None)]
    assert [turn.counts for turn in call.view["turns"]] == [True, True, True]


def test_words_of_another_stream_are_not_lost() -> None:
    call = speaking_call()
    call.stream_sid = "MZ2"
    call.begin(pid=5)
    call.at = 12
    call.tell("utterance-opened", turn=1, started_ms=11_500)
    kill_worker(call.book, 12)
    assert [outcome for _, outcome, _ in outcomes(call)] == ["answered", "lost", "lost", None]
    call.tell("call-left", why="keys")
    assert outcomes(call)[-1] == (1, "lost", "keys")


@pytest.mark.parametrize(
    ("event", "fields", "told"),
    [
        ("utterance-dropped", {"why": "too many turns wait"}, ("dropped", "too many turns wait", False, BEGAN_S + 3)),
        ("turn-failed", {"error": "LexThrottled"}, ("failed", "LexThrottled", True, None)),
        ("false-alarm", {}, ("false-alarm", None, False, None)),
    ],
)
def test_a_turn_says_why_it_came_to_nothing(event: str, fields: dict[str, Any], told: tuple[Any, ...]) -> None:
    call = ToldCall().begin()
    call.tell("utterance-opened", turn=1, started_ms=100)
    call.at = 3
    call.tell(event, turn=1, **fields)
    (turn,) = call.view["turns"]
    assert (turn.outcome, turn.why, turn.counts, turn.over_s) == told


def test_a_dropped_turn_stands_where_it_was_spoken() -> None:
    call = ToldCall().begin()
    call.at = 9
    call.tell("utterance-dropped", "warning", turn=4, started_ms=6000, why="too many turns wait")
    (turn,) = call.view["turns"]
    assert (turn.began_s, turn.started_ms, turn.why) == (BEGAN_S + 6, 6000, "too many turns wait")


def test_an_event_that_tells_little_of_a_turn_changes_nothing() -> None:
    call = ToldCall().begin()
    call.tell("utterance-opened", turn=1)
    before = msgspec.structs.replace(call.view["turns"][0])
    call.tell("joined", turn=1, with_turn=2)
    call.tell("turn-answered", turn=1, messages=1)
    call.tell("turn-latency", turn=1)
    call.tell("turn-latency", outcome="answered")
    assert call.view["turns"] == [before]
    assert (before.began_s, before.started_ms, before.outcome) == (BEGAN_S, None, None)


def test_a_turn_that_failed_is_over_when_the_apology_is_heard() -> None:
    call = speaking_call()
    call.tell("turn-failed", turn=2, error="LexThrottled")
    call.at = 12
    call.tell("turn-latency", turn=2, outcome="failed", reply_ms=900)
    told = call.view["turns"][1]
    assert (told.outcome, told.why, told.counts, told.over_s) == ("failed", "LexThrottled", True, BEGAN_S + 12)
    call.tell("turn-latency", turn=2, outcome="answered")  # told late, or twice
    assert call.view["turns"][1].outcome == "failed"


# -- the calls of a worker


def test_a_dead_worker_is_told_with_its_calls() -> None:
    call, book = speaking_call(), CallBook()
    book = call.book
    other = ToldCall(book, "CA2", "MZ9").begin(pid=5)
    book.take(worker_report(9, lag_ms=44, busy_percent=97, memory_mb=812))
    kill_worker(book, 10)
    events = [msgspec.json.decode(bytes(one))[:6] for one in call.view["events"]][-2:]
    assert events == [
        [BEGAN_S + 10, "MZ1", -1, "debug", "worker-ended", {"pid": WORKER_PID, "slot": 0}],
        [BEGAN_S + 10, "MZ1", -1, "error", "worker-died", {"pid": WORKER_PID, "signal": "SIGKILL"}],
    ]
    told = summary(call)
    assert (told.lost_workers, told.worker_pids, told.errors, told.faults) == ([WORKER_PID], [WORKER_PID], 1, 1)
    assert (summary(other).lost_workers, summary(other).faults) == ([], 0)
    (line,) = book.health.lines(BEGAN_S + 11)
    assert (line["name"], line["calls"]) == ("worker-died", ["CA1"])
    (worker,) = book.workers.view(BEGAN_S + 60)
    assert (worker.state, worker.signal, worker.lost_calls) == ("ended", "SIGKILL", ["CA1"])
    assert (worker.ended_s, worker.memory_mb, worker.lag_ms, worker.busy_percent) == (BEGAN_S + 10, 812, 44, 97)


def test_a_worker_that_ends_as_it_should_is_no_fault_of_a_call() -> None:
    call = ToldCall().begin()
    call.end()
    call.book.take(worker_report())
    call.book.take(worker_fact("worker-ended", 5))
    assert (summary(call).faults, summary(call).lost_workers) == (0, [])
    (worker,) = call.book.workers.view(BEGAN_S + 6)
    assert (worker.signal, worker.status, worker.lost_calls) == (None, None, [])


def test_facts_of_workers_that_nobody_knows_do_no_harm() -> None:
    book = CallBook(Limits(calls=1))
    ToldCall(book).begin()
    book.take(worker_fact("worker-ended", 1))
    ToldCall(book, "CA2", "MZ2").begin()  # the call of the dead worker is forgotten
    book.take(worker_fact("worker-died", 1, signal="SIGKILL"))
    book.take(Event(BEGAN_S, "", "", -1, "error", "worker-died", {}))
    for pid in range(MAX_WORKERS + 5):
        book.take(worker_fact("worker-ended", 2, pid))
    assert [line["calls"] for line in book.health.lines(BEGAN_S)] == [[], ["CA1"]]
    assert len(book._lost) == MAX_WORKERS
    assert list(book.records) == ["CA2"]


def test_two_streams_of_one_worker_are_lost_once() -> None:
    call = ToldCall().begin()
    call.stream_sid = "MZ2"
    call.begin()
    kill_worker(call.book, 3)
    assert summary(call).lost_workers == [WORKER_PID]
    assert call.book.workers.view(BEGAN_S) == []  # it never reported
    assert call.book.health.lines(BEGAN_S)[0]["calls"] == ["CA1"]


# -- the summary


def test_warnings_and_errors_are_told_apart() -> None:
    call = ToldCall().begin()
    call.tell("call-update-failed", "warning", attempt=1)
    call.tell("call-update-failed", "error", attempt=2)
    call.tell("mark-missing", "warning")
    told = summary(call)
    assert (told.faults, told.errors, told.warnings) == (3, 1, 2)
    assert told.fault_counts == {"call-update-failed": 2, "mark-missing": 1}


def test_a_call_is_found_by_why_it_ended_and_what_went_wrong() -> None:
    call = speaking_call()
    assert "no-input" not in summary(call).search
    call.tell("no-input", ends_call=False, times=1)
    call.tell("call-update-failed", "warning")
    call.tell("barged-in", heard_ms=9)
    assert summary(call).no_inputs == 1
    kill_worker(call.book, 10)
    call.stream_sid = "MZ2"
    call.begin(pid=77)
    call.end("lexbridge", "no-input")
    told = summary(call)
    assert (told.why, told.ended_by) == ("no-input", "lexbridge")
    sought = ("no-input", "call-update-failed", "worker-died", f"lost worker {WORKER_PID}", "worker 77")
    for word in (*sought, "ended by lexbridge", "barged-in", "orderflowers", "ca1", "...", "12"):
        assert word in told.search, word
    assert "red roses" not in told.search


def test_faults_of_a_file_of_an_older_version_are_kept() -> None:
    call = ToldCall().begin()
    told = msgspec.to_builtins(summary(call)) | {"faults": 4}
    del told["fault_counts"], told["search"], told["worker_pids"]
    file = {"lexbridge_call": 1, "summary": told, "streams": [], "events": [], "turns": []}
    assert read_call(msgspec.json.encode(file), "opened").summary(0).faults == 4
