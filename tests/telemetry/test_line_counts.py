"""The counts of log lines: each event that counts, and each fault."""

from typing import Any

import pytest

from lexbridge.telemetry.line_counts import COUNTED_EVENTS, counts_of
from lexbridge.telemetry.metric_table import METRICS, Kind
from tests.support.packages import ROOT, block

LATENCY = {"turn": 1, "outcome": "answered", "end_ms": 700, "queue_ms": 40, "lex_ms": 240}
LATENCY |= {"update_ms": None, "reply_ms": 989}
Added = dict[tuple[str, ...], float]


def added(event: str, level: str = "info", **fields: Any) -> Added:
    """Return what a line of the default line's calls adds, by metric and label values but the line's."""
    return {
        (name, *(labels[:-1] if METRICS[name].is_by_line else labels)): amount
        for name, labels, amount in counts_of(level, event, fields, "stream")
    }


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        ("call-answered", {}, {("calls_answered_total",): 1}),
        ("stream-started", {"resumed": None}, {("calls_started_total",): 1}),
        ("stream-started", {"resumed": "lost"}, {("calls_resumed_total", "lost"): 1}),
        ("call-ended", {"ended_by": "caller", "why": None}, {("calls_ended_total", "caller", "none"): 1}),
        (
            "call-ended",
            {"ended_by": "lexbridge", "why": "no-input"},
            {("calls_ended_total", "lexbridge", "no-input"): 1},
        ),
        ("lines-reloaded", {}, {("lines_reloads_total", "reloaded"): 1}),
        ("call-left", {"why": "keys", "worst_fault": None}, {("calls_left_total", "keys"): 1}),
        (
            "call-left",
            {"why": "stream lost", "worst_fault": "error"},
            {("calls_left_total", "stream lost"): 1, ("calls_with_faults_total", "error"): 1},
        ),
        (
            "call-ended",
            {"ended_by": "bot", "why": None, "worst_fault": "warning"},
            {("calls_ended_total", "bot", "none"): 1, ("calls_with_faults_total", "warning"): 1},
        ),
        ("utterance-ended", {"reason": "max-length"}, {("utterances_total", "max-length"): 1}),
        ("worker-replaced", {"why": "renewal"}, {("worker_replacements_total", "renewal"): 1}),
        ("keys-complete", {"keys": 4}, {("key_inputs_total",): 1}),
        ("filler-said", {"turn": 1}, {("fillers_total",): 1}),
        ("no-input", {"times": 1}, {("no_inputs_total",): 1}),
        ("barged-in", {"heard_ms": 400}, {("barge_ins_total",): 1}),
        ("false-alarm", {"turn": 1}, {("false_alarms_total",): 1}),
        ("joined", {"turn": 2, "with_turn": 1}, {("joins_total",): 1}),
        ("stream-ended", {"odd_messages": 2}, {("media_messages_odd_total",): 2}),
        ("turn-answered", {"turn": 1}, {}),
    ],
)
def test_a_line_that_is_as_it_should_be(event: str, fields: dict[str, Any], expected: Added) -> None:
    assert added(event, **fields) == expected


def test_the_times_of_a_turn_are_kept_apart_by_reply_mode() -> None:
    assert added("turn-latency", **LATENCY) == {
        ("turns_total", "answered"): 1,
        ("endpointing_seconds", "stream"): 0.7,
        ("turn_queue_seconds", "stream"): 0.04,
        ("reply_seconds", "stream"): pytest.approx(0.289),
        ("caller_wait_seconds", "stream"): 0.989,
    }
    welcome = {**LATENCY, "end_ms": None, "reply_ms": 400}
    assert added("turn-latency", **welcome)["reply_seconds", "stream"] == 0.4


@pytest.mark.parametrize(
    ("outcome", "counted"), [("answered", "not-heard"), ("joined", "joined"), ("failed", "failed")]
)
def test_a_turn_without_a_heard_reply_has_no_times(outcome: str, counted: str) -> None:
    unheard = {**LATENCY, "outcome": outcome, "end_ms": None, "queue_ms": None, "reply_ms": None}
    assert added("turn-latency", **unheard) == {("turns_total", counted): 1}


