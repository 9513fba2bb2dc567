"""The spans of a call's trace: what they are called, when they were, and where the faults are."""

from lexbridge.observer.tracing.spans import SpanPlan, span_id, spans_of, trace_id
from lexbridge.observer.watched.watched_calls import LEFT_S, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import BEGAN_S, CallOfFacts, bad_call, holds_secret, usual_call


def plans(call: CallOfFacts) -> list[SpanPlan]:
    """Return the spans of a call."""
    calls = WatchedCalls()
    told = [one for fact in call.facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(call.now_s + LEFT_S)
    return [span for one in told for span in spans_of(one)]


def tree(spans: list[SpanPlan], parent: str | None = None) -> list[object]:
    """Return the names of spans below a parent, each with those below it."""
    found: list[object] = []
    for span in spans:
        if span.parent == parent:
            below = tree(spans, span.key)
            found.append([span.name, *below] if below else span.name)
    return found


def test_a_call_has_spans_for_its_turns_and_what_they_took() -> None:
    turn = ["turn", "utterance", "endpointing", "lex", "update"]
    assert tree(plans(usual_call())) == [["call", turn, turn, "stream"]]


def test_spans_have_their_true_times() -> None:
    spans = {span.name: span for span in reversed(plans(usual_call()))}
    began_s = BEGAN_S + 0.1  # of the stream, and of the first words
    times = {name: (round(span.start_s - began_s, 3), round(span.end_s - began_s, 3)) for name, span in spans.items()}
    assert times == {
        "call": (-0.1, 12.08),
        "stream": (0.0, 12.08),
        "turn": (0.0, 3.04),
        "utterance": (0.0, 2.0),
        "endpointing": (2.0, 2.7),
        "lex": (2.7, 3.0),
        "update": (3.0, 3.04),
    }


def test_a_turn_that_waits_for_an_earlier_one_has_a_span_of_it() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    said_s = call.now_s
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=700, queue_ms=500, lex_ms=300, reply_ms=1600)
    spans = {span.name: span for span in plans(call)}
    assert (spans["queue"].start_s, spans["queue"].end_s) == (said_s, said_s + 0.5)
    assert spans["lex"].start_s == said_s + 0.5


def test_a_trace_has_no_words() -> None:
    for call in (usual_call(), bad_call()):
        spans = plans(call)
        assert list(holds_secret(repr(spans))) == []
        assert "...471" not in repr(spans), "a number, though masked"


def test_faults_stand_where_they_happened() -> None:
    errors = [(span.name, [fault.kind for fault in span.faults]) for span in plans(bad_call()) if span.is_error]
    assert errors == [
        ("turn", []),  # lost with its worker
        ("turn", ["call-update-failed"]),
        ("update", ["call-update-failed"]),
        ("stream", []),
        ("call", ["worker-ended", "call-update-failed"]),
    ]


def test_a_turn_that_lex_failed_is_an_error_of_lex() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("lex-request-failed", level="warning", turn=1, attempt=1, error="status 429")
    call.tells("turn-failed", level="warning", turn=1, error="LexThrottled")
    call.tells("turn-latency", turn=1, outcome="failed", end_ms=700, lex_ms=5000, reply_ms=None)
    lex = next(span for span in plans(call) if span.name == "lex")
    assert (lex.is_error, lex.faults[0].error) == (True, "status 429")


def test_keys_and_the_welcome_have_spans_of_the_wait() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.tells("lex-asked", turn=0, how="welcome")
    call.now_s += 0.3
    call.tells("turn-latency", turn=0, outcome="answered", end_ms=None, lex_ms=200, reply_ms=250)
    call.now_s += 3
    call.tells("keys-complete", turn=1, keys=4, silent_ms=900)
    call.now_s += 0.3
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=900, lex_ms=200, reply_ms=1200)
    call.tells("lex-asked", turn=2, how="keys")
    call.tells("turn-latency", turn=2, outcome="joined")
    call.hangs_up()
    welcome, keys, joined = (span for span in plans(call) if span.name == "turn")
    assert round(welcome.end_s - welcome.start_s, 3) == 0.25
    assert round(keys.end_s - keys.start_s, 3) == 1.2
    assert joined.end_s == joined.start_s
    assert tree(plans(call)) == [["call", ["turn", "lex"], ["turn", "endpointing", "lex"], "turn", "stream"]]


def test_ids_come_from_the_call_alone() -> None:
    assert trace_id("CA1") == trace_id("CA1") != trace_id("CA2")
    assert span_id("CA1", "call") == span_id("CA1", "call") != span_id("CA2", "call")
    assert trace_id("CA1") < 2**128
    assert span_id("CA1", "call") < 2**64


def test_a_call_that_never_had_a_stream_has_a_span() -> None:
    call = CallOfFacts(stream_sid="")
    call.tells("call-answered")
    (span,) = plans(call)
    assert (span.name, span.attributes["lexbridge.why"]) == ("call", "no stream")
