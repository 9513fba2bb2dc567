"""A bot hands its call to another bot, or to another locale: the last stream of the one, the first of the other."""

import pytest

from lexbridge.call.actions import FetchAttributes, UpdateCall
from lexbridge.call.attributes import BOT_ATTRIBUTE, CALL_SID_ATTRIBUTE, LOCALE_ATTRIBUTE, SWITCHES_ATTRIBUTE
from lexbridge.call.events import Dtmf
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import (
    BEGAN_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    SWITCHED,
    SWITCHED_PARAMETER,
)
from lexbridge.call.switching import MAX_IN_A_ROW
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState
from tests.support import call_update_stories, stream_stories
from tests.support.call_update_stories import HOLDS, NEXT, opening_of
from tests.support.stream_stories import PHRASE_AUDIO
from tests.support.switches import FLOWERS, GERMAN, ROUTER, switchboard
from tests.support.twilio_messages import CALL_SID
from tests.support.twiml import verbs_of

MODES = pytest.mark.parametrize("stories", [call_update_stories, stream_stories], ids=["call-update", "stream"])
TO_FLOWERS = {BOT_ATTRIBUTE: "flowers", "customer": "4711"}
FROM_ROUTER = {RESUMED_PARAMETER: SWITCHED, SWITCHED_PARAMETER: "1.1:sales"}
WELCOMES = {"WELCOME": "bot", "WELCOME_INTENT": "Welcome"}


def redirect_of(caller):
    """Return the address to which the newest document sends the call."""
    (redirect,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Redirect"]
    return redirect.firstChild.data


def at_router(stories, **variables):
    """Return a caller about whose first words the router's bot thinks."""
    return stories.a_caller_lex_thinks_about(switchboard=switchboard(ROUTER), **variables)


def at_flowers(stories, parameters=FROM_ROUTER, **variables):
    """Return a caller on the first stream of the flower shop's bot."""
    return stories.a_caller(parameters, switchboard=switchboard(FLOWERS), **variables)


def test_a_document_says_the_words_and_has_the_next_bot_begin():
    caller = at_router(call_update_stories)
    caller.lex_says("To the flowers.", session_attributes=TO_FLOWERS)
    assert caller.hears() == ["Stop", "To the flowers.", "Redirect"]
    address = redirect_of(caller)
    assert "/twiml/resume?begins=1&switched=1.1%3Asales&line=sales%2Fflowers#" in address
    assert caller.note("bot-switched") == {"bot": "flowers", "locale": ""}
    assert caller.session.state is CallState.CLOSING


def test_on_a_stream_the_caller_hears_the_words_out_first():
    caller = at_router(stream_stories)
    caller.lex_says_aloud("To the flowers.", ms=1000, session_attributes=TO_FLOWERS)
    caller.is_silent(980)
    assert caller.steps() == []
    caller.is_silent(40)
    assert caller.hears() == ["Redirect"]
    assert "begins=1&switched=1.1%3Asales&line=sales%2Fflowers#" in redirect_of(caller)


@MODES
def test_a_switch_without_a_word_tells_the_next_bot_to_greet(stories):
    caller = at_router(stories)
    caller.lex_says(session_attributes=TO_FLOWERS)
    assert "begins=1&wordless=1&switched=1.1%3Asales" in redirect_of(caller)


@MODES
def test_a_wordless_switch_whose_audio_is_empty_is_one_too(stories):
    caller = at_router(stories)
    caller.lex_says(session_attributes=TO_FLOWERS, speaks=True)
    caller.lex_has_spoken()
    assert "wordless=1" in redirect_of(caller)


@MODES
def test_a_switch_of_the_locale_keeps_the_bot(stories):
    caller = stories.a_caller_lex_thinks_about(switchboard=switchboard(FLOWERS))
    caller.lex_says(session_attributes={LOCALE_ATTRIBUTE: "de_DE"})
    assert "line=sales%2Fflowers%2Fde_DE#" in redirect_of(caller)
    assert caller.note("bot-switched") == {"bot": "flowers", "locale": "de_DE"}


@MODES
def test_the_progress_of_the_call_goes_along(stories):
    caller = stories.a_caller({BEGAN_PARAMETER: "1795846066"}, switchboard=switchboard(ROUTER), MAX_TURNS="9")
    caller.says_something()
    caller.lex_says(session_attributes=TO_FLOWERS)
    assert "begins=1&wordless=1&began=1795846066&turns=1&switched=1.1%3Asales" in redirect_of(caller)


@MODES
def test_the_last_turn_of_a_call_hands_nothing_over(stories):
    caller = at_router(stories, MAX_TURNS="1")
    caller.lex_says("To the flowers.", session_attributes=TO_FLOWERS)
    assert caller.noted("bot-switched") == 0
    assert caller.note("call-limit") == {"setting": "MAX_TURNS", "turns": 1}


@MODES
def test_after_a_switch_the_old_bot_hears_nothing_more(stories):
    caller = at_router(stories)
    caller.speaks(500)
    caller.lex_says("To the flowers.", session_attributes=TO_FLOWERS)
    caller.says_something()
    caller.presses("12")
    caller.is_silent(20_000)
    assert len(caller.asked) == 1
    assert caller.noted("utterance-dropped") == 1


@MODES
def test_a_switch_that_twilio_does_not_carry_out_is_made_again(stories):
    caller = at_router(stories)
    caller.lex_says(session_attributes=TO_FLOWERS)
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.says_something()
    caller.lex_says(session_attributes=TO_FLOWERS)
    assert caller.noted("bot-switched") == 2


@MODES
@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({BOT_ATTRIBUTE: "tulips"}, "not in the table"),
        ({BOT_ATTRIBUTE: "flowers", LOCALE_ATTRIBUTE: "German"}, "malformed locale"),
    ],
)
def test_a_refused_switch_is_logged_once_and_the_bot_goes_on(stories, attributes, why):
    caller = at_router(stories)
    for turn in (1, 2):
        caller.lex_says_aloud("Which one?", session_attributes=attributes, turn=turn)
        caller.is_silent(2000)
        caller.says_something()
    assert caller.note("switch-refused") == {"why": why, "check": "LINES_FILE"}
    assert [asked.turn for asked in caller.asked] == [1, 2, 3]


