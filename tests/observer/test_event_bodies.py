"""The bodies of posted events: their fields, and no words without EVENTS_WORDS."""

import json
from typing import Any

import pytest

from lexbridge.observer.events.event_bodies import body_of, call_sid_of, enveloped
from lexbridge.observer.events.event_fields import FIELDS, OUTCOMES
from lexbridge.observer.watched.kept_words import NO_WORDS, SAID
from lexbridge.observer.watched.watched_calls import FORGOTTEN_S, LEFT_S, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import (
    BEGAN_S,
    PIN,
    CallOfFacts,
    bad_call,
    holds_secret,
    service_starts,
    service_stops,
    usual_call,
)

WITH_WORDS = "with words: "
OBSERVER = "0123456789abcdef"


def bodies(call: CallOfFacts, has_words: bool = False, *, of_call: bool = True) -> list[dict[str, Any]]:
    """Return the bodies of a call's events, as a receiver reads them."""
    calls = WatchedCalls(SAID if has_words else NO_WORDS)
    told = [one for fact in call.facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(call.now_s + LEFT_S)
    posted = [enveloped(body_of(one, has_words), OBSERVER, number) for number, one in enumerate(told, 1)]
    return [body for body in json.loads(json.dumps(posted)) if of_call is False or "call_sid" in body["data"]]


def test_a_call_is_told_by_its_start_its_turns_and_its_end() -> None:
    started, first, second, ended = bodies(usual_call())
    assert started["type"] == "call.started"
    assert started["data"] == {
        "call_sid": "CA" + "b15e" * 8,
        "caller": "...471",
        "called": "...255",
        "line": "",
        "mode": "call-update",
        "began_at": "2023-11-14T22:13:20.000Z",
    }
    assert (first["type"], first["data"]["number"], second["data"]["number"]) == ("turn", 1, 2)
    assert first["data"]["reply_ms"] == 1040
    assert first["data"]["slots"] == ["FlowerType", "Pin"]
    data = ended["data"]
    assert (ended["type"], ended["timestamp"]) == ("call.ended", data["ended_at"])
    assert (data["ended_by"], data["turns"], data["duration_s"]) == ("caller", 2, 12.2)
    assert data["saw_end"]
    assert data["intents"] == [{"name": "OrderFlowers", "dialog_state": "ElicitSlot", "slots": ["FlowerType", "Pin"]}]


@pytest.mark.parametrize("has_words", [False, True])
def test_events_have_the_fields_that_are_described(has_words: bool) -> None:
    call = bad_call()
    call.facts = [service_starts(), *call.facts, service_stops(call.now_s)]
    found = bodies(call, has_words, of_call=False)
    assert {body["type"] for body in found} == set(FIELDS)
    for body in found:
        fields = FIELDS[body["type"]]
        described = [name for name, told in fields.items() if has_words or not told.startswith(WITH_WORDS)]
        assert list(body["data"]) == described


@pytest.mark.parametrize("call", [usual_call(), bad_call()])
def test_no_event_without_words_holds_one(call: CallOfFacts) -> None:
    assert list(holds_secret(json.dumps(bodies(call)))) == []


def test_events_with_words_hold_what_was_said() -> None:
    _, turn, _, ended = bodies(usual_call(), has_words=True)
    assert turn["data"]["transcript"] == "tulips for Mrs Bramble please"
    assert turn["data"]["messages"] == ["what flowers else, geheimnis?"]
    assert turn["data"]["slots"] == {"FlowerType": "tulips", "PickupDate": None, "Pin": PIN}
    assert ended["data"]["intents"][0]["slots"] == {"FlowerType": "tulips", "Pin": PIN}
    assert "raw-secret" not in json.dumps([turn, ended])


def test_three_faults_are_found_from_the_events_alone() -> None:
    """An operator who was not told finds a slow Lex, a killed worker, and a 429 of Twilio's REST API."""
    _, slow, lost, refused, ended = (body["data"] for body in bodies(bad_call()))
    assert (slow["lex_ms"], slow["filler"], slow["faults"]) == (3100, True, [])
    assert (lost["outcome"], lost["why"], lost["heard"]) == ("lost", "worker-ended", None)
    assert (slow["fillers"], len(slow["fillers_at"]), slow["heard"]) == (1, 1, "yes")
    (fault,) = refused["faults"]
    assert fault == {
        "kind": "call-update-failed",
        "severity": "warning",
        "count": 1,
        "at": fault["at"],
        "stream_sid": refused["stream_sid"],
        "turn": 1,
        "error": "Twilio answered 429, code 20429",
    }
    assert fault["at"] > refused["began_at"]
    assert (ended["turns"], ended["outcomes"]) == (3, {"answered": 2, "lost": 1})
    assert set(ended["outcomes"]) <= set(OUTCOMES)
    assert ended["worst_lex_ms"] == 3100
    assert not ended["saw_end"], "the caller hung up, or another task has the call"
    assert [(stream["worker_pid"], stream["resumed"], stream["how"]) for stream in ended["streams"]] == [
        (4001, None, "worker-ended"),
        (4002, "lost", "stopped by Twilio"),
    ]
    assert {fault["kind"] for fault in ended["faults"]} == {"worker-ended", "call-update-failed"}


def test_an_event_keeps_its_id_and_others_have_another() -> None:
    ids = [body["id"] for body in bodies(bad_call(), of_call=False)]
    assert ids == [body["id"] for body in bodies(bad_call(), has_words=True, of_call=False)]
    assert len(set(ids)) == 6


def test_events_are_numbered_so_that_a_gap_is_seen() -> None:
    found = bodies(bad_call(), of_call=False)
    assert [body["sequence"] for body in found] == [1, 2, 3, 4, 5, 6]
    assert {body["observer"] for body in found} == {OBSERVER}


def test_an_event_knows_its_call() -> None:
    call, calls = bad_call(), WatchedCalls()
    told = [one for fact in call.facts if isinstance(fact, Event) for one in calls.take(fact)]
    assert {call_sid_of(one) for one in told} == {call.call_sid, ""}


def test_a_died_worker_is_an_event_with_its_calls() -> None:
    (died,) = [body for body in bodies(bad_call(), of_call=False) if body["type"] == "worker.died"]
    data = died["data"]
    assert (died["timestamp"], data["pid"], data["signal"], data["status"]) == (data["at"], 4001, "SIGKILL", None)
    assert data["call_sids"] == [bad_call().call_sid]


def test_an_ending_by_silence_can_be_read() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.tells("no-input", times=1, ends_call=False, by_document=False)
    call.now_s += 8
    call.tells("no-input", times=2, ends_call=True, by_document=False)
    call.tells("call-ended", ended_by="lexbridge", why="no-input")
    *_, ended = bodies(call)
    assert (ended["data"]["ended_by"], ended["data"]["why"]) == ("lexbridge", "no-input")
    assert ended["data"]["no_inputs"] == [
        {"at": "2023-11-14T22:13:20.100Z", "ends_call": False, "by_document": False},
        {"at": "2023-11-14T22:13:28.100Z", "ends_call": True, "by_document": False},
    ]


def test_a_stream_of_which_nothing_more_was_heard_has_no_end() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    for fact in call.facts:
        assert isinstance(fact, Event)
        list(calls.take(fact))
    (ended,) = calls.tick(call.now_s + FORGOTTEN_S)
    data = body_of(ended, False)["data"]
    assert (data["streams"][0]["ended_at"], data["why"]) == (None, "nothing more was heard of it")


def test_a_call_without_a_stream_has_an_end() -> None:
    calls = WatchedCalls()
    list(calls.take(Event(BEGAN_S, "CA1", "", -1, "info", "call-answered", {})))
    started, ended = (body_of(told, False)["data"] for told in calls.tick(BEGAN_S + LEFT_S))
    assert started["mode"] is None
    assert (ended["why"], ended["streams"]) == ("no stream", [])
