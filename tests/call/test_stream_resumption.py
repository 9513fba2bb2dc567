"""A call in stream mode that goes on over another stream: handed over, or after a loss."""

import pytest

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.attributes import (
    ALLOW_INTERRUPT_ATTRIBUTE,
    MAX_LENGTH_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    VOICE_ATTRIBUTE,
)
from lexbridge.call.events import Dtmf, NextStreamOpened
from lexbridge.call.output.hand_over import QUIET_BEFORE_HAND_OVER_MS
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import HANDED_OVER, LOST, NO_INPUTS_PARAMETER, RESUMED_PARAMETER
from lexbridge.call.stream_start import FETCH_AGAIN_MS
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import Message, MessageFormat
from tests.support.call_update_stories import BYE
from tests.support.caller import Caller
from tests.support.phrases import NOT_HEARD, SAY_AGAIN
from tests.support.sounds import tone
from tests.support.stream_stories import (
    CONNECTS,
    PHRASE_AUDIO,
    a_caller,
    a_caller_lex_thinks_about,
    a_caller_who_hears_a_prompt,
    heard_since,
    parameters_of,
    voice_in,
)
from tests.support.twilio_messages import mark_text


def test_a_call_is_handed_over_when_it_is_quiet_after_a_prompt():
    caller = a_caller_lex_thinks_about()
    caller.has_to_leave()
    caller.lex_says_aloud("Which day?", ms=1000)
    caller.is_silent(1000 + QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.hears() == CONNECTS
    assert parameters_of(caller)[RESUMED_PARAMETER] == HANDED_OVER
    assert caller.session.state is CallState.LEAVING
    caller.sends(mark_text("turn-1.1:end"))
    caller.speaks(500)
    caller.presses("1")
    caller.is_silent(3000)
    assert caller.steps() == ["UpdateCall"]


def test_a_caller_already_silent_is_handed_over_at_once():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=4000)
    caller.has_to_leave()
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_an_answer_before_a_hand_over_is_served_first():
    """A caller who answers within the second before a hand-over is served here, and handed over after the answer."""
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.has_to_leave()
    caller.is_silent(QUIET_BEFORE_HAND_OVER_MS - 40)
    said_from_ms = len(caller.said) // 8
    caller.speaks(1000)
    caller.is_silent(700 + 3000)  # Lex thinks for longer than a second
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    said = decode_mulaw(caller.said[8 * said_from_ms : 8 * (said_from_ms + 1000)])
    assert said in caller.sent_to_lex(2)
    caller.lex_says_aloud("What time?", ms=1000)
    caller.is_silent(1000 + QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.hears() == CONNECTS


def test_a_noise_that_is_no_utterance_puts_the_hand_over_off():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.has_to_leave()
    caller.is_silent(600)
    caller.speaks(40)
    caller.is_silent(QUIET_BEFORE_HAND_OVER_MS - 20)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_a_deleted_key_puts_the_hand_over_off_but_no_lone_hash():
    caller = a_caller()  # who was asked nothing yet, so nothing is repeated
    caller.is_silent(500)
    caller.sends(Dtmf("1"))
    caller.has_to_leave()
    caller.is_silent(1500)
    caller.sends(Dtmf("*"))
    caller.is_silent(600)
    caller.sends(Dtmf("#"))
    caller.is_silent(QUIET_BEFORE_HAND_OVER_MS - 620)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_a_failed_document_puts_no_hand_over_off():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Bye.", ms=500, **BYE)
    caller.has_to_leave()
    caller.is_silent(1500)
    assert caller.hears() == ["Hangup"]
    caller.does_not_get_the_update()
    caller.is_silent(20)
    assert caller.hears() == CONNECTS


def test_a_call_that_cannot_go_on_elsewhere_stays():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020)
    caller.sends(NextStreamOpened(None))
    caller.has_to_leave()
    caller.is_silent(3000)
    assert caller.steps() == []
    assert caller.session.state is CallState.LIVE


def test_a_failed_hand_over_is_tried_after_the_next_prompt():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=4000, phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.has_to_leave()
    caller.is_silent(20)
    caller.does_not_get_the_update()
    caller.is_silent(4980)
    assert caller.steps() == ["UpdateCall"]
    caller.is_silent(20 + 1400 + QUIET_BEFORE_HAND_OVER_MS + 40)  # they are asked again, and then it is quiet
    assert caller.noted("no-input") == 1
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == CONNECTS


