"""Whole real calls through the sinks: no word, key or number of them is in events without words, in traces or the log.

The calls go over the bridge, so that what it tells is as in the service, in both reply modes and for both generations
of Lex.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lexbridge.observer.events.posted_events import PostedEvents
from lexbridge.observer.recording.recorder import Recorder
from lexbridge.observer.tracing.traces import Traces
from lexbridge.telemetry.facts import Fact
from tests.support.event_receiver import EventReceiver
from tests.support.fixtures import Logged
from tests.support.flower_order import ORDER
from tests.support.lexes import GENERATIONS
from tests.support.rig import flowers, running, says, v2_bot
from tests.support.settings import make_settings
from tests.support.streaming import streaming
from tests.support.telling import telling
from tests.support.told_figures import assert_agree

SAID = (
    "would like",
    "roses",
    "tomorrow",
    "five",
    '"17:00',  # a text that begins so, which no timestamp does
    "what type",
    "what day",
    "picked up",
    "thanks",
    "<Say",
    "12065550",
)
"""What the caller and the bot say, values of slots, a document, and what both phone numbers begin with."""


def facts_of_a_call(mode: str, generation: str) -> Sequence[Fact]:
    """Let a caller order flowers, and return all that the bridge tells of it."""
    bot = v2_bot(flowers()) if generation == "v2" else {}
    is_stream = mode == "stream"
    with (
        telling() as told,
        (
            streaming(*ORDER, generation=generation, teller=told.teller)
            if is_stream
            else running(ORDER, teller=told.teller, **bot)
        ) as rig,
    ):
        told.follow(all_calls=True)
        rig.ended(rig.place_call(says(*ORDER)))
        told.wait_for("call-ended")
    return list(told.facts)


def found(text: str) -> list[str]:
    """Return which of what was said a text holds."""
    return [one for one in SAID if one.lower() in text.lower()]


@GENERATIONS
@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_nothing_that_was_said_leaves_without_being_asked_for(
    mode: str, generation: str, tmp_path: Path, logged: Logged
) -> None:
    facts = facts_of_a_call(mode, generation)
    assert_agree(facts)  # whoever watches it tells the same of it
    assert {"roses", "what type"} <= set(found(repr(facts))), "there is something to find"
    with EventReceiver().running() as events, EventReceiver().running() as words, EventReceiver().running() as spans:
        secret = {"EVENTS_SECRET": "a-secret-of-the-test"}
        sinks = [
            PostedEvents(make_settings(EVENTS_URL=events.url, **secret)),
            PostedEvents(make_settings(EVENTS_URL=words.url, EVENTS_WORDS="on", **secret)),
            Recorder(make_settings(RECORD_DIR=str(tmp_path))),
            Traces(make_settings(OTEL_EXPORTER_OTLP_ENDPOINT=spans.url.removesuffix("/events"))),
        ]
        for fact in facts:
            for sink in sinks:
                sink.take(fact)
        for sink in sinks:
            sink.close(10)
    assert [body["type"] for body in events.bodies][-1] == "call.ended"
    assert found(json.dumps(events.bodies)) == []
    assert {"roses", "what type"} <= set(found(json.dumps(words.bodies)))
    traced = " ".join(str(ExportTraceServiceRequest.FromString(body)) for _, body in spans.requests)
    traced = re.sub(r"unix_nano: \d+", "", traced)  # any number may stand in one by chance
    assert "OrderFlowers" in traced
    assert found(traced) == []
    assert found(json.dumps(logged())) == []
    assert len(names := [path.name for path in tmp_path.iterdir()]) == 2
    assert found(" ".join(names)) == []
