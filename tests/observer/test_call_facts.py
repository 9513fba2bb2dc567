"""The account of a call from its facts, over several streams and workers."""

from typing import Any

import pytest

from lexbridge.observer.watched.call_facts import MAX_NO_INPUTS
from lexbridge.observer.watched.call_parts import NoInput
from lexbridge.observer.watched.call_turns import STREAM_ENDED, Changes
from lexbridge.observer.watched.kept_words import HIDDEN, MAX_SLOTS, NO_WORDS, SAID
from lexbridge.observer.watched.turn_facts import MAX_FILLERS
from lexbridge.observer.watched.watched_calls import (
    ENDED_S,
    FORGOTTEN_S,
    LEFT_S,
    MAX_CALLS,
    STARTED_S,
    CallEnded,
    CallStarted,
    ServiceStarted,
    ServiceStopping,
    TurnOver,
    WatchedCalls,
    WorkerDied,
)
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import (
    BEGAN_S,
    OTHER_PID,
    PID,
    PIN,
    CallOfFacts,
    bad_call,
    of_service,
    service_starts,
    service_stops,
    usual_call,
)
from tests.support.read_facts import read, watched


def test_a_call_is_started_has_turns_and_ends_when_it_says_so() -> None:
    calls, call = WatchedCalls(SAID), usual_call()
    told = watched(call, calls)
    assert [type(one) for one in told] == [CallStarted, TurnOver, TurnOver]
    assert [one.number for one in told if isinstance(one, TurnOver)] == [1, 2]
    assert list(calls.tick(call.now_s + ENDED_S - 0.1)) == []
    (end,) = calls.tick(call.now_s + ENDED_S)
    assert isinstance(end, CallEnded)
    facts = end.call
    assert (facts.caller, facts.mode, facts.ended_by, facts.turns.over) == ("...471", "call-update", "caller", 2)
    assert facts.ended_s == call.now_s
    assert facts.turns.intents["OrderFlowers"].slots == {"FlowerType": "tulips", "Pin": PIN}
    assert len(calls) == 0
    assert facts.turns.open == {}


def test_a_turn_that_waited_began_when_it_was_spoken() -> None:
    call = CallOfFacts()
    call.is_answered()
    spoken_s = call.now_s
    call.asks(1)
    call.now_s += 8
    call.tells("utterance-opened", turn=1, started_ms=9000)
    call.tells("turn-latency", turn=1, outcome="answered", queue_ms=7900, lex_ms=100, reply_ms=8700)
    call.now_s += 1
    call.hangs_up()
    facts, (turn,) = read(call)
    assert turn.began_s == pytest.approx(spoken_s)
    assert (turn.started_ms, turn.queue_ms, turn.lex_ms, facts.turns.worst_lex_ms) == (0, 7900, 100, 100)


def test_a_turn_has_its_figures_and_times() -> None:
    facts, (turn, _) = read(usual_call())
    assert (turn.by, turn.outcome, turn.end_ms, turn.lex_ms, turn.reply_ms) == ("voice", "answered", 700, 300, 1040)
    assert (turn.transcript, turn.messages) == ("tulips for Mrs Bramble please", ["what flowers else, geheimnis?"])
    assert (turn.update, turn.twiml) == (1, "<Response>geheimnis</Response>")
    assert turn.raw == {"inputTranscript": "raw-secret"}
    assert turn.said_s is not None
    assert turn.heard_s == turn.said_s + 0.34
    assert turn.attributes_changed == {"customer": "Mrs Bramble"}
    assert (facts.turns.worst_reply_ms, facts.turns.worst_lex_ms) == (1040, 300)


def test_a_slow_lex_a_lost_worker_and_a_429_are_told() -> None:
    calls, call = WatchedCalls(), bad_call()
    slow, lost, refused = (one.turn for one in watched(call, calls) if isinstance(one, TurnOver))
    assert (slow.lex_ms, slow.filler, slow.worker_pid, slow.faults) == (3100, True, PID, {})
    assert (lost.outcome, lost.worker_pid) == ("lost", PID)
    assert (refused.worker_pid, refused.update_ms) == (OTHER_PID, 400)
    (fault,) = refused.faults.values()
    assert (fault.kind, fault.count, fault.error) == ("call-update-failed", 1, "Twilio answered 429, code 20429")
    (end,) = calls.tick(call.now_s + LEFT_S)
    assert sorted(end.call.faults) == ["call-update-failed", "worker-ended"]
    assert [(one.worker_pid, one.how) for one in end.call.streams.values()] == [
        (PID, "worker-ended"),
        (OTHER_PID, "stopped by Twilio"),
    ]
    assert [one.resumed for one in end.call.streams.values()] == [None, "lost"]
    assert (end.call.ended_by, end.call.why) == ("caller", "stopped by Twilio")


