"""Keys that a document gathers at Twilio, and the silence of a caller who may be keying."""

import pytest

from lexbridge.call.attributes import MAX_LENGTH_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE, VOICE_ATTRIBUTE
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER
from lexbridge.call.stream_parameters import (
    AGE_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    NO_INPUTS_PARAMETER,
    REPROMPTS_PARAMETER,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    TURNS_PARAMETER,
)
from lexbridge.errors import LexUnavailable
from tests.support.call_update_stories import (
    ASKS_FOR_KEYS,
    BEGAN,
    HOLDS,
    ONE_MOMENT,
    SPOKEN_MS,
    a_caller,
    a_caller_asked_for_keys,
    a_caller_lex_thinks_about,
)
from tests.support.caller import NEXT_STREAM, Caller
from tests.support.twiml import text_of, verbs_of


def a_caller_who_pressed(keys):
    return a_caller({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: keys})


def test_gathered_keys_go_to_lex_once_the_prompt_is_known():
    """Gathered keys go to Lex as soon as it is known what the bot had asked."""
    caller = a_caller_who_pressed("12")
    assert caller.steps() == ["FetchSession"]
    caller.lex_tells_session("How many?", session_attributes={VOICE_ATTRIBUTE: "Polly.Vicki"})
    assert caller.steps() == ["SendKeys 1"]
    assert (caller.asked[0].keys, caller.asked[0].session_attributes) == ("12", None)
    caller.lex_fails(LexUnavailable("no answer"))
    say, *_ = verbs_of(caller.document())
    assert say.getAttribute("voice") == "Polly.Vicki"
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


@pytest.mark.parametrize(
    "told", [Caller.lex_tells_session, Caller.lex_tells_no_session], ids=["no session", "no answer"]
)
def test_keys_go_to_lex_even_if_it_cannot_tell_what_it_asked(told):
    caller = a_caller_who_pressed("12")
    told(caller)
    assert caller.asked[0].keys == "12"


def test_where_the_keys_are_missing_the_bot_asks_again():
    caller = a_caller({RESUMED_PARAMETER: KEYED})
    caller.lex_tells_session("How many?")
    assert caller.hears() == ["How many?", *HOLDS]


def test_each_document_gathers_keys_by_the_last_answer():
    caller = a_caller_lex_thinks_about(BARGE_IN="on")
    caller.lex_says("word " * 20, session_attributes={MAX_LENGTH_ATTRIBUTE: "4"})
    assert 'numDigits="4"' in caller.document()
    caller.is_silent(1000)
    caller.says_something()
    assert 'numDigits="4"' in caller.document()
    caller.is_silent(3000)
    assert caller.hears() == ONE_MOMENT
    assert 'numDigits="4"' in caller.document()


AGAIN = ["Sorry, I did not hear anything.", "Key it in."]
AGAIN_MS = len("".join(AGAIN)) * SPEAKING_MS_PER_CHARACTER


def silences_of(caller):
    noted = [note.fields for note in caller.notes if note.event == "no-input"]
    return [(fields["times"], fields["ends_call"], fields["by_document"]) for fields in noted]


def test_a_caller_who_may_be_keying_is_asked_by_the_document():
    """A caller who may be keying is asked again by the document that asked for keys."""
    caller = a_caller_asked_for_keys()
    assert caller.hears() == ["Key it in.", *AGAIN, *AGAIN, "Redirect"]  # each Gather waits for five seconds
    caller.is_silent(SPOKEN_MS + 2 * (AGAIN_MS + 10) + 3 * 5000)  # in whole frames
    assert silences_of(caller) == [(1, False, True), (2, False, True), (3, True, True)]
    caller.is_silent(4 * 5000 - 20)  # four keys, every five seconds
    assert caller.steps() == []
    caller.is_silent(20)  # the document ought to have hung up long ago
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_keys_of_any_number_are_waited_for_two_minutes():
    caller = a_caller_asked_for_keys({"x-amz-lex:dtmf:end-timeout-ms": "5000"}, NO_INPUT_LIMIT="0")
    caller.is_silent(SPOKEN_MS + 5000 + 120_000 - 20)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears()[-1] == "Hangup"


def test_a_number_may_be_keyed_in_too():
    caller = a_caller_lex_thinks_about(SLOT_KINDS="Account=digits")
    caller.lex_says("Key it in.", slot_to_elicit="Account")
    assert caller.hears()[:4] == ["Key it in.", "Pause", *AGAIN]
    (silent,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Redirect"]
    assert "silent=1" in text_of(silent)


def test_earlier_reprompts_count_in_the_next_document():
    caller = a_caller_asked_for_keys(attributes={})
    caller.is_silent(SPOKEN_MS + 5000)
    assert caller.hears() == [*AGAIN, *HOLDS]
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears()[1:] == HOLDS
    asked = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "2"}, NO_INPUT_LIMIT="3", NO_INPUT_S="5")
    asked.is_silent(5000)
    asked.lex_tells_session("Key it in.", session_attributes=ASKS_FOR_KEYS)
    assert asked.hears() == [*AGAIN, "Redirect"]
    assert "silent=1" in asked.document()