def test_times_of_lex_and_of_updates() -> None:
    assert added("lex-timed", "debug", turn=1, first_byte_ms=-20, total_ms=1500) == {
        ("lex_first_byte_seconds", "stream"): 0,  # Lex answered before the caller had finished
        ("lex_total_seconds", "stream"): 1.5,
    }
    assert added("call-updated", "debug", number=1, update_ms=120) == {
        ("call_updates_total",): 1,
        ("call_update_seconds", "stream"): 0.12,
    }


@pytest.mark.parametrize(
    ("level", "event", "fields", "expected"),
    [
        (
            "warning",
            "lex-request-failed",
            {"error": "Lex answered 429 Throttling"},
            {("lex_errors_total", "throttled"): 1},
        ),
        ("error", "lex-rejected", {"error": "Lex answered 404 X"}, {("lex_errors_total", "rejected"): 1}),
        ("warning", "lex-answer-unreadable", {"error": "x"}, {("lex_errors_total", "unreadable"): 1}),
        ("warning", "turn-failed", {"error": "NotSentError"}, {("lex_errors_total", "not-asked"): 1}),
        ("warning", "turn-failed", {"error": "LexUnavailable"}, {}),
        ("error", "lex-down", {}, {("lex_down",): 1}),
        ("warning", "lex-up", {}, {("lex_down",): -1}),
        (
            "warning",
            "utterance-dropped",
            {"why": "a key was pressed"},
            {("turns_total", "dropped"): 1, ("utterances_dropped_total", "a key was pressed"): 1},
        ),
        ("warning", "peer-refused", {"reason": "unknown path", "count": 7}, {("refusals_total", "unknown path"): 7}),
        ("warning", "call-refused", {"why": "full"}, {("calls_refused_total", "full"): 1}),
        ("warning", "stream-refused", {"why": "no token"}, {("stream_refusals_total", "no token"): 1}),
        ("warning", "log-lines-dropped", {"count": 30}, {("log_lines_dropped_total",): 30}),
        ("error", "worker-died", {"signal": "SIGABRT"}, {("worker_deaths_total", "SIGABRT"): 1}),
        ("error", "loop-held", {"held_ms": 300}, {}),
        ("error", "call-broken", {}, {("bugs_total",): 1}),
        (
            "warning",
            "call-update-failed",
            {"error": "Twilio answered 429, code 20429"},
            {("call_update_errors_total", "throttled", "retried"): 1},
        ),
        (
            "error",
            "call-update-failed",
            {"error": "no answer within 3 s"},
            {("call_update_errors_total", "timeout", "given-up"): 1},
        ),
    ],
)
def test_a_fault_counts_as_such_too(level: str, event: str, fields: dict[str, Any], expected: Added) -> None:
    assert added(event, level, **fields) == {("faults_total", event, level): 1, **expected}


def test_each_event_that_counts_is_an_event_of_the_log() -> None:
    table = block((ROOT / "docs/log.md").read_text(encoding="utf-8"), "events")
    assert {event for event in COUNTED_EVENTS if f"| `{event}` |" not in table} == set()


def test_the_names_of_metrics_keep_prometheus_rules() -> None:
    """The rules of promtool's `check metrics`, for metrics that no test has counted."""
    units = ("_seconds", "_bytes", "_ratio", "_info", "_live", "_down", "_generation", "_accepting", "_id", "workers")
    for name, metric in METRICS.items():
        assert metric.full_name.isascii()
        assert name == name.lower()
        assert metric.help.endswith(".")
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER), name
        assert metric.kind is Kind.COUNTER or name.endswith(units), name
        assert not name.endswith(("_count", "_sum", "_bucket")), name
        assert metric.kind.value not in name.split("_"), name
        assert not {"le", "quantile", "pid", "job", "instance"} & {*metric.labels}, name
        assert all(len(values) == len(metric.labels) for values in metric.known), name
        assert list(metric.buckets) == sorted({*metric.buckets}), name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), name
