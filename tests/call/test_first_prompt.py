"""The first prompt of a call: the callee speaks first, a protected prompt, and what a machine hears."""

from xml.etree import ElementTree

import pytest

from lexbridge.call.actions import BeginDialog
from lexbridge.call.documents import SPEAKING_MS_PER_CHARACTER
from lexbridge.call.first_prompt import FIRST_WORD_MS, MACHINE_GREETING_MS, MACHINE_SILENCE_MS
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    CALLEE_FIRST_PARAMETER,
    CALLEE_HAS_SPOKEN,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    MACHINE_PARAMETER,
    RESUMED_PARAMETER,
)
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState
from tests.support.caller import Caller
from tests.support.sounds import tone

MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
GREETING = "Hello, this is the flower shop."
GREETING_MS = len(GREETING) * SPEAKING_MS_PER_CHARACTER
CALLEE = {CALLEE_FIRST_PARAMETER: "1", "lexbridge:direction": "outbound-api"}
WELCOMES = {"WELCOME": "bot", "WELCOME_INTENT": "WelcomeIntent"}
MESSAGE = {"MACHINE_TEXT": "Please call us back."}
INTENT = {"MACHINE_INTENT": "VoicemailIntent"}
HOLDS = ["Pause", "Redirect"]


def a_call(parameters=CALLEE, mode="call-update", **variables):
    audio = {GREETING: tone(GREETING_MS // 20 * 20)}
    caller = Caller(audio, **{"REPLY_MODE": mode, "GREETING": GREETING, "BARGE_IN": "on", **variables})
    caller.dials(parameters)
    caller.steps()
    return caller


def a_machine(answered_by, **options):
    return a_call({MACHINE_PARAMETER: answered_by}, **options)


def top_verbs(caller):
    """Return the verbs of the newest document, without those inside of others."""
    return [verb.tag for verb in ElementTree.fromstring(caller.document())]


def hears_the_greeting(caller, mode):
    """Return whether the greeting has begun, since the last look."""
    return caller.steps() == ["UpdateCall"] if mode == "call-update" else bool(caller.gets())


# -- the callee speaks first


@MODES
def test_the_greeting_waits_for_the_end_of_the_first_word(mode):
    caller = a_call(mode=mode)
    caller.is_silent(400)
    caller.speaks(500)
    caller.is_silent(600)
    assert not hears_the_greeting(caller, mode)
    caller.is_silent(200)
    assert hears_the_greeting(caller, mode)
    assert caller.asked == []
    assert caller.note("first-prompt")["after"] == "speech"


@MODES
def test_a_silent_callee_is_greeted_after_two_seconds(mode):
    caller = a_call(mode=mode)
    caller.is_silent(FIRST_WORD_MS - 20)
    assert not hears_the_greeting(caller, mode)
    caller.is_silent(20)
    assert hears_the_greeting(caller, mode)
    assert caller.note("first-prompt") == {"after": "silence", "at_ms": FIRST_WORD_MS, "is_for_machine": False}


@MODES
def test_a_callee_who_has_spoken_is_greeted_at_once(mode):
    caller = a_call({**CALLEE, CALLEE_FIRST_PARAMETER: CALLEE_HAS_SPOKEN}, mode=mode)
    caller.is_silent(20)
    assert hears_the_greeting(caller, mode)
    caller.speaks(600)
    caller.is_silent(GREETING_MS)
    assert len(caller.asked) == 1  # it is no first word, so it may interrupt as in any call


@MODES
def test_a_callee_who_has_spoken_is_held_off_if_wanted(mode):
    parameters = {**CALLEE, CALLEE_FIRST_PARAMETER: CALLEE_HAS_SPOKEN}
    caller = a_call(parameters, mode=mode, PROTECT_FIRST="on")
    caller.is_silent(20)
    assert hears_the_greeting(caller, mode)
    caller.speaks(600)
    caller.is_silent(GREETING_MS)
    assert caller.asked == []


def test_a_muted_callee_is_greeted_too():
    caller = a_call()
    caller.passes_without_media(FIRST_WORD_MS)
    assert caller.hears() == [GREETING, *HOLDS]


def test_a_callee_who_speaks_late_is_heard_out():
    caller = a_call()
    caller.is_silent(FIRST_WORD_MS - 40)
    caller.speaks(3000)
    assert caller.steps() == []
    caller.is_silent(700)
    assert caller.hears() == [GREETING, *HOLDS]


def test_a_callee_who_never_stops_is_greeted_after_an_utterance():
    caller = a_call(MAX_UTTERANCE_MS="4000")
    caller.speaks(4200)
    assert caller.hears() == [GREETING, *HOLDS]
    caller.speaks(1000)
    caller.is_silent(GREETING_MS)
    assert caller.asked == []


def test_a_key_is_a_first_word():
    caller = a_call(mode="stream")
    caller.presses("5")
    assert caller.gets()
    caller.is_silent(GREETING_MS + 4000)
    assert caller.asked == []


@MODES
def test_what_is_said_over_the_greeting_is_no_turn(mode):
    caller = a_call(mode=mode)
    caller.is_silent(FIRST_WORD_MS)
    assert hears_the_greeting(caller, mode)
    for _ in range(2):
        caller.is_silent(200)
        caller.speaks(600)
    caller.is_silent(GREETING_MS)
    assert caller.asked == []
    assert caller.steps() == []
    assert "clear" not in caller.gets()


@MODES
def test_after_the_greeting_the_callee_is_heard_as_any_caller(mode):
    caller = a_call(mode=mode)
    caller.is_silent(FIRST_WORD_MS + GREETING_MS + 200)
    caller.says_something()
    (turn,) = caller.asked
    assert turn.session_attributes["lexbridge:direction"] == "outbound-api"


@MODES
def test_a_callee_silent_after_the_greeting_is_asked_again(mode):
    caller = a_call(mode=mode, NO_INPUT_S="3")
    caller.is_silent(FIRST_WORD_MS + GREETING_MS + 3200)
    assert caller.noted("no-input") == 1


def test_no_key_stops_the_greeting():
    caller = a_call()
    caller.is_silent(FIRST_WORD_MS)
    assert top_verbs(caller) == ["Say", "Gather", "Redirect"]
    caller.is_silent(GREETING_MS)
    caller.says_something()
    caller.lex_says("Which day?")
    assert top_verbs(caller) == ["Gather", "Redirect"]


def test_lex_is_asked_to_say_a_greeting_without_audio():
    caller = a_call(mode="stream", GREETING="Another one.")
    caller.is_silent(FIRST_WORD_MS)
    assert caller.asked_aloud() == ["Another one."]
    caller.speaks(600)
    caller.is_silent(800)
    assert caller.asked == []
    caller.lex_speaks(tone(600), -1)
    caller.lex_has_spoken(-1)
    caller.is_silent(1000)
    caller.says_something()
    assert len(caller.asked) == 1


def test_twilio_says_a_greeting_that_lex_cannot():
    caller = a_call(mode="stream", GREETING="Another one.")
    caller.is_silent(FIRST_WORD_MS)
    caller.lex_loses_its_voice(-1)
    assert caller.hears() == ["Another one.", "Connect", "Redirect"]


@MODES
def test_the_bot_welcomes_after_the_first_word(mode):
    caller = a_call(mode=mode, **WELCOMES)
    caller.speaks(400)
    caller.is_silent(680)
    assert caller.asked == []
    caller.is_silent(40)
    assert [(type(ask), ask.intent) for ask in caller.asked] == [(BeginDialog, "WelcomeIntent")]


@MODES
def test_a_leaving_process_greets_first(mode):
    caller = a_call(mode=mode)
    caller.has_to_leave(None if mode == "stream" else caller.session._call.next_stream)
    caller.speaks(600)
    caller.is_silent(800)
    assert hears_the_greeting(caller, mode)
    assert caller.session.state is CallState.LIVE


# -- the stream is lost before the greeting


@MODES
@pytest.mark.parametrize("why", [{RESUMED_PARAMETER: LOST}, {RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "5"}])
def test_another_stream_greets_if_the_first_has_not(mode, why):
    caller = a_call({**CALLEE, **why}, mode=mode)
    caller.lex_tells_session()
    assert hears_the_greeting(caller, mode)


def test_another_stream_has_the_bot_welcome():
    caller = a_call({**CALLEE, RESUMED_PARAMETER: LOST}, **WELCOMES)
    caller.lex_tells_session()
    assert [ask.intent for ask in caller.asked] == ["WelcomeIntent"]


def test_another_stream_goes_on_where_the_bot_has_spoken():
    caller = a_call({**CALLEE, RESUMED_PARAMETER: LOST})
    caller.lex_tells_session("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]


# -- PROTECT_FIRST


def test_a_protected_greeting_of_an_inbound_call_is_heard_out():
    caller = a_call({}, PROTECT_FIRST="on")
    caller.is_silent(300)
    caller.speaks(800)
    caller.is_silent(GREETING_MS - 1100)
    assert caller.asked == []
    caller.says_something()
    assert len(caller.asked) == 1


def test_an_inbound_greeting_is_not_protected_by_itself():
    caller = a_call({})
    caller.is_silent(300)
    caller.speaks(300)
    assert len(caller.asked) == 1


@MODES
@pytest.mark.parametrize("parameters", [{}, CALLEE])
def test_a_protected_welcome_is_heard_out(mode, parameters):
    caller = a_call(parameters, mode=mode, PROTECT_FIRST="on", **WELCOMES)
    caller.is_silent(FIRST_WORD_MS)
    caller.speaks(600)  # while Lex thinks
    caller.is_silent(700)
    assert caller.noted("filler-said") == 0
    caller.lex_says_aloud("Welcome to the shop.", ms=1400)
    caller.gets(), caller.steps()
    caller.is_silent(700)
    caller.speaks(400)
    caller.is_silent(900)
    assert len(caller.asked) == 1
    assert caller.steps() == []
    assert "clear" not in caller.gets()
    caller.says_something()
    assert len(caller.asked) == 2


@MODES
def test_only_the_first_prompt_is_protected(mode):
    caller = a_call({}, mode=mode, PROTECT_FIRST="on", **WELCOMES)
    caller.lex_says_aloud("Welcome.", ms=600)
    caller.is_silent(1000)
    caller.says_something()
    caller.lex_says_aloud("What would you like to order from us?", ms=3000)
    caller.is_silent(700)
    caller.says_something()
    assert caller.noted("barged-in") == 1
    assert len(caller.asked) == 3


def test_a_protected_greeting_stands_in_for_a_failed_welcome():
    caller = a_call({}, PROTECT_FIRST="on", **WELCOMES)
    caller.lex_fails(LexUnavailable("no"))
    assert caller.hears() == [GREETING, *HOLDS]
    caller.is_silent(600)
    caller.speaks(800)
    caller.is_silent(GREETING_MS)
    assert len(caller.asked) == 1


# -- machines


@MODES
def test_a_machine_after_its_beep_is_told_at_once(mode):
    caller = a_machine("machine_end_beep", mode=mode, **MESSAGE)
    caller.is_silent(20)
    assert caller.hears() == ["Please call us back.", "Hangup"]
    assert caller.session.state is CallState.CLOSING


@MODES
def test_a_machine_that_speaks_is_heard_out(mode):
    caller = a_machine("machine_start", mode=mode, **MESSAGE)
    for _ in range(3):
        caller.speaks(2000)
        caller.is_silent(MACHINE_SILENCE_MS - 100)
    assert caller.steps() == []
    caller.is_silent(200)
    assert caller.hears() == ["Please call us back.", "Hangup"]
    assert caller.asked == []


def test_a_machine_that_never_stops_is_told_all_the_same():
    caller = a_machine("machine_start", **MESSAGE)
    caller.speaks(MACHINE_GREETING_MS - 20)
    assert caller.steps() == []
    caller.speaks(20)
    assert caller.hears() == ["Please call us back.", "Hangup"]


@MODES
@pytest.mark.parametrize("state", [DialogState.ELICIT_SLOT, DialogState.FULFILLED])
def test_the_bots_words_for_a_machine_are_the_last(mode, state):
    caller = a_machine("machine_end_silence", mode=mode, **INTENT)
    caller.is_silent(20)
    assert [ask.intent for ask in caller.asked] == ["VoicemailIntent"]
    caller.says_something()
    caller.is_silent(3000)
    caller.lex_says_aloud("Ada, your roses are here.", ms=1000, dialog_state=state)
    caller.is_silent(1500)
    assert caller.hears() == (["Ada, your roses are here.", "Hangup"] if mode == "call-update" else ["Hangup"])
    assert len(caller.asked) == 1
    assert caller.noted("filler-said") == 0


@MODES
def test_a_machine_hears_no_apology(mode):
    caller = a_machine("machine_end_other", mode=mode, **INTENT)
    caller.is_silent(20)
    caller.lex_fails(LexUnavailable("no"))
    caller.is_silent(100)
    assert caller.hears() == ["Hangup"]


@MODES
def test_a_bot_without_words_for_a_machine_hangs_up(mode):
    caller = a_machine("machine_end_beep", mode=mode, **INTENT)
    caller.is_silent(20)
    caller.lex_says(dialog_state=DialogState.FULFILLED)
    caller.is_silent(100)
    assert caller.hears() == ["Hangup"]


def test_a_machine_that_nobody_has_words_for_is_hung_up():
    caller = a_machine("machine_end_beep")
    caller.is_silent(20)
    assert caller.hears() == ["Hangup"]


def test_a_machine_presses_no_keys():
    caller = a_machine("machine_start", mode="stream", **MESSAGE)
    caller.presses("12#")
    assert caller.steps() == []
    assert caller.asked == []
