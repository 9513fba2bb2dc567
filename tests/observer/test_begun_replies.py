"""Whether a caller heard the reply to a turn, as far as facts tell."""

import pytest

from lexbridge.observer.watched.begun_replies import LEAST_HEARD_S
from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.observer.watched.told_turns import ToldTurns
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import BEGAN_S, CallOfFacts

FAR_S = 60.0


def turns_of(call: CallOfFacts) -> list[CallTurn]:
    """Return the turns that are over, a minute after the last fact."""
    told = ToldTurns(CallFacts(call.call_sid, BEGAN_S))
    turns = [turn for event in call.facts if isinstance(event, Event) for turn in told.take(event)]
    return [*turns, *told.settle(call.now_s + FAR_S)]


def answered(mode: str = "call-update") -> CallOfFacts:
    """Return a call whose first turn Lex has answered."""
    call = CallOfFacts(mode=mode)
    call.is_answered()
    call.asks(1)
    call.is_answered_by_lex(1)
    return call


@pytest.mark.parametrize(("after_s", "heard"), [(0.1, "replaced"), (LEAST_HEARD_S, "yes"), (3, "yes")])
def test_a_document_that_follows_soon_takes_the_replys_place(after_s: float, heard: str) -> None:
    call = answered()
    call.is_told(1, number=1, lex_ms=300)
    call.now_s += after_s
    call.tells("update-made", number=2, hands_over=False)
    (turn,) = turns_of(call)
    assert (turn.outcome, turn.heard) == ("answered", heard)


def test_a_turn_is_told_once_it_is_known() -> None:
    call = answered()
    call.is_told(1, number=1, lex_ms=300)
    told = ToldTurns(CallFacts(call.call_sid, BEGAN_S))
    assert [turn for event in call.facts if isinstance(event, Event) for turn in told.take(event)] == []
    assert told.settle(call.now_s + LEAST_HEARD_S - 0.01) == []
    assert [turn.heard for turn in told.settle(call.now_s + LEAST_HEARD_S)] == ["yes"]
    assert told.told == 1


def test_a_document_of_another_stream_changes_nothing() -> None:
    call = answered()
    call.is_told(1, number=1, lex_ms=300)
    call.stream_sid = "MZ" + "02" * 16
    call.tells("update-made", number=1, hands_over=False)
    assert [turn.heard for turn in turns_of(call)] == ["yes"]


@pytest.mark.parametrize(("newer", "heard"), [(True, "replaced"), (False, None)])
def test_a_document_that_twilio_never_took_was_not_heard(newer: bool, heard: str | None) -> None:
    call = answered()
    call.tells("update-made", number=1, hands_over=False)
    if newer:
        call.tells("update-made", number=2, hands_over=False)
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=700, lex_ms=300)
    assert [turn.heard for turn in turns_of(call)] == [heard]


@pytest.mark.parametrize(("after_s", "heard"), [(0.1, "replaced"), (0.3, "yes")])
def test_a_stream_that_is_cleared_takes_the_reply_away(after_s: float, heard: str) -> None:
    call = answered("stream")
    said_s = call.now_s - 0.3
    reply_ms = 700 + round((call.now_s + 0.2 - said_s) * 1000)  # its first sound is heard in 200 ms
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=700, lex_ms=300, reply_ms=reply_ms)
    call.now_s += after_s
    call.tells("audio-cleared")
    assert [turn.heard for turn in turns_of(call)] == [heard]


@pytest.mark.parametrize(
    ("name", "fields", "heard"),
    [
        ("call-ended", {"ended_by": "caller"}, None),
        ("call-ended", {"ended_by": "bot"}, "yes"),
        ("call-left", {"why": "handed over"}, "yes"),
        ("call-left", {"why": "stream lost"}, None),
    ],
)
def test_a_stream_that_ends_in_that_moment(name: str, fields: dict[str, str], heard: str | None) -> None:
    """The document goes on where it ends the stream itself; in other cases nobody knows."""
    call = answered()
    call.is_told(1, number=1, lex_ms=300)
    call.tells(name, **fields)
    assert [turn.heard for turn in turns_of(call)] == [heard]


def test_turns_without_a_reply_are_not_heard() -> None:
    call = answered()
    call.tells("turn-latency", turn=1, outcome="joined", end_ms=700)
    assert [turn.heard for turn in turns_of(call)] == [None]
