"""The registry of live calls, and the admission of more."""

from dataclasses import replace

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.bridge.released_calls import ReleasedCalls
from tests.support.live_calls import live_stream


def test_a_call_is_live_from_its_start_to_its_end() -> None:
    calls = CallRegistry(max_calls=2)
    one, two = live_stream("CA1"), live_stream("CA2")
    calls.add(one)
    assert (calls.live_calls, calls.admission.refusal) == (1, None)
    calls.add(two)
    assert (calls.live_calls, calls.admission.refusal) == (2, "full")
    calls.remove(one)
    calls.remove(one)
    assert (calls.live_calls, calls.admission.refusal) == (1, None)


def test_a_newer_stream_takes_over_before_the_older_one_ends() -> None:
    told: list[str] = []
    calls = CallRegistry(max_calls=2)
    older = live_stream("CA1", lambda what: told.append(f"older: {what}"))
    newer = live_stream("CA1", lambda what: told.append(f"newer: {what}"))
    calls.add(older)
    calls.add(newer)
    assert (told, calls.live_calls) == (["older: taken over", "older: take over"], 1)
    calls.remove(older)
    assert calls.live_calls == 1
    calls.remove(newer)
    assert calls.live_calls == 0


def test_every_live_stream_is_told_to_leave_and_at_last_to_close() -> None:
    told: list[str] = []
    calls = CallRegistry(max_calls=2)
    for sid in ("CA1", "CA2"):
        calls.add(live_stream(sid, told.append))
    assert not calls.is_leaving
    calls.ask_to_leave(1)
    assert calls.is_leaving
    assert told == ["leave"]
    for _ in range(2):
        calls.ask_to_leave(5)
        assert told == ["leave", "leave"]
    calls.close()
    assert told[2:] == ["close", "close"]


def test_a_new_call_is_refused_for_three_reasons() -> None:
    calls = CallRegistry(max_calls=1)
    assert calls.admission.refusal is None
    calls.admission.is_overloaded = True
    assert calls.admission.refusal == "overloaded"
    calls.add(live_stream("CA1"))
    assert calls.admission.refusal == "full"
    calls.admission.is_draining = True
    assert calls.admission.refusal == "draining"


def test_a_call_without_its_lost_stream_needs_another() -> None:
    told: list[str] = []
    calls = CallRegistry(max_calls=1)
    assert calls.stream_lost("", "CA1", "MZ1")
    calls.add(live_stream("CA1", told.append))
    assert not calls.stream_lost("", "CA1", "MZ0")
    assert told == []
    assert calls.stream_lost("", "CA1", "MZ1")
    assert told == ["stream lost", "close"]


def test_a_stream_is_told_why_its_call_gets_another() -> None:
    told: list[str] = []
    calls = CallRegistry(max_calls=1)
    calls.add(live_stream("CA1", told.append))
    calls.note_reason("", "CA2", "keys")
    assert told == []
    calls.note_reason("", "CA1", "keys")
    assert told == ["keys"]


def test_a_stream_that_was_handed_over_does_not_count() -> None:
    calls = CallRegistry(max_calls=1)
    stream = live_stream("CA1")
    calls.add(stream)
    calls.set_handed_over(stream, True)
    assert calls.stream_lost("", "CA1", "MZ2")  # the stream that should have followed
    calls.set_handed_over(stream, False)  # Twilio did not take that document, and another one came after it
    assert not calls.stream_lost("", "CA1", "MZ2")


def test_others_take_calls_that_this_process_does_not() -> None:
    calls = CallRegistry(max_calls=1)
    calls.admission.is_draining = calls.admission.others_are_ready = True
    assert (calls.admission.refusal, calls.admission.own_refusal) == (None, "draining")


def test_a_live_calls_stream_is_taken_until_nothing_more_fits() -> None:
    calls = CallRegistry(max_calls=1)
    calls.add(live_stream("CA1"))
    assert (calls.admission.refusal, calls.admission.stream_refusal(0)) == ("full", None)
    calls.ask_to_leave(1)
    assert calls.admission.stream_refusal(1) is None
    assert calls.admission.stream_refusal(2) == "full"  # the other socket may bring a stream at any moment
    calls.add(live_stream("CA2"))
    assert calls.admission.stream_refusal(0) == "full"


def test_the_media_of_a_process_never_becomes_less() -> None:
    """Streams that have given way or ended count with what they have brought."""
    calls = CallRegistry(max_calls=2)
    older, newer = (
        replace(live_stream("CA1"), stream_sid=sid, media=lambda frames=frames: MediaFigures(frames, received_bytes=9))
        for sid, frames in (("MZ1", 100), ("MZ2", 10))
    )
    calls.add(older)
    assert calls.media.frames == 100
    calls.add(newer)
    for ended in (older, older, newer):
        assert calls.media == MediaFigures(110, received_bytes=18)
        calls.remove(ended)
    assert calls.media == MediaFigures(110, received_bytes=18)


def test_no_account_reaches_the_call_of_another() -> None:
    """The holder of one account's auth token can sign a request that names any CallSid."""
    told: list[str] = []
    calls = CallRegistry(max_calls=100)
    calls.add(replace(live_stream("CA1", told.append, line="clinic"), account_sid="AC1"))
    assert calls.stream_of("AC2", "CA1") is None
    assert not calls.is_live("AC2", "CA1")
    calls.note_reason("AC2", "CA1", "keys")
    assert calls.stream_lost("AC2", "CA1", "MZ1")  # as of each call that is not here
    forged = replace(live_stream("CA1", line="shop"), account_sid="AC2")
    calls.add(forged)
    assert told == []
    assert calls.live_lines() == {"clinic": 1, "shop": 1}
    calls.remove(forged)
    assert calls.is_live("AC1", "CA1")
    assert calls.live_calls == 1


def test_no_account_takes_back_the_call_of_another() -> None:
    released = ReleasedCalls()
    released.add("", "CA1")
    released.note_left("AC1", "CA1")
    assert released.wait_for_stream("AC1", "CA1")
    released.take_back("AC2", "CA1")
    assert released.has("AC1", "CA1")
    assert released.wait_for_stream("AC1", "CA1")
    released.take_back("AC1", "CA1")
    assert not released.has("AC1", "CA1")
    assert not released.wait_for_stream("AC1", "CA1")
