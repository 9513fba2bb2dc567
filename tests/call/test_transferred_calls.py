"""Calls that are transferred, come back, or go on elsewhere, as their session sees them; in both reply modes."""

from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from lexbridge.call.actions import BeginDialog, FetchSession
from lexbridge.call.attributes import (
    ACTION_ATTRIBUTE,
    CALL_SID_ATTRIBUTE,
    TRANSFER_STATUS_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    WHISPER_ATTRIBUTE,
)
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import LOST, RESUMED_PARAMETER, RETURNED, RETURNED_PARAMETER
from lexbridge.errors import LexUnavailable
from tests.support import call_update_stories, stream_stories
from tests.support.call_update_stories import BEGAN, BYE, FULFILLED, HOLDS, NEXT, NUMBER, opening_of
from tests.support.phrases import NOT_HEARD
from tests.support.sounds import tone
from tests.support.twilio_messages import CALL_SID

NOBODY = "Sorry, nobody can take your call right now. How else can I help you?"
ASKED = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER, WHISPER_ATTRIBUTE: "Roses.", "shop": "7"}
GAVE_AWAY = {"dialog_state": FULFILLED, "intent": "Human", "session_attributes": ASKED}
BACK = {RESUMED_PARAMETER: RETURNED, RETURNED_PARAMETER: "busy"}
IS_BUSY = {"shop": "7", TRANSFER_STATUS_ATTRIBUTE: "busy"}
AFTER_URL = "https://flows.example.com/next?FlowEvent=return"


def a_caller_who_is_back(parameters=None, stories=call_update_stories, session=True, **variables):
    """A caller whose transfer came back; Lex tells that the bot had asked for one."""
    caller = stories.a_caller({**BACK, **(parameters or {})}, **variables)
    if session:
        caller.lex_tells_session("I connect you.", **GAVE_AWAY)
    return caller


def element(caller, tag):
    (found,) = ElementTree.fromstring(caller.document()).iter(tag)
    return found


# -- away


@pytest.mark.parametrize("target", ["sip:sales@example.com", "client:alice", "queue:Sales", "conference:Sales"])
def test_a_transfer_goes_to_each_kind_that_is_allowed(target):
    caller = call_update_stories.a_caller_lex_thinks_about(TRANSFER_NUMBERS=target, TRANSFER_ATTRIBUTES="shop")
    attributes = {**ASKED, TRANSFER_TO_ATTRIBUTE: target}
    caller.lex_says("One moment.", dialog_state=FULFILLED, session_attributes=attributes)
    dials = "Enqueue" if target.startswith("queue") else "Dial"
    assert caller.hears() == ["Stop", "One moment.", dials, "Goodbye.", "Hangup"]
    kind = target.partition(":")[0]
    assert caller.note("transferred") == {
        "kind": kind,
        "has_caller_id": False,
        "has_whisper": kind in ("sip", "client"),
        "attributes": 1 if kind in ("sip", "client") else 0,
    }
    assert caller.session.state is CallState.CLOSING


def test_a_transfer_takes_how_far_the_call_has_come_along():
    caller = call_update_stories.a_caller(BEGAN, TRANSFER_NUMBERS=NUMBER, MAX_TURNS="9")
    caller.says_something()
    caller.lex_says(**GAVE_AWAY)
    query = parse_qs(urlsplit(element(caller, "Dial").get("action")).query)
    assert query == {"began": ["1795846066"], "turns": ["1"]}


# -- and back


def test_a_caller_who_is_back_is_told_and_the_bot_learns_why():
    caller = a_caller_who_is_back()
    assert caller.steps() == ["FetchSession", "UpdateCall"]
    assert caller.hears() == [NOBODY, *HOLDS]
    caller.is_silent(8000)
    caller.says_something()
    assert caller.asked[0].session_attributes == IS_BUSY
    caller.lex_says("Which day?")
    caller.says_something()
    assert caller.asked[1].session_attributes is None


