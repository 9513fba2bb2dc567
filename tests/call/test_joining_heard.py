"""Joining in stream mode: an answer that waits unheard, one that is heard already, and false alarms."""

import pytest

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.call.actions import OpenUtterance
from lexbridge.call.attributes import CALL_SID_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE
from lexbridge.call.stream_parameters import HANDED_OVER, RESUMED_PARAMETER
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import NO_DIALOG, DialogState
from tests.support.caller import Caller
from tests.support.joining_stories import (
    FIRST,
    NOT_RESTORED,
    SECOND,
    a_caller,
    a_caller_whose_answer_is_on_its_way,
    opened,
    said,
    says_the_first_half,
)
from tests.support.sounds import tone
from tests.support.twilio_messages import CALL_SID


def test_an_unsent_answer_is_dropped_when_the_caller_goes_on():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, {CALL_SID_ATTRIBUTE: CALL_SID}, UtteranceAudio(), NO_DIALOG)
    assert caller.has_lex_heard(2, said(caller, 500))
    caller.lex_speaks(tone(500), 1)
    caller.is_silent(700)
    caller.lex_says_aloud("Which day?", ms=400)
    assert caller.steps() == ["CloseUtterance 2", "CancelUtterance 1"]
    assert caller.gets() == [400, "turn-2.1:end"]


def test_words_after_keys_are_not_joined_with_those_before():
    """What the caller says while Lex has keys is no piece of what they said before the keys."""
    caller = a_caller_whose_answer_is_on_its_way()
    caller.presses("1#")
    assert caller.steps() == ["SendKeys 2"]
    caller.speaks(500)
    caller.lex_says("Which day?", turn=2, checkpoint=SECOND)
    caller.is_silent(700)
    assert opened(caller, 3).checkpoint is None
    assert caller.noted("joined") == 0


def test_directives_of_a_dropped_answer_are_taken_back():
    """The directives of a dropped answer are taken back, until the answer holds after all."""
    caller = a_caller("stream", NO_INPUT_S="60")
    says_the_first_half(caller)
    attributes = {NO_INPUT_S_ATTRIBUTE: "3"}
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST, session_attributes=attributes)
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_fails(LexUnavailable("no answer"), 2)
    caller.does_not_get_the_update()
    caller.is_silent(10_000)
    assert caller.noted("no-input") == 0


def test_it_holds_if_the_session_is_not_put_back():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_speaks(tone(400), 1)
    caller.lex_has_spoken(1)
    caller.lex_fails(NOT_RESTORED, 2)
    assert caller.gets() == [400, "turn-1.1:end"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, None, UtteranceAudio())


def test_an_answer_that_is_heard_is_not_taken_back():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.lex_speaks(tone(2000))
    caller.is_silent(1000)
    caller.speaks(500)
    assert caller.noted("barged-in") == 1
    assert opened(caller, 2).checkpoint is None


@pytest.mark.parametrize("state", [DialogState.ELICIT_SLOT, DialogState.FULFILLED])
def test_an_answer_without_a_checkpoint_is_heard_afterwards(state):
    """An answer that cannot be taken back is heard when the caller is done."""
    known = state is DialogState.FULFILLED
    caller = a_caller("stream", None if known else {RESUMED_PARAMETER: HANDED_OVER})
    says_the_first_half(caller)
    caller.lex_says("Your roses are ordered.", speaks=True, dialog_state=state)
    caller.speaks(500)
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 1
    caller.lex_speaks(tone(400), 1)
    caller.is_silent(700)
    assert caller.gets() == [400]


def test_an_answer_is_not_taken_back_for_too_long_a_whole():
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller, 2600)
    caller.lex_says("What would you like?", speaks=True)
    caller.is_silent(300)
    caller.speaks(100)
    assert opened(caller, 2).checkpoint is None


def test_it_is_not_gone_on_with_after_something_else_was_said():
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller)
    caller.is_silent(100)
    caller.speaks(1900)  # too long for a whole
    caller.lex_says("What would you like?", turn=1, speaks=True, checkpoint=FIRST)
    caller.is_silent(700)
    caller.lex_fails(LexUnavailable("no answer"), 2)
    caller.speaks(300)
    assert opened(caller, 3).checkpoint is None
    assert caller.noted("joined") == 0


def test_a_filler_that_plays_before_it_does_not_count():
    variables = {"REPLY_MODE": "stream", "JOIN": "on", "BARGE_IN": "on", "GREETING": "Hello.", "FILLER_S": "1"}
    caller = Caller({"One moment please.": tone(1200)}, **variables)
    caller.dials()
    caller.is_silent(1000)
    says_the_first_half(caller)
    caller.is_silent(700)
    caller.lex_says_aloud("What would you like?", turn=1, ms=400, checkpoint=FIRST)
    caller.gets()
    caller.speaks(500)
    assert caller.gets() == ["clear"]
    assert opened(caller, 2).checkpoint == NO_DIALOG
    caller.is_silent(700)
    caller.lex_says_aloud("Which day?", turn=2, ms=500)
    assert caller.gets() == [500, "turn-2.1:500", "turn-2.1:end"]


def test_a_cough_and_the_words_after_it_are_one_utterance():
    caller = a_caller("stream", NO_INPUT_S="60")
    says_the_first_half(caller)
    caller.lex_says_aloud("Which flowers would you like?", ms=3000, checkpoint=FIRST)
    caller.is_silent(1000)
    caller.speaks(320)
    caller.is_silent(800)
    caller.speaks(320)
    caller.gets()
    caller.lex_says("Sorry?", turn=2, transcript="")
    assert caller.noted("false-alarm") == 0
    assert opened(caller, 3).checkpoint == FIRST
    caller.is_silent(700)
    caller.lex_says("Sorry?", turn=3, transcript="")  # it was one
    assert caller.noted("false-alarm") == 1
    assert caller.gets()[0] == 500
    caller.is_silent(3000)
    says_the_first_half(caller)
    caller.speaks(320)
    caller.lex_says("Which day?", turn=4, checkpoint=SECOND)
    assert (
        caller.note("join-refused")["why"] == "where the dialog stood is not known"
    )  # the cough's answer told nothing


def test_a_long_false_alarm_ends_with_its_silence():
    """A false alarm that is too long for one turn ends with the silence after it."""
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller)
    caller.lex_says_aloud("Which flowers would you like?", ms=3000, checkpoint=FIRST)
    caller.is_silent(1000)
    says_the_first_half(caller)
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_says("Sorry?", turn=2, transcript="", checkpoint=FIRST)
    caller.speaks(900)
    caller.is_silent(500)
    caller.gets()
    caller.lex_says("Sorry?", turn=3, transcript="")
    assert (caller.noted("false-alarm"), caller.gets()) == (1, [])  # they may be saying more
    caller.is_silent(200)
    assert caller.note("utterance-dropped")["turn"] == 4
    assert caller.gets()[0] == 500  # the prompt goes on
