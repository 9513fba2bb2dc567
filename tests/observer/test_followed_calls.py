"""The calls whose audio the observer asks for: those that somebody follows, and a few that nobody does."""

from lexbridge.observer.admin.followed_calls import BEGINNING_EVENTS, UNASKED, FollowedCalls
from lexbridge.observer.calls.call_book import CallBook
from tests.support.told_facts import FRAME, ToldCall


def followed(calls: int) -> tuple[CallBook, FollowedCalls, list[frozenset[str]]]:
    book, told = CallBook(), list[frozenset[str]]()
    of_book = FollowedCalls(book, told.append)
    for number in range(calls):
        begin(book, of_book, number)
    return book, of_book, told


def begin(book: CallBook, of_book: FollowedCalls, number: int) -> ToldCall:
    call = ToldCall(book, f"CA{number}", f"MZ{number}").begin()
    of_book.event_came(book.records[call.call_sid])
    return call


def test_the_first_calls_are_followed_unasked() -> None:
    _, of_book, told = followed(UNASKED + 3)
    assert of_book.call_sids == told[-1] == {f"CA{number}" for number in range(UNASKED)}
    assert len(told) == UNASKED


def test_a_call_that_ended_makes_room_for_the_next() -> None:
    book, of_book, _ = followed(UNASKED)
    ToldCall(book, "CA3", "MZ3").end()
    begin(book, of_book, 50)
    assert "CA3" not in of_book.call_sids
    assert "CA50" in of_book.call_sids
    assert len(of_book.call_sids) == UNASKED


def test_a_call_that_is_well_under_way_is_not_followed_unasked() -> None:
    book, of_book, _ = followed(0)
    call = ToldCall(book).begin()
    for _ in range(BEGINNING_EVENTS):
        call.tell("mark-sent", "debug")
    of_book.event_came(book.records["CA1"])
    assert of_book.call_sids == frozenset()


def test_a_call_is_followed_as_long_as_somebody_does() -> None:
    _, of_book, told = followed(0)
    for _ in range(2):
        of_book.begin("CA7")
    of_book.end("CA7")
    assert (of_book.call_sids, told) == ({"CA7"}, [{"CA7"}])
    of_book.end("CA7")
    assert told[-1] == frozenset()


def test_a_call_that_is_forgotten_makes_room() -> None:
    book, of_book, _ = followed(UNASKED)
    del book.records["CA0"]
    begin(book, of_book, 50)
    assert "CA0" not in of_book.call_sids


def test_only_the_audio_of_followed_calls_is_kept() -> None:
    """Recordings bring the audio of all calls."""
    book, of_book, _ = followed(UNASKED + 2)
    of_book.begin("CA9")
    for number in (0, 8, 9):
        ToldCall(book, f"CA{number}", f"MZ{number}").audio(FRAME)
    assert [book.records[f"CA{number}"].audio_bytes for number in (0, 8, 9)] == [160, 0, 160]
    assert book.counts()["dropped_audio_bytes"] == 0