def test_a_caller_who_is_back_may_be_taken_back_by_an_intent():
    caller = a_caller_who_is_back(TRANSFER_FAILED_INTENT="NobodyThere")
    (begin,) = caller.asked
    assert begin == BeginDialog(1, CALL_SID, IS_BUSY, "NobodyThere")
    caller.lex_says("They are all busy. Shall we call you back?")
    assert caller.hears() == ["They are all busy. Shall we call you back?", *HOLDS]


@pytest.mark.parametrize("becomes", ["silent", "failed"])
def test_an_intent_that_says_nothing_is_made_up_for(becomes):
    caller = a_caller_who_is_back(TRANSFER_FAILED_INTENT="NobodyThere")
    if becomes == "silent":
        caller.lex_says(transcript="")
    else:
        caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == [NOBODY, *HOLDS]


def test_in_the_bots_own_voice_too():
    caller = a_caller_who_is_back(stories=stream_stories, phrase_audio={NOBODY: tone(400)})
    assert caller.steps() == ["FetchSession"]
    caller.is_silent(440)
    assert stream_stories.voice_in(caller.heard) == 400
    caller.says_something()
    assert caller.asked[0].session_attributes == IS_BUSY


@pytest.mark.parametrize("has_told", [True, False])
def test_a_phrase_without_audio_is_asked_of_lex_if_it_answers(has_told):
    caller = a_caller_who_is_back(stories=stream_stories, session=has_told)
    if not has_told:
        caller.lex_tells_no_session()
    assert caller.asked_aloud() == ([NOBODY] if has_told else [])


def test_where_lex_has_forgotten_it_gets_the_facts_again():
    caller = a_caller_who_is_back({"shop": "9"}, session=False)
    caller.lex_tells_session()
    caller.says_something()
    status = {TRANSFER_STATUS_ATTRIBUTE: "busy", CALL_SID_ATTRIBUTE: CALL_SID}
    assert caller.asked[0].session_attributes == {"shop": "9", **status}


def test_where_lex_does_not_tell_its_attributes_are_left_alone():
    caller = a_caller_who_is_back(session=False)
    caller.lex_tells_no_session()
    assert caller.hears() == [NOBODY, *HOLDS]
    caller.is_silent(8000)
    caller.says_something()
    assert caller.asked[0].session_attributes is None


def test_a_silent_caller_who_is_back_is_asked_again():
    caller = a_caller_who_is_back(NO_INPUT_S="5")
    caller.is_silent(len(NOBODY) * 70 + 5000)
    assert caller.hears() == [NOT_HEARD, NOBODY, *HOLDS]


def test_a_stream_lost_meanwhile_does_not_transfer_again():
    caller = a_caller_who_is_back()
    assert "returned=busy" in caller.document()
    caller.is_silent(8000)
    caller.says_something()
    caller.lex_says("Which day?")
    assert "returned" not in caller.document()
    after_loss = call_update_stories.a_caller({**BACK, RESUMED_PARAMETER: LOST}, TRANSFER_NUMBERS=NUMBER)
    after_loss.lex_tells_session("I connect you.", **GAVE_AWAY)
    assert after_loss.hears() == [NOBODY, *HOLDS]


def test_once_the_bot_has_answered_a_lost_stream_goes_on_there():
    """The address of a two-way stream is as old as the stream."""
    caller = call_update_stories.a_caller({**BACK, RESUMED_PARAMETER: LOST})
    caller.lex_tells_session("Which day?", session_attributes={"shop": "7"})
    assert caller.hears() == ["Which day?", *HOLDS]


def test_a_call_that_is_back_can_be_handed_over():
    caller = a_caller_who_is_back(BARGE_IN="on")
    caller.is_silent(8000)
    caller.has_to_leave(NEXT)
    caller.is_silent(12_000)
    told = opening_of(caller)[1]
    assert told[RETURNED_PARAMETER] == "busy"
    following = call_update_stories.a_caller(told, TRANSFER_NUMBERS=NUMBER)
    assert [type(action) for action in following.actions if isinstance(action, FetchSession)] == [FetchSession]
    following.lex_tells_session("I connect you.", **GAVE_AWAY)
    assert following.steps() == ["FetchSession"]  # and no transfer
    following.says_something()
    assert following.asked[0].session_attributes == IS_BUSY


