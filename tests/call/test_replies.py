"""Answers of Lex in call-update mode, and what becomes of them: words, a hang-up, a transfer."""

import pytest

from lexbridge.call.actions import UpdateCall
from lexbridge.call.attributes import ACTION_ATTRIBUTE, CALLED_NUMBER_ATTRIBUTE, TRANSFER_TO_ATTRIBUTE
from lexbridge.call.events import LexReplied
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import KEYED, KEYS_PARAMETER, RESUMED_PARAMETER
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from tests.support.call_update_stories import (
    FULFILLED,
    HOLDS,
    NEXT,
    NUMBER,
    a_caller,
    a_caller_lex_thinks_about,
    opening_of,
)
from tests.support.caller import Caller
from tests.support.phrases import SAY_AGAIN
from tests.support.twilio_messages import ACCOUNT_SID, CALL_SID, STREAM_SID
from tests.support.twiml import text_of, verbs_of

# -- the reply (contract 6)


def test_the_reply_is_spoken_by_one_update_of_this_call():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Okay.", "Which day?")
    (update,) = [action for action in caller.actions if isinstance(action, UpdateCall)]
    assert (update.account_sid, update.call_sid) == (ACCOUNT_SID, CALL_SID)
    assert caller.hears() == ["Okay.", "Which day?", *HOLDS]


def test_an_empty_reply_to_no_words_says_nothing():
    caller = a_caller_lex_thinks_about()
    caller.lex_says(transcript="")
    assert caller.hears() == HOLDS


WORDLESS = [
    ({"dialog_state": DialogState.FULFILLED, "intent": "OrderFlowers"}, "Okay."),
    ({"dialog_state": DialogState.READY_FOR_FULFILLMENT, "intent": "OrderFlowers", "transcript": ""}, "Okay."),
    ({"dialog_state": DialogState.READY_FOR_FULFILLMENT, "intent": "FallbackIntent"}, SAY_AGAIN),
    ({"dialog_state": DialogState.FAILED, "intent": "OrderFlowers", "transcript": ""}, SAY_AGAIN),
    ({"dialog_state": DialogState.ELICIT_SLOT}, SAY_AGAIN),
    ({"dialog_state": DialogState.ELICIT_INTENT}, SAY_AGAIN),
    ({"dialog_state": DialogState.CONFIRM_INTENT, "transcript": None, "odd_parts": ("inputTranscript",)}, SAY_AGAIN),
]


@pytest.mark.parametrize(("reply", "words"), WORDLESS)
def test_an_answer_without_words_gets_a_phrase_of_lexbridge(reply, words):
    """An answer without a word is followed by a phrase of lexbridge's, and the call goes on."""
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says(**reply)
    assert caller.hears() == [words, *HOLDS]
    caller.is_silent(10_000)
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]  # our word is not what the bot has said


def test_keys_answered_without_words_get_a_phrase_of_lexbridge():
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"})
    caller.lex_tells_session("Which number?")
    caller.lex_says(transcript="")
    assert caller.hears() == [SAY_AGAIN, *HOLDS]


def test_the_greeting_stands_in_for_a_welcome_without_words():
    caller = Caller(WELCOME="bot", WELCOME_INTENT="Hello", GREETING="Welcome.")
    caller.dials()
    caller.steps()
    caller.lex_says(transcript="", turn=1)
    assert caller.hears() == ["Welcome.", *HOLDS]


def test_a_reply_that_is_too_long_is_cut_and_noted():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("This is a sentence. " * 300)
    assert caller.note("reply-cut")["characters"] > 1000
    assert caller.hears()[-2:] == HOLDS


def test_after_a_closed_dialog_the_call_listens_on():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Thanks, your order is placed.", dialog_state=FULFILLED, intent="OrderFlowers")
    assert caller.hears() == ["Thanks, your order is placed.", *HOLDS]
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_lex_need_not_wait_for_the_end_of_what_it_is_sent():
    caller = a_caller()
    caller.speaks(1000)
    caller.lex_says("I have heard enough.")
    assert caller.note("utterance-cut-off") == {"turn": 1}
    caller.speaks(1000)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 1", "UpdateCall"]
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_reply_to_a_turn_that_is_over_is_dropped():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.steps()
    caller.lex_says("Which day?", turn=1)
    caller.lex_fails(LexUnavailable("no answer"), turn=1)
    assert caller.steps() == []


# -- the bot is in charge of the call (contract 8)


@pytest.mark.parametrize("state", [DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT])
def test_a_fulfilled_hang_up_intent_ends_the_call_in_its_words(state):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Thanks for calling.", dialog_state=state, intent="GoodbyeIntent")
    assert caller.hears() == ["Thanks for calling.", "Hangup"]
    assert caller.session.state is CallState.CLOSING
    assert caller.note("bot-hangs-up") == {}


def test_a_wordless_hang_up_intent_ends_the_call_politely():
    caller = a_caller_lex_thinks_about(HANGUP_INTENTS="Bye,Ciao")
    caller.lex_says(dialog_state=FULFILLED, intent="Ciao")
    assert caller.hears() == ["Goodbye.", "Hangup"]


@pytest.mark.parametrize("state", [DialogState.FAILED, DialogState.CONFIRM_INTENT])
def test_an_unfulfilled_hang_up_intent_does_not_end_the_call(state):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Do you want to go?", dialog_state=state, intent="GoodbyeIntent")
    assert caller.hears() == ["Do you want to go?", *HOLDS]