def test_a_call_whose_worker_was_killed_may_end_so() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    call.loses_worker()
    watched(call, calls)
    assert list(calls.tick(call.now_s + LEFT_S - 1)) == []
    (end,) = calls.tick(call.now_s + LEFT_S)
    assert (end.call.ended_by, end.call.why, end.call.ended_s) == (None, "worker-ended", call.now_s)


def test_another_workers_end_changes_nothing() -> None:
    call = CallOfFacts()
    call.is_answered()
    facts, _ = read(call)
    assert facts.worker_ended(OTHER_PID, call.now_s) == Changes()
    assert facts.has_live_stream
    assert facts.faults == {}


@pytest.mark.parametrize("has_numbers", [True, False])
def test_a_call_waits_for_its_numbers_before_it_is_told(has_numbers: bool) -> None:
    """One worker serves the stream, and another one had the webhook: its facts may come later."""
    calls, call = WatchedCalls(), CallOfFacts()
    call.is_answered()
    answered, described, *stream = call.facts
    call.facts = list(stream)
    assert watched(call, calls) == []
    assert list(calls.tick(BEGAN_S + 0.5)) == []
    call.facts = [answered, described]
    told = watched(call, calls) if has_numbers else list(calls.tick(BEGAN_S + 0.1 + STARTED_S))
    (started,) = told
    assert started.call.caller == ("...471" if has_numbers else None)
    assert started.call.began_s == (BEGAN_S if has_numbers else BEGAN_S + 0.1)


def test_a_call_that_moves_has_not_ended() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    call.tells("call-left", why="handed over")
    call.now_s += 5
    call.begins("MZ" + "02" * 16, resumed="handed-over")
    told = watched(call, calls)
    assert len(told) == 1
    assert list(calls.tick(call.now_s + LEFT_S + 1)) == []


def test_a_call_without_a_stream_is_told_as_that() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.stream_sid = ""
    call.tells("call-answered")
    assert watched(call, calls) == []
    started, ended = calls.tick(call.now_s + LEFT_S)
    assert isinstance(started, CallStarted)
    assert isinstance(ended, CallEnded)
    assert ended.call.why == "no stream"


def test_a_call_of_which_nothing_is_heard_for_hours_is_over() -> None:
    call, calls = CallOfFacts(), WatchedCalls()
    call.is_answered()
    watched(call, calls)
    assert list(calls.tick(call.now_s + FORGOTTEN_S - 1)) == []
    (end,) = calls.tick(call.now_s + FORGOTTEN_S)
    assert end.call.why == "nothing more was heard of it"


def test_late_lines_of_a_call_that_is_over_begin_none() -> None:
    calls = WatchedCalls()
    assert list(calls.take(Event(BEGAN_S, "CA1", "MZ1", -1, "debug", "stream-status", {"what": "stopped"}))) == []
    assert list(calls.take(Event(BEGAN_S, "", "", -1, "info", "worker-started", {}))) == []
    assert len(calls) == 0


def test_a_call_is_told_though_its_beginning_was_missed() -> None:
    """The observer process was replaced in the middle of a call."""
    call, calls = CallOfFacts(), WatchedCalls()
    call.has_turn(3)
    told = [*watched(call, calls), *calls.tick(call.now_s)]
    assert [type(one) for one in told] == [CallStarted, TurnOver]


def test_the_oldest_call_is_given_up_when_there_are_too_many() -> None:
    calls = WatchedCalls()
    for number in range(MAX_CALLS + 1):
        told = list(calls.take(Event(BEGAN_S, f"CA{number}", "", -1, "info", "call-answered", {})))
    assert [(type(one), one.call.call_sid) for one in told] == [(CallStarted, "CA0"), (CallEnded, "CA0")]
    assert len(calls) == MAX_CALLS
    assert calls.facts("CA0") is None
    assert calls.facts("CA1") is not None


def test_calls_without_a_stream_are_ended_with_the_process() -> None:
    calls, live = WatchedCalls(), CallOfFacts(call_sid="CA" + "0" * 32)
    live.is_answered()
    watched(live, calls)
    watched(usual_call(), calls)
    (end,) = calls.end_all(BEGAN_S + 100)
    assert end.call.ended_by == "caller"
    assert len(calls) == 1


def test_a_turn_is_told_though_the_process_ends_at_once() -> None:
    calls, call = WatchedCalls(), CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.is_answered_by_lex(1)
    call.is_told(1, number=1, lex_ms=300)
    watched(call, calls)
    (told,) = calls.end_all(call.now_s)
    assert isinstance(told, TurnOver)
    assert (told.turn.outcome, told.turn.heard) == ("answered", None)