@MODES
def test_bots_that_name_each_other_are_stopped(stories):
    parameters = {RESUMED_PARAMETER: SWITCHED, SWITCHED_PARAMETER: f"40.{MAX_IN_A_ROW}:sales/flowers"}
    caller = stories.a_caller(parameters, switchboard=switchboard(ROUTER), **WELCOMES)
    caller.other_bot_tells({})
    caller.lex_says_aloud("To the flowers.", session_attributes=TO_FLOWERS)
    assert caller.note("switch-refused")["why"] == "too many in a row"
    caller.is_silent(3000)
    caller.says_something()  # a caller who speaks may go back and forth as often as they like
    caller.lex_says(session_attributes=TO_FLOWERS)
    assert "switched=41.1%3Asales&" in redirect_of(caller)


# -- the next bot's first stream


@MODES
def test_the_next_bot_gets_the_attributes_with_the_first_turn(stories):
    caller = at_flowers(stories, {**FROM_ROUTER, "shop": "7"})
    assert caller.session.state is CallState.RESUMING
    (asked,) = [action for action in caller.actions if isinstance(action, FetchAttributes)]
    assert asked == FetchAttributes(CALL_SID, ROUTER)
    caller.other_bot_tells({"customer": "4711", BOT_ATTRIBUTE: "flowers", "shop": "8"})
    caller.says_something()
    told = {"customer": "4711", "shop": "8", CALL_SID_ATTRIBUTE: CALL_SID, SWITCHES_ATTRIBUTE: "1"}
    assert caller.asked[0].session_attributes == told
    assert caller.asked[0].session_id == CALL_SID
    caller.lex_says_aloud("Which flowers?")
    caller.is_silent(5000)
    caller.says_something()
    assert caller.asked[1].session_attributes is None