@pytest.mark.parametrize("does", [Caller.says_something, lambda caller: caller.presses("1")])
def test_a_call_is_not_handed_over_while_the_caller_is_active(does):
    caller = a_caller_who_hears_a_prompt(attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"}, so_far_ms=2900)
    caller.has_to_leave()
    does(caller)
    caller.is_silent(1800)
    assert caller.session.state is CallState.LIVE


def test_the_next_stream_looks_up_what_the_bot_wants():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "1"}, NO_INPUT_LIMIT="1")
    assert caller.steps() == ["FetchSession"]
    caller.lex_tells_session("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "3", MAX_LENGTH_ATTRIBUTE: "1"})
    caller.presses("5")
    assert caller.asked[-1].keys == "5"
    silent = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "1"}, NO_INPUT_LIMIT="1")
    silent.lex_tells_session("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "3"})
    silent.is_silent(3000)
    assert silent.hears() == [f"{NOT_HEARD} Goodbye.", "Hangup"]


def test_the_next_stream_asks_again_when_it_knows_what():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, NO_INPUT_S="5")
    caller.is_silent(5000)
    assert caller.steps() == ["FetchSession"] * 2
    caller.lex_tells_session("Which day?")
    assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]
    caller.lex_tells_session("Which day?")
    assert caller.steps() == ["UpdateCall"]


def test_what_is_looked_up_twice_is_said_once():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.lex_tells_session("Which day?")
    caller.steps()
    caller.lex_tells_session("Which day?")
    assert caller.steps() == []


def test_a_look_up_that_comes_after_an_answer_is_too_late():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.says_something()
    caller.lex_says_aloud("Which day?", ms=400)
    caller.is_silent(1000)
    caller.steps()
    caller.lex_tells_session("Which flowers?")
    caller.is_silent(1000)
    assert caller.steps() == []


def test_speech_before_a_reprompt_cancels_it():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.is_silent(5000)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(200)
    caller.gets()
    caller.lex_tells_session("Which day?")
    caller.is_silent(2000)
    assert caller.gets() == []
    assert caller.session.state is CallState.LIVE


def test_rules_for_keys_are_looked_up_while_keys_are_pressed():
    """The bot's rules for keys can still be looked up while the caller presses keys."""
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.presses("1")
    caller.lex_tells_session("Four digits, please.", session_attributes={MAX_LENGTH_ATTRIBUTE: "4"})
    caller.presses("234")
    assert caller.asked[-1].keys == "1234"


def test_handed_over_facts_are_kept_where_the_look_up_fails():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, "shop": "7"})
    caller.lex_tells_no_session()
    caller.says_something()
    assert caller.asked[0].session_attributes["shop"] == "7"


def a_caller_whose_stream_was_lost(*texts, attributes=None, **variables):
    """Lex has told what the bot said last, and is being asked to say it aloud."""
    caller = a_caller({RESUMED_PARAMETER: LOST}, **variables)
    caller.lex_tells_session(*(texts or ["Which day?"]), session_attributes=attributes or {})
    return caller


def test_lex_says_the_bots_last_words_again_after_a_loss():
    """Lex says the bot's last words again, over the stream after a lost one."""
    caller = a_caller_whose_stream_was_lost("Okay.", "Which day?")
    assert caller.steps() == ["FetchSession", "SynthesizeSpeech -1"]
    assert caller.asked_aloud() == ["Okay.", "Which day?"]
    caller.lex_speaks(tone(400), -1)
    caller.lex_speaks(tone(200), -1)
    caller.lex_has_spoken(-1)
    assert caller.gets() == [500, "turn--1.1:500", 100, "turn--1.1:end"]
    caller.is_silent(620)
    assert caller.heard.startswith(tone(600))
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.asked[0].session_attributes is None


@pytest.mark.parametrize(
    ("ends", "arrived_ms"),
    [(Caller.lex_loses_its_voice, 0), (Caller.lex_loses_its_voice, 600), (Caller.lex_has_spoken, 0)],
)
def test_twilio_says_last_words_that_lex_does_not(ends, arrived_ms):
    """Twilio says the last words if Lex does not say them again, and the next stream goes on."""
    caller = a_caller_whose_stream_was_lost(attributes={VOICE_ATTRIBUTE: "Polly.Vicki"})
    if arrived_ms:
        caller.lex_speaks(tone(arrived_ms), -1)
        caller.is_silent(200)
    ends(caller, -1)
    assert caller.gets()[-1:] == (["clear"] if arrived_ms else [])
    assert caller.hears() == ["Which day?", *CONNECTS]
    assert caller.session.state is CallState.LEAVING
    assert not caller.noted("reply-audio-failed")  # it was no reply's: the bridge logs why
    caller.steps()
    caller.is_silent(5000)
    assert caller.steps() == []


def test_lex_is_asked_to_say_what_its_answer_has_no_voice_for():
    payload = Message("Tuesday", is_unvoiced=True)
    caller = a_caller_whose_stream_was_lost("Which day?", payload, Message("<speak>Now</speak>", MessageFormat.SSML))
    assert caller.asked_aloud() == ["Which day?", "Tuesday", "<speak>Now</speak>"]


