"""Phrases of lexbridge in stream mode, in the bot's voice, and the beginning of a call."""

from lexbridge.call.actions import BeginDialog
from lexbridge.call.attributes import (
    CALL_SID_ATTRIBUTE,
    NO_INPUT_LIMIT_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    VOICE_ATTRIBUTE,
)
from lexbridge.call.stream_parameters import FAILED_TURNS_PARAMETER, LOST, RESUMED_PARAMETER
from lexbridge.errors import LexUnavailable
from tests.support.phrases import NOT_HEARD, ONE_MOMENT, SAY_AGAIN
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
from tests.support.twiml import verbs_of

# -- our own phrases


def test_our_own_sentences_are_heard_in_the_voice_of_the_bot():
    caller = a_caller_lex_thinks_about(phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(1000)
    assert heard_since(caller, 1700)[: 8 * 600] == PHRASE_AUDIO[SAY_AGAIN]
    caller.is_silent(5000)
    assert PHRASE_AUDIO[NOT_HEARD] in heard_since(caller, 2700)
    assert caller.steps() == []


def test_a_reprompt_plays_the_last_answer_as_it_was():
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1020, phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.is_silent(7000)
    assert PHRASE_AUDIO[NOT_HEARD] + tone(1000) in heard_since(caller, 2720)
    assert caller.steps() == []


def test_a_last_answer_that_broke_off_is_not_heard_again():
    caller = a_caller_lex_thinks_about(phrase_audio=PHRASE_AUDIO, NO_INPUT_S="5")
    caller.lex_says("Which day?", speaks=True)
    caller.lex_speaks(tone(500))
    caller.lex_loses_its_voice()
    caller.does_not_get_the_update()
    caller.is_silent(5000)
    assert caller.asked_aloud() == ["Which day?"]
    caller.lex_loses_its_voice(-1)
    assert caller.hears() == [NOT_HEARD, "Which day?", *CONNECTS]


def test_while_lex_thinks_the_caller_is_told_so():
    caller = a_caller_lex_thinks_about(phrase_audio=PHRASE_AUDIO)
    caller.is_silent(1780)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [300, "turn--1.1:end"]
    caller.is_silent(300 + 2460)
    assert caller.gets() == []
    caller.is_silent(20)
    assert caller.gets() == [300, "turn--2.1:end"]
    assert caller.steps() == []


def test_a_caller_who_cannot_be_told_so_waits():
    caller = a_caller_lex_thinks_about()
    caller.is_silent(10_000)
    assert (caller.gets(), caller.steps()) == ([], [])


def test_an_answer_comes_after_the_filler():
    caller = a_caller_lex_thinks_about(phrase_audio=PHRASE_AUDIO)
    caller.is_silent(1900)
    caller.lex_says_aloud("Which day?", ms=400)
    caller.is_silent(1000)
    heard = heard_since(caller, 3400)
    assert PHRASE_AUDIO[ONE_MOMENT] in heard
    assert heard.index(PHRASE_AUDIO[ONE_MOMENT]) < heard.index(tone(400))
    assert caller.note("filler-said") == {"turn": 1}
    assert [note.fields["is_filler"] for note in caller.notes if note.event == "prompt-audible"] == [True, False]


def test_a_filler_is_not_played_again_after_a_false_alarm():
    caller = a_caller_who_hears_a_prompt(phrase_audio=PHRASE_AUDIO)
    caller.speaks(400)
    caller.is_silent(700 + 2000)  # Lex thinks, and the filler begins
    assert caller.gets() == ["clear", 300, "turn--1.1:end"]
    caller.lex_says(turn=2, transcript="")
    caller.is_silent(3000)
    assert caller.gets() == [
        500,
        "turn-1.2:1500",
        500,
        "turn-1.2:2000",
        500,
        "turn-1.2:2500",
        500,
        "turn-1.2:3000",
        "turn-1.2:end",
    ]


def test_an_interrupted_filler_is_not_played_again():
    caller = a_caller_lex_thinks_about(phrase_audio={ONE_MOMENT: tone(2000)})
    caller.is_silent(1800 + 1000)
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.gets()[-1] == "clear"
    caller.lex_says(turn=1)
    caller.lex_says_aloud("Sorry?", ms=400, turn=2, transcript="")
    assert caller.gets() == [400, "turn-2.1:end"]


# -- how a call begins


def test_the_bot_may_welcome_the_caller():
    caller = a_caller({"shop": "7"}, WELCOME="bot", WELCOME_INTENT="Welcome")
    (begin,) = caller.asked
    assert isinstance(begin, BeginDialog)
    assert begin.intent == "Welcome"
    assert begin.session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: begin.session_id}
    caller.lex_says_aloud("Welcome!", ms=500, transcript=None)
    caller.is_silent(540)
    assert voice_in(caller.heard) == 500
    caller.says_something()
    assert caller.asked[-1].session_attributes is None


def test_a_bot_that_does_not_welcome_the_caller_is_stood_in_for():
    caller = a_caller({"shop": "7"}, WELCOME="bot", WELCOME_INTENT="Welcome", GREETING="Hello.")
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Hello.", *CONNECTS]
    assert FAILED_TURNS_PARAMETER not in parameters_of(caller)
    following = a_caller(parameters_of(caller), WELCOME="bot", WELCOME_INTENT="Welcome")
    assert following.asked == []
    following.says_something()
    assert following.asked[0].session_attributes["shop"] == "7"


def test_speech_before_the_welcome_is_answered_after_it():
    caller = a_caller(WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.says_something()
    assert caller.steps() == ["BeginDialog 1"]
    caller.lex_says_aloud("Welcome!", ms=500, turn=1, transcript=None)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_call_whose_welcome_was_lost_is_welcomed():
    caller = a_caller({RESUMED_PARAMETER: LOST}, WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.lex_tells_session()
    assert caller.steps() == ["FetchSession", "BeginDialog 1"]


# -- what else the bot says about the call


def test_directives_that_are_ignored_are_noted_when_they_change():
    caller = a_caller()
    broken, more = {NO_INPUT_S_ATTRIBUTE: "x"}, {NO_INPUT_S_ATTRIBUTE: "x", NO_INPUT_LIMIT_ATTRIBUTE: "y"}
    for attributes in (broken, broken, more, more, {}, broken):
        caller.says_something()
        caller.lex_says_aloud("Which day?", ms=200, session_attributes=attributes)
        caller.is_silent(400)
    assert [note.fields["attributes"] for note in caller.notes if note.event == "directives-ignored"] == [
        [NO_INPUT_S_ATTRIBUTE],
        [NO_INPUT_S_ATTRIBUTE, NO_INPUT_LIMIT_ATTRIBUTE],
        [NO_INPUT_S_ATTRIBUTE],
    ]


def test_the_bot_says_how_long_and_how_often_silence_is_borne():
    attributes = {NO_INPUT_S_ATTRIBUTE: "2", NO_INPUT_LIMIT_ATTRIBUTE: "0", VOICE_ATTRIBUTE: "Polly.Vicki"}
    caller = a_caller_who_hears_a_prompt(ms=1000, so_far_ms=1040, attributes=attributes)
    caller.is_silent(2000)
    assert caller.hears() == [f"{NOT_HEARD} Goodbye.", "Hangup"]
    say, *_ = verbs_of(caller.document())
    assert say.getAttribute("voice") == "Polly.Vicki"
