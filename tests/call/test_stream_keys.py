"""Keys that come over the stream: when they go to Lex, and which prompts they stop."""

import pytest

from lexbridge.call.actions import SendKeys
from lexbridge.call.attributes import ALLOW_INTERRUPT_ATTRIBUTE, END_TIMEOUT_ATTRIBUTE, MAX_LENGTH_ATTRIBUTE
from lexbridge.call.states import CallState
from tests.support.call_update_stories import BYE
from tests.support.sounds import tone
from tests.support.stream_stories import PHRASE_AUDIO, a_caller, a_caller_lex_thinks_about, a_caller_who_hears_a_prompt
from tests.support.twilio_messages import dtmf_text


def test_keys_are_sent_when_the_end_character_is_pressed():
    caller = a_caller()
    caller.presses("12*34")
    assert [step for step in caller.steps() if step.startswith("Send")] == []
    caller.presses("#")
    assert [asked.keys for asked in caller.asked if isinstance(asked, SendKeys)] == ["34"]
    assert caller.note("keys-complete") == {"turn": 1, "keys": 2, "silent_ms": 0}


def test_keys_are_sent_two_seconds_after_the_last():
    caller = a_caller()
    caller.presses("12")
    caller.steps()
    caller.is_silent(2000 - 40 - 80 - 20)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["SendKeys 1"]


def test_keys_are_sent_when_they_are_as_many_as_the_bot_wants():
    caller = a_caller_who_hears_a_prompt(attributes={MAX_LENGTH_ATTRIBUTE: "3"})
    caller.presses("123")
    assert caller.asked[-1].keys == "123"


def test_the_bot_says_how_long_keys_are_waited_for():
    caller = a_caller_who_hears_a_prompt(attributes={END_TIMEOUT_ATTRIBUTE: "500"})
    caller.presses("1")
    caller.is_silent(380)
    assert caller.asked[-1].keys == "1"


def test_the_tone_of_a_key_is_no_speech():
    caller = a_caller()
    caller.speaks(100)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.sends(dtmf_text("5"))
    assert caller.steps() == ["CancelUtterance 1"]
    assert caller.note("utterance-dropped")["why"] == "a key was pressed"
    caller.speaks(200)  # it is held
    caller.is_silent(2000)
    assert caller.steps() == ["SendKeys 2"]


def test_the_tone_of_the_last_key_is_no_speech_either():
    caller = a_caller_who_hears_a_prompt(attributes={MAX_LENGTH_ATTRIBUTE: "1"})
    caller.sends(dtmf_text("5"))
    caller.speaks(500)
    caller.is_silent(1000)
    assert caller.steps() == ["SendKeys 2"]


def test_a_key_stops_the_prompt_for_good():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Press a key.", speaks=True)
    caller.lex_speaks(tone(3000))
    caller.is_silent(1000)
    caller.steps(), caller.gets()
    caller.sends(dtmf_text("1"))
    assert (caller.steps(), caller.gets()) == (["CancelUtterance 1"], ["clear"])
    caller.is_silent(2000)
    assert caller.steps() == ["SendKeys 2"]
    caller.lex_says_aloud("Thank you.", ms=400, transcript="")
    assert caller.noted("false-alarm") == 0
    assert caller.gets() == [400, "turn-2.1:end"]


@pytest.mark.parametrize("keys", ["#", "*"])
def test_a_caller_who_keys_nothing_in_is_waited_for(keys):
    caller = a_caller_who_hears_a_prompt(NO_INPUT_S="5")
    caller.presses(keys)
    assert caller.gets() == ["clear"]
    assert caller.steps() == []
    caller.is_silent(4800)
    assert caller.noted("no-input") == 0
    caller.is_silent(200)
    assert caller.noted("no-input") == 1


def test_after_deleted_keys_the_prompt_is_heard_again():
    """A caller who takes back all keys hears the prompt again, and may key at once."""
    caller = a_caller_who_hears_a_prompt(ms=3000)
    caller.presses("12")
    assert caller.gets() == ["clear"]
    caller.presses("*")
    assert caller.gets()[0] == 500  # from its beginning
    caller.presses("34#")
    assert "clear" in caller.gets()
    assert [asked.keys for asked in caller.asked if isinstance(asked, SendKeys)] == ["34"]


def test_keys_deleted_while_lex_thinks_repeat_no_prompt():
    caller = a_caller_lex_thinks_about()
    caller.presses("12*")
    assert caller.gets() == []


def test_after_a_skipped_prompt_a_noise_does_not_bring_it_back():
    caller = a_caller_who_hears_a_prompt()
    caller.presses("#")
    caller.gets()
    caller.speaks(400)
    caller.is_silent(700)
    caller.lex_says_aloud("Sorry?", ms=400, transcript="")
    assert caller.gets() == [400, "turn-2.1:end"]


def test_keys_pressed_while_lex_thinks_go_to_lex_after_it():
    caller = a_caller_lex_thinks_about()
    caller.presses("12#")
    assert [step for step in caller.steps() if "Send" in step] == []
    caller.lex_says()
    assert caller.asked[-1].keys == "12"
    assert caller.steps()[-1] == f"SendKeys {caller.asked[-1].turn}"


def test_keys_pressed_over_last_words_are_dropped():
    caller = a_caller_lex_thinks_about()
    caller.presses("12")
    caller.lex_says_aloud("Thank you.", ms=4000, **BYE)
    caller.steps()
    caller.is_silent(3000)
    assert caller.steps() == []


def test_a_reply_waits_for_keys_that_are_being_pressed():
    caller = a_caller_lex_thinks_about()
    caller.presses("1")
    caller.lex_says_aloud("Which day?", ms=400, turn=1)
    caller.is_silent(200)
    assert caller.gets() == []
    caller.presses("2#")
    caller.is_silent(20)
    assert caller.gets() == [400, "turn-1.1:end"]
    assert caller.asked[-1].keys == "12"


def test_voiceless_words_wait_for_keys_that_are_being_pressed():
    caller = a_caller_lex_thinks_about()
    caller.presses("1")
    caller.lex_says("Which day?", turn=1)
    assert caller.session.state is CallState.LIVE
    caller.presses("#")
    assert caller.asked[-1].keys == "1"


def test_the_caller_is_not_asked_again_while_pressing_keys():
    attributes = {END_TIMEOUT_ATTRIBUTE: "20000", ALLOW_INTERRUPT_ATTRIBUTE: "false"}
    caller = a_caller_who_hears_a_prompt(attributes=attributes, NO_INPUT_S="5")
    caller.presses("1")
    caller.is_silent(19_000)  # the prompt ends in this time
    assert caller.noted("no-input") == 0
    caller.is_silent(2000)
    assert caller.asked[-1].keys == "1"


def test_the_caller_is_not_asked_again_while_a_prompt_plays():
    caller = a_caller_who_hears_a_prompt(ms=9000, attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"}, NO_INPUT_S="5")
    caller.presses("#")
    caller.is_silent(7700 + 4980)
    assert caller.noted("no-input") == 0
    caller.is_silent(200)
    assert caller.noted("no-input") == 1


def test_a_key_is_input():
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="1", phrase_audio=PHRASE_AUDIO)
    caller.is_silent(6000)
    caller.presses("1*")
    caller.is_silent(6000)
    assert [note.fields["times"] for note in caller.notes if note.event == "no-input"] == [1, 1]
