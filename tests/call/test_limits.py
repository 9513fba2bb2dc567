"""Limits of a call: its length, and the number of its turns."""

from lexbridge.call.attributes import ACTION_ATTRIBUTE, CALL_SID_ATTRIBUTE, TRANSFER_TO_ATTRIBUTE
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    AGE_PARAMETER,
    BEGAN_PARAMETER,
    KEYED,
    KEYS_PARAMETER,
    RESUMED_PARAMETER,
    TURNS_PARAMETER,
)
from lexbridge.errors import LexUnavailable
from tests.support.call_update_stories import BEGAN, FULFILLED, HOLDS, NUMBER, a_caller, a_caller_lex_thinks_about
from tests.support.caller import NEXT_STREAM
from tests.support.phrases import LIMIT
from tests.support.twiml import verbs_of


def test_the_last_turns_answer_is_heard_before_the_goodbye():
    """The caller hears the answer to the last turn that a call may have, and then a goodbye."""
    caller = a_caller(MAX_TURNS="2")
    caller.says_something()
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.says_something()
    caller.lex_says("word " * 800)
    *answer, limit, hangup = caller.hears()
    assert (answer[0][:9], limit, hangup) == ("word word", LIMIT, "Hangup")  # however long the answer is
    assert caller.session.state is CallState.CLOSING
    assert caller.note("call-limit") == {"setting": "MAX_TURNS", "turns": 2}


def test_unanswered_turns_do_not_count():
    """Turns that Lex did not answer do not count, but a failed one may be the last."""
    caller = a_caller(MAX_TURNS="1", MAX_CALL_S="10")
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]
    caller.is_silent(5000)
    caller.says_something()
    caller.is_silent(3000)
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", LIMIT, "Hangup"]
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_the_welcome_is_no_turn_of_the_callers():
    caller = a_caller(MAX_TURNS="1", WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.lex_says("Welcome!")
    assert caller.hears() == ["Welcome!", *HOLDS]


def test_an_answer_that_ends_the_call_says_so_itself():
    caller = a_caller(MAX_TURNS="1", TRANSFER_NUMBERS=NUMBER)
    caller.says_something()
    attributes = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("To a person.", dialog_state=FULFILLED, session_attributes=attributes)
    assert caller.hears()[1:3] == ["To a person.", "Dial"]


def test_a_call_may_last_so_long_and_no_longer():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", GREETING="Hello.")
    caller.is_silent(9980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == [LIMIT, "Hangup"]
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_the_limit_cuts_no_speech_wait_or_prompt_off():
    """The limit of a call cuts off no caller who speaks, waits for Lex, or hears a prompt."""
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", GREETING="Hello.")
    caller.is_silent(9000)
    caller.speaks(2000)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", LIMIT, "Hangup"]
    spoken_to = a_caller_lex_thinks_about(MAX_CALL_S="10", NO_INPUT_S="60")
    spoken_to.lex_says("word " * 30)
    spoken_to.is_silent(len("word " * 30) * SPEAKING_MS_PER_CHARACTER - 100)
    assert spoken_to.noted("call-limit") == 0
    spoken_to.is_silent(200)
    assert spoken_to.noted("call-limit") == 1


def test_a_caller_who_goes_on_speaking_is_heard_for_a_while():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", FILLER_S="60")
    caller.is_silent(9000)
    caller.says_something()
    caller.speaks(1000)
    caller.lex_says("Which day?", turn=1)
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(60_000 - 3700)
    caller.speaks(1000)
    caller.is_silent(700)
    caller.speaks(500)
    caller.lex_says("Well?", turn=2)
    assert caller.hears() == ["Well?", LIMIT, "Hangup"]
    assert caller.noted("utterance-dropped") == 2


def test_a_failed_goodbye_is_said_after_the_next_silence():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="5", NO_INPUT_LIMIT="20")
    caller.is_silent(11_000)
    caller.does_not_get_the_update()
    caller.steps()
    caller.is_silent(4980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == ["Sorry, I did not hear anything.", LIMIT, "Hangup"]


def test_a_stream_that_goes_on_with_a_call_counts_on():
    caller = a_caller(
        {**BEGAN, AGE_PARAMETER: "0", TURNS_PARAMETER: "0"}, MAX_TURNS="2", MAX_CALL_S="30", NO_INPUT_S="60"
    )
    caller.is_silent(10_000)
    caller.says_something()
    caller.has_to_leave(NEXT_STREAM)
    caller.lex_says("Which day?")
    (start,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Start"]
    told = {node.getAttribute("name"): node.getAttribute("value") for node in start.getElementsByTagName("Parameter")}
    assert [told[name] for name in (BEGAN_PARAMETER, AGE_PARAMETER, TURNS_PARAMETER)] == ["1795846066", "12", "1"]
    assert "stream-status?began=1795846066&amp;turns=1#" in caller.document()
    assert "&amp;began=1795846066&amp;turns=1#" in caller.document()
    following = a_caller(told, MAX_TURNS="2", MAX_CALL_S="30", NO_INPUT_S="60")
    following.is_silent(17_980)
    assert following.noted("call-limit") == 0
    following.is_silent(20)
    assert following.hears() == [LIMIT, "Hangup"]
    keyed = a_caller({**told, RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"}, MAX_TURNS="2")
    keyed.lex_tells_session("Which day?")
    keyed.lex_says("Thank you.")
    assert keyed.hears() == ["Thank you.", LIMIT, "Hangup"]
    assert set(keyed.asked[0].session_attributes or {}) <= {CALL_SID_ATTRIBUTE}
