"""Facts that are lost, late or in another order than they happened: calls and turns that still come to their end."""

import pytest

from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.watched_calls import ENDED_S, LEFT_S, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import BEGAN_S, OTHER_PID, PID, CallOfFacts
from tests.support.read_facts import read, watched


def test_a_call_goes_on_though_its_workers_end_is_told_late() -> None:
    """Twilio opens the next stream before the supervisor has noticed that the worker is gone."""
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    died = Event(call.now_s + 0.3, "", "", -1, "info", "worker-ended", {"pid": PID, "slot": 0})
    call.now_s += 0.1
    call.begins("MZ" + "02" * 16, pid=OTHER_PID, resumed="lost")
    call.now_s += 0.2
    call.facts.append(died)
    watched(call, calls)
    assert list(calls.tick(call.now_s + LEFT_S + 1)) == []
    call.hangs_up()
    watched(call, calls)
    (end,) = calls.tick(call.now_s + ENDED_S)
    assert (end.call.ended_by, end.call.why, end.call.faults["worker-ended"].count) == (
        "caller",
        "caller hung up",
        1,
    )


def test_the_older_of_two_streams_does_not_end_the_call() -> None:
    call = CallOfFacts()
    call.is_answered()
    first = call.stream_sid
    call.begins("MZ" + "02" * 16)
    call.stream_sid = first
    call.tells("call-left", why="taken over")
    facts, _ = read(call)
    assert facts.ended_s is None
    assert facts.has_live_stream


def test_an_older_stream_that_is_told_of_late_reopens_nothing() -> None:
    """The facts of its worker wait in another socket."""
    call = CallOfFacts()
    call.is_answered()
    late_s = call.now_s - 0.05
    call.hangs_up()
    call.facts.append(Event(late_s, call.call_sid, "MZ0", 0, "info", "stream-started", {}))
    facts, _ = read(call)
    assert (facts.ended_by, facts.is_over, facts.has_live_stream, len(facts.streams)) == ("caller", True, False, 2)


def test_a_stream_whose_end_was_never_told_does_not_hold_a_call() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    call.now_s += 1
    call.begins("MZ" + "02" * 16, pid=OTHER_PID)
    call.hangs_up()
    watched(call, calls)
    (end,) = calls.tick(call.now_s + ENDED_S)
    assert (end.call.ended_by, [one.how for one in end.call.streams.values()]) == ("caller", [None, "caller hung up"])


def test_a_call_whose_end_was_lost_ends_soon_after_its_stream() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    call.tells("stream-ended", how="stopped")
    watched(call, calls)
    (end,) = calls.tick(call.now_s + LEFT_S)
    assert (end.call.ended_by, end.call.why) == (None, "nothing more was heard of it")


def test_a_call_that_a_webhook_ended_waits_for_its_stream() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    call.facts.append(Event(call.now_s, call.call_sid, "", -1, "info", "silent-caller-left", {}))
    watched(call, calls)
    assert list(calls.tick(call.now_s + LEFT_S - 1)) == []
    (end,) = calls.tick(call.now_s + LEFT_S)
    assert (end.call.ended_by, end.call.why) == ("lexbridge", "silent-caller-left")


def test_late_facts_of_a_turn_that_is_over_begin_none() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("utterance-dropped", turn=1, why="a key was pressed")
    call.is_answered_by_lex(1)
    call.hangs_up()
    facts, turns = read(call)
    assert [turn.outcome for turn in turns] == ["dropped"]
    assert facts.turns.outcomes == {"dropped": 1}


def test_a_turn_whose_latency_was_lost_was_answered() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.is_answered_by_lex(1)
    call.hangs_up()
    _, (turn,) = read(call)
    assert (turn.outcome, turn.reply_ms, turn.heard) == ("answered", None, None)


def test_the_document_of_another_stream_is_no_turns_reply() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.is_answered_by_lex(1)
    call.tells("call-left", why="stream lost")
    call.begins("MZ" + "02" * 16, resumed="lost")
    call.tells("update-made", {"twiml": "<Response/>"}, number=1, hands_over=False)
    _, (turn,) = read(call)
    assert (turn.twiml, turn.update) == (None, None)


@pytest.mark.parametrize(("is_served", "end"), [(True, (None, None)), (False, ("lexbridge", "refused: full"))])
def test_a_refused_request_ends_a_call_without_a_stream(is_served: bool, end: tuple[str | None, str | None]) -> None:
    call = CallOfFacts()
    call.is_answered()
    if not is_served:
        call.tells("call-left", why="stream lost")
    call.tells("call-refused", level="warning", why="full")
    facts, _ = read(call)
    assert (facts.ended_by, facts.why) == end


def test_a_call_began_before_its_first_fact_if_its_stream_did() -> None:
    """The observer was replaced: the first fact has media time."""
    facts = CallFacts("CA1", BEGAN_S)
    facts.take(Event(BEGAN_S, "CA1", "MZ1", 30_000, "debug", "utterance-opened", {"turn": 3, "started_ms": 29_000}))
    assert (facts.began_s, facts.streams["MZ1"].began_s) == (BEGAN_S - 30, BEGAN_S - 30)


def test_late_facts_of_a_lost_stream_begin_no_turn() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.loses_worker()
    call.is_answered_by_lex(1)
    call.is_told(1, 1, 300)
    facts, turns = read(call)
    assert [turn.outcome for turn in turns] == ["lost"]
    assert facts.turns.open == {}


def test_lines_about_streams_that_are_not_known_change_no_stream() -> None:
    facts = CallFacts("CA1", BEGAN_S)
    for name in ("stream-status", "call-left", "utterance-opened", "update-made"):
        facts.take(Event(BEGAN_S, "CA1", "MZ1", -1, "error", name, {"error": "31921", "turn": 1}))
    for name in ("stream-started", "stream-described", "stream-ended"):
        facts.take(Event(BEGAN_S, "CA1", "", -1, "info", name, {}))
    assert facts.streams == {}
    assert facts.faults["stream-status"].count == 1


def test_a_stream_from_before_a_webhooks_end_changes_no_end() -> None:
    """All that came of it before was lost."""
    call = CallOfFacts()
    call.facts.append(Event(BEGAN_S + 20, call.call_sid, "", -1, "info", "silent-caller-left", {}))
    call.facts.append(Event(BEGAN_S + 21, call.call_sid, "MZ1", 19_000, "info", "stream-ended", {}))
    call.facts.append(Event(BEGAN_S + 21, call.call_sid, "MZ1", -1, "info", "call-left", {"why": "stopped by Twilio"}))
    facts, _ = read(call)
    assert (facts.ended_by, facts.why, facts.ended_s) == ("lexbridge", "silent-caller-left", BEGAN_S + 21)
