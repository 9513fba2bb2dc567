"""One axis for a call whose media runs faster or slower than the clock."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.observer.calls.call_axis import CallAxis
from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.telemetry.facts import Audio, Event
from tests.support.told_facts import BEGAN_S, FRAME, ToldCall

SECOND = FRAME * 50


def tell(book: CallBook, at: float, media_ms: int, name: str = "x", stream_sid: str = "MZ1", **fields: Any) -> None:
    book.take(Event(BEGAN_S + at, "CA1", stream_sid, media_ms, "info", name, fields))


def view(book: CallBook) -> dict[str, Any]:
    """Return the call as a client reads it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(book.records["CA1"].view(BEGAN_S)))
    return found


def places(book: CallBook) -> list[float]:
    return [round(event[7] - BEGAN_S, 3) for event in view(book)["events"]]


def fast_call() -> CallBook:
    """Return a call of 40 s of media in 10 s of the clock, which goes on over another stream."""
    book = CallBook()
    tell(book, 0, 0, "stream-started")
    for second in range(1, 11):
        tell(book, second, second * 4000)
    return book


def test_a_call_at_the_pace_of_the_clock_stands_at_its_times() -> None:
    book = CallBook()
    call = ToldCall(book).begin()
    for call.at in range(0, 20, 2):
        call.tell("x")
    book.take(Event(BEGAN_S + 19, "CA1", "", -1, "info", "webhook", {}))
    assert [event[7] for event in view(book)["events"]] == [event[0] for event in view(book)["events"]]
    assert [(one["pace"], one["x_began_s"]) for one in view(book)["streams"]] == [(None, BEGAN_S)]


def test_a_fast_call_is_placed_by_its_media_time() -> None:
    book = fast_call()
    assert places(book) == [4 * second for second in range(11)]
    assert [stream["pace"] for stream in view(book)["streams"]] == [4]


def test_what_has_no_media_time_is_placed_at_the_pace() -> None:
    book = fast_call()
    tell(book, 10.5, -1)
    tell(book, 11, -1, stream_sid="")
    assert places(book)[-2:] == [42, 41]


def test_the_next_stream_stands_behind_the_one_before() -> None:
    book = fast_call()
    tell(book, 11, 0, "stream-started", "MZ2")
    tell(book, 12, 4000, "utterance-opened", "MZ2", turn=1, started_ms=2000)
    assert places(book)[-2:] == [41, 45]
    found = view(book)
    assert found["turns"][0]["x_s"] == BEGAN_S + 43
    assert [stream["x_began_s"] - BEGAN_S for stream in found["streams"]] == [0, 41]


def test_audio_of_a_fast_call_is_placed_with_its_events() -> None:
    book = fast_call()
    book.take(Audio(BEGAN_S + 10, "CA1", "MZ1", 40_000, "bot", SECOND * 4))
    book.take(Audio(BEGAN_S + 10, "CA1", "MZ1", 40_000, "caller", SECOND))
    tell(book, 10.5, 42_000, "audio-cleared")
    audio = view(book)["audio"]
    assert [audio[name] for name in ("caller", "bot", "unheard")] == [
        [[BEGAN_S + 40, 1, BEGAN_S + 40]],
        [[BEGAN_S + 40, 2, BEGAN_S + 40]],
        [[BEGAN_S + 42, 2, BEGAN_S + 42]],
    ]


def test_a_network_that_stood_still_is_a_slow_pace() -> None:
    book = CallBook()
    tell(book, 0, 0)
    for at in (2, 4, 12):
        tell(book, at, min(4000, at * 1000))
        assert (view(book)["streams"][0]["pace"] is None) == (at < 5)
    assert view(book)["streams"][0]["pace"] == pytest.approx(0.33)


def test_a_burst_and_a_late_fact_are_no_pace() -> None:
    book = CallBook()
    tell(book, 0, 0)
    tell(book, 1, 4000)
    assert view(book)["streams"][0]["pace"] is None
    tell(book, 10, 10_000)
    tell(book, 6, 1000)
    assert view(book)["streams"][0]["pace"] is None


def test_a_turn_of_an_unknown_place_stands_at_its_first_event() -> None:
    book = fast_call()
    tell(book, 10, 40_000, "keys-complete", turn=1, keys=2)
    tell(book, 11, 44_000, "turn-latency", turn=1, outcome="answered")
    assert view(book)["turns"][0]["x_s"] == BEGAN_S + 40


def test_a_file_without_places_is_shown_by_its_times() -> None:
    call = ToldCall().begin()
    call.audio(SECOND)
    record: CallRecord = call.book.records["CA1"]
    record.streams["MZ1"].x_began_s = None
    assert record.view(0)["audio"]["caller"] == [[BEGAN_S, 1.0, BEGAN_S]]


def test_an_axis_without_facts_is_the_clock() -> None:
    axis = CallAxis()
    assert (axis.place(7, "", -1), axis.of_media("MZ1", 5, 3), axis.pace("MZ1")) == (7, 3, None)


@given(st.integers(1, 20), st.lists(st.floats(0.01, 3), min_size=1, max_size=20))
def test_events_stand_in_the_order_of_their_media(pace: int, pauses_s: list[float]) -> None:
    axis, at_s, told = CallAxis(), 100.0, []
    axis.begin("MZ1", at_s, 0)
    for pause_s in pauses_s:
        at_s += pause_s
        told.append(axis.place(at_s, "MZ1", round((at_s - 100) * 1000 * pace)))
    axis.place(50, "MZ1", 0)  # a late fact changes nothing
    assert told == sorted(told)
    assert axis.place(at_s, "", -1) == pytest.approx(told[-1])
