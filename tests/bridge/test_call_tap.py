"""What a live call tells the observer: its words, its steps, and the very audio that went over the line."""

from collections.abc import Callable
from typing import Any

import pytest

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.audio.replay import Replay
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.observer.calls.kept_audio import Track
from lexbridge.offline.twilio.events import EndReason
from lexbridge.telemetry.teller import Teller
from tests.support.flower_order import FLOWERS, KINDS, ORDER
from tests.support.lexes import GENERATIONS
from tests.support.rig import flowers, running, says, v2_bot
from tests.support.streaming import call_until_asked_for_kinds, streaming
from tests.support.telling import telling

WORDS = ("roses", "five", "flowers would", "'17:00", '"17:00')
"""Words of the caller, of the bot and of slots. Texts that begin with the time of a slot are no timestamps."""


@GENERATIONS
def test_a_call_tells_what_was_said_and_understood(generation: str) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with telling() as told, running(ORDER, teller=told.teller, **bot) as rig:
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        told.wait_for("call-ended")
        answers = told.events("lex-answered")
    assert {event.call_sid for event in answers} == {call.sid}
    assert [event.words["transcript"] for event in answers] == list(ORDER)
    assert answers[0].words["messages"][0].startswith(KINDS)
    assert answers[4].words["slots"]["FlowerType"] == "roses"
    assert answers[0].words["slots"]["FlowerType"] is None
    assert answers[1].fields["slot_to_elicit"] == "PickupDate"
    assert "roses" in str(answers[1].words["raw"])
    documents = told.events("update-made")
    assert KINDS in documents[0].words["twiml"]
    assert told.events("call-described")[0].fields["caller"].startswith("...")
    assert told.events("stream-described")[0].fields["mode"] == "call-update"


def test_no_word_stands_among_the_fields() -> None:
    with telling() as told, streaming(*ORDER, teller=told.teller) as rig:
        rig.ended(rig.place_call(says(*ORDER)))
        told.wait_for("call-ended")
    events = told.events()
    said = " ".join(str(event.words) for event in events)
    assert all(word in said for word in WORDS[:3])
    assert [event for event in events if any(word in str(event.fields) for word in WORDS)] == []


@pytest.mark.parametrize("mode", ["call-update", "stream"])
def test_the_steps_of_a_turn_come_in_order(mode: str) -> None:
    with telling() as told, streaming(FLOWERS, teller=told.teller, REPLY_MODE=mode) as rig:
        call = rig.place_call(says(FLOWERS))
        told.wait_for("lex-answered")
        call.hang_up()
        rig.ended(call)
    names = ("stream-described", "utterance-opened", "utterance-ended", "utterance-closed", "lex-answered")
    steps = told.events(*names)
    assert [step.name for step in steps] == list(names)
    opened, ended = steps[1], steps[2]
    assert abs(opened.fields["started_ms"] - ended.fields["started_ms"]) <= 500  # the pre-roll, and the onset
    assert opened.media_ms <= ended.media_ms
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)


def test_the_audio_is_what_went_over_the_line() -> None:
    with telling() as told, streaming(*ORDER, teller=told.teller) as rig:
        told.follow(all_calls=True)
        call = rig.place_call(says(*ORDER))
        rig.ended(call)
        told.wait_for("call-ended")
    heard = told.audio("caller")
    end_ms = 0
    for piece in heard:
        assert piece.media_ms >= end_ms
        end_ms = piece.media_ms + len(piece.mulaw) // 8
    told_of = b"".join(piece.mulaw for piece in heard)
    assert len(told_of) > 8000
    assert told_of in bytes(call.line.caller_mulaw)
    spoken = b"".join(piece.mulaw for piece in told.audio("bot"))
    # What is sent is played whole, but for what the end of the call or a pause of the line cuts off.
    assert spoken.replace(b"\xff", b"")[:8000] in bytes(call.line.bot_mulaw).replace(b"\xff", b"")


def test_the_audio_stands_where_the_call_heard_it() -> None:
    """Hearing it once more finds each utterance at the same media time."""
    with telling() as told, streaming(*ORDER[:2], teller=told.teller) as rig:
        told.follow(all_calls=True)
        call = rig.place_call(says(*ORDER[:2]))
        told.wait_for("lex-answered", 2)
        call.hang_up()
        rig.ended(call)
    track = Track()
    for piece in told.audio("caller"):
        track.put(piece.media_ms, piece.mulaw)
    (run,) = track.runs
    replay = Replay(AmplitudeDetector(500), EndpointingRules())
    for start in range(0, len(run.mulaw) - 159, 160):
        replay.push(bytes(run.mulaw[start : start + 160]))
    heard = [(run.start_ms + one.started_ms, run.start_ms + one.ended_ms) for one in replay.utterances()]
    decided = [(event.fields["started_ms"], event.fields["ended_ms"]) for event in told.events("utterance-ended")]
    assert len(decided) == 2
    assert heard[:2] == decided


def test_no_audio_is_told_of_a_call_that_nobody_follows() -> None:
    with telling() as told, streaming(FLOWERS, teller=told.teller) as rig:
        caller, call = call_until_asked_for_kinds(rig)
        assert told.audio("caller") == told.audio("bot") == []
        told.follow(call.sid)
        caller.say("roses")
        told.wait_for("utterance-opened", 2)
        assert told.audio("caller")
        call.hang_up()
        rig.ended(call)


def test_keys_are_told_apart_from_fields() -> None:
    with telling() as told, streaming(FLOWERS, teller=told.teller) as rig:
        _, call = call_until_asked_for_kinds(rig)
        for key in "42#":
            call.press(key)
        told.wait_for("lex-asked")
        call.hang_up()
        rig.ended(call)
    assert [event.words["key"] for event in told.events("key-pressed")] == ["4", "2", "#"]
    (asked,) = told.events("lex-asked")
    assert asked.fields["how"] == "keys"
    assert asked.words["keys"].startswith("42")


def test_a_bug_in_the_tap_ends_no_call(monkeypatch: pytest.MonkeyPatch, logged: Callable[[], Any]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("secret")

    with telling() as told, streaming(*ORDER, teller=told.teller) as rig:
        monkeypatch.setattr(Teller, "tell", broken)
        monkeypatch.setattr(Teller, "add_stream", broken)
        monkeypatch.setattr(Teller, "remove_stream", broken)
        call = rig.place_call(says(*ORDER))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
    faults = [line for line in logged() if line["event"] == "telling-fault"]
    assert {line["reason"] for line in faults} == {"call", "webhook"}
    assert "secret" not in str(faults)
