"""Bounds of single calls in the book, and facts that come in another order than they happened."""

from typing import Any

import pytest

from lexbridge.observer.calls import call_record, shown_turns
from lexbridge.observer.calls.call_book import CallBook, Limits
from lexbridge.observer.calls.call_file import read_call, write_call
from lexbridge.observer.calls.call_state import MAX_MARKS
from lexbridge.telemetry.facts import Audio, Event
from tests.support.told_facts import BEGAN_S, FRAME, ToldCall

SECOND = FRAME * 50


def test_the_words_of_turns_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_record, "MAX_TURN_BYTES", 3000)
    call = ToldCall().begin()
    for number in range(10):
        call.turn(number, raw="x" * 500)
    kept = [turn.raw is not None for turn in call.view["turns"]]
    assert kept == [True] * 3 + [False] * 7
    assert [turn.intent for turn in call.view["turns"]] == ["OrderFlowers"] * 10


def test_turns_beyond_those_that_are_kept_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_turns, "MAX_TURNS", 2)
    call = ToldCall().begin()
    for number in range(4):
        call.turn(number)
    assert [turn.turn for turn in call.view["turns"]] == [0, 1]
    assert call.book.latency.view(BEGAN_S)["since_start"]["reply_ms"]["turns"] == 2


def test_a_live_call_whose_turns_alone_are_too_large_is_kept() -> None:
    call = ToldCall(CallBook(Limits(text_bytes=100))).begin()
    call.turn(1)
    assert (len(call.view["events"]), len(call.view["turns"])) == (0, 1)


def test_audio_of_several_ended_calls_goes_if_it_has_to() -> None:
    book = CallBook(Limits(audio_bytes=4 * len(SECOND)))
    for number in range(2):
        ended = ToldCall(book, f"CA{number}", f"MZ{number}").begin()
        ended.audio(SECOND)
        ended.end()
    call = ToldCall(book, "CA9", "MZ9").begin()
    call.audio(SECOND * 4)
    assert [one.has_audio for one in book.overview(BEGAN_S)["recent"]] == [False, False]
    assert call.view["audio"]["caller"] == [[BEGAN_S, 4.0, BEGAN_S]]


def test_room_for_audio_is_not_looked_for_with_each_piece() -> None:
    book = CallBook(Limits(audio_bytes=len(SECOND)))
    first = ToldCall(book, "CA1", "MZ1").begin()
    first.audio(SECOND)
    call = ToldCall(book, "CA2", "MZ2").begin()
    kept = []
    for at in (0.0, 0.5, 0.9, 1.1):
        call.at = at
        call.audio(FRAME)
        kept.append(book.records["CA2"].audio_bytes)
        first.end()
    assert kept == [0, 0, 0, 160]


def test_audio_beyond_the_streams_that_are_told_apart_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_record, "MAX_STREAMS", 1)
    call = ToldCall().begin()
    call.book.take(Audio(BEGAN_S, "CA1", "MZ2", 0, "caller", FRAME))
    assert call.view["audio"]["caller"] == []
    assert call.book.find("CA1").audio_bytes == 0  # type: ignore[union-attr]


def test_audio_without_a_call_is_odd() -> None:
    book = CallBook()
    book.take(Audio(BEGAN_S, "", "MZ1", 0, "caller", FRAME))
    assert (book.counts()["odd_facts"], book.counts()["started"]) == (1, 0)


def test_audio_that_is_cleared_before_any_came_changes_nothing() -> None:
    call = ToldCall().begin()
    call.tell("audio-cleared")
    assert call.view["audio"]["unheard"] == []


