"""Stories of interruptions in call-update mode: a document without words stops the prompt."""

import pytest

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.attributes import ALLOW_INTERRUPT_ATTRIBUTE
from tests.support.call_update_stories import HOLDS, a_caller, a_caller_lex_thinks_about


def a_caller_who_hears_a_prompt(so_far_ms=1000, attributes=None, **variables):
    """A caller who has heard `so_far_ms` of the answer to the first turn: seven seconds of words."""
    caller = a_caller_lex_thinks_about(**{"BARGE_IN": "on", "GREETING": "Hi.", **variables})
    caller.lex_says("word " * 20, session_attributes=attributes or {})
    caller.is_silent(so_far_ms)
    caller.steps()
    return caller


def test_an_interruption_stops_the_prompt_by_an_empty_document():
    """A caller who interrupts is listened to, and a document without words stops the prompt."""
    caller = a_caller_who_hears_a_prompt()
    caller.speaks(280)
    assert caller.steps() == []
    caller.speaks(20)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2"]
    assert caller.hears() == HOLDS
    assert caller.note("barged-in") == {"heard_ms": 1300}
    caller.speaks(700)
    caller.is_silent(700)
    assert caller.sent_to_lex(2) == decode_mulaw(caller.said)[16 * 2200 :]
    assert caller.steps() == ["CloseUtterance 2"]


def test_a_prompt_is_interrupted_once():
    caller = a_caller_who_hears_a_prompt()
    caller.says_something()
    caller.lex_says(transcript="")
    caller.steps()
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 3", "CloseUtterance 3"]


def test_nothing_interrupts_the_first_half_second_of_a_prompt():
    caller = a_caller_who_hears_a_prompt(so_far_ms=0)
    caller.speaks(360)
    caller.is_silent(700)
    assert caller.steps() == []


def test_coughs_interrupt_no_prompt():
    caller = a_caller_who_hears_a_prompt()
    for _ in range(5):
        caller.speaks(140)
        caller.is_silent(200)
    assert caller.steps() == []


def test_a_short_answer_counts_near_the_end_of_a_prompt():
    caller = a_caller_who_hears_a_prompt(so_far_ms=6000)
    caller.speaks(100)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]  # and costs no update: it may be over


def test_speech_during_the_greeting_is_heard_and_it_goes_on():
    caller = a_caller(BARGE_IN="on", GREETING="word " * 50)
    caller.is_silent(1000)
    caller.speaks(60)
    assert caller.steps() == ["OpenUtterance 1"]


@pytest.mark.parametrize(
    ("attributes", "variables"), [({ALLOW_INTERRUPT_ATTRIBUTE: "false"}, {}), ({}, {"BARGE_IN": "off"})]
)
def test_speech_over_a_protected_prompt_counts(attributes, variables):
    """A prompt that must be heard out is not stopped, and what the caller says over it counts."""
    caller = a_caller_who_hears_a_prompt(attributes=attributes, **variables)
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_second_prompt_is_not_interrupted_at_once_either():
    """A prompt that follows at once, as the answer to the next turn, has a first half second too."""
    caller = a_caller_lex_thinks_about(BARGE_IN="on")
    caller.says_something()
    caller.lex_says("word " * 20, turn=1)
    caller.speaks(360)
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
