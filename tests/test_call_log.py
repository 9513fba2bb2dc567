"""The record of calls."""

from lexbridge.call_log import MAX_RECENT_CALLS, CallLog, CallRecord


def record(call: str, stream: str = "MZ1", told: list[str] | None = None) -> CallRecord:
    return CallRecord(call, stream, take_over=lambda: told.append(stream) if told is not None else None)


def test_a_call_is_live_from_its_start_to_its_end() -> None:
    calls, one, two = CallLog(max_calls=2), record("CA1"), record("CA2")
    calls.began(one)
    calls.began(two)
    assert calls.live_calls == 2
    assert calls.live("CA1") is one
    assert calls.is_full
    calls.ended(one, turns=3)
    assert (calls.live_calls, calls.live("CA1"), calls.is_full) == (1, None, False)
    assert (one.turns, list(calls.recent)) == (3, [one])
    assert one.ended_s is not None
    assert one.ended_s >= one.began_s


def test_a_newer_stream_of_a_call_takes_over_and_the_older_one_may_end_late() -> None:
    told: list[str] = []
    calls, older, newer = CallLog(max_calls=2), record("CA1", "MZ1", told), record("CA1", "MZ2", told)
    calls.began(older)
    calls.began(newer)
    assert told == ["MZ1"]
    calls.ended(older, turns=1)
    assert calls.live("CA1") is newer


def test_the_record_of_what_was_is_bounded() -> None:
    calls = CallLog(max_calls=2)
    for number in range(MAX_RECENT_CALLS + 10):
        one = record(f"CA{number}")
        calls.began(one)
        calls.ended(one, turns=0)
    assert len(calls.recent) == MAX_RECENT_CALLS
    assert calls.recent[0].call_sid == "CA10"