@MODES
def test_a_bot_that_welcomes_begins_with_the_attributes(stories):
    caller = at_flowers(stories, **WELCOMES)
    caller.other_bot_tells({"customer": "4711"})
    (begun,) = caller.asked
    assert (begun.intent, begun.session_attributes["customer"]) == ("Welcome", "4711")


@MODES
def test_without_the_attributes_the_call_goes_on(stories):
    caller = at_flowers(stories)
    caller.other_bot_tells(None)
    caller.says_something()
    assert caller.asked[0].session_attributes == {CALL_SID_ATTRIBUTE: CALL_SID, SWITCHES_ATTRIBUTE: "1"}


@MODES
def test_a_turn_that_fails_brings_the_attributes_again(stories):
    caller = at_flowers(stories, phrase_audio=PHRASE_AUDIO)
    caller.other_bot_tells({"customer": "4711"})
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.is_silent(5000)
    caller.says_something()
    assert caller.asked[1].session_attributes["customer"] == "4711"


def test_a_caller_is_waited_for_once_the_document_has_greeted():
    caller = at_flowers(call_update_stories, {**FROM_ROUTER, SPOKEN_PARAMETER: "3000"}, NO_INPUT_S="5")
    caller.is_silent(1000)
    caller.other_bot_tells({})
    caller.is_silent(6980)
    assert caller.noted("no-input") == 0
    caller.is_silent(40)
    assert caller.noted("no-input") == 1


@MODES
def test_what_comes_after_the_end_of_the_stream_is_dropped(stories):
    caller = at_flowers(stories)
    caller.hangs_up()
    caller.steps()
    caller.other_bot_tells({})
    assert caller.steps() == []


@MODES
def test_attributes_nobody_waits_for_change_nothing(stories):
    caller = stories.a_caller()
    caller.steps()
    caller.other_bot_tells({"customer": "4711"})
    caller.says_something()
    assert "customer" not in caller.asked[0].session_attributes


# -- streams that are lost around a switch


@MODES
def test_a_switch_lost_before_its_document_is_made_again(stories):
    caller = stories.a_caller({RESUMED_PARAMETER: LOST}, switchboard=switchboard(ROUTER))
    caller.lex_tells_session(session_attributes=TO_FLOWERS)
    assert "begins=1&wordless=1&switched=1.1%3Asales&line=sales%2Fflowers#" in redirect_of(caller)


def test_a_switch_with_words_lost_before_its_document_says_them():
    caller = call_update_stories.a_caller({RESUMED_PARAMETER: LOST}, switchboard=switchboard(ROUTER))
    caller.lex_tells_session("To the flowers.", session_attributes=TO_FLOWERS)
    assert caller.hears() == ["Stop", "To the flowers.", "Redirect"]


LOST_AFTER = {RESUMED_PARAMETER: LOST, SWITCHED_PARAMETER: "1.1:sales"}


@MODES
def test_a_stream_lost_before_the_first_answer_begins_again(stories):
    caller = at_flowers(stories, LOST_AFTER, **WELCOMES)
    assert caller.steps() == ["FetchSession"]
    caller.lex_tells_session()
    assert caller.steps() == ["FetchAttributes"]
    caller.other_bot_tells({"customer": "4711"})
    assert caller.steps() == ["BeginDialog 1"]
    assert caller.asked[0].session_attributes["customer"] == "4711"


@MODES
def test_a_stream_lost_after_the_first_answer_repeats_it(stories):
    caller = at_flowers(stories, LOST_AFTER, **WELCOMES)
    caller.lex_tells_session("Which flowers?")
    assert caller.noted("turn-answered") == 0
    caller.is_silent(3000)
    caller.says_something()
    assert caller.asked[0].session_attributes is None


