"""The log line that tells how a call ended, and who or what ended it."""

import pytest

from lexbridge.bridge.call_story import KEYS, CallStory
from lexbridge.errors import LexUnavailable
from lexbridge.logs import Log
from tests.support.caller import NEXT_STREAM
from tests.support.fixtures import Logged
from tests.support.logged_calls import FULFILLED, GOODBYE, Told, asks, streaming, told
from tests.support.sounds import tone


def end_of(logged: Logged, caller: Told, why: str | None = None) -> tuple[str, object, object]:
    """End the story. Return the event of the line that tells so, who ended the call, and why."""
    caller.ends(why)
    (line,) = [line for line in logged() if line["event"] in ("call-ended", "call-left")]
    return line["event"], line.get("ended_by"), line["why"]


CALLER = "call-ended", "caller", None
NOBODY_KNOWS = "call-left", None, "stopped by Twilio"
NO_INPUT = "call-ended", "lexbridge", "no-input"


def test_the_end_has_the_calls_figures(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.gets_the_update()
    asks(caller, 900)
    caller.lex_fails(LexUnavailable("503"))
    caller.gets_the_update()
    caller.is_gone()
    caller.ends()
    figures = {"duration_s": 4.8, "turns": 2, "faults": 1, "worst_fault": "warning", "worst_reply_ms": 1600}
    assert told(logged, "call-ended") == [{"ended_by": "caller", "why": None, **figures}]
    assert told(logged, "call-left") == []


def test_the_caller_ended_a_two_way_stream_we_did_not_end(logged: Logged) -> None:
    caller = asks(streaming())
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_the_caller_ended_a_one_way_stream_we_did_not_end(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.gets_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_the_end_of_a_one_way_stream_is_unknown_with_keys(logged: Logged) -> None:
    """A one-way stream may have been stopped for the keys that were asked for, so the reason for its end is unknown."""
    caller = asks(Told())
    caller.story.update_made(1, 1.0, asks_for_keys=True)
    caller.hangs_up()  # or another process answers the webhook with the keys
    assert end_of(logged, caller) == NOBODY_KNOWS


def test_keys_that_this_process_was_told_of_leave_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.story.note_reason(KEYS)
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_a_document_that_follows_the_keys_may_have_come_first(logged: Logged) -> None:
    caller = asks(Told())
    caller.story.note_reason(KEYS)
    caller.lex_says("Which day?")
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_an_update_that_failed_does_not_take_the_keys_back(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Which day?")
    caller.story.note_reason(KEYS)
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_it_says_who_ended_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.gets_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "bot", None)


def is_transferred(caller: Told) -> Told:
    """Let the bot transfer the call, after some words."""
    asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550199"}
    caller.lex_says("One moment.", speaks=True, dialog_state=FULFILLED, session_attributes=asked)
    return caller


def test_it_says_that_the_call_was_transferred(logged: Logged) -> None:
    caller = is_transferred(asks(Told(TRANSFER_NUMBERS="+12065550199")))
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "transfer", None)


@pytest.mark.parametrize(
    ("is_heard", "end"), [(False, CALLER), (True, ("call-ended", "transfer", None))], ids=["hangs up", "hears it"]
)
def test_a_transfer_stands_once_the_words_before_it_were_heard(
    logged: Logged, is_heard: bool, end: tuple[str, object, object]
) -> None:
    caller = is_transferred(asks(streaming(TRANSFER_NUMBERS="+12065550199")))
    caller.lex_speaks(tone(2000))
    caller.lex_has_spoken()
    caller.is_silent(3000 if is_heard else 1000)
    caller.hangs_up()
    assert end_of(logged, caller) == end


def test_a_hang_up_during_the_last_words_ended_the_call(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says_aloud("Goodbye.", ms=2000, **GOODBYE)
    caller.is_silent(1000)
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_a_stream_lost_during_the_last_words_leaves_the_call(logged: Logged) -> None:
    caller = asks(streaming())
    caller.lex_says_aloud("Goodbye.", ms=2000, **GOODBYE)
    caller.is_cut_off()
    assert end_of(logged, caller) == ("call-left", None, "stream lost")


def test_it_says_why_lexbridge_ended_the_call(logged: Logged) -> None:
    caller = Told(NO_INPUT_LIMIT="1")
    caller.is_silent(60_000)
    caller.hangs_up()
    assert end_of(logged, caller) == NO_INPUT


def is_asked_for_keys() -> Told:
    """Return a caller whose document asks once more by itself and then ends. The caller is silent for so long."""
    caller = asks(Told(NO_INPUT_LIMIT="1", SLOT_KINDS="Account=digits"))
    caller.lex_says("Your number?", slot_to_elicit="Account")
    caller.gets_the_update()
    caller.is_silent(30_000)
    return caller


def test_a_document_leaves_a_silent_caller_by_an_estimate(logged: Logged) -> None:
    caller = is_asked_for_keys()
    assert [(line["ends_call"], line["by_document"]) for line in told(logged, "no-input")] == [
        (False, True),
        (True, True),
    ]
    caller.hangs_up()
    assert end_of(logged, caller) == NO_INPUT


def test_a_stream_that_is_lost_then_is_not_the_end(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.is_cut_off()
    assert end_of(logged, caller) == ("call-left", None, "stream lost")


def test_a_caller_who_speaks_was_not_left_by_the_document(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.speaks(1000)
    caller.hangs_up()
    assert end_of(logged, caller) == NOBODY_KNOWS


def test_a_caller_who_keys_was_not_left_by_the_document(logged: Logged) -> None:
    caller = is_asked_for_keys()
    caller.story.note_reason(KEYS)
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-left", None, "keys")


def test_a_caller_who_is_answered_once_more_was_not_left(logged: Logged) -> None:
    caller = asks(is_asked_for_keys())
    caller.lex_says("Thank you.")
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_it_says_that_a_limit_ended_the_call(logged: Logged) -> None:
    caller = asks(Told(MAX_TURNS="1"))
    caller.lex_says("Which day?")
    caller.hangs_up()
    assert end_of(logged, caller) == ("call-ended", "lexbridge", "call-limit")


def test_last_words_that_were_not_carried_out_end_nothing(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


def test_a_stream_that_twilio_reports_lost_does_not_end_the_call(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.story.note_reason("stream lost")
    caller.is_cut_off()
    assert end_of(logged, caller, "service stopped") == ("call-left", None, "stream lost")


def test_the_caller_ended_a_call_that_twilio_does_not_know(logged: Logged) -> None:
    caller = asks(Told())
    caller.lex_says("Goodbye.", **GOODBYE)
    caller.is_gone()
    assert end_of(logged, caller) == CALLER


def test_a_failed_hand_over_leaves_the_call_with_its_stream(logged: Logged) -> None:
    caller = Told()
    caller.has_to_leave(NEXT_STREAM)
    asks(caller)
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.hangs_up()
    assert end_of(logged, caller) == CALLER


@pytest.mark.parametrize(("why", "told_why"), [(None, "stream lost"), ("bad message", "bad message")])
def test_a_stream_that_is_lost_leaves_the_call(logged: Logged, why: str | None, told_why: str) -> None:
    caller = Told()
    caller.is_silent(2000)
    caller.is_cut_off()
    caller.ends(why)
    assert told(logged, "call-left") == [
        {"why": told_why, "duration_s": 2.0, "turns": 0, "faults": 0, "worst_fault": None, "worst_reply_ms": None}
    ]
    assert told(logged, "call-ended") == []


def test_a_stream_that_hands_the_call_over_leaves_it(logged: Logged) -> None:
    caller = Told()
    caller.has_to_leave(NEXT_STREAM)
    asks(caller)
    caller.lex_says("Which day?")
    caller.gets_the_update()
    caller.hangs_up()  # the document stops the stream
    assert end_of(logged, caller, "service stopped") == ("call-left", None, "handed over")


def test_a_stream_that_never_began_has_no_end(logged: Logged) -> None:
    CallStory(is_two_way=True).stream_ended(1.0, "bug")
    assert logged() == []


def test_faults_are_all_warnings_and_errors_of_the_call(logged: Logged) -> None:
    log = Log().bind(call_sid="CA1")
    log.bind(turn=1).warning("lex-request-failed")
    log.error("call-update-failed")
    log.info("turn-answered")
    log.bind(turn=2).exception("lex-request-broken")
    assert log.faults == 3
    assert Log().faults == 0