@pytest.mark.parametrize("state", [DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT, DialogState.FAILED])
def test_a_closed_dialog_can_hang_up(state):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("We are closed.", dialog_state=state, session_attributes={ACTION_ATTRIBUTE: "hangup"})
    assert caller.hears() == ["We are closed.", "Hangup"]


def test_an_action_counts_only_when_the_dialog_is_closed():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    for action in ("hangup", "transfer"):
        caller.lex_says("Sure?", session_attributes={ACTION_ATTRIBUTE: action, TRANSFER_TO_ATTRIBUTE: NUMBER})
        assert caller.hears() == ["Sure?", *HOLDS]
        caller.says_something()


def test_an_action_that_is_unknown_changes_nothing():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Done.", dialog_state=FULFILLED, session_attributes={ACTION_ATTRIBUTE: "dance"})
    assert caller.hears() == ["Done.", *HOLDS]


def test_a_closed_dialog_can_transfer_to_an_allowed_number():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=f"+442079460000,{NUMBER}")
    asked = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("One moment.", dialog_state=FULFILLED, session_attributes=asked)
    assert caller.hears() == ["Stop", "One moment.", "Dial", "Goodbye.", "Hangup"]
    update = next(action for action in caller.actions if isinstance(action, UpdateCall))
    stop, _, dial, *_ = verbs_of(update.twiml)
    assert stop.firstChild.getAttribute("name") == STREAM_SID
    assert text_of(dial) == NUMBER


CALLED = "+12065550199"
TRANSFERRED = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}


def caller_id_shown(caller):
    """callerId of the newest document's Dial."""
    twiml = [action for action in caller.actions if isinstance(action, UpdateCall)][-1].twiml
    (dial,) = [verb for verb in verbs_of(twiml) if verb.tagName == "Dial"]
    return dial.getAttribute("callerId")


@pytest.mark.parametrize(
    ("called", "setting", "shown"),
    [
        (CALLED, "", CALLED),
        (CALLED, "+12065550177", "+12065550177"),
        ("sip:flowers@example.sip.twilio.com", "", ""),
        ("sip:flowers@example.sip.twilio.com", "+12065550177", "+12065550177"),
        ("+1206555<&", "", ""),
        ("", "", ""),
    ],
)
def test_a_transfer_shows_the_set_or_the_called_number(called, setting, shown):
    """A transfer shows the number of the setting, or else the one that was called."""
    caller = a_caller({CALLED_NUMBER_ATTRIBUTE: called}, TRANSFER_NUMBERS=NUMBER, TRANSFER_CALLER_ID=setting)
    caller.says_something()
    caller.lex_says(dialog_state=FULFILLED, session_attributes=TRANSFERRED)
    assert caller_id_shown(caller) == shown
    assert caller.note("transferred")["has_caller_id"] is bool(shown)


def test_a_transfer_after_a_hand_over_shows_the_called_number():
    caller = a_caller({CALLED_NUMBER_ATTRIBUTE: CALLED})
    caller.says_something()
    caller.has_to_leave(NEXT)
    caller.lex_says("Which day?")
    following = a_caller(opening_of(caller)[1], TRANSFER_NUMBERS=NUMBER)
    following.says_something()
    assert [opened.session_attributes for opened in following.asked] == [None]  # they would replace the bot's own
    following.lex_says(dialog_state=FULFILLED, session_attributes=TRANSFERRED)
    assert caller_id_shown(following) == CALLED


def test_a_transferred_call_is_not_touched_again():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    asked = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says(dialog_state=FULFILLED, session_attributes=asked)
    caller.steps()
    caller.says_something()
    caller.is_silent(30_000)
    caller.hangs_up()
    assert caller.steps() == []


@pytest.mark.parametrize("number", [None, "+19005550100", "", "911"])
def test_a_transfer_to_any_other_number_is_refused_and_noted(number):
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=NUMBER)
    asked = {ACTION_ATTRIBUTE: "transfer"} | ({} if number is None else {TRANSFER_TO_ATTRIBUTE: number})
    caller.lex_says("One moment.", dialog_state=FULFILLED, session_attributes=asked)
    assert caller.hears() == ["One moment.", *HOLDS]
    assert [note.level for note in caller.notes if note.event == "transfer-refused"] == ["error"]
    assert caller.session.state is CallState.LIVE


def test_what_is_said_over_the_last_words_goes_to_nobody():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    caller.steps()
    caller.says_something()
    caller.is_silent(30_000)
    assert caller.steps() == []


@pytest.mark.parametrize("is_spoken", [True, False])
def test_last_words_drop_what_waits_for_lex(is_spoken):
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.is_silent(700 if is_spoken else 0)
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    assert caller.steps() == ["UpdateCall"]
    dropped = caller.note("utterance-dropped")
    assert (dropped["turn"], dropped["why"]) == (2, "the call is over")


def test_a_reply_has_the_formats_of_lex():
    caller = a_caller_lex_thinks_about()
    messages = (
        Message("<speak>One<break/></speak>", MessageFormat.SSML),
        Message("two", is_unvoiced=True),
    )
    caller.sends(LexReplied(1, Reply(DialogState.ELICIT_INTENT, messages)))
    caller.is_silent(20)
    assert caller.hears() == ["One", "two", *HOLDS]
