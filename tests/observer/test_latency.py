"""Percentiles of the last hour and since the start, and the slowest turns; and faults, counted and listed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.calls.health import MAX_KINDS, MAX_LINES, OTHER
from lexbridge.observer.calls.latency import Durations
from lexbridge.observer.calls.workers import MAX_WORKERS
from lexbridge.telemetry.facts import Event
from tests.support.told_facts import BEGAN_S, ToldCall, worker_report


def told(book: CallBook, at_s: float, number: int, reply_ms: int) -> None:
    call = ToldCall(book)
    call.at = at_s
    call.tell("utterance-opened", turn=number, started_ms=0)
    call.tell("turn-latency", turn=number, outcome="answered", reply_ms=reply_ms, lex_ms=reply_ms // 2)


def test_percentiles_are_of_the_last_hour_and_since_the_start() -> None:
    book = CallBook()
    told(book, 0, 1, 5000)
    for number in range(2, 12):
        told(book, 3500, number, number * 100)
    seen = book.latency.view(BEGAN_S + 3700)
    assert seen["last_hour"]["reply_ms"] == {"p50": pytest.approx(600, rel=0.01), "p90": 1003, "p99": 1100, "turns": 10}
    assert seen["since_start"]["reply_ms"]["p99"] == pytest.approx(5000, rel=0.01)
    assert seen["since_start"]["reply_ms"]["turns"] == seen["since_start"]["lex_ms"]["turns"] == 11
    assert seen["last_hour"]["end_ms"] == {"p50": None, "p90": None, "p99": None, "turns": 0}
    ((minute_s, _, _, p99, turns),) = seen["history"]
    assert (minute_s, p99, turns) == (BEGAN_S + 3480, 1100, 10)


def test_the_ten_slowest_turns_of_the_hour_are_told() -> None:
    book = CallBook()
    for number in range(30):
        told(book, number * 10, number, number * 100)
    slowest = book.latency.view(BEGAN_S + 300)["slowest"]
    assert [one["reply_ms"] for one in slowest] == list(range(2900, 1900, -100))
    first = slowest[0]
    assert (first["call_sid"], first["stream_sid"], first["turn"], first["lex_ms"]) == ("CA1", "MZ1", 29, 1450)


def test_a_day_of_turns_takes_no_more_room_than_an_hour() -> None:
    book = CallBook()
    for number in range(24 * 60):
        told(book, number * 60, number % 500, 1000)
    assert len(book.latency._minutes) == 60
    assert len(book.latency.view(BEGAN_S + 24 * 3600)["history"]) == 59


@given(st.lists(st.integers(1, 100_000), min_size=1), st.integers(1, 100))
def test_a_percentile_is_right_to_one_percent(values: list[int], percent: int) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    right = sorted(values)[-(-len(values) * percent // 100) - 1]
    assert durations.percentile(percent) == pytest.approx(right, rel=0.011, abs=0.5)


def test_counts_that_were_made_apart_are_added() -> None:
    values = [random.Random(1).randrange(1, 5000) for _ in range(100)]
    whole, halves = Durations(), [Durations(), Durations(), Durations()]
    for at, value in enumerate(values):
        whole.add(value)
        halves[at % 2].add(value)
    assert Durations().merge(halves).view() == whole.view()


def test_faults_are_counted_by_kind_and_listed_without_words() -> None:
    call = ToldCall().begin()
    call.tell("lex-request-failed", "warning", {"raw": "secret"}, attempt=1, error="429")
    call.at = 10
    call.tell("call-update-failed", "error", error="Twilio answered 503")
    call.book.take(ToldCall(call_sid="", stream_sid="").event("peer-refused", "warning", reason="socket", count=7))
    health = call.book.health
    assert health.errors == {"lex-request-failed": 1, "call-update-failed": 1, "peer-refused": 1}
    assert health.refusals == {"socket": 7}
    lines = health.lines(BEGAN_S + 3605)
    assert [(one["name"], one["fields"]) for one in lines] == [("call-update-failed", {"error": "Twilio answered 503"})]
    assert "secret" not in str(health.lines(BEGAN_S + 20))


def test_faults_take_bounded_room() -> None:
    book = CallBook()
    call = ToldCall(book)
    for number in range(MAX_LINES + 10):
        call.tell(f"fault-{number}", "error")
    assert len(book.health.lines(call.now_s)) == MAX_LINES
    assert len(book.health.errors) == MAX_KINDS + 1
    assert book.health.errors[OTHER] == MAX_LINES + 10 - MAX_KINDS


def test_a_turn_whose_reply_was_not_heard_is_none_of_the_slowest() -> None:
    call = ToldCall()
    call.tell("utterance-opened", turn=1, started_ms=0)
    call.tell("turn-latency", turn=1, outcome="failed", reply_ms=None, lex_ms=9000)
    seen = call.book.latency.view(BEGAN_S)
    assert (seen["slowest"], seen["history"], seen["last_hour"]["lex_ms"]["turns"]) == ([], [], 1)


def test_replaced_workers_are_forgotten_in_the_end() -> None:
    book = CallBook()
    for pid in range(MAX_WORKERS + 5):
        book.take(worker_report(pid, pid=pid, dropped=1))
    assert len(book.workers.view(BEGAN_S)) == MAX_WORKERS
    assert book.workers.dropped_facts == MAX_WORKERS + 5
    book.take(Event(BEGAN_S, "", "", -1, "error", "worker-ended", {"pid": 99_999}))
    book.take(Event(BEGAN_S, "", "", -1, "error", "worker-ended", {}))
    assert len(book.workers.view(BEGAN_S)) == MAX_WORKERS