# -- after the bot


def redirected(caller):
    """The address at which the call goes on, as its query."""
    url = element(caller, "Redirect").text
    assert url.startswith("https://flows.example.com/next?FlowEvent=return&")
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


ORDERED = {"slots": {"Size": "big", "Day": None}, "session_attributes": {"customer": "4711", "pin": "hush"}}
RETURN = {
    "dialog_state": FULFILLED,
    "intent": "Order",
    "slots": ORDERED["slots"],
    "session_attributes": {**ORDERED["session_attributes"], ACTION_ATTRIBUTE: "return"},
}


@pytest.mark.parametrize("stories", [call_update_stories, stream_stories], ids=["call-update", "stream"])
def test_a_bot_that_is_done_gives_the_call_on_with_what_it_knows(stories):
    caller = stories.a_caller_lex_thinks_about(AFTER_URL=AFTER_URL, AFTER_ATTRIBUTES="customer")
    caller.lex_says("Thank you.", **RETURN)
    stop = ["Stop"] if stories is call_update_stories else []
    assert caller.hears() == [*stop, "Thank you.", "Redirect"]
    assert redirected(caller) == {
        "FlowEvent": "return",
        "outcome": "done",
        "intent": "Order",
        "slot_Size": "big",
        "customer": "4711",
    }
    assert caller.note("sent-on") == {"outcome": "done"}
    assert caller.noted("return-refused") == 0


def test_a_hang_up_goes_on_there_too():
    caller = call_update_stories.a_caller_lex_thinks_about(AFTER_URL=AFTER_URL)
    caller.lex_says("Bye.", **BYE)
    assert caller.hears() == ["Stop", "Bye.", "Redirect"]
    assert redirected(caller)["intent"] == "GoodbyeIntent"


def test_a_return_to_nowhere_ends_the_call_politely():
    caller = call_update_stories.a_caller_lex_thinks_about()
    caller.lex_says("Thank you.", **RETURN)
    assert caller.hears() == ["Thank you.", "Hangup"]
    assert [note.level for note in caller.notes if note.event == "return-refused"] == ["error"]


def test_a_silent_caller_goes_on_with_what_the_bot_knows_so_far():
    caller = call_update_stories.a_caller_lex_thinks_about(AFTER_URL=AFTER_URL, NO_INPUT_S="5", NO_INPUT_LIMIT="0")
    caller.lex_says("Which day?", intent="Order", slots={"Size": "big"})
    caller.is_silent(8000)
    assert caller.hears()[-1] == "Redirect"
    assert redirected(caller) == {"FlowEvent": "return", "outcome": "silent", "intent": "Order", "slot_Size": "big"}


def test_a_call_that_lex_fails_goes_on():
    caller = call_update_stories.a_caller(AFTER_URL=AFTER_URL)
    for _ in range(3):
        caller.says_something()
        caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears()[-1] == "Redirect"
    assert redirected(caller) == {"FlowEvent": "return", "outcome": "failed"}


def test_a_call_at_its_limit_goes_on():
    caller = call_update_stories.a_caller_lex_thinks_about(AFTER_URL=AFTER_URL, MAX_TURNS="1")
    caller.lex_says("Which day?", intent="Order")
    assert caller.hears() == ["Stop", "Which day?", "We have to end this call now. Goodbye.", "Redirect"]
    assert redirected(caller)["outcome"] == "limit"


def test_a_call_on_whose_redirect_twilio_fails_is_heard_again():
    caller = call_update_stories.a_caller_lex_thinks_about(AFTER_URL=AFTER_URL)
    caller.lex_says("Thank you.", **RETURN)
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
