"""Faults of Lex and of Twilio in call-update mode, and what the caller hears of them."""

from lexbridge.call.states import CallState
from lexbridge.errors import LexRejected, LexUnavailable
from tests.support.call_update_stories import FULFILLED, HOLDS, a_caller, a_caller_lex_thinks_about


def test_an_unavailable_lex_has_the_caller_asked_again():
    caller = a_caller_lex_thinks_about()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]
    assert caller.note("turn-failed") == {"turn": 1, "error": "LexUnavailable", "ends_call": False}
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_after_three_failures_in_a_row_the_call_ends_in_words():
    caller = a_caller()
    for ends_call in (False, False, True):
        caller.says_something()
        caller.lex_fails(LexUnavailable("no answer"))
        assert [note for note in caller.notes if note.event == "turn-failed"][-1].fields["ends_call"] is ends_call
    assert caller.hears() == ["Sorry, this service is not available.", "Hangup"]


def test_an_answer_in_between_starts_the_count_again():
    caller = a_caller()
    for _ in range(2):
        for _ in range(2):
            caller.says_something()
            caller.lex_fails(LexUnavailable("no answer"))
        caller.says_something()
        caller.lex_says("Which day?")
    assert caller.session.state is CallState.LIVE


def test_a_rejected_request_ends_the_call_with_an_apology():
    caller = a_caller_lex_thinks_about()
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.hears() == ["Sorry, this service is not available.", "Hangup"]
    assert caller.session.state is CallState.CLOSING


def test_lex_may_reject_the_request_before_the_caller_is_done():
    caller = a_caller()
    caller.speaks(500)
    caller.lex_fails(LexRejected("no such bot"))
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 1", "UpdateCall"]


def test_if_a_prompt_is_not_carried_out_the_next_turn_goes_on():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_if_last_words_are_not_carried_out_the_next_turn_goes_on():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_a_failed_prompt_does_not_undo_later_last_words():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.says_something()
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    caller.does_not_get_the_update(ago=1)
    assert caller.session.state is CallState.CLOSING


def test_a_failed_goodbye_to_a_silent_caller_is_said_again():
    caller = a_caller(NO_INPUT_LIMIT="0", NO_INPUT_S="5")
    caller.is_silent(15_000)
    caller.does_not_get_the_update()
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"] * 2
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_a_call_that_is_gone_ends_quietly():
    caller = a_caller_lex_thinks_about()
    caller.is_gone()
    assert caller.steps() == ["CancelUtterance 1"]
    assert caller.note("stream-ended")["how"] == "gone"
    caller.is_gone()
    caller.does_not_get_the_update()
    caller.lex_says("Which day?")
    assert caller.steps() == []