def test_a_phrase_stands_in_for_a_bot_that_said_nothing():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_tells_session()
    assert caller.asked_aloud() == [SAY_AGAIN]
    known = a_caller({RESUMED_PARAMETER: LOST}, phrase_audio=PHRASE_AUDIO)
    known.lex_tells_session()
    assert known.steps() == ["FetchSession"]
    assert known.gets() == [500, "turn--1.1:500", 100, "turn--1.1:end"]


def test_a_lex_that_did_not_tell_is_not_asked_to_speak():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_tells_no_session()
    assert caller.hears() == [SAY_AGAIN, *CONNECTS]


def test_twilio_says_the_last_words_of_a_call_after_a_loss():
    caller = a_caller({RESUMED_PARAMETER: LOST})
    caller.lex_tells_session("Thank you.", **BYE)
    assert caller.hears() == ["Thank you.", "Hangup"]
    assert caller.asked_aloud() == []


def test_an_answer_before_the_repeated_words_cancels_them():
    caller = a_caller_whose_stream_was_lost()
    caller.speaks(500)
    caller.lex_speaks(tone(400), -1)
    caller.is_silent(700)
    assert caller.steps()[2:] == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.gets() == []
    caller.lex_says_aloud("What time?", ms=200)
    assert caller.steps() == ["CancelUtterance -1"]
    assert caller.gets() == [200, "turn-1.1:end"]
    caller.lex_speaks(tone(400), -1)
    caller.lex_has_spoken(-1)
    assert caller.gets() == []


def test_where_that_was_no_answer_the_words_are_said_after_all():
    caller = a_caller_whose_stream_was_lost()
    caller.says_something()
    caller.lex_speaks(tone(400), -1)
    caller.lex_has_spoken(-1)
    caller.lex_says(transcript="")
    assert caller.noted("false-alarm") == 1
    assert caller.gets() == [400, "turn--1.1:end"]
    assert not caller.noted("barged-in")


@pytest.mark.parametrize("may_not", [{"BARGE_IN": "off"}, {"attributes": {ALLOW_INTERRUPT_ATTRIBUTE: "false"}}])
def test_protected_words_are_said_when_they_are_there(may_not):
    caller = a_caller_whose_stream_was_lost(**may_not)
    caller.speaks(500)
    caller.lex_speaks(tone(100), -1)
    assert caller.gets() == [100]


def test_an_answer_is_still_heard_if_the_caller_spoke_before():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", speaks=True)
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_speaks(tone(100), 1)
    assert caller.gets() == [100]


def test_a_caller_who_interrupts_repeated_words_is_answered():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_speaks(tone(3000), -1)
    caller.is_silent(1000)
    caller.gets()
    caller.speaks(1000)
    assert caller.gets() == ["clear"]
    caller.is_silent(700)
    assert caller.steps()[-2:] == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says_aloud("What time?", ms=200)
    assert caller.steps() == ["CancelUtterance -1"]


def test_an_answer_lex_was_busy_with_replaces_repeated_words():
    """An answer that Lex was still busy with takes the place of the words before it."""
    caller = a_caller_whose_stream_was_lost()
    caller.lex_speaks(tone(3000), -1)
    caller.is_silent(FETCH_AGAIN_MS + 20)
    assert caller.steps() == ["FetchSession", "SynthesizeSpeech -1", "FetchSession"]
    caller.gets()
    caller.lex_tells_session("What time?")
    assert caller.gets() == ["clear"]
    assert caller.steps() == ["CancelUtterance -1", "SynthesizeSpeech -2"]
    assert caller.note("answered-late") == {}
    caller.lex_speaks(tone(100), -2)
    assert caller.gets() == [100]


def test_those_words_are_heard_again_by_who_is_silent():
    caller = a_caller_whose_stream_was_lost(phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.lex_speaks(tone(600), -1)
    caller.lex_has_spoken(-1)
    caller.is_silent(600 + 4960)
    assert caller.noted("no-input") == 0
    caller.lex_tells_session("Which day?")  # the second look
    heard_ms = len(caller.heard) // 8
    caller.is_silent(400 + 600 + 60)
    assert caller.noted("no-input") == 1
    assert voice_in(heard_since(caller, heard_ms)) == 1000
    assert caller.asked_aloud() == ["Which day?"]  # once


@pytest.mark.parametrize("is_voiced", [True, False])
def test_a_reprompt_on_the_next_stream_is_in_the_bots_voice(is_voiced):
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER}, phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.lex_tells_session("Which day?")
    caller.is_silent(5020)
    assert caller.asked_aloud() == ["Which day?"]
    assert caller.gets() == []  # not half of it: Twilio may have to say it all
    if not is_voiced:
        caller.lex_loses_its_voice(-1)
        assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]
        return
    caller.lex_speaks(tone(600), -1)
    caller.lex_has_spoken(-1)
    caller.is_silent(1100)
    assert voice_in(caller.heard) == 400 + 600
    assert caller.session.state is CallState.LIVE