def test_a_document_does_not_speak_to_a_caller_who_speaks():
    caller = a_caller_asked_for_keys()
    caller.is_silent(4000)
    caller.speaks(900)
    assert caller.steps() == ["OpenUtterance 2", "UpdateCall"]
    assert caller.hears() == HOLDS
    assert 'numDigits="4"' in caller.document()
    caller.is_silent(6000)
    assert silences_of(caller) == []


def test_a_document_does_not_speak_to_a_caller_who_waits_for_lex():
    caller = a_caller_asked_for_keys(FILLER_S="60")
    caller.is_silent(1000)
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    caller.is_silent(1600)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == HOLDS


def test_an_answer_in_time_costs_no_document():
    caller = a_caller_asked_for_keys()
    caller.says_something()
    caller.lex_says("Thank you.")
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2", "UpdateCall"]


def test_a_reprompt_can_be_interrupted():
    caller = a_caller_asked_for_keys(BARGE_IN="on")
    caller.is_silent(SPOKEN_MS + 5000 + 600)
    caller.speaks(400)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2"]
    assert caller.hears() == HOLDS
    caller.is_silent(60_000)
    assert [by_document for *_, by_document in silences_of(caller)][:1] == [True]


def test_a_document_with_keys_cuts_no_protected_prompt_off():
    caller = a_caller_lex_thinks_about(BARGE_IN="off", NO_INPUT_S="1")
    caller.lex_says("word " * 40, session_attributes=ASKS_FOR_KEYS)
    caller.steps()
    caller.is_silent(200 * SPEAKING_MS_PER_CHARACTER - 2000)
    caller.speaks(1900)
    assert caller.steps() == ["OpenUtterance 2"]
    caller.speaks(200)
    assert caller.steps() == ["UpdateCall"]


def test_without_its_document_the_caller_is_asked_again_too():
    caller = a_caller_asked_for_keys()
    caller.does_not_get_the_update()
    caller.is_silent(5000)
    assert caller.hears()[:2] == AGAIN
    assert silences_of(caller) == [(1, False, False)]


def test_the_stream_that_takes_over_waits_for_keys_too():
    caller = a_caller(
        {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "700", REPROMPTS_PARAMETER: "900 0"}, NO_INPUT_S="5"
    )
    caller.is_silent(700 + 5000 + 900 + 5000)
    assert silences_of(caller) == [(1, False, True), (2, False, True)]
    assert caller.steps() == []
    asked = a_caller_lex_thinks_about()
    asked.has_to_leave(NEXT_STREAM)
    asked.lex_says("Key it in.", session_attributes=ASKS_FOR_KEYS)
    assert f'name="{REPROMPTS_PARAMETER}" value="{AGAIN_MS} {AGAIN_MS} {AGAIN_MS} 0"' in asked.document()


def test_a_document_lasts_as_long_as_the_bot_bears_silence():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Take your time.", session_attributes={NO_INPUT_S_ATTRIBUTE: "100.5"})
    (pause,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Pause"]
    assert int(pause.getAttribute("length")) >= 60 + 91


@pytest.mark.parametrize(("gathered", "sent"), [("12*3", "3"), ("123", "123"), ("12#4", "12")])
def test_gathered_keys_are_the_first_turn_of_a_new_stream(gathered, sent):
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: gathered, "tier": "gold"})
    assert caller.steps() == ["FetchSession"]
    caller.lex_tells_session("Which number?")
    assert caller.steps() == ["SendKeys 1"]
    (asked,) = caller.asked
    assert (asked.keys, asked.session_attributes) == (sent, None)
    caller.lex_says("Thank you.")
    assert caller.hears() == ["Thank you.", *HOLDS]


@pytest.mark.parametrize("keys", ["1*", ""])
def test_keys_that_were_all_deleted_are_asked_for_again(keys):
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: keys})
    caller.lex_tells_session("Which number?")
    assert caller.hears() == ["Which number?", *HOLDS]
    assert caller.asked == []


def test_keys_that_were_all_deleted_do_not_outlast_the_call():
    caller = Caller(MAX_CALL_S="10")
    began = {**BEGAN, AGE_PARAMETER: "20", TURNS_PARAMETER: "0"}
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "#", **began})
    caller.lex_tells_session("Which number?")
    assert caller.hears()[-1] == "Hangup"
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_deleted_keys_to_an_unknown_prompt_are_waited_for():
    """A caller who took back all keys is waited for where Lex does not tell what it had asked."""
    caller = Caller(NO_INPUT_S="5")
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "1*"})
    caller.lex_tells_no_session()
    assert caller.steps() == ["FetchSession"]
    caller.is_silent(5000)
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]


def test_a_caller_who_may_be_keying_is_waited_for():
    caller = a_caller_asked_for_keys(MAX_CALL_S="10")
    caller.is_silent(12_000)
    assert caller.noted("call-limit") == 0
