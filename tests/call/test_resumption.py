"""A stream that goes on with a call: after a loss, and after a hand-over."""

import pytest

from lexbridge.call.actions import FetchSession, UpdateCall
from lexbridge.call.attributes import ACTION_ATTRIBUTE, CALL_SID_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    HANDED_OVER,
    LOST,
    NO_INPUTS_PARAMETER,
    PROMPT_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
)
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState
from tests.support.call_update_stories import FULFILLED, HOLDS, NEXT, a_caller, a_caller_lex_thinks_about, opening_of
from tests.support.caller import NEXT_STREAM, Caller
from tests.support.twilio_messages import CALL_SID

PLEASE_AGAIN = ["Sorry, I did not get that. Please say it again.", *HOLDS]


def a_caller_whose_stream_was_lost(parameters=None, **variables):
    """A caller whose call goes on over another stream."""
    return a_caller({RESUMED_PARAMETER: LOST, **(parameters or {})}, **variables)


def test_after_a_lost_stream_the_bots_last_words_are_repeated():
    caller = a_caller_whose_stream_was_lost()
    assert caller.steps() == ["FetchSession"]
    assert [action.session_id for action in caller.actions if isinstance(action, FetchSession)] == [CALL_SID]
    caller.lex_tells_session("Which day?")
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.asked[0].session_attributes is None


def test_speech_cut_off_by_a_loss_is_asked_for_again():
    """Speech that a lost stream cut off is not sent, and the caller is asked for all of it."""
    caller = a_caller_whose_stream_was_lost()
    caller.steps()
    caller.speaks(400)
    caller.lex_tells_session("Which day?")
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "FetchSession"]
    assert caller.note("speech-ignored") == {"at_ms": 0, "call": "resuming"}
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]


def test_speech_over_the_last_document_is_ignored_and_logged():
    """Speech while a document ends the call is ignored and logged, whatever becomes of the document."""
    caller = a_caller_lex_thinks_about(BARGE_IN="off")
    caller.lex_says("Goodbye.", dialog_state=DialogState.FULFILLED, intent="GoodbyeIntent")
    caller.is_silent(100)
    caller.speaks(400)
    caller.does_not_get_the_update()
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.session.state is CallState.LIVE
    assert caller.note("speech-ignored")["call"] == "closing"
    assert len(caller.asked) == 1
    caller.says_something()
    assert len(caller.asked) == 2


@pytest.mark.parametrize(
    "told", [Caller.lex_tells_session, Caller.lex_tells_no_session], ids=["no session", "no answer"]
)
def test_a_failed_look_up_has_the_caller_asked_again(told):
    """The caller is asked to say it again if Lex cannot tell what it said last."""
    caller = a_caller_whose_stream_was_lost()
    told(caller)
    assert caller.hears() == PLEASE_AGAIN


def test_a_session_without_a_message_is_asked_for_again_too():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session(dialog_state=DialogState.ELICIT_INTENT, intent="OrderFlowers")
    assert caller.hears() == PLEASE_AGAIN


def test_without_a_session_the_first_turn_brings_the_facts():
    caller = a_caller_whose_stream_was_lost({"shop": "7"})
    caller.lex_tells_session()
    caller.says_something()
    assert caller.asked[0].session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}


def test_if_lex_does_not_tell_the_attributes_are_left_alone():
    caller = a_caller_whose_stream_was_lost({"shop": "7"})
    caller.lex_tells_no_session()
    caller.says_something()
    assert caller.asked[0].session_attributes is None


def test_a_goodbye_that_was_lost_is_said_and_the_call_ends():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session("Thank you.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_a_goodbye_without_words_that_was_lost_ends_the_call_too():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session(dialog_state=FULFILLED, session_attributes={ACTION_ATTRIBUTE: "hangup"})
    assert caller.hears() == ["Goodbye.", "Hangup"]


def test_an_answer_lex_was_busy_with_is_spoken_once_there():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session("Which flowers?")
    caller.is_silent(980)
    caller.steps()
    caller.is_silent(20)
    assert caller.steps() == ["FetchSession"]
    caller.lex_tells_session("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"]


@pytest.mark.parametrize(
    "told", [lambda caller: caller.lex_tells_session("Which flowers?"), Caller.lex_tells_no_session]
)
def test_at_the_second_look_nothing_is_said_twice(told):
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session("Which flowers?")
    caller.is_silent(1000)
    caller.steps()
    told(caller)
    assert caller.steps() == []


def test_there_is_no_second_look_once_the_caller_goes_on():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session("Which flowers?")
    caller.steps()
    caller.speaks(500)
    caller.is_silent(1000)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]


def test_a_second_look_that_comes_late_is_dropped():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_tells_session("Which flowers?")
    caller.is_silent(1000)
    caller.speaks(500)
    caller.steps()
    caller.lex_tells_session("Which day?")
    assert caller.steps() == []