@pytest.mark.parametrize("how", ["stream-ended", "call-left", "worker-ended"])
def test_what_the_bot_had_still_to_say_is_not_heard(how: str) -> None:
    call = ToldCall().begin(pid=1)
    call.audio(SECOND * 4, "bot")
    call.at = 1.5
    if how == "worker-ended":
        call.book.take(Event(call.now_s, "", "", -1, "error", how, {"pid": 1}))
    else:
        call.tell(how)
    assert call.view["audio"]["bot"] == [[BEGAN_S, 1.5, BEGAN_S]]
    assert call.view["audio"]["unheard"] == [[BEGAN_S + 1.5, 2.5, BEGAN_S + 1.5]]
    assert call.book._audio_bytes == call.book.records["CA1"].audio_bytes == 12_000


def test_one_of_two_streams_that_is_lost_leaves_the_call_live() -> None:
    call = ToldCall().begin(pid=1)
    other = ToldCall(call.book, stream_sid="MZ2").begin(pid=2)
    call.book.take(Event(BEGAN_S + 1, "", "", -1, "error", "worker-ended", {"pid": 1}))
    assert other.view["summary"].state == "live"


def test_an_utterance_without_its_beginning_is_a_turn() -> None:
    call = ToldCall().begin()
    call.at = 5
    call.tell("utterance-ended", turn=1, ended_ms=4000, silent_ms=700)
    call.tell("prompt-audible", "debug", turn=1, in_ms=20, is_filler=False)
    (turn,) = call.view["turns"]
    assert (turn.began_s, turn.started_ms, turn.ended_ms) == (BEGAN_S + 5, None, 4000)


def test_marks_that_wait_are_bounded() -> None:
    call = ToldCall().begin()
    call.tell("prompt-audible")
    for number in range(MAX_MARKS + 1):
        call.tell("mark-sent", name=str(number))
    for number in range(MAX_MARKS):
        assert call.view["summary"].speaking == "bot"
        call.tell("mark-returned", name=str(number))
    assert call.view["summary"].speaking is None


def test_settling_at_no_time_changes_nothing() -> None:
    call = ToldCall().begin()
    call.book.settle(float("inf"))
    assert call.view["summary"].state == "live"


def test_a_call_with_words_and_without_audio_is_written() -> None:
    call = ToldCall().begin()
    call.turn(1)
    record = call.book.records["CA1"]
    content = write_call(record, BEGAN_S, words=True, give_way=lambda: None)
    opened = read_call(content, "opened-1")
    turns: list[Any] = list(opened.turns.all.values())
    assert (turns[0].transcript, opened.audio_bytes) == ("red roses", 0)
    call.book.add_opened(opened)
    call.book.close(1.0)


def test_a_call_that_has_ended_is_not_lost_afterwards() -> None:
    """The end of its first stream was never told, and then the worker of that ends."""
    call = ToldCall().begin(pid=1)
    ToldCall(call.book, stream_sid="MZ2").begin(pid=2).end("bot")
    call.book.take(Event(BEGAN_S + 60, "", "", -1, "error", "worker-ended", {"pid": 1}))
    call.book.settle(BEGAN_S + 10_000)
    assert (call.view["summary"].state, call.view["summary"].ended_by) == ("ended", "bot")


@pytest.mark.parametrize("at_s", [float("nan"), float("inf"), -1.0, 1e12])
def test_a_fact_of_no_time_is_odd(at_s: float) -> None:
    book = CallBook()
    book.take(Event(at_s, "CA1", "MZ1", 0, "info", "stream-started", {}))
    book.take(Audio(at_s, "CA1", "MZ1", 0, "bot", FRAME))
    assert (book.counts()["odd_facts"], len(book.records)) == (2, 0)


def test_a_stream_known_by_its_end_alone_goes_on_with_a_call() -> None:
    call = ToldCall().begin()
    call.end("lexbridge", "no-input")
    call.at, call.stream_sid = 5, "MZ2"
    call.tell("stream-ended", how="lost")
    assert call.view["summary"].state == "live"
    call.tell("call-left", why="stream lost")
    call.book.settle(BEGAN_S + 30)
    told = call.view["summary"]
    assert (told.state, told.ended_by, told.why) == ("ended", "caller", "stream lost")
