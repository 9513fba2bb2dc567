"""The figures of a call, as the console, recordings, posted events and traces each tell them of the same facts."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.events.event_bodies import body_of
from lexbridge.observer.tracing.spans import spans_of
from lexbridge.observer.watched.call_facts import logged
from lexbridge.observer.watched.kept_words import SAID
from lexbridge.observer.watched.watched_calls import FORGOTTEN_S, WatchedCalls
from lexbridge.telemetry.facts import Event, Fact

FAR_S = FORGOTTEN_S + 60
"""A time after the last fact at which every call is over for all of them."""

OF_TURN = ("stream_sid", "turn", "outcome", "why", "filler", "intent", "dialog_state", "slot_to_elicit", "reply_ms")
TIMES = ("end_ms", "queue_ms", "lex_ms", "update_ms")
OF_CALL = ("ended_by", "barge_ins", "fillers", "worst_reply_ms")

Json = dict[str, Any]
Figures = tuple[list[Json], Json]


def shown(view: Json) -> Figures:
    """Return the figures of a call as the console and recordings have it: its turns that are over, and the call."""
    over = [turn for turn in view["turns"] if turn["over_s"] is not None]
    for turn in over:
        turn["why"] = turn["why"] if turn["outcome"] in ("lost", "dropped") else None
        turn["slots"] = {name: value for name, value in turn["slots"].items() if value is not None}
    summary = view["summary"]
    call = {
        **{name: summary[name] for name in (*OF_CALL, "why", "no_inputs", "caller", "began_s")},
        "turns": len(over),
        "outcomes": dict(Counter(turn["outcome"] for turn in over)),
        "intents": {turn["intent"] for turn in view["turns"] if turn["intent"]},
        "streams": [
            (one["stream_sid"], one["worker_pid"], None if one["how"] == "call-ended" else one["how"])
            for one in view["streams"]
        ],
    }
    return [{name: turn[name] for name in (*OF_TURN, *TIMES, "slots", "transcript")} for turn in in_order(over)], call


def in_order(turns: list[Json]) -> list[Json]:
    """Return turns by stream and number: each of those who pass them on has an order of its own."""
    return sorted(turns, key=lambda turn: (turn["stream_sid"], turn["turn"]))


def of_console(facts: Sequence[Fact]) -> Figures:
    book = CallBook()
    for fact in facts:
        book.take(fact)
    now_s = facts[-1].at_s + FAR_S
    book.settle(now_s)
    (record,) = book.records.values()
    return shown(json.loads(msgspec.json.encode(record.view(now_s))))


def of_events(facts: Sequence[Fact]) -> Figures:
    calls = WatchedCalls(SAID)
    told = [one for fact in facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(facts[-1].at_s + FAR_S)
    bodies = [body_of(one, has_words=True) for one in told]
    turns = [body["data"] for body in bodies if body["type"] == "turn"]
    (end,) = (body["data"] for body in bodies if body["type"] == "call.ended")
    (call,) = (one.call for one in told if type(one).__name__ == "CallEnded")
    for turn in turns:
        turn["slots"] = {name: value for name, value in turn["slots"].items() if value is not None}
    figures = {
        **{name: end[name] for name in (*OF_CALL, "turns", "outcomes", "caller")},
        "why": logged(end["why"]),
        "no_inputs": len(end["no_inputs"]),
        "began_s": call.began_s,
        "intents": {intent["name"] for intent in end["intents"]},
        "streams": [(one["stream_sid"], one["worker_pid"], logged(one["how"])) for one in end["streams"]],
    }
    return [
        {name: turn[name] for name in (*OF_TURN, *TIMES, "slots", "transcript")} for turn in in_order(turns)
    ], figures


def of_traces(facts: Sequence[Fact]) -> Figures:
    calls = WatchedCalls()
    told = [one for fact in facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(facts[-1].at_s + FAR_S)
    spans = [span for one in told for span in spans_of(one)]
    turns = [{name.removeprefix("lexbridge."): value for name, value in span.attributes.items()} for span in spans]
    of_turns = [attributes for span, attributes in zip(spans, turns, strict=True) if span.name == "turn"]
    (call,) = (attributes for span, attributes in zip(spans, turns, strict=True) if span.name == "call")
    ended = {
        **{name: call.get(name) for name in (*OF_CALL, "turns", "no_inputs")},
        "why": logged(str(call["why"])),
        "intents": set(call["intents"]),  # type: ignore[arg-type]
    }
    return [{name: turn.get(name) for name in OF_TURN} for turn in in_order(of_turns)], ended


def assert_agree(facts: Sequence[Fact], *others: Figures) -> None:
    """Assert that all have the same turns and the same call, as far as each tells of them. `others`: further ones."""
    turns, call = of_events(facts)
    for other_turns, other_call in [of_console(facts), of_traces(facts), *others]:
        assert len(other_turns) == len(turns)
        for turn, other in zip(turns, other_turns, strict=True):
            assert other == {name: turn[name] for name in other}
        assert other_call == {name: call[name] for name in other_call}