def test_what_lex_tells_after_the_end_is_dropped():
    caller = a_caller_whose_stream_was_lost()
    caller.hangs_up()
    caller.steps()
    caller.lex_tells_session("Which flowers?")
    assert caller.steps() == []


def test_a_call_is_handed_over_with_the_next_answer():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which day?")
    assert caller.hears() == ["Stop", "Start", "Which day?", *HOLDS]
    (update,) = [action for action in caller.actions if isinstance(action, UpdateCall)]
    assert update.hands_over
    assert caller.session.state is CallState.LEAVING
    spoken_ms = str(len("Which day?") * SPEAKING_MS_PER_CHARACTER)
    told = {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: spoken_ms}
    name, parameters = opening_of(caller)
    assert len(parameters.pop(PROMPT_PARAMETER)) == 8
    assert (name, parameters) == (NEXT.name, told)


def test_a_handed_over_stream_hears_no_speech_any_more():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which day?")
    caller.steps()
    caller.says_something()
    caller.is_silent(60_000)
    assert caller.steps() == []
    caller.hangs_up()
    assert caller.note("stream-ended")["how"] == "stopped"


def test_a_call_is_handed_over_with_a_reprompt_too():
    """A call is handed over with the next reprompt too, and the next stream knows how often it was asked."""
    caller = a_caller({"shop": "7"}, GREETING="Hello.")
    caller.has_to_leave(NEXT)
    caller.is_silent(10_420)
    _, told = opening_of(caller)
    assert told[NO_INPUTS_PARAMETER] == "1"
    assert told["shop"] == "7"  # Lex has not been told yet
    following = a_caller(told, NO_INPUT_LIMIT="1")
    following.is_silent(12_500)
    assert following.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_after_the_first_answer_no_facts_are_handed_over():
    caller = a_caller({"shop": "7"})
    caller.says_something()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which day?")
    assert "shop" not in opening_of(caller)[1]


def test_handed_over_facts_go_to_lex_with_the_first_turn():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, "shop": "7"})
    caller.says_something()
    assert caller.asked[0].session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}


def test_a_busy_call_is_not_handed_over():
    """A call is not handed over while the caller speaks or waits for Lex."""
    for pause_ms in (0, 700):
        caller = a_caller_lex_thinks_about()
        caller.speaks(500)
        caller.is_silent(pause_ms)
        caller.has_to_leave(NEXT)
        caller.lex_says("Which day?")
        assert caller.hears() == ["Which day?", *HOLDS]


def test_a_failed_hand_over_is_tried_with_the_next_document():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    caller.lex_says("Which day?")
    assert caller.hears() == ["Stop", "Start", "Which day?", *HOLDS]


def test_last_words_are_not_handed_over():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave(NEXT)
    caller.lex_says("Thank you.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_a_caller_silent_after_a_hand_over_is_asked_again():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.lex_tells_session("Which day?")
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]
    caller.steps()
    caller.is_silent(15_000)
    assert caller.steps() == ["UpdateCall"]  # now it is known


def test_silence_after_a_hand_over_without_a_prompt_is_told():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.lex_tells_no_session()
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]


def test_a_look_up_after_the_caller_went_on_is_not_said():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.says_something()
    caller.lex_says("Which day?")
    caller.steps()
    caller.lex_tells_session("Which flowers?")
    assert caller.steps() == []


def test_speech_before_a_reprompt_cancels_it():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.lex_tells_session("Which day?")
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]


def test_numbers_that_are_none_of_ours_count_as_none():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "x", NO_INPUTS_PARAMETER: "9" * 7})
    caller.is_silent(10_000)
    assert caller.steps() == ["FetchSession"]


def test_an_answer_after_the_stream_was_left_is_heard_next():
    """An answer that came after the stream was left is heard on the next stream."""
    first = a_caller_lex_thinks_about()
    first.has_to_leave(NEXT)
    first.lex_says("Which day?")
    _, parameters = opening_of(first)
    same, newer = a_caller(parameters), a_caller(parameters)
    for caller, answer in ((same, "Which day?"), (newer, "What time?")):
        caller.is_silent(12_000)
        caller.lex_tells_session(answer)
    assert same.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]
    assert newer.hears() == ["What time?", *HOLDS]


def test_the_next_stream_waits_as_long_as_the_bot_says():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave(NEXT_STREAM)
    caller.lex_says("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "4"})
    _, handed = opening_of(caller)
    assert handed["lexbridge:no-input-ms"] == "4000"
    next_one = a_caller({**handed, SPOKEN_PARAMETER: "1000"})
    next_one.is_silent(4980)
    assert next_one.steps() == []
    next_one.is_silent(20)
    assert [note.event for note in next_one.notes][-1] == "no-input"
