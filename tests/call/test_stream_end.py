"""The end of a call in stream mode: its last words are heard out."""

import pytest

from lexbridge.call.output.prompt import HEARD_WITHIN_MS
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import FAILED_TURNS_PARAMETER
from lexbridge.errors import LexRejected, LexUnavailable
from tests.support.call_update_stories import BYE, NUMBER
from tests.support.caller import Caller
from tests.support.phrases import LIMIT, NOT_AVAILABLE, SAY_AGAIN
from tests.support.sounds import tone
from tests.support.stream_stories import (
    CONNECTS,
    PHRASE_AUDIO,
    TRANSFER,
    a_caller,
    a_caller_lex_thinks_about,
    heard_since,
    parameters_of,
    voice_in,
)
from tests.support.twilio_messages import mark_text


@pytest.mark.parametrize(
    ("reply", "document"), [(BYE, ["Hangup"]), (TRANSFER, ["Dial", "Goodbye.", "Hangup"])], ids=["hang-up", "transfer"]
)
def test_a_call_ends_only_when_its_last_words_were_heard(reply, document):
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    caller.lex_says_aloud("Thank you.", ms=2000, **reply)
    assert caller.session.state is CallState.CLOSING
    caller.is_silent(1980)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == document
    caller.is_silent(20_000)
    assert caller.steps() == []


def test_a_call_ends_even_if_the_mark_never_comes():
    caller = a_caller_lex_thinks_about()
    caller.marks_come_back = False
    caller.lex_says_aloud("Thank you.", ms=2000, **BYE)
    caller.is_silent(2000 + HEARD_WITHIN_MS)
    assert caller.hears() == ["Hangup"]


@pytest.mark.parametrize("arrived_ms", [0, 300])
def test_voiceless_last_words_are_said_by_the_last_document(arrived_ms):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Thank you.", speaks=True, **BYE)
    caller.lex_speaks(tone(arrived_ms))
    caller.lex_loses_its_voice()
    caller.is_silent(5000)
    assert caller.hears() == ["Thank you.", "Hangup"]
    assert caller.steps() == ["UpdateCall"]


def test_a_wordless_goodbye_is_lexbridges():
    caller = a_caller_lex_thinks_about(phrase_audio={"Goodbye.": tone(400)})
    caller.lex_says(speaks=True, **BYE)
    assert caller.steps() == ["CancelUtterance 1"]
    caller.is_silent(440)
    assert caller.hears() == ["Hangup"]
    assert voice_in(heard_since(caller, 1700)) == 400


def test_a_transfer_without_words_is_made_at_once():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    caller.lex_says(**TRANSFER)
    assert caller.hears() == ["Dial", "Goodbye.", "Hangup"]


def test_last_words_wait_for_the_prompt_that_plays():
    """Last words wait for the prompt that plays, and the call ends once."""
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says_aloud("One.", ms=1000, turn=1)
    caller.is_silent(200)
    caller.steps()
    caller.lex_says("Thank you.", turn=2, **BYE)
    caller.is_silent(780)
    assert caller.steps() == []
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_a_prompt_broken_off_is_said_with_the_last_words():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_says("One.", turn=1, speaks=True)
    caller.lex_says_aloud("Thank you.", turn=2, **BYE)
    caller.steps()
    caller.lex_loses_its_voice(turn=1)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["One.", "Thank you.", "Hangup"]


def test_speech_and_keys_over_the_last_words_are_dropped():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Thank you.", ms=6000, **BYE)
    caller.steps()
    caller.speaks(1000)
    caller.presses("1#")
    caller.is_silent(2000)
    assert (caller.steps(), "clear" in caller.gets()) == ([], False)


def test_if_last_words_are_not_carried_out_the_call_goes_on():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says_aloud("Thank you.", ms=500, **BYE)
    caller.is_silent(540)
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.says_something()
    caller.lex_says_aloud("Hello?", ms=500)
    caller.is_silent(6000)
    assert caller.steps()[:3] == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_an_earlier_failed_document_does_not_undo_last_words():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    caller.lex_says_aloud("Thank you.", ms=1000, **BYE)
    caller.does_not_get_the_update()  # told twice
    assert caller.session.state is CallState.CLOSING
    caller.is_silent(1040)
    assert caller.hears() == ["Hangup"]


