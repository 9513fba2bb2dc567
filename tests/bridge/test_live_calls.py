"""The record of live calls."""

from lexbridge.bridge.live_calls import CallLog
from tests.support.live_calls import live_stream


def test_a_call_is_live_from_its_start_to_its_end() -> None:
    calls = CallLog(max_calls=2)
    one, two = live_stream("CA1"), live_stream("CA2")
    calls.began(one)
    assert (calls.live_calls, calls.refusal) == (1, None)
    calls.began(two)
    assert (calls.live_calls, calls.refusal) == (2, "full")
    calls.ended(one)
    calls.ended(one)
    assert (calls.live_calls, calls.refusal) == (1, None)


def test_a_newer_stream_of_a_call_takes_over_and_the_older_one_may_end_late() -> None:
    told: list[str] = []
    calls = CallLog(max_calls=2)
    older = live_stream("CA1", lambda what: told.append(f"older: {what}"))
    newer = live_stream("CA1", lambda what: told.append(f"newer: {what}"))
    calls.began(older)
    calls.began(newer)
    assert (told, calls.live_calls) == (["older: taken over", "older: take over"], 1)
    calls.ended(older)
    assert calls.live_calls == 1
    calls.ended(newer)
    assert calls.live_calls == 0


def test_every_live_stream_is_told_to_leave_and_at_last_to_close() -> None:
    told: list[str] = []
    calls = CallLog(max_calls=2)
    for sid in ("CA1", "CA2"):
        calls.began(live_stream(sid, told.append))
    assert not calls.is_leaving
    calls.leave(1)
    assert calls.is_leaving
    assert told == ["leave"]
    for _ in range(2):
        calls.leave(5)
        assert told == ["leave", "leave"]
    calls.close()
    assert told[2:] == ["close", "close"]


def test_what_keeps_a_new_call_out() -> None:
    calls = CallLog(max_calls=1)
    assert calls.refusal is None
    calls.is_overloaded = True
    assert calls.refusal == "overloaded"
    calls.began(live_stream("CA1"))
    assert calls.refusal == "full"
    calls.is_draining = True
    assert calls.refusal == "draining"


def test_a_call_whose_stream_is_lost_needs_another_unless_it_has_it() -> None:
    told: list[str] = []
    calls = CallLog(max_calls=1)
    assert calls.lost("CA1", "MZ1")
    calls.began(live_stream("CA1", told.append))
    assert not calls.lost("CA1", "MZ0")
    assert told == []
    assert calls.lost("CA1", "MZ1")
    assert told == ["stream lost", "close"]


def test_a_stream_is_told_why_its_call_gets_another() -> None:
    told: list[str] = []
    calls = CallLog(max_calls=1)
    calls.began(live_stream("CA1", told.append))
    calls.leaves("CA2", "keys")
    assert told == []
    calls.leaves("CA1", "keys")
    assert told == ["keys"]


def test_a_stream_that_was_handed_over_is_none_the_call_has() -> None:
    calls = CallLog(max_calls=1)
    stream = live_stream("CA1")
    calls.began(stream)
    calls.hands_over(stream, True)
    assert calls.lost("CA1", "MZ2")  # the one that should have followed
    calls.hands_over(stream, False)  # Twilio did not carry it out, and another document came after it
    assert not calls.lost("CA1", "MZ2")


def test_others_take_calls_that_this_process_does_not() -> None:
    calls = CallLog(max_calls=1)
    calls.is_draining = calls.others_are_ready = True
    assert (calls.refusal, calls.own_refusal) == (None, "draining")


def test_a_live_calls_stream_is_taken_until_nothing_more_fits() -> None:
    calls = CallLog(max_calls=1)
    calls.began(live_stream("CA1"))
    assert (calls.refusal, calls.stream_refusal(0)) == ("full", None)
    calls.leave(1)
    assert calls.stream_refusal(1) is None
    assert calls.stream_refusal(2) == "full"  # the other socket may bring a stream at any moment
    calls.began(live_stream("CA2"))
    assert calls.stream_refusal(0) == "full"