def test_keys_and_the_welcome_are_turns_of_their_kind() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.tells("lex-asked", turn=0, how="welcome")
    call.now_s += 0.25
    call.tells("turn-latency", turn=0, outcome="answered", end_ms=None, lex_ms=200, reply_ms=250)
    call.tells("keys-complete", turn=1, keys=4, silent_ms=900)
    call.tells("lex-asked", {"keys": "4711"}, turn=1, how="keys")
    call.tells("lex-asked", {"messages": ["One moment please."]}, turn=1, how="speech")
    call.now_s += 0.3
    call.tells("turn-latency", turn=1, outcome="answered", end_ms=900, lex_ms=200, reply_ms=1200)
    call.tells("lex-asked", turn=2, how="speech")
    call.tells("prompt-audible", turn=-1, in_ms=20, is_filler=False)
    facts, (welcome, keys) = read(call)
    assert (welcome.by, welcome.heard_s) == ("welcome", BEGAN_S + 0.1 + 0.25)
    assert (keys.by, keys.keys, keys.ended_ms) == ("keys", "4711", None)
    assert facts.turns.open == {}


def test_a_dropped_utterance_is_told_with_its_reason() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("utterance-dropped", level="warning", turn=1, why="a key was pressed")
    call.tells("utterance-dropped", level="warning", turn=2, why="too many turns wait for Lex")
    facts, turns = read(call)
    assert [(turn.turn, turn.outcome, turn.why) for turn in turns] == [
        (1, "dropped", "a key was pressed"),
        (2, "dropped", "too many turns wait for Lex"),
    ]
    assert (facts.turns.over, facts.turns.outcomes) == (2, {"dropped": 2})
    fault = facts.faults["utterance-dropped"]
    assert (fault.error, fault.count, fault.turn, fault.severity) == ("too many turns wait for Lex", 2, 2, "warning")


@pytest.mark.parametrize("thinks", [True, False])
def test_what_a_caller_says_as_a_worker_dies_is_lost(thinks: bool) -> None:
    """The turn is told at once: while Lex thinks, or while the caller still speaks."""
    call = CallOfFacts()
    call.is_answered()
    call.tells("utterance-opened", turn=1, started_ms=900)
    if thinks:
        call.asks(1)
    call.loses_worker()
    (turn,) = [one.turn for one in watched(call) if isinstance(one, TurnOver)]
    assert (turn.outcome, turn.why, turn.over_s) == ("lost", "worker-ended", call.now_s)


def test_what_a_caller_says_as_a_stream_is_lost_is_lost() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("utterance-opened", turn=2, started_ms=5000)
    for turn in (1, 2):
        call.tells("utterance-dropped", level="warning", turn=turn, why=STREAM_ENDED)
    call.tells("stream-ended", how="lost", turns=2)
    call.tells("call-left", why="stream lost")
    facts, turns = read(call)
    assert [(turn.outcome, turn.why) for turn in turns] == [("lost", "stream lost")] * 2
    assert facts.turns.outcomes == {"lost": 2}


def test_a_caller_who_hangs_up_gives_up_their_turns() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("utterance-opened", turn=2, started_ms=0)
    call.tells("utterance-dropped", level="warning", turn=2, why=STREAM_ENDED)
    call.tells("utterance-opened", turn=3, started_ms=0)
    call.hangs_up()
    facts, turns = read(call)
    assert [(turn.turn, turn.outcome, turn.why) for turn in turns] == [
        (1, "dropped", "caller hung up"),
        (2, "dropped", "caller hung up"),
    ]
    assert facts.turns.over == 2


@pytest.mark.parametrize(
    ("ended_by", "why", "told"),
    [
        ("caller", None, "caller hung up"),
        ("bot", None, "bot hung up"),
        ("transfer", None, "transferred"),
        ("lexbridge", "no-input", "no-input"),
        (None, None, "not told"),
    ],
)
def test_an_end_has_a_reason(ended_by: str | None, why: str | None, told: str) -> None:
    call = CallOfFacts()
    call.is_answered()
    call.tells("call-ended", ended_by=ended_by, why=why)
    facts, _ = read(call)
    assert (facts.why, facts.streams[call.stream_sid].how, facts.ended_by) == (told, told, ended_by)


