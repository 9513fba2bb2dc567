"""Traces at a real OTLP receiver: one of each call, whichever processes tell of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lexbridge.observer.tracing import traces
from lexbridge.observer.tracing.traces import Traces
from tests.support.event_receiver import EventReceiver, waits_until
from tests.support.facts_of_calls import CallOfFacts, bad_call, holds_secret, usual_call
from tests.support.fixtures import Logged
from tests.support.settings import make_settings

UNSET, ERROR = 0, 2
"""Codes of a span's status."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send at once."""
    monkeypatch.setattr(traces, "SEND_EVERY_MS", 20)
    monkeypatch.setattr(traces, "TICK_S", 0.05)


@contextmanager
def tracing(receiver: EventReceiver, **variables: str) -> Iterator[Traces]:
    """Run a receiver, and a sink that sends to it."""
    with receiver.running():
        base = receiver.url.removesuffix("/events")
        sink = Traces(make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=base, **variables))
        try:
            yield sink
        finally:
            sink.close(5)


def gives(sink: Traces, call: CallOfFacts) -> None:
    for fact in call.facts:
        sink.take(fact)


def now(**changes: Any) -> dict[str, Any]:
    """Return the times of a call that began half a minute ago."""
    return {"now_s": (began_s := time.time() - 30), "began_s": began_s, **changes}


def requests_of(receiver: EventReceiver) -> list[ExportTraceServiceRequest]:
    """Return the requests, decoded."""
    return [ExportTraceServiceRequest.FromString(body) for _, body in receiver.requests]


def spans_of(receiver: EventReceiver) -> list[Any]:
    return [
        span
        for request in requests_of(receiver)
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def has_call(receiver: EventReceiver) -> bool:
    return any(span.name == "call" for span in spans_of(receiver))


def test_a_call_is_one_trace_of_nested_spans() -> None:
    with tracing(receiver := EventReceiver()) as sink:
        gives(sink, call := usual_call(**now()))
        waits_until(lambda: has_call(receiver))
    spans = spans_of(receiver)
    assert set(receiver.paths) == {"/v1/traces"}
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans) == 12
    ids = {span.span_id: span.name for span in spans}
    parents = {span.name: ids.get(span.parent_span_id) for span in spans}
    of_turn = dict.fromkeys(("utterance", "endpointing", "lex", "update"), "turn")
    assert parents == {"call": None, "stream": "call", "turn": "call", **of_turn}
    (root,) = (span for span in spans if span.name == "call")
    assert root.start_time_unix_nano == round((call.began_s - 0.1) * 1e9)
    assert root.status.code == UNSET
    lex = next(span for span in spans if span.name == "lex")
    assert lex.end_time_unix_nano - lex.start_time_unix_nano == pytest.approx(300_000_000, abs=1000)


def test_the_resource_names_the_service() -> None:
    with tracing(receiver := EventReceiver(), SERVICE_NAME="our-bridge") as sink:
        gives(sink, usual_call(**now()))
        waits_until(lambda: has_call(receiver))
    (resource, *_) = requests_of(receiver)[0].resource_spans
    attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert attributes["service.name"] == "our-bridge"
    assert attributes["service.version"]


def test_processes_that_tell_of_a_call_agree_on_its_trace() -> None:
    """The observer is replaced in the middle of a call: turns of both have the same trace and parent."""
    call = usual_call(**now())
    half = next(at for at, fact in enumerate(call.facts) if getattr(fact, "name", "") == "turn-latency") + 1
    with tracing(receiver := EventReceiver()) as first:
        for fact in call.facts[:half]:
            first.take(fact)
    with tracing(other := EventReceiver()) as second:
        for fact in call.facts[half:]:
            second.take(fact)
        waits_until(lambda: has_call(other))
    turns = [span for span in spans_of(receiver) + spans_of(other) if span.name == "turn"]
    (root,) = (span for span in spans_of(other) if span.name == "call")
    assert len(turns) == 2
    assert {(turn.trace_id, turn.parent_span_id) for turn in turns} == {(root.trace_id, root.span_id)}
    assert len({turn.span_id for turn in turns}) == 2


def test_faults_are_errors_with_what_happened() -> None:
    with tracing(receiver := EventReceiver()) as sink:
        gives(sink, bad_call(now_s=(began_s := time.time() - 200), began_s=began_s))
        waits_until(lambda: has_call(receiver))
    spans = spans_of(receiver)
    (update,) = (span for span in spans if span.name == "update" and span.status.code == ERROR)
    assert update.status.message == "call-update-failed"
    (event,) = update.events
    told = {one.key: one.value.string_value or one.value.int_value for one in event.attributes}
    assert told == {"count": 1, "error": "Twilio answered 429, code 20429"}
    lost = [span for span in spans if span.name == "stream" and span.status.code == ERROR]
    assert len(lost) == 1
    slow = max(span.end_time_unix_nano - span.start_time_unix_nano for span in spans if span.name == "lex")
    assert slow == pytest.approx(3_100_000_000, abs=1000)


def test_no_word_and_no_number_leaves(logged: Logged) -> None:
    with tracing(receiver := EventReceiver()) as sink:
        gives(sink, usual_call(**now()))
        waits_until(lambda: has_call(receiver))
    sent = " ".join(str(request) for request in requests_of(receiver))
    assert list(holds_secret(sent)) == []
    assert "...471" not in sent
    assert list(holds_secret(json.dumps(logged()))) == []


def test_a_collector_that_refuses_loses_spans_and_is_logged(logged: Logged) -> None:
    with tracing(EventReceiver((400, {}), (400, {}))) as sink:
        gives(sink, usual_call(**now()))
        waits_until(lambda: any(line["event"] == "traces-not-taken" for line in logged()))
    assert [line["level"] for line in logged() if line.get("logger", "").startswith("opentelemetry")] == []


def test_a_collector_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    monkeypatch.setattr(traces, "MAX_SPANS", 600)
    receiver = EventReceiver()
    receiver.may_answer.clear()
    with tracing(receiver) as sink:
        for number in range(80):
            gives(sink, usual_call(call_sid=f"CA{number:032}", **now()))
        assert sink._exporter.waiting == 600
        receiver.may_answer.set()
        waits_until(lambda: sink._exporter.waiting == 0)
    assert [line["reason"] for line in logged() if line["event"] == "traces-not-taken"] == ["too many wait"]


def test_a_fact_that_cannot_be_read_stops_nothing(logged: Logged) -> None:
    with tracing(receiver := EventReceiver()) as sink:
        sink._calls = None  # type: ignore[assignment]
        sink.take(usual_call().facts[0])
        sink._calls = traces.WatchedCalls()
        gives(sink, usual_call(**now()))
        waits_until(lambda: has_call(receiver))
    assert "traces-broken" in [line["event"] for line in logged()]