@pytest.mark.parametrize("phrase_audio", [{}, PHRASE_AUDIO], ids=["by Twilio", "by the bot"])
def test_a_call_whose_bot_is_refused_ends_with_an_apology(phrase_audio):
    caller = a_caller_lex_thinks_about(phrase_audio=phrase_audio)
    caller.lex_fails(LexRejected("no such bot"))
    caller.is_silent(540)
    assert caller.hears() == ["Hangup"] if phrase_audio else [NOT_AVAILABLE, "Hangup"]
    assert caller.steps() == ["UpdateCall"]


def test_an_apology_without_a_sound_is_said_by_twilio():
    caller = a_caller_lex_thinks_about(phrase_audio={NOT_AVAILABLE: b""})
    caller.has_to_leave()
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.hears() == [NOT_AVAILABLE, "Hangup"]
    assert caller.session.state is CallState.CLOSING


def test_failed_turns_are_counted_over_the_streams_of_a_call():
    told = {}
    for _ in range(2):
        caller = a_caller(told)
        caller.says_something()
        caller.lex_fails(LexUnavailable("no answer"))
        assert caller.hears() == [SAY_AGAIN, *CONNECTS]
        told = parameters_of(caller)
    assert told[FAILED_TURNS_PARAMETER] == "2"
    caller = a_caller(told)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == [NOT_AVAILABLE, "Hangup"]


@pytest.mark.parametrize("end", [Caller.hangs_up, Caller.is_cut_off, Caller.is_gone])
def test_the_end_of_the_stream_ends_what_lex_still_says(end):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("One.", speaks=True)
    caller.lex_speaks(tone(400))
    end(caller)
    assert caller.steps() == ["CancelUtterance 1"]
    caller.gets()
    seen = len(caller.actions)
    caller.lex_speaks(tone(400))
    caller.lex_has_spoken()
    caller.lex_loses_its_voice()
    caller.sends(mark_text("turn-1.1:end"))
    caller.presses("1#")
    assert caller.actions[seen:] == []


def test_the_last_answer_is_heard_out_before_the_goodbye():
    caller = a_caller_lex_thinks_about(MAX_TURNS="1")
    caller.lex_says_aloud("Which day?", ms=1000)
    assert caller.steps() == []
    caller.speaks(900)  # over the last words
    assert caller.steps() == []
    caller.is_silent(200)
    assert caller.hears() == [LIMIT, "Hangup"]


def test_a_false_alarm_is_no_turn():
    caller = a_caller_lex_thinks_about(MAX_TURNS="2", BARGE_IN="on")
    caller.lex_says_aloud("Which day?", ms=4000)
    caller.is_silent(1000)
    caller.says_something()
    caller.lex_says("Sorry?", turn=2, transcript="")
    assert caller.note("false-alarm") == {"turn": 2}
    assert caller.noted("call-limit") == 0


def test_a_call_at_its_limit_ends_in_the_bots_voice():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", phrase_audio={LIMIT: tone(400)})
    caller.is_silent(10_000)
    assert caller.gets() == [400, "turn--1.1:end"]
    caller.is_silent(400)
    assert caller.hears() == ["Hangup"]


def test_the_limit_cuts_no_keys_and_no_prompt_off():
    caller = a_caller_lex_thinks_about(MAX_CALL_S="10", NO_INPUT_S="60")
    caller.lex_says_aloud("Which day?", ms=9000)
    caller.is_silent(8900)
    assert caller.noted("call-limit") == 0
    caller.presses("1")
    caller.is_silent(1000)
    assert caller.noted("call-limit") == 0
    caller.presses("#")
    caller.lex_says_aloud("Thank you.", ms=500)
    caller.is_silent(600)
    assert caller.hears() == [LIMIT, "Hangup"]


def test_the_stream_that_a_two_way_call_goes_on_over_counts_on():
    caller = a_caller({"lexbridge:began": "1795846066", "lexbridge:age-s": "7"}, MAX_TURNS="9")
    caller.has_to_leave()
    caller.is_silent(2000)
    assert '"lexbridge:age-s" value="8"' in caller.document()
    assert "stream-status?began=1795846066&amp;turns=0#" in caller.document()
