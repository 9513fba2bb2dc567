"""The call book: calls in memory, joined over their streams, whatever the facts are like."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.observer.calls.call_book import CallBook, Limits
from lexbridge.observer.calls.call_record import MAX_EVENTS, MAX_STREAMS, CallRecord
from lexbridge.observer.calls.call_summary import Summary
from lexbridge.observer.calls.turn_record import Turn
from lexbridge.observer.calls.workers import GONE_SHOWN_S
from lexbridge.telemetry.facts import STEPS, Audio, Event
from tests.support.property_tests import examples
from tests.support.told_facts import BEGAN_S, FRAME, LOUD_FRAME, ToldCall, worker_report

SECOND = FRAME * 50


def summary(call: ToldCall) -> Summary:
    found: Summary = call.view["summary"]
    return found


def test_a_call_is_told_in_one_line() -> None:
    call = ToldCall().begin()
    call.at = 4
    call.turn(1)
    call.tell("barged-in", heard_ms=300)
    call.tell("filler-said", turn=1)
    call.tell("lex-request-failed", "warning", attempt=1, error="429")
    call.turn(2, reply_ms=500)
    told = summary(call)
    assert (told.caller, told.called, told.mode, told.worker_pid) == ("+1 ... 12", "+1 ... 99", "call-update", 4711)
    assert (told.state, told.began_s, told.ended_s, told.turns, told.streams) == ("live", BEGAN_S, None, 2, 1)
    assert (told.last_reply_ms, told.worst_reply_ms, told.faults, told.barge_ins, told.fillers) == (500, 900, 1, 1, 1)
    assert (told.intent, told.dialog_state, told.has_audio) == ("OrderFlowers", "ElicitSlot", False)
    call.end("bot")
    told = summary(call)
    assert (told.state, told.ended_s, told.ended_by, told.why) == ("ended", call.now_s, "bot", None)


def test_a_turn_has_all_that_the_facts_tell_of_it() -> None:
    call = ToldCall().begin()
    call.at = 4
    call.turn(1, session_attributes={"tries": "1", "name": "Ann"})
    call.turn(2, session_attributes={"tries": "2"})
    first, second = call.view["turns"]
    assert first == Turn(
        stream_sid="MZ1",
        turn=1,
        began_s=BEGAN_S + 4,
        x_s=BEGAN_S + 4,
        started_ms=4000,
        ended_ms=6000,
        end_ms=700,
        queue_ms=0,
        lex_ms=500,
        update_ms=40,
        reply_ms=900,
        outcome="answered",
        over_s=BEGAN_S + 7,
        is_said=True,
        transcript="red roses",
        messages=["When?"],
        intent="OrderFlowers",
        slots={"Type": "roses"},
        slot_to_elicit="Date",
        dialog_state="ElicitSlot",
        attributes_changed={"tries": "1", "name": "Ann"},
        raw={"a": 1},
        twiml="<Say>When?</Say>",
    )
    assert second.attributes_changed == {"tries": "2", "name": None}


def test_turns_stand_as_the_caller_spoke_though_one_waited() -> None:
    """Turn 3 waits for turn 2, which is slow: Lex is asked for it long after the caller has said it."""
    call = ToldCall().begin()
    call.at = 5
    call.tell("utterance-opened", turn=2, started_ms=4000)
    call.at = 9
    call.tell("utterance-ended", turn=3, started_ms=7000, ended_ms=8300, silent_ms=700)
    call.tell("keys-complete", turn=4, keys=1)
    call.at = 20
    call.tell("utterance-opened", turn=3, started_ms=18_500)
    call.tell("utterance-ended", turn=1, started_ms=1000, ended_ms=2000, silent_ms=700)
    call.tell("turn-latency", turn=3, outcome="answered", queue_ms=10_300, lex_ms=200)
    turns = call.view["turns"]
    assert [(turn.turn, turn.began_s - BEGAN_S) for turn in turns] == [(1, 1), (2, 4), (3, 7), (4, 9)]
    assert (turns[2].started_ms, turns[2].queue_ms, turns[2].lex_ms) == (7000, 10_300, 200)


def test_a_document_that_answers_no_turn_is_given_to_none() -> None:
    call = ToldCall().begin()
    call.turn(1)
    call.tell("utterance-opened", turn=2, started_ms=9000)
    call.tell("update-made", "debug", {"twiml": "<Say>One moment please.</Say>"}, number=2)
    assert [turn.twiml for turn in call.view["turns"]] == ["<Say>When?</Say>", None]


@pytest.mark.parametrize(
    ("event", "outcome", "counted"),
    [
        ("utterance-cancelled", None, 1),
        ("utterance-dropped", "dropped", 0),
        ("false-alarm", "false-alarm", 0),
        ("turn-failed", "failed", 1),
    ],
)
def test_the_outcome_of_a_turn_is_told(event: str, outcome: str | None, counted: int) -> None:
    call = ToldCall().begin()
    call.tell("utterance-opened", turn=1, started_ms=0)
    call.tell(event, turn=1)
    assert (call.view["turns"][0].outcome, summary(call).turns) == (outcome, counted)


def test_keys_are_told_with_their_turn() -> None:
    call = ToldCall().begin()
    call.tell("keys-complete", turn=1, keys=3, silent_ms=500)
    call.tell("lex-asked", "debug", {"keys": "123"}, turn=1, how="keys")
    (turn,) = call.view["turns"]
    assert (turn.keys, turn.end_ms) == ("123", 500)


def test_an_event_stands_as_it_was_told() -> None:
    call = ToldCall().begin()
    call.at = 2.5
    call.tell("key-pressed", "debug", {"key": "5"})
    told = msgspec.json.decode(msgspec.json.encode(call.view))["events"][-1]
    assert told == [BEGAN_S + 2.5, "MZ1", 2500, "debug", "key-pressed", {}, {"key": "5"}, BEGAN_S + 2.5]


def test_phone_numbers_are_masked_wherever_they_stand() -> None:
    call = ToldCall().begin()
    attributes = {"lexbridge:caller-number": "+12065550100", "balance": "+12"}
    call.turn(1, session_attributes=attributes, raw={"sessionState": {"sessionAttributes": attributes}})
    call.tell("update-made", "debug", {"twiml": "<Dial>+442071838750</Dial>"}, number=2)
    told = msgspec.json.encode(call.view).decode()
    assert "...100" in told
    assert "<Dial>...750" in told
    assert "2065550100" not in told
    assert "44207183" not in told
    assert call.view["turns"][0].attributes_changed == {"lexbridge:caller-number": "...100", "balance": "+12"}


# -- who speaks


def test_who_speaks_is_told_as_it_changes() -> None:
    call = ToldCall().begin("stream")
    told = []
    for event in ("utterance-opened", "utterance-closed", "prompt-audible"):
        call.tell(event, turn=1, started_ms=0)
        told.append(summary(call).speaking)
    for event, mark in (("mark-sent", "a"), ("mark-sent", "b"), ("mark-returned", "a"), ("mark-returned", "b")):
        call.tell(event, "debug", name=mark)
        told.append(summary(call).speaking)
    assert told == ["caller", "lex", "bot", "bot", "bot", "bot", None]


def test_a_document_is_spoken_as_long_as_its_words_take() -> None:
    call = ToldCall().begin()
    call.tell("lex-answered", "debug", {"messages": ["x" * 100]}, turn=1)
    call.tell("call-updated", number=1)
    record = call.book.find("CA1")
    assert record is not None
    assert [record.summary(call.now_s + late_s).speaking for late_s in (6, 7)] == ["bot", None]


# -- the state


def test_a_call_goes_on_over_another_stream() -> None:
    call = ToldCall().begin()
    call.at = 10
    call.tell("stream-ended", how="lost")
    call.tell("call-left", why="stream lost")
    assert summary(call).state == "live"
    call.stream_sid, call.at = "MZ2", 12
    call.begin(pid=5)
    call.turn(1)
    told = summary(call)
    assert (told.state, told.streams, told.worker_pid, told.turns) == ("live", 2, 5, 1)
    assert [stream.ended_s for stream in call.view["streams"]] == [BEGAN_S + 10, None]


def test_a_call_that_was_left_and_does_not_go_on_has_ended() -> None:
    call = ToldCall().begin()
    call.tell("call-left", why="stopped by Twilio")
    call.at = 19
    assert call.book.overview(call.now_s)["live"]
    call.at = 21
    (told,) = call.book.overview(call.now_s)["recent"]
    assert (told.state, told.ended_s, told.ended_by, told.why) == ("ended", BEGAN_S, "caller", "stopped by Twilio")


def test_the_new_stream_may_be_told_before_the_end_of_the_old() -> None:
    """Two workers tell of a hand-over, and nobody puts their facts in order."""
    call = ToldCall().begin()
    ToldCall(call.book, stream_sid="MZ2").begin(pid=5)
    call.tell("call-left", why="handed over")
    call.book.settle(call.now_s + 100)
    assert summary(call).state == "live"


def test_a_call_is_lost_with_its_worker_until_it_goes_on() -> None:
    call = ToldCall().begin()
    other = ToldCall(call.book, "CA2", "MZ9").begin(pid=5)
    call.book.take(worker_report())
    call.book.take(Event(BEGAN_S + 3, "", "", -1, "error", "worker-ended", {"pid": 4711, "slot": 0}))
    told = summary(call)
    assert (told.state, told.ended_s, summary(other).state) == ("lost", BEGAN_S + 3, "live")
    call.stream_sid, call.at = "MZ2", 5
    call.begin(pid=5)
    assert (summary(call).state, summary(call).ended_s) == ("live", None)


def test_a_call_without_a_stream_is_lost_after_a_while() -> None:
    call = ToldCall(stream_sid="")
    call.tell("call-answered")
    call.book.settle(BEGAN_S + 21)
    assert (summary(call).state, summary(call).why) == ("lost", "no stream")


def test_a_call_of_which_nothing_is_heard_is_lost_in_the_end() -> None:
    call = ToldCall().begin()
    call.book.settle(BEGAN_S + 899)
    assert summary(call).state == "live"
    call.book.settle(BEGAN_S + 901)
    assert summary(call).state == "lost"


def test_a_refused_call_has_ended() -> None:
    call = ToldCall(stream_sid="")
    call.tell("call-refused", "warning", why="full")
    assert (summary(call).state, summary(call).ended_by, summary(call).why) == ("ended", "lexbridge", "refused: full")
    assert call.book.counts()["refused"] == 1


# -- audio


def test_audio_stands_on_the_time_line_of_its_stream() -> None:
    call = ToldCall().begin("stream")
    call.at = 3
    call.audio(SECOND, media_ms=2000)
    call.audio(SECOND, media_ms=3000)
    call.audio(SECOND, media_ms=12_000)
    call.audio(SECOND, media_ms=12_000)  # told twice
    call.at = 10
    call.audio(SECOND * 2, "bot")
    call.audio(SECOND, "bot")
    call.at = 11.5
    call.tell("audio-cleared")
    assert call.view["audio"] == {
        "caller": [[BEGAN_S + 2, 2.0, BEGAN_S + 2], [BEGAN_S + 12, 1.0, BEGAN_S + 12]],
        "bot": [[BEGAN_S + 10, 1.5, BEGAN_S + 10]],
        "unheard": [[BEGAN_S + 11.5, 1.5, BEGAN_S + 11.5]],
    }
    assert summary(call).has_audio
    record = call.book.find("CA1")
    assert record is not None
    assert record.audio_bytes == (3000 + 1500) * 8


def test_a_short_hole_in_the_audio_is_silence() -> None:
    call = ToldCall().begin("stream")
    call.audio(LOUD_FRAME, media_ms=1000)
    call.audio(LOUD_FRAME, media_ms=1027)  # the carrier's rounding
    call.audio(LOUD_FRAME, media_ms=1080)
    record = call.book.find("CA1")
    assert record is not None
    (run,) = record.track("MZ1", "caller").runs
    assert (run.start_ms, bytes(run.mulaw)) == (1000, LOUD_FRAME * 2 + FRAME * 2 + LOUD_FRAME)
    assert record.audio_bytes == len(run.mulaw)


def test_a_stream_that_was_found_late_is_placed_by_its_media() -> None:
    """The observer was replaced in the middle of a call."""
    book = CallBook()
    book.take(Event(BEGAN_S + 60, "CA1", "MZ1", -1, "info", "no-input", {}))
    book.take(Audio(BEGAN_S + 61, "CA1", "MZ1", 61_000, "caller", FRAME))
    record = book.find("CA1")
    assert record is not None
    assert record.streams["MZ1"].began_s == BEGAN_S


def test_a_webhook_that_names_a_stream_opens_none() -> None:
    call = ToldCall().begin()
    call.end()
    call.book.take(Event(BEGAN_S + 3, "CA1", "MZ9", -1, "debug", "stream-status", {"what": "stream-stopped"}))
    assert (summary(call).state, summary(call).streams) == ("ended", 1)


# -- bounds


def limited(**limits: int) -> CallBook:
    return CallBook(Limits(**limits))


def test_the_oldest_ended_calls_are_forgotten() -> None:
    book = limited(calls=3)
    for number in range(5):
        call = ToldCall(book, f"CA{number}", f"MZ{number}").begin()
        if number != 1:
            call.end()
    assert list(book.records) == ["CA1", "CA3", "CA4"]
    assert (book.counts()["forgotten_calls"], book.counts()["started"]) == (2, 5)


def test_no_call_is_taken_beside_as_many_live_ones_as_fit() -> None:
    book = limited(calls=2)
    for number in range(4):
        ToldCall(book, f"CA{number}", f"MZ{number}").begin()
    assert list(book.records) == ["CA0", "CA1"]
    assert book.counts()["dropped_events"] == 6


def test_events_of_ended_calls_make_room_first() -> None:
    book = limited(text_bytes=3000)
    ToldCall(book, "CA0", "MZ0").begin().end()
    call = ToldCall(book).begin()
    for _ in range(100):
        call.tell("mark-missing", "warning")
    record = book.find("CA1")
    assert record is not None
    assert list(book.records) == ["CA1"]
    assert 2800 < record.event_bytes <= 3000
    assert book.counts()["dropped_events"] == record.dropped_events == 103 - len(record.events)


def test_audio_of_ended_calls_goes_first_then_new_audio() -> None:
    book = limited(audio_bytes=3 * len(SECOND))
    ended = ToldCall(book, "CA0", "MZ0").begin()
    ended.audio(SECOND)
    ended.end()
    call = ToldCall(book).begin()
    for second in range(4):
        call.audio(SECOND, media_ms=second * 1000)
    assert not summary(ended).has_audio
    assert call.view["audio"]["caller"] == [[BEGAN_S, 3.0, BEGAN_S]]
    assert summary(call).dropped_audio_bytes == summary(ended).dropped_audio_bytes == len(SECOND)
    assert book.counts()["dropped_audio_bytes"] == 2 * len(SECOND)


def test_a_single_call_is_bounded() -> None:
    call = ToldCall().begin()
    for number in range(MAX_EVENTS + 10):
        call.tell("mark-sent", "debug", name=str(number))
    assert len(call.view["events"]) == MAX_EVENTS
    assert summary(call).dropped_events == 13
    for number in range(MAX_STREAMS + 10):
        call.stream_sid = f"MZ{number}"
        call.tell("stream-started")
    assert summary(call).streams == MAX_STREAMS


def test_an_event_that_is_too_long_loses_its_words() -> None:
    book = limited(one_event_bytes=500)
    call = ToldCall(book).begin()
    call.tell("lex-answered", "debug", {"raw": "x" * 1000}, turn=1, intent="OrderFlowers")
    call.tell("odd", "debug", x="x" * 1000)
    (turn,) = call.view["turns"]
    assert (turn.intent, turn.raw, book.counts()["odd_facts"]) == ("OrderFlowers", None, 1)


# -- workers


def test_workers_are_told_with_what_they_report() -> None:
    book = CallBook()
    book.take(worker_report(0, pid=1))
    book.take(worker_report(60, pid=1, lag_ms=9, dropped=3))
    book.take(worker_report(60, pid=2, slot=1, dropped=2))
    overview = book.overview(BEGAN_S + 60)
    assert [(one.pid, one.slot, one.lag_ms, one.age_s) for one in overview["workers"]] == [(1, 0, 9, 60), (2, 1, 2, 0)]
    assert overview["dropped_facts"] == 5
    book.take(Event(BEGAN_S + 61, "", "", -1, "error", "worker-ended", {"pid": 1}))
    assert [one.state for one in book.overview(BEGAN_S + 62)["workers"]] == ["ended", "serving"]
    overview = book.overview(BEGAN_S + 62 + GONE_SHOWN_S)
    assert ([one.pid for one in overview["workers"]], overview["dropped_facts"]) == ([2], 5)


# -- whoever watches


class Told:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[int]]] = []
        self.changed: list[str] = []

    def event_taken(self, record: CallRecord, encoded: bytes, turns: Sequence[Turn]) -> None:
        self.events.append((record.call_sid, [turn.turn for turn in turns]))

    def call_changed(self, record: CallRecord) -> None:
        self.changed.append(record.call_sid)


def test_a_watcher_is_told_of_each_change() -> None:
    call, told = ToldCall(), Told()
    call.book.watch(told)
    call.begin()
    call.tell("utterance-opened", turn=1, started_ms=0)
    assert told.events == [("CA1", []), ("CA1", []), ("CA1", []), ("CA1", [1])]
    call.book.take(Event(BEGAN_S + 3, "", "", -1, "error", "worker-ended", {"pid": 4711, "slot": 0}))
    assert told.events[4:] == [("CA1", [1])]
    call.book.settle(BEGAN_S + 3)
    assert told.changed == []
    call.stream_sid = "MZ2"
    call.begin(pid=5)
    call.book.settle(BEGAN_S + 3000)
    assert told.changed == ["CA1"]


# -- whatever comes

SIDS = st.sampled_from(["", "CA1", "CA2", "MZ1", "MZ2", "../x", "é", "x" * 200])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *STEPS,
    *("stream-started", "stream-ended", "call-left", "call-ended", "call-refused", "turn-latency", "turn-answered"),
    *("utterance-ended", "utterance-dropped", "filler-said", "false-alarm", "keys-complete", "peer-refused", "odd"),
]
FIELDS = ["turn", "started_ms", "ended_ms", "silent_ms", "pid", "slot", "reply_ms", "outcome", "why", "ended_by"]
WORDS = ["messages", "transcript", "slots", "session_attributes", "raw", "twiml", "keys"]
TIMES = st.floats(BEGAN_S, BEGAN_S + 3600) | st.floats()
EVENTS = st.builds(
    Event,
    TIMES,
    SIDS,
    SIDS,
    st.integers(-5, 10**12),
    st.sampled_from(["debug", "info", "warning", "error", "?"]),
    st.sampled_from(NAMES) | st.text(max_size=10),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), st.integers(-2, 3) | ANYTHING, max_size=5),
    st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), ANYTHING, max_size=5),
)
AUDIO = st.builds(
    Audio,
    TIMES,
    SIDS,
    SIDS,
    st.integers(-5, 10**12) | st.integers(0, 10_000),
    st.sampled_from(["caller", "bot"]),
    st.binary(max_size=50) | st.just(FRAME),
)
SMALL = Limits(calls=2, text_bytes=4000, audio_bytes=700, one_event_bytes=400)


@given(facts=st.lists(EVENTS | AUDIO, max_size=60))
@examples(200)
def test_whatever_is_told_the_book_stands_and_stays_small(facts: list[Any]) -> None:
    book = CallBook(SMALL)
    for fact in facts:
        book.take(fact)
    now_s = BEGAN_S + 4000
    seen = {**book.overview(now_s), "latency": book.latency.view(now_s), "health": book.health.lines(now_s)}
    for record in book.records.values():
        msgspec.json.encode(record.view(now_s))
        assert record.event_bytes == sum(len(one) for one in record.events)
        assert record.audio_bytes == sum(track.size_bytes for track in record.tracks.values()) >= 0
    msgspec.json.encode(seen)
    # What a single live call has in its turns is bounded for itself.
    of_turns = max([record.turn_bytes for record in book.records.values()], default=0)
    assert sum(record.text_bytes for record in book.records.values()) <= SMALL.text_bytes + of_turns
    assert sum(record.audio_bytes for record in book.records.values()) <= SMALL.audio_bytes
    assert len(book.records) <= SMALL.calls
    assert (book._text_bytes, book._audio_bytes) == (
        sum(record.text_bytes for record in book.records.values()),
        sum(record.audio_bytes for record in book.records.values()),
    )