def test_times_of_one_call_are_bounded() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    for _ in range(MAX_NO_INPUTS + 1):
        call.tells("no-input", times=1, ends_call=False, by_document=False)
        call.tells("filler-said", turn=1)
    call.tells("utterance-dropped", turn=1, why="a key was pressed")
    call.stream_sid = "MZ-unknown"
    call.tells("utterance-opened", turn=1, started_ms=None)
    facts, (turn,) = read(call)
    assert (len(facts.no_inputs), len(turn.fillers_s)) == (MAX_NO_INPUTS, MAX_FILLERS)


def test_a_died_worker_is_told_with_its_calls() -> None:
    calls, call, other = WatchedCalls(), CallOfFacts(), CallOfFacts(call_sid="CA" + "0" * 32, pid=OTHER_PID)
    call.is_answered()
    other.is_answered()
    watched(other, calls)
    call.loses_worker()
    (died,) = [one for one in watched(call, calls) if isinstance(one, WorkerDied)]
    assert (died.pid, died.signal, died.status, died.call_sids) == (PID, "SIGKILL", None, [call.call_sid])
    (unknown,) = calls.take(of_service(call.now_s, "worker-died", level="error", pid=OTHER_PID, status=1))
    assert isinstance(unknown, WorkerDied)
    assert (unknown.status, unknown.call_sids) == (1, [])


def test_the_service_starts_and_stops() -> None:
    calls, call = WatchedCalls(), CallOfFacts()
    (started,) = calls.take(service_starts())
    call.is_answered()
    watched(call, calls)
    (stopping,) = calls.take(service_stops(call.now_s))
    assert isinstance(started, ServiceStarted)
    assert started.fields["workers"] == 2
    assert isinstance(stopping, ServiceStopping)
    assert stopping.live_calls == 1


def test_a_turn_that_was_not_heard_has_no_time_of_it() -> None:
    call = CallOfFacts()
    call.is_answered()
    call.asks(1)
    call.tells("turn-latency", turn=1, outcome="joined", end_ms=700, lex_ms=None, reply_ms=None)
    facts, (turn,) = read(call)
    assert (turn.outcome, turn.heard_s) == ("joined", None)
    assert (facts.turns.worst_reply_ms, facts.turns.worst_lex_ms) == (None, None)


def test_session_attributes_are_told_as_a_change() -> None:
    call = CallOfFacts()
    call.is_answered()
    for turn, attributes in ((1, {"a": "1", "b": "2"}), (2, {"b": "3"})):
        call.tells("lex-answered", {"session_attributes": attributes}, turn=turn, intent="OrderFlowers")
        call.tells("turn-latency", turn=turn, outcome="answered")
    _, (first, second) = read(call)
    assert first.attributes_changed == {"a": "1", "b": "2"}
    assert second.attributes_changed == {"a": None, "b": "3"}


@pytest.mark.parametrize(("kept", "value"), [(SAID, "x"), (NO_WORDS, HIDDEN)])
def test_slots_of_one_answer_are_bounded(kept: frozenset[str], value: str) -> None:
    call = CallOfFacts()
    call.is_answered()
    many: dict[str, Any] = {"none": None} | {f"slot{number}": "x" for number in range(MAX_SLOTS)}
    call.tells("lex-answered", {"slots": many}, turn=1, intent="OrderFlowers")
    call.tells("turn-latency", turn=1, outcome="answered")
    (turn,) = [one.turn for one in watched(call, WatchedCalls(kept)) if isinstance(one, TurnOver)]
    assert len(turn.slots) == MAX_SLOTS
    assert (turn.slots["none"], set(turn.slots.values())) == (None, {None, value})


def test_a_slot_that_has_lost_its_value_is_forgotten() -> None:
    call = CallOfFacts()
    call.is_answered()
    for turn, slots in ((1, {"Type": "roses", "Date": "today"}), (2, {"Type": None, "Time": "17:00"})):
        call.tells("lex-answered", {"slots": slots}, turn=turn, intent="OrderFlowers")
        call.tells("turn-latency", turn=turn, outcome="answered")
    facts, _ = read(call)
    assert facts.turns.intents["OrderFlowers"].slots == {"Date": "today", "Time": "17:00"}


def test_counts_and_ends_by_webhooks() -> None:
    call = CallOfFacts()
    call.is_answered()
    for name in ("barged-in", "no-input", "no-input"):
        call.tells(name)
    call.tells("call-left", why="stopped by Twilio")
    call.stream_sid = ""
    call.tells("silent-caller-left")
    facts, _ = read(call)
    assert (facts.counts["barge_ins"], facts.counts["no_inputs"]) == (1, 2)
    assert facts.no_inputs == [NoInput(BEGAN_S + 0.1, ends_call=False, by_document=False)] * 2
    assert (facts.ended_by, facts.why, facts.is_over) == ("lexbridge", "silent-caller-left", True)