@MODES
def test_an_earlier_visit_does_not_count_as_an_answer(stories):
    """The session of an earlier visit still asks for the switch that ended it."""
    earlier = {BOT_ATTRIBUTE: "router", SWITCHES_ATTRIBUTE: "1"}
    parameters = {**LOST_AFTER, SWITCHED_PARAMETER: "3.1:sales"}
    caller = at_flowers(stories, parameters, phrase_audio=PHRASE_AUDIO)
    caller.lex_tells_session("Back to the start.", session_attributes=earlier)
    assert caller.steps()[-1] == "FetchAttributes"
    caller.other_bot_tells({})
    caller.is_silent(1000)  # it looks a second time
    caller.lex_tells_session("Back to the start.", session_attributes=earlier)
    caller.is_silent(3000)
    assert caller.noted("answered-late") == 0
    caller.says_something()
    assert caller.asked[0].session_attributes[SWITCHES_ATTRIBUTE] == "3"


@MODES
def test_a_visit_that_ended_by_a_switch_goes_on_to_the_next_bot(stories):
    caller = at_flowers(stories, {**LOST_AFTER, SWITCHED_PARAMETER: "3.1:sales"})
    caller.lex_tells_session(session_attributes={BOT_ATTRIBUTE: "router", SWITCHES_ATTRIBUTE: "3"})
    assert "switched=4.2%3Asales%2Fflowers&line=sales#" in redirect_of(caller)


def test_keys_before_the_first_answer_bring_the_attributes():
    caller = at_flowers(call_update_stories, {**LOST_AFTER, RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"})
    caller.lex_tells_session()
    caller.other_bot_tells({"customer": "4711"})
    (keyed,) = caller.asked
    assert (keyed.keys, keyed.session_attributes["customer"]) == ("12", "4711")


def test_a_hand_over_before_the_first_answer_takes_it_along():
    first = at_flowers(call_update_stories)
    first.other_bot_tells({"customer": "4711"})
    first.has_to_leave(NEXT)
    first.is_silent(12_000)
    _, handed = opening_of(first)
    assert (handed[RESUMED_PARAMETER], handed[SWITCHED_PARAMETER]) == (HANDED_OVER, "1.1:sales")
    caller = at_flowers(call_update_stories, handed)
    caller.other_bot_tells({"customer": "4711"})
    caller.is_silent(2000)
    caller.says_something()
    assert caller.asked[0].session_attributes["customer"] == "4711"


def test_a_hand_over_after_the_first_answer_tells_the_count():
    caller = at_flowers(call_update_stories)
    caller.other_bot_tells({})
    caller.says_something()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which flowers?")
    assert opening_of(caller)[1][SWITCHED_PARAMETER] == "1.0"


def test_each_address_of_the_next_bots_documents_has_the_switch():
    caller = at_flowers(call_update_stories)
    caller.other_bot_tells({})
    caller.is_silent(12_000)
    assert caller.hears()[-2:] == HOLDS
    assert "switched=1.1%3Asales" in redirect_of(caller)
    caller.says_something()
    caller.lex_says("Which flowers?", dialog_state=DialogState.ELICIT_SLOT)
    assert "switched=1.0" in redirect_of(caller)


@MODES
def test_a_caller_who_speaks_before_the_bot_begins_is_not_heard(stories):
    caller = at_flowers(stories)
    caller.speaks(400)
    caller.sends(Dtmf("1"))
    caller.other_bot_tells({})
    caller.speaks(400)
    caller.is_silent(1000)
    assert caller.asked == []
    assert caller.noted("speech-ignored") == 1


def test_a_caller_can_go_on_to_a_third_bot():
    caller = call_update_stories.a_caller(
        {RESUMED_PARAMETER: SWITCHED, SWITCHED_PARAMETER: "1.1:sales"}, switchboard=switchboard(FLOWERS)
    )
    caller.other_bot_tells({})
    caller.says_something()
    caller.lex_says("Gern.", session_attributes={BOT_ATTRIBUTE: "flowers", LOCALE_ATTRIBUTE: "de_DE"})
    assert "switched=2.1%3Asales%2Fflowers&line=sales%2Fflowers%2Fde_DE#" in redirect_of(caller)
    assert GERMAN.text == "sales/flowers/de_DE"
    assert [action.hands_over for action in caller.actions if isinstance(action, UpdateCall)] == [False]
