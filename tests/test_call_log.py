"""The record of live calls."""

from lexbridge.call_log import CallLog, LiveStream


def test_a_call_is_live_from_its_start_to_its_end() -> None:
    calls = CallLog(max_calls=2)
    one, two = LiveStream("CA1", lambda: None), LiveStream("CA2", lambda: None)
    calls.began(one)
    assert (calls.live_calls, calls.is_full) == (1, False)
    calls.began(two)
    assert (calls.live_calls, calls.is_full) == (2, True)
    calls.ended(one)
    calls.ended(one)
    assert (calls.live_calls, calls.is_full) == (1, False)


def test_a_newer_stream_of_a_call_takes_over_and_the_older_one_may_end_late() -> None:
    told: list[str] = []
    calls = CallLog(max_calls=2)
    older = LiveStream("CA1", lambda: told.append("older"))
    newer = LiveStream("CA1", lambda: told.append("newer"))
    calls.began(older)
    calls.began(newer)
    assert (told, calls.live_calls) == (["older"], 1)
    calls.ended(older)
    assert calls.live_calls == 1
    calls.ended(newer)
    assert calls.live_calls == 0
