"""The heart: stories of calls, told from the caller's side, and what the session wants done."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.audio.pcm import decode_mulaw
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.call.actions import AppendAudio, CancelUtterance, CloseUtterance, Note, OpenUtterance, Recall, UpdateCall
from lexbridge.call.context import CALL_MOVES, Call, CallMove, CallState
from lexbridge.call.directives import (
    ACTION_ATTRIBUTE,
    ALLOW_INTERRUPT_ATTRIBUTE,
    CALL_SID_ATTRIBUTE,
    CALLED_NUMBER_ATTRIBUTE,
    MAX_LENGTH_ATTRIBUTE,
    NO_INPUT_LIMIT_ATTRIBUTE,
    NO_INPUT_S_ATTRIBUTE,
    TRANSFER_TO_ATTRIBUTE,
    VOICE_ATTRIBUTE,
)
from lexbridge.call.stream_parameters import (
    AGE_PARAMETER,
    BEGAN_PARAMETER,
    HANDED_OVER,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    NO_INPUTS_PARAMETER,
    PROMPT_PARAMETER,
    RESUMED_PARAMETER,
    TURNS_PARAMETER,
)
from lexbridge.call.turns import MAX_HELD_TURNS, TURN_MOVES, TurnMove, TurnState, moved
from lexbridge.errors import CallStateError, LexRejected, LexUnavailable, MediaStreamError, NotPutBack
from lexbridge.lex.model import DialogState, Message, MessageFormat, Reply
from lexbridge.twilio.twiml import REPROMPTS_PARAMETER, SPEAKING_MS_PER_CHARACTER, SPOKEN_PARAMETER, Documents, Opening
from tests.support.property_tests import examples
from tests.support.story import (
    ACCOUNT_SID,
    CALL_SID,
    NEXT_STREAM,
    STREAM_SID,
    Caller,
    make_settings,
    media_text,
    start_text,
    text_of,
    tone,
    verbs_of,
)

HOLDS = ["Pause", "Redirect"]
FULFILLED = DialogState.FULFILLED
NUMBER = "+12065550100"


def a_caller(parameters=None, **variables):
    """A caller whose call has just been answered."""
    caller = Caller(**variables)
    caller.dials(parameters)
    return caller


def a_caller_lex_thinks_about(**variables):
    """A caller who has said something, all of which is at Lex."""
    caller = a_caller(**variables)
    caller.says_something()
    caller.steps()
    return caller


def test_the_shell_sees_whose_call_it_is_and_tells_where_it_may_go_on():
    caller = Caller()
    session = caller.session
    assert (session.started, session.is_leaving, session.next_stream) == (None, False, None)
    caller.dials()
    session.is_leaving, session.next_stream = True, NEXT_STREAM
    assert session.started.call_sid == CALL_SID
    assert (session.is_leaving, session.next_stream) == (True, NEXT_STREAM)


def test_lexs_own_voice_is_not_wanted_where_twilio_speaks():
    caller = a_caller_lex_thinks_about()
    caller.lex_says_aloud("Which day?")
    caller.lex_loses_its_voice()
    assert caller.steps() == ["UpdateCall", "CancelUtterance 1"]
    assert caller.hears() == ["Which day?", *HOLDS]


# -- listening and speech (contract 2 to 4)


def test_who_says_nothing_costs_no_request():
    caller = a_caller()
    caller.is_silent(5000)
    assert caller.steps() == []


def test_a_noise_shorter_than_the_onset_costs_no_request():
    caller = a_caller()
    for _ in range(20):
        caller.speaks(40)
        caller.is_silent(100)
    assert caller.steps() == []


def test_the_request_starts_with_the_onset_and_ends_with_the_hangover():
    caller = a_caller()
    caller.is_silent(2000)
    caller.speaks(60)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.speaks(1000)
    caller.is_silent(680)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 1"]


def test_lex_gets_the_callers_exact_samples_with_the_pre_roll_and_the_hangover():
    caller = a_caller()
    caller.is_silent(2000)
    caller.says_something()
    caller.is_silent(1000)
    assert caller.sent_to_lex(1) == decode_mulaw(caller.said)[16 * 1500 : 16 * 3700]


def test_each_frame_is_on_its_way_to_lex_at_once():
    caller = a_caller()
    caller.speaks(60)
    for frames in range(3, 20):
        assert len(caller.sent_to_lex(1)) == 320 * frames
        caller.speaks(20)


def test_the_session_of_lex_is_named_by_the_call_alone():
    caller = a_caller_lex_thinks_about()
    assert [opened.session_id for opened in caller.asked] == [CALL_SID]


def test_an_utterance_ends_at_its_longest_and_the_rest_is_another():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4060)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says("Go on.")
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_audio_that_twilio_skipped_is_silence_and_ends_an_utterance():
    caller = a_caller()
    caller.speaks(500)
    caller.sends(media_text(1500, b"\xff" * 160))
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert len(caller.sent_to_lex(1)) == 16 * 1200
    caller.hangs_up()
    assert caller.note("stream-ended")["filled_ms"] == 1000


@examples(8)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=30))
def test_the_same_audio_gives_the_same_utterances_however_it_was_bunched(lengths_ms):
    told = a_caller()
    for ms in (400, 1000, 900, 200, 1200):
        told.is_silent(ms) if ms in (400, 900, 1200) else told.speaks(ms)
    bunched, at_ms = a_caller(), 0
    while at_ms < 3700:
        ms = min(lengths_ms[at_ms % len(lengths_ms)], 3700 - at_ms)
        bunched.sends(media_text(at_ms, told.said[8 * at_ms : 8 * (at_ms + ms)]))
        at_ms += ms
    assert bunched.steps() == told.steps()
    assert [bunched.sent_to_lex(turn) for turn in (1, 2)] == [told.sent_to_lex(turn) for turn in (1, 2)]


# -- what Lex is told besides the words (contract 8)


def test_parameters_reach_lex_as_attributes_until_it_has_replied_and_never_again():
    caller = a_caller({"lexbridge:direction": "inbound", "shop": "7"})
    facts = {"lexbridge:direction": "inbound", "shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.says_something()
    caller.lex_says("Which day?")
    caller.says_something()
    assert [opened.session_attributes for opened in caller.asked] == [facts, facts, None]


def test_a_stream_that_is_handed_over_leaves_the_attributes_of_the_session_alone():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.says_something()
    assert [opened.session_attributes for opened in caller.asked] == [None]
    assert caller.note("stream-started") == {"resumed": "handed-over"}


# -- the reply (contract 6)


def test_the_reply_is_spoken_by_one_update_of_this_call():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Okay.", "Which day?")
    (update,) = [action for action in caller.actions if isinstance(action, UpdateCall)]
    assert (update.account_sid, update.call_sid) == (ACCOUNT_SID, CALL_SID)
    assert caller.hears() == ["Okay.", "Which day?", *HOLDS]


def test_an_empty_reply_to_no_words_says_nothing_and_holds_the_call():
    caller = a_caller_lex_thinks_about()
    caller.lex_says(transcript="")
    assert caller.hears() == HOLDS


SAY_AGAIN = "Sorry, I did not get that. Please say it again."
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
def test_an_answer_without_a_word_is_followed_by_a_word_of_ours_and_the_call_goes_on(reply, words):
    caller = a_caller_lex_thinks_about(NO_INPUT_S="5")
    caller.lex_says(**reply)
    assert caller.hears() == [words, *HOLDS]
    caller.is_silent(10_000)
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]  # our word is not what the bot has said


def test_keys_that_are_answered_without_a_word_are_followed_by_a_word_of_ours():
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"})
    caller.lex_recalls("Which number?")
    caller.lex_says(transcript="")
    assert caller.hears() == [SAY_AGAIN, *HOLDS]


def test_a_bot_that_begins_without_a_word_is_stood_in_for_by_the_greeting():
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


def test_a_dialog_that_closes_goes_on_listening_for_the_next_intent():
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


# -- while Lex thinks (contract 5)


def test_what_is_said_while_lex_thinks_is_kept_and_sent_when_lex_is_free():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    assert caller.steps() == []
    caller.lex_says("Which day?")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_what_is_still_being_said_when_lex_gets_free_goes_on_live():
    caller = a_caller_lex_thinks_about()
    caller.speaks(500)
    caller.lex_says("Which day?")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2"]
    caller.speaks(500)
    caller.is_silent(700)
    assert caller.steps() == ["CloseUtterance 2"]
    assert caller.sent_to_lex(1) + caller.sent_to_lex(2) == decode_mulaw(caller.said)


def test_several_utterances_are_sent_one_at_a_time_and_in_order():
    caller = a_caller_lex_thinks_about()
    for _ in range(MAX_HELD_TURNS):
        caller.says_something()
    for turn in range(1, MAX_HELD_TURNS + 1):
        caller.lex_says("Yes.")
        assert caller.steps() == ["UpdateCall", f"OpenUtterance {turn + 1}", f"CloseUtterance {turn + 1}"]
    assert b"".join(caller.sent_to_lex(turn) for turn in range(1, 5)) == decode_mulaw(caller.said)


def test_when_too_many_wait_the_oldest_gives_way():
    caller = a_caller_lex_thinks_about()
    for _ in range(MAX_HELD_TURNS + 1):
        caller.says_something()
    dropped = caller.note("utterance-dropped")
    assert (dropped["turn"], dropped["why"]) == (2, "too many turns wait for Lex")
    caller.lex_says("Yes.")
    assert caller.steps() == ["UpdateCall", "OpenUtterance 3", "CloseUtterance 3"]


def test_the_utterance_after_a_failed_one_is_sent_too():
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


# -- the bot is in charge of the call (contract 8)


@pytest.mark.parametrize("state", [DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT])
def test_a_fulfilled_hang_up_intent_ends_the_call_in_its_words(state):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Thanks for calling.", dialog_state=state, intent="GoodbyeIntent")
    assert caller.hears() == ["Thanks for calling.", "Hangup"]
    assert caller.session.state is CallState.CLOSING
    assert caller.note("bot-hangs-up") == {}


def test_a_hang_up_intent_without_a_message_ends_the_call_politely():
    caller = a_caller_lex_thinks_about(HANGUP_INTENTS="Bye,Ciao")
    caller.lex_says(dialog_state=FULFILLED, intent="Ciao")
    assert caller.hears() == ["Goodbye.", "Hangup"]


@pytest.mark.parametrize("state", [DialogState.FAILED, DialogState.CONFIRM_INTENT])
def test_a_hang_up_intent_that_is_not_fulfilled_does_not_end_the_call(state):
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


def test_a_closed_dialog_can_transfer_to_a_number_that_is_allowed():
    caller = a_caller_lex_thinks_about(TRANSFER_NUMBERS=f"+442079460000,{NUMBER}")
    asked = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("One moment.", dialog_state=FULFILLED, session_attributes=asked)
    assert caller.hears() == ["Stop", "One moment.", "Dial", "Goodbye.", "Hangup"]
    update = next(action for action in caller.actions if isinstance(action, UpdateCall))
    stop, _, dial, *_ = verbs_of(update.twiml)
    assert stop.firstChild.getAttribute("name") == STREAM_SID
    assert dial.firstChild.data == NUMBER


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
def test_a_transfer_shows_the_number_of_the_setting_or_the_one_that_was_called(called, setting, shown):
    caller = a_caller({CALLED_NUMBER_ATTRIBUTE: called}, TRANSFER_NUMBERS=NUMBER, TRANSFER_CALLER_ID=setting)
    caller.says_something()
    caller.lex_says(dialog_state=FULFILLED, session_attributes=TRANSFERRED)
    assert caller_id_shown(caller) == shown
    assert caller.note("transferred")["has_caller_id"] is bool(shown)


def test_a_call_that_was_handed_over_still_shows_the_number_that_was_called():
    caller = a_caller({CALLED_NUMBER_ATTRIBUTE: CALLED})
    caller.says_something()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
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


# -- silence (contract 9)


def test_who_is_silent_is_asked_again_and_at_last_the_call_ends_politely():
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="2", GREETING="Hello.")
    greeting_ms = len("Hello.") * SPEAKING_MS_PER_CHARACTER
    caller.is_silent(greeting_ms + 4980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]
    caller.is_silent(20_000)
    assert caller.steps() == ["UpdateCall"] * 2
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]
    assert [note.fields for note in caller.notes if note.event == "no-input"] == [
        {"times": 1, "ends_call": False, "by_document": False},
        {"times": 2, "ends_call": False, "by_document": False},
        {"times": 3, "ends_call": True, "by_document": False},
    ]


def test_who_is_silent_after_a_prompt_hears_the_prompt_again():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    prompt_ms = len("Which day?") * SPEAKING_MS_PER_CHARACTER
    caller.is_silent(prompt_ms + 9980)
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(20)
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]


def test_speech_is_input_whatever_lex_makes_of_it():
    caller = a_caller(NO_INPUT_S="5", NO_INPUT_LIMIT="1")
    caller.is_silent(12_000)
    caller.says_something()
    caller.lex_says("Which day?")
    caller.is_silent(6000)
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]


def test_nobody_is_asked_again_while_lex_thinks():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="1")
    caller.is_silent(30_000)
    assert "no-input" not in [note.event for note in caller.notes]


def test_nobody_is_asked_again_while_they_speak_or_have_spoken():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="1")
    caller.speaks(1000)
    caller.lex_says("Which day?")
    caller.speaks(5000)
    caller.is_silent(30_000)
    assert caller.steps()[:3] == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert "no-input" not in [note.event for note in caller.notes]


def test_with_a_limit_of_none_the_first_silence_ends_the_call():
    caller = a_caller(NO_INPUT_LIMIT="0", GREETING="Hello.")
    caller.is_silent(11_000)
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_a_call_that_is_handed_over_is_waited_for_from_the_end_of_the_prompt_on():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "2000"})
    caller.is_silent(11_980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["Recall"]


# -- interruptions (contract 7)


def a_caller_who_hears_a_prompt(so_far_ms=1000, attributes=None, **variables):
    """A caller who has heard `so_far_ms` of the answer to the first turn: seven seconds of words."""
    caller = a_caller_lex_thinks_about(**{"BARGE_IN": "on", "GREETING": "Hi.", **variables})
    caller.lex_says("word " * 20, session_attributes=attributes or {})
    caller.is_silent(so_far_ms)
    caller.steps()
    return caller


def test_who_interrupts_is_listened_to_and_a_document_without_words_stops_the_prompt():
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


def test_towards_the_estimated_end_of_a_prompt_a_short_answer_counts():
    caller = a_caller_who_hears_a_prompt(so_far_ms=6000)
    caller.speaks(100)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]  # and costs no update: it may be over


def test_who_speaks_during_the_greeting_is_heard_at_once_and_it_goes_on():
    caller = a_caller(BARGE_IN="on", GREETING="word " * 50)
    caller.is_silent(1000)
    caller.speaks(60)
    assert caller.steps() == ["OpenUtterance 1"]


@pytest.mark.parametrize(
    ("attributes", "variables"), [({ALLOW_INTERRUPT_ATTRIBUTE: "false"}, {}), ({}, {"BARGE_IN": "off"})]
)
def test_a_prompt_that_must_be_heard_out_is_not_stopped_and_what_is_said_over_it_counts(attributes, variables):
    caller = a_caller_who_hears_a_prompt(attributes=attributes, **variables)
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_a_prompt_that_is_followed_by_the_answer_to_the_next_turn_is_not_interrupted_at_once_either():
    caller = a_caller_lex_thinks_about(BARGE_IN="on")
    caller.says_something()
    caller.lex_says("word " * 20, turn=1)
    caller.speaks(360)
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


# -- keys, which a document gathers (contract 10)


def a_caller_who_pressed(keys):
    return a_caller({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: keys})


def test_keys_that_were_gathered_go_to_lex_as_soon_as_it_is_known_what_was_asked():
    caller = a_caller_who_pressed("12")
    assert caller.steps() == ["Recall"]
    caller.lex_recalls("How many?", session_attributes={VOICE_ATTRIBUTE: "Polly.Vicki"})
    assert caller.steps() == ["SendKeys 1"]
    assert (caller.asked[0].keys, caller.asked[0].session_attributes) == ("12", None)
    caller.lex_fails(LexUnavailable("no answer"))
    say, *_ = verbs_of(caller.document())
    assert say.getAttribute("voice") == "Polly.Vicki"
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


@pytest.mark.parametrize("told", [Caller.lex_recalls, Caller.lex_recalls_nothing], ids=["no session", "no answer"])
def test_keys_go_to_lex_even_if_it_cannot_tell_what_it_asked(told):
    caller = a_caller_who_pressed("12")
    told(caller)
    assert caller.asked[0].keys == "12"


def test_where_the_keys_are_missing_the_bot_asks_again():
    caller = a_caller({RESUMED_PARAMETER: KEYED})
    caller.lex_recalls("How many?")
    assert caller.hears() == ["How many?", *HOLDS]


def test_each_document_gathers_keys_by_the_rules_of_the_bots_last_answer():
    caller = a_caller_lex_thinks_about(BARGE_IN="on")
    caller.lex_says("word " * 20, session_attributes={MAX_LENGTH_ATTRIBUTE: "4"})
    assert 'numDigits="4"' in caller.document()
    caller.is_silent(1000)
    caller.says_something()
    assert 'numDigits="4"' in caller.document()
    caller.is_silent(3000)
    assert caller.hears() == ONE_MOMENT
    assert 'numDigits="4"' in caller.document()


# -- slow keys: nobody knows of them before they are complete

ASKS_FOR_KEYS = {MAX_LENGTH_ATTRIBUTE: "4", "x-amz-lex:dtmf:end-timeout-ms": "5000"}
AGAIN = ["Sorry, I did not hear anything.", "Key it in."]
SPOKEN_MS = len("Key it in.") * SPEAKING_MS_PER_CHARACTER
AGAIN_MS = len("".join(AGAIN)) * SPEAKING_MS_PER_CHARACTER


def a_caller_asked_for_keys(attributes=ASKS_FOR_KEYS, **variables):
    caller = a_caller_lex_thinks_about(**{"NO_INPUT_S": "5", "NO_INPUT_LIMIT": "2", **variables})
    caller.lex_says("Key it in.", session_attributes=attributes)
    caller.steps()
    return caller


def silences_of(caller):
    noted = [note.fields for note in caller.notes if note.event == "no-input"]
    return [(fields["times"], fields["ends_call"], fields["by_document"]) for fields in noted]


def test_who_may_be_keying_is_asked_again_by_the_document_that_asked_for_keys():
    caller = a_caller_asked_for_keys()
    assert caller.hears() == ["Key it in.", *AGAIN, *AGAIN, "Redirect"]  # each Gather waits for five seconds
    caller.is_silent(SPOKEN_MS + 2 * (AGAIN_MS + 10) + 3 * 5000)  # in whole frames
    assert silences_of(caller) == [(1, False, True), (2, False, True), (3, True, True)]
    caller.is_silent(4 * 5000 - 20)  # four keys, every five seconds
    assert caller.steps() == []
    caller.is_silent(20)  # the document ought to have hung up long ago
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_keys_without_a_number_are_waited_for_two_minutes_at_most():
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


def test_who_was_asked_again_before_is_asked_again_the_less_often():
    caller = a_caller_asked_for_keys(attributes={})
    caller.is_silent(SPOKEN_MS + 5000)
    assert caller.hears() == [*AGAIN, *HOLDS]
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears()[1:] == HOLDS
    asked = a_caller({RESUMED_PARAMETER: HANDED_OVER, NO_INPUTS_PARAMETER: "2"}, NO_INPUT_LIMIT="3", NO_INPUT_S="5")
    asked.is_silent(5000)
    asked.lex_recalls("Key it in.", session_attributes=ASKS_FOR_KEYS)
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


def test_who_is_answered_in_time_costs_no_document():
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


def test_a_prompt_that_may_not_be_interrupted_is_not_cut_off_for_it():
    caller = a_caller_lex_thinks_about(BARGE_IN="off", NO_INPUT_S="1")
    caller.lex_says("word " * 40, session_attributes=ASKS_FOR_KEYS)
    caller.steps()
    caller.is_silent(200 * SPEAKING_MS_PER_CHARACTER - 2000)
    caller.speaks(1900)
    assert caller.steps() == ["OpenUtterance 2"]
    caller.speaks(200)
    assert caller.steps() == ["UpdateCall"]


def test_where_the_document_did_not_come_the_caller_is_asked_again_all_the_same():
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
    asked.session.is_leaving, asked.session.next_stream = True, NEXT_STREAM
    asked.lex_says("Key it in.", session_attributes=ASKS_FOR_KEYS)
    assert f'name="{REPROMPTS_PARAMETER}" value="{AGAIN_MS} {AGAIN_MS} {AGAIN_MS} 0"' in asked.document()


def test_a_document_holds_the_call_for_as_long_as_the_bot_bears_silence():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Take your time.", session_attributes={NO_INPUT_S_ATTRIBUTE: "100.5"})
    (pause,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Pause"]
    assert int(pause.getAttribute("length")) >= 60 + 91


# -- what the bot says about silence (contract 9)


def test_the_bot_says_how_long_and_how_often_silence_is_borne():
    caller = a_caller_lex_thinks_about()
    attributes = {NO_INPUT_S_ATTRIBUTE: "2", NO_INPUT_LIMIT_ATTRIBUTE: "0", VOICE_ATTRIBUTE: "Polly.Vicki"}
    caller.lex_says("Which day?", session_attributes=attributes)
    caller.is_silent(len("Which day?") * SPEAKING_MS_PER_CHARACTER + 2000)
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]
    assert 'voice="Polly.Vicki"' in caller.document()


# -- a stream that goes on with a call (docs/processes.md)

PLEASE_AGAIN = ["Sorry, I did not get that. Please say it again.", *HOLDS]


def a_caller_whose_stream_was_lost(parameters=None, **variables):
    """A caller whose call goes on over another stream."""
    return a_caller({RESUMED_PARAMETER: LOST, **(parameters or {})}, **variables)


def test_where_a_stream_was_lost_the_bots_last_words_are_spoken_once_more():
    caller = a_caller_whose_stream_was_lost()
    assert caller.steps() == ["Recall"]
    assert [action.session_id for action in caller.actions if isinstance(action, Recall)] == [CALL_SID]
    caller.lex_recalls("Which day?")
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert caller.asked[0].session_attributes is None


def test_what_was_cut_off_is_not_sent_and_the_caller_is_asked_for_all_of_it():
    caller = a_caller_whose_stream_was_lost()
    caller.steps()
    caller.speaks(400)
    caller.lex_recalls("Which day?")
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.steps() == ["UpdateCall", "Recall"]
    assert caller.note("speech-ignored") == {"at_ms": 0, "call": "resuming"}
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]


def test_what_is_said_while_a_document_ends_the_call_is_ignored_and_logged_whatever_becomes_of_it():
    caller = a_caller_lex_thinks_about(BARGE_IN="off")
    caller.lex_says("Goodbye.", dialog_state=DialogState.FULFILLED, intent="GoodbyeIntent")
    caller.is_silent(100)
    caller.speaks(400)
    caller.does_not_get_the_update()
    caller.speaks(400)
    caller.is_silent(700)
    assert caller.session.state is CallState.LIVE
    assert caller.note("speech-ignored")["call"] == "closing"
    assert len(caller.asked) == 1
    caller.says_something()
    assert len(caller.asked) == 2


@pytest.mark.parametrize("told", [Caller.lex_recalls, Caller.lex_recalls_nothing], ids=["no session", "no answer"])
def test_if_lex_cannot_tell_what_it_said_the_caller_is_asked_to_say_it_again(told):
    caller = a_caller_whose_stream_was_lost()
    told(caller)
    assert caller.hears() == PLEASE_AGAIN


def test_a_session_without_a_message_is_asked_for_again_too():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls(dialog_state=DialogState.ELICIT_INTENT, intent="OrderFlowers")
    assert caller.hears() == PLEASE_AGAIN


def test_if_lex_knows_no_session_the_first_turn_brings_the_call_facts():
    caller = a_caller_whose_stream_was_lost({"shop": "7"})
    caller.lex_recalls()
    caller.says_something()
    assert caller.asked[0].session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}


def test_if_lex_does_not_tell_the_attributes_are_left_alone():
    caller = a_caller_whose_stream_was_lost({"shop": "7"})
    caller.lex_recalls_nothing()
    caller.says_something()
    assert caller.asked[0].session_attributes is None


def test_a_goodbye_that_was_lost_is_said_and_the_call_ends():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls("Thank you.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_a_goodbye_without_words_that_was_lost_ends_the_call_too():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls(dialog_state=FULFILLED, session_attributes={ACTION_ATTRIBUTE: "hangup"})
    assert caller.hears() == ["Goodbye.", "Hangup"]


def test_an_answer_that_lex_was_still_busy_with_is_spoken_when_it_is_there():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls("Which flowers?")
    caller.is_silent(980)
    caller.steps()
    caller.is_silent(20)
    assert caller.steps() == ["Recall"]
    caller.lex_recalls("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"]


@pytest.mark.parametrize("told", [lambda caller: caller.lex_recalls("Which flowers?"), Caller.lex_recalls_nothing])
def test_at_the_second_look_nothing_is_said_twice(told):
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls("Which flowers?")
    caller.is_silent(1000)
    caller.steps()
    told(caller)
    assert caller.steps() == []


def test_there_is_no_second_look_once_the_caller_goes_on():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls("Which flowers?")
    caller.steps()
    caller.speaks(500)
    caller.is_silent(1000)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]


def test_a_second_look_that_comes_late_is_dropped():
    caller = a_caller_whose_stream_was_lost()
    caller.lex_recalls("Which flowers?")
    caller.is_silent(1000)
    caller.speaks(500)
    caller.steps()
    caller.lex_recalls("Which day?")
    assert caller.steps() == []


def test_what_lex_tells_after_the_end_is_dropped():
    caller = a_caller_whose_stream_was_lost()
    caller.hangs_up()
    caller.steps()
    caller.lex_recalls("Which flowers?")
    assert caller.steps() == []


# -- a call that is handed over

NEXT = Opening("lexbridge-0-next", [("lexbridge:token", "the token of the next stream")])


def opening_of(caller):
    """Name, and parameters but for the token, of the stream that the newest document opens."""
    _, start, *_ = verbs_of([action for action in caller.actions if isinstance(action, UpdateCall)][-1].twiml)
    (stream,) = start.getElementsByTagName("Stream")
    told = {node.getAttribute("name"): node.getAttribute("value") for node in stream.getElementsByTagName("Parameter")}
    assert told.pop("lexbridge:token") == "the token of the next stream"
    return stream.getAttribute("name"), told


def test_a_call_is_handed_over_with_the_next_answer():
    caller = a_caller_lex_thinks_about()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.lex_says("Which day?")
    assert caller.hears() == ["Stop", "Start", "Which day?", *HOLDS]
    (update,) = [action for action in caller.actions if isinstance(action, UpdateCall)]
    assert update.hands_over
    assert caller.session.state is CallState.LEAVING
    spoken_ms = str(len("Which day?") * SPEAKING_MS_PER_CHARACTER)
    told = {RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: spoken_ms}
    name, parameters = opening_of(caller)
    assert len(parameters.pop(PROMPT_PARAMETER)) == 8
    assert (name, parameters) == (NEXT.name, told)


def test_the_stream_that_was_handed_over_hears_nobody_any_more():
    caller = a_caller_lex_thinks_about()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.lex_says("Which day?")
    caller.steps()
    caller.says_something()
    caller.is_silent(60_000)
    assert caller.steps() == []
    caller.hangs_up()
    assert caller.note("stream-ended")["how"] == "stopped"


def test_a_call_is_handed_over_with_the_next_question_too_and_knows_how_often_it_was_asked():
    caller = a_caller({"shop": "7"}, GREETING="Hello.")
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.is_silent(10_420)
    _, told = opening_of(caller)
    assert told[NO_INPUTS_PARAMETER] == "1"
    assert told["shop"] == "7"  # Lex has not been told yet
    following = a_caller(told, NO_INPUT_LIMIT="1")
    following.is_silent(12_500)
    assert following.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_after_the_first_answer_the_call_facts_are_not_handed_over():
    caller = a_caller({"shop": "7"})
    caller.says_something()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.lex_says("Which day?")
    assert "shop" not in opening_of(caller)[1]


def test_facts_that_are_handed_over_go_to_lex_with_the_first_turn():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, "shop": "7"})
    caller.says_something()
    assert caller.asked[0].session_attributes == {"shop": "7", CALL_SID_ATTRIBUTE: CALL_SID}


def test_a_call_is_not_handed_over_while_the_caller_speaks_or_waits_for_lex():
    for pause_ms in (0, 700):
        caller = a_caller_lex_thinks_about()
        caller.speaks(500)
        caller.is_silent(pause_ms)
        caller.session.next_stream, caller.session.is_leaving = NEXT, True
        caller.lex_says("Which day?")
        assert caller.hears() == ["Which day?", *HOLDS]


def test_a_hand_over_that_twilio_does_not_carry_out_is_tried_again_with_the_next_document():
    caller = a_caller_lex_thinks_about()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    caller.lex_says("Which day?")
    assert caller.hears() == ["Stop", "Start", "Which day?", *HOLDS]


def test_last_words_are_not_handed_over():
    caller = a_caller_lex_thinks_about()
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.lex_says("Thank you.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    assert caller.hears() == ["Thank you.", "Hangup"]


def test_who_says_nothing_after_a_hand_over_hears_the_question_again():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.lex_recalls("Which day?")
    assert caller.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]
    caller.steps()
    caller.is_silent(15_000)
    assert caller.steps() == ["UpdateCall"]  # now it is known


def test_who_says_nothing_after_a_hand_over_hears_at_least_that():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.lex_recalls_nothing()
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]


def test_what_is_looked_up_after_the_caller_has_gone_on_is_not_said():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.says_something()
    caller.lex_says("Which day?")
    caller.steps()
    caller.lex_recalls("Which flowers?")
    assert caller.steps() == []


def test_who_speaks_up_before_they_are_asked_again_is_not():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER})
    caller.is_silent(10_000)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.lex_recalls("Which day?")
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]


def test_numbers_that_are_none_of_ours_count_as_none():
    caller = a_caller({RESUMED_PARAMETER: HANDED_OVER, SPOKEN_PARAMETER: "x", NO_INPUTS_PARAMETER: "9" * 7})
    caller.is_silent(10_000)
    assert caller.steps() == ["Recall"]


# -- a Lex that takes long

ONE_MOMENT = ["One moment please.", *HOLDS]


def test_while_lex_thinks_the_caller_is_told_so_before_the_silence_is_long():
    caller = a_caller(GREETING="Hello.")
    caller.speaks(1000)
    caller.is_silent(2480)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]
    assert caller.hears() == ONE_MOMENT
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]


def test_and_again_after_as_much_silence_once_more():
    caller = a_caller(GREETING="Hello.")
    caller.speaks(1000)
    caller.is_silent(2500)
    caller.steps()
    caller.is_silent(len(ONE_MOMENT[0]) * SPEAKING_MS_PER_CHARACTER + 2480)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]


def test_a_prompt_that_is_still_spoken_is_no_silence():
    caller = a_caller()
    caller.says_something()
    caller.lex_says("word " * 20)  # 7 s
    caller.says_something()
    caller.steps()
    caller.is_silent(5_200 + 2_480)
    assert caller.steps() == []
    caller.is_silent(100)
    assert caller.steps() == ["UpdateCall"]


def test_nobody_is_told_to_wait_while_they_speak():
    caller = a_caller_lex_thinks_about()
    caller.speaks(5000)
    assert caller.steps() == []


def test_an_utterance_that_was_too_long_is_not_followed_by_a_hangover():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4000)
    caller.steps()
    caller.is_silent(2480)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.steps() == ["UpdateCall"]


# -- faults, and what the caller hears


def test_if_lex_is_unavailable_the_caller_is_asked_to_say_it_again():
    caller = a_caller_lex_thinks_about()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]
    assert caller.note("turn-failed") == {"turn": 1, "error": "LexUnavailable", "ends_call": False}
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_after_three_failures_in_a_row_the_call_ends_in_words():
    caller = a_caller()
    for ends_call in (False, False, True):
        caller.says_something()
        caller.lex_fails(LexUnavailable("no answer"))
        assert [note for note in caller.notes if note.event == "turn-failed"][-1].fields["ends_call"] is ends_call
    assert caller.hears() == ["Sorry, this service is not available.", "Hangup"]


def test_an_answer_in_between_starts_the_count_again():
    caller = a_caller()
    for _ in range(2):
        for _ in range(2):
            caller.says_something()
            caller.lex_fails(LexUnavailable("no answer"))
        caller.says_something()
        caller.lex_says("Which day?")
    assert caller.session.state is CallState.LIVE


def test_if_lex_rejects_the_request_the_call_ends_with_an_apology():
    caller = a_caller_lex_thinks_about()
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.hears() == ["Sorry, this service is not available.", "Hangup"]
    assert caller.session.state is CallState.CLOSING


def test_lex_may_reject_the_request_before_the_caller_is_done():
    caller = a_caller()
    caller.speaks(500)
    caller.lex_fails(LexRejected("no such bot"))
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 1", "UpdateCall"]


def test_if_a_prompt_is_not_carried_out_the_next_turn_goes_on():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.does_not_get_the_update()
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_if_last_words_are_not_carried_out_the_next_turn_goes_on():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    caller.does_not_get_the_update()
    assert caller.session.state is CallState.LIVE
    caller.says_something()
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]


def test_a_prompt_that_failed_does_not_take_back_the_last_words_after_it():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?")
    caller.says_something()
    caller.lex_says("Goodbye.", dialog_state=FULFILLED, intent="GoodbyeIntent")
    caller.does_not_get_the_update(ago=1)
    assert caller.session.state is CallState.CLOSING


def test_if_the_goodbye_to_a_silent_caller_is_not_carried_out_it_is_said_again():
    caller = a_caller(NO_INPUT_LIMIT="0", NO_INPUT_S="5")
    caller.is_silent(15_000)
    caller.does_not_get_the_update()
    caller.is_silent(5000)
    assert caller.steps() == ["UpdateCall"] * 2
    assert caller.hears() == ["Sorry, I did not hear anything. Goodbye.", "Hangup"]


def test_a_call_that_is_gone_ends_quietly():
    caller = a_caller_lex_thinks_about()
    caller.is_gone()
    assert caller.steps() == ["CancelUtterance 1"]
    assert caller.note("stream-ended")["how"] == "gone"
    caller.is_gone()
    caller.does_not_get_the_update()
    caller.lex_says("Which day?")
    assert caller.steps() == []


# -- the end (contract 11)


@pytest.mark.parametrize(("end", "how"), [(Caller.hangs_up, "stopped"), (Caller.is_cut_off, "lost")])
def test_the_end_of_the_stream_cancels_what_is_in_flight(end, how):
    caller = a_caller_lex_thinks_about()
    caller.says_something()
    end(caller)
    assert caller.steps() == ["CancelUtterance 1"]
    assert [note.fields["turn"] for note in caller.notes if note.event == "utterance-dropped"] == [1, 2]
    assert caller.note("stream-ended") == {
        "how": how,
        "turns": 2,
        "media_ms": 3400,
        "late_messages": 0,
        "filled_ms": 0,
        "silent_ms": 0,
        "odd_messages": 0,
    }
    assert caller.session.state is CallState.ENDED


def test_an_utterance_that_the_hang_up_cuts_off_is_not_sent_to_its_end():
    """Lex would take half a sentence for an answer, and a call that resumes would go on from there."""
    caller = a_caller()
    caller.speaks(500)
    caller.hangs_up()
    assert caller.steps() == ["OpenUtterance 1", "CancelUtterance 1"]


def test_whatever_comes_after_the_end_is_dropped():
    caller = a_caller_lex_thinks_about()
    caller.hangs_up()
    seen = len(caller.actions)
    caller.says_something()
    caller.sends(start_text())
    caller.hangs_up()
    caller.is_cut_off()
    caller.lex_says("Which day?")
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.actions[seen:] == []


@pytest.mark.parametrize("end", [Caller.hangs_up, Caller.is_cut_off])
def test_a_socket_may_end_before_its_stream_starts(end):
    caller = Caller()
    end(caller)
    assert caller.session.state is CallState.ENDED
    assert caller.note("stream-ended")["turns"] == 0


# -- what else may come on the socket


def test_media_before_start_is_refused():
    with pytest.raises(MediaStreamError, match=r"^media came before start$"):
        Caller().speaks(20)


def test_a_second_start_is_refused():
    caller = a_caller()
    with pytest.raises(MediaStreamError, match=r"^start came twice$"):
        caller.dials()


def test_what_is_no_message_is_refused():
    with pytest.raises(MediaStreamError, match=r"^the message is not JSON$"):
        a_caller().sends("hello")


def test_messages_of_other_streams_than_ours_change_nothing():
    caller = a_caller()
    seen = len(caller.actions)
    caller.sends(json.dumps({"event": "mark", "streamSid": STREAM_SID, "mark": {"name": "a"}}))
    caller.sends(json.dumps({"event": "dtmf", "streamSid": STREAM_SID, "dtmf": {"digit": "1"}}))
    caller.sends(media_text(0, b"\x00" * 8000, track="outbound"))
    assert caller.actions[seen:] == []


def test_an_event_that_is_new_is_noted_without_what_it_says():
    caller = a_caller()
    caller.sends('{"event": "secret-event"}')
    assert caller.note("unknown-event") == {}


# -- notes


def test_a_note_tells_how_loud_voice_and_line_are():
    caller = a_caller()
    caller.is_silent(1000)
    caller.speaks(2000)
    caller.is_silent(700)
    assert caller.note("utterance-ended") == {
        "turn": 1,
        "started_ms": 1000,
        "ended_ms": 3700,
        "silent_ms": 700,
        "reason": "hangover",
        "voice_dbfs": -12.3,
        "line_dbfs": -96.0,
    }


def test_a_note_tells_how_a_turn_was_answered():
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Which day?", intent="OrderFlowers", slot_to_elicit="PickupDate")
    assert caller.note("turn-answered") == {
        "turn": 1,
        "dialog_state": "ElicitSlot",
        "intent": "OrderFlowers",
        "slot_to_elicit": "PickupDate",
        "messages": 1,
    }


def test_no_note_holds_a_word_that_was_spoken_a_number_or_a_parameter():
    caller = a_caller(
        {"lexbridge:caller-number": "+15005550006", "pin": "hush"}, TRANSFER_NUMBERS=NUMBER, NO_INPUT_LIMIT="1"
    )
    words = {"transcript": "hush hush", "intent": "Help"}
    for asked in ({}, {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: "+15005550006"}):
        caller.says_something()
        caller.lex_says("hush " * 2000, dialog_state=FULFILLED, session_attributes={"pin": "hush", **asked}, **words)
    caller.sends('{"event": "hush"}')
    caller.says_something()
    caller.lex_fails(LexUnavailable("hush"))
    caller.is_silent(15_000)
    for _ in range(6):
        caller.says_something()
    asked = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("hush", turn=4, dialog_state=FULFILLED, session_attributes=asked, **words)
    caller.hangs_up()
    assert {note.event for note in caller.notes} == {
        "stream-started",
        "utterance-ended",
        "turn-answered",
        "reply-cut",
        "transfer-refused",
        "unknown-event",
        "turn-failed",
        "no-input",
        "utterance-dropped",
        "transferred",
        "stream-ended",
    }
    told = json.dumps([(note.level, note.event, dict(note.fields)) for note in caller.notes])
    assert not [secret for secret in ("hush", "5550006", "5550100", CALL_SID) if secret in told]


def test_no_action_shows_words_audio_or_documents_when_it_is_printed():
    caller = a_caller({"pin": "hush"})
    caller.says_something()
    caller.lex_says("hush")
    shown = repr([action for action in caller.actions if not isinstance(action, Note)])
    assert "hush" not in shown
    assert "\\x" not in shown


# -- the tables

BYE = {"dialog_state": FULFILLED, "intent": "GoodbyeIntent"}


def says_bye_over_the_next_words(caller, pause_ms):
    caller.speaks(500)
    caller.is_silent(pause_ms)
    caller.lex_says(**BYE)


def is_handed_over(caller):
    caller.session.next_stream, caller.session.is_leaving = NEXT, True
    caller.says_something()
    caller.lex_says("Which day?")


# To each row of the two tables a story that makes its move.
TOLD = {
    (CallState.CONNECTING, CallMove.STARTED): Caller.dials,
    (CallState.CONNECTING, CallMove.OVER): Caller.hangs_up,
    (CallState.LIVE, CallMove.LAST_WORDS): lambda caller: (caller.says_something(), caller.lex_says(**BYE)),
    (CallState.CONNECTING, CallMove.RESUMED): lambda caller: caller.dials({RESUMED_PARAMETER: LOST}),
    (CallState.RESUMING, CallMove.RECALLED): Caller.lex_recalls,
    (CallState.RESUMING, CallMove.OVER): Caller.hangs_up,
    (CallState.LIVE, CallMove.HANDED_OVER): lambda caller: is_handed_over(caller),
    (CallState.LEAVING, CallMove.NOT_CARRIED_OUT): lambda caller: (
        is_handed_over(caller),
        caller.does_not_get_the_update(),
    ),
    (CallState.LEAVING, CallMove.OVER): lambda caller: (is_handed_over(caller), caller.hangs_up()),
    (CallState.LIVE, CallMove.OVER): Caller.hangs_up,
    (CallState.CLOSING, CallMove.NOT_CARRIED_OUT): lambda caller: (
        caller.says_something(),
        caller.lex_says(**BYE),
        caller.does_not_get_the_update(),
    ),
    (CallState.CLOSING, CallMove.OVER): lambda caller: (
        caller.says_something(),
        caller.lex_says(**BYE),
        caller.hangs_up(),
    ),
    (TurnState.HEARING, TurnMove.SPEECH_ENDED): Caller.says_something,
    (TurnState.HEARING, TurnMove.REPLIED): lambda caller: (caller.speaks(500), caller.lex_says()),
    (TurnState.HEARING, TurnMove.LEX_FAILED): lambda caller: (
        caller.speaks(500),
        caller.lex_fails(LexUnavailable("no answer")),
    ),
    (TurnState.HEARING, TurnMove.DROPPED): lambda caller: (caller.speaks(500), caller.hangs_up()),
    (TurnState.RECOGNIZING, TurnMove.REPLIED): lambda caller: (caller.says_something(), caller.lex_says()),
    (TurnState.RECOGNIZING, TurnMove.LEX_FAILED): lambda caller: (
        caller.says_something(),
        caller.lex_fails(LexUnavailable("no answer")),
    ),
    (TurnState.RECOGNIZING, TurnMove.DROPPED): lambda caller: (caller.says_something(), caller.hangs_up()),
    (TurnState.HELD, TurnMove.SPEECH_ENDED): lambda caller: (caller.says_something(), caller.says_something()),
    (TurnState.HELD, TurnMove.LEX_FREE): lambda caller: (
        caller.says_something(),
        caller.speaks(500),
        caller.lex_says(),
    ),
    (TurnState.HELD, TurnMove.DROPPED): lambda caller: (
        caller.says_something(),
        says_bye_over_the_next_words(caller, pause_ms=0),
    ),
    (TurnState.WAITING, TurnMove.LEX_FREE): lambda caller: (
        caller.says_something(),
        caller.says_something(),
        caller.lex_says(),
    ),
    (TurnState.WAITING, TurnMove.GOES_ON): lambda caller: (
        [caller.says_something() for _ in range(2)],
        caller.speaks(500),
    ),
    (TurnState.HEARING, TurnMove.NOT_JOINED): lambda caller: (
        caller.says_something(),
        caller.speaks(500),
        caller.lex_says(),
        caller.lex_fails(NotPutBack("not tried")),
    ),
    (TurnState.RECOGNIZING, TurnMove.NOT_JOINED): lambda caller: (
        [caller.says_something() for _ in range(2)],
        caller.lex_says(turn=1),
        caller.lex_fails(NotPutBack("not tried")),
    ),
    (TurnState.WAITING, TurnMove.DROPPED): lambda caller: (
        caller.says_something(),
        says_bye_over_the_next_words(caller, pause_ms=700),
    ),
}


def test_each_row_of_the_tables_has_a_story():
    assert set(TOLD) == {*CALL_MOVES, *TURN_MOVES}


@pytest.mark.parametrize(("state", "move"), TOLD)
def test_each_move_of_the_tables_happens_on_the_phone(monkeypatch, state, move):
    made = []
    for machine in ("context", "turns"):
        watched = lambda table, *row: made.append(row) or moved(table, *row)  # noqa: E731
        monkeypatch.setattr(f"lexbridge.call.{machine}.moved", watched)
    caller = Caller(JOIN="on" if move in (TurnMove.GOES_ON, TurnMove.NOT_JOINED) else "off")
    if state is not CallState.CONNECTING:
        caller.dials({RESUMED_PARAMETER: LOST} if state is CallState.RESUMING else None)
    TOLD[state, move](caller)
    assert (state, move) in made


@pytest.mark.parametrize("table", [CALL_MOVES, TURN_MOVES], ids=["call", "turn"])
def test_a_move_that_is_not_in_the_table_is_a_bug_and_says_so(table):
    states, moves = {type(state) for state, _ in table}.pop(), {type(move) for _, move in table}.pop()
    for state in states:
        for move in moves:
            if (state, move) in table:
                assert moved(table, state, move) is table[state, move]
                continue
            with pytest.raises(CallStateError) as raised:
                moved(table, state, move)
            assert str(raised.value) == f"'{move.value}' cannot happen while {state.value}"


def test_nothing_leads_out_of_the_last_states():
    last = {CallState.ENDED, TurnState.ANSWERED, TurnState.FAILED, TurnState.DROPPED}
    assert not [state for state, _ in (*CALL_MOVES, *TURN_MOVES) if state in last]
    assert {*CALL_MOVES.values(), *TURN_MOVES.values()} >= last


def test_a_call_that_is_not_live_has_no_stream_to_speak_over_and_says_so():
    settings = make_settings()
    documents = Documents(settings.url, settings.stream_url, hold_s=60)
    call = Call(settings.call_rules, documents, Endpointer(AmplitudeDetector(500), EndpointingRules()))
    with pytest.raises(CallStateError, match=r"^the call is connecting: there is nobody to answer$"):
        call.update(documents.goodbye([]))


# -- what was asked for


CONFIRM, DIGITS = DialogState.CONFIRM_INTENT, {"slot_to_elicit": "AccountNumber"}


@pytest.fixture
def expected(monkeypatch):
    """What the endpointer was told, in order."""
    told = []
    monkeypatch.setattr(Endpointer, "expect", lambda _, expected, *_times_ms: told.append(expected.value))
    return told


def test_the_endpointer_knows_what_each_answer_asks_for(expected):
    caller = a_caller(SLOT_KINDS="AccountNumber=digits")
    assert expected == []  # after a greeting a sentence is expected, as always
    for reply in (DIGITS, {"dialog_state": CONFIRM}, {}):
        caller.is_silent(5000)
        caller.says_something()
        caller.lex_says("Well?", **reply)
    assert expected == ["digits", "closed", "phrase"]


def test_after_an_apology_a_sentence_is_expected(expected):
    caller = a_caller_lex_thinks_about()
    caller.lex_says("Right?", dialog_state=CONFIRM)
    caller.is_silent(5000)
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert expected == ["closed", "open"]


def test_what_an_earlier_stream_asked_for_is_known_from_the_look_up(expected):
    caller = a_caller({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "1"})
    caller.lex_recalls("Right?", dialog_state=CONFIRM)
    assert expected == ["closed"]
    handed_over = a_caller({RESUMED_PARAMETER: HANDED_OVER}, NO_INPUT_S="5")
    handed_over.is_silent(5000)
    handed_over.lex_recalls("Right?", dialog_state=CONFIRM)
    assert expected == ["closed"] * 2


def test_an_answer_that_is_taken_back_has_asked_for_nothing(expected):
    caller = a_caller(REPLY_MODE="stream", JOIN="on")
    caller.says_something()
    caller.lex_says("Right?", speaks=True, dialog_state=CONFIRM)
    caller.speaks(500)
    assert caller.noted("joined") == 1
    assert expected == ["closed", "open"]


# -- whatever happens

STEPS = st.sampled_from(
    [
        *[lambda caller: caller.says_something()] * 3,
        lambda caller: caller.speaks(40),
        lambda caller: caller.speaks(500),
        lambda caller: caller.speaks(4000),
        lambda caller: caller.is_silent(100),
        lambda caller: caller.is_silent(700),
        lambda caller: caller.is_silent(3000),
        *[lambda caller: caller.asked and caller.lex_says("Which day?")] * 3,
        lambda caller: caller.lex_says("Which day?", turn=1),
        lambda caller: caller.asked and caller.lex_says("Goodbye.", **BYE),
        lambda caller: caller.asked and caller.lex_fails(LexUnavailable("no answer")),
        lambda caller: caller.asked and caller.lex_fails(LexRejected("no such bot")),
        lambda caller: caller.does_not_get_the_update(),
        lambda caller: caller.sends('{"event": "new"}'),
    ]
)
ENDS = st.sampled_from([Caller.hangs_up, Caller.is_cut_off, Caller.is_gone])


@examples(30)
@given(st.lists(STEPS, max_size=25), ENDS)
def test_whatever_happens_requests_to_lex_are_whole_one_at_a_time_and_in_order(steps, end):
    caller = a_caller(NO_INPUT_S="2", MAX_UTTERANCE_MS="4000")
    for step in steps:
        step(caller)
    end(caller)
    at_lex, is_closed, last = None, False, 0
    for action in caller.actions:
        match action:
            case OpenUtterance(turn=turn):
                assert turn > last
                at_lex, is_closed, last = turn, False, turn
            case AppendAudio(turn=turn) | CloseUtterance(turn=turn):
                assert (turn, is_closed) == (at_lex, False)
                is_closed = isinstance(action, CloseUtterance)
            case CancelUtterance(turn=turn):
                assert turn == at_lex
                at_lex = None
            case Note(event="turn-answered" | "turn-failed"):
                at_lex = None
    assert at_lex is None
    assert caller.session.state is CallState.ENDED
    assert caller.actions[-1].event == "stream-ended"


def test_a_reply_has_the_formats_of_lex():
    caller = a_caller_lex_thinks_about()
    messages = (
        Message("<speak>One<break/></speak>", MessageFormat.SSML),
        Message("two", is_unvoiced=True),
    )
    caller.session.lex_replied(1, Reply(DialogState.ELICIT_INTENT, messages))
    caller.is_silent(20)
    assert caller.hears() == ["One", "two", *HOLDS]


def test_an_answer_that_came_after_the_stream_was_left_is_heard_on_the_next_one():
    first = a_caller_lex_thinks_about()
    first.session.next_stream, first.session.is_leaving = NEXT, True
    first.lex_says("Which day?")
    _, parameters = opening_of(first)
    same, newer = a_caller(parameters), a_caller(parameters)
    for caller, answer in ((same, "Which day?"), (newer, "What time?")):
        caller.is_silent(12_000)
        caller.lex_recalls(answer)
    assert same.hears() == ["Sorry, I did not hear anything.", "Which day?", *HOLDS]
    assert newer.hears() == ["What time?", *HOLDS]


@pytest.mark.parametrize(("gathered", "sent"), [("12*3", "3"), ("123", "123"), ("12#4", "12")])
def test_keys_that_twilio_gathered_go_to_the_bot_as_its_first_turn(gathered, sent):
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: gathered, "tier": "gold"})
    assert caller.steps() == ["Recall"]
    caller.lex_recalls("Which number?")
    assert caller.steps() == ["SendKeys 1"]
    (asked,) = caller.asked
    assert (asked.keys, asked.session_attributes) == (sent, None)
    caller.lex_says("Thank you.")
    assert caller.hears() == ["Thank you.", *HOLDS]


@pytest.mark.parametrize("keys", ["1*", ""])
def test_keys_that_were_all_deleted_are_asked_for_again(keys):
    caller = Caller()
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: keys})
    caller.lex_recalls("Which number?")
    assert caller.hears() == ["Which number?", *HOLDS]
    assert caller.asked == []


def test_keys_that_were_all_deleted_do_not_outlast_the_call():
    caller = Caller(MAX_CALL_S="10")
    began = {**BEGAN, AGE_PARAMETER: "20", TURNS_PARAMETER: "0"}
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "#", **began})
    caller.lex_recalls("Which number?")
    assert caller.hears()[-1] == "Hangup"
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_where_nobody_knows_what_was_asked_who_took_back_their_keys_is_waited_for():
    caller = Caller(NO_INPUT_S="5")
    caller.dials({RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "1*"})
    caller.lex_recalls_nothing()
    assert caller.steps() == ["Recall"]
    caller.is_silent(5000)
    assert caller.hears() == ["Sorry, I did not hear anything.", *HOLDS]


# -- how long the bot lets the caller pause and speak (contract 9)


def test_the_bot_says_how_long_silence_pauses_and_utterances_may_be():
    caller = a_caller_lex_thinks_about(NO_INPUT_S="9", HANGOVER_MAX_MS="2000")
    attributes = {
        "x-amz-lex:audio:start-timeout-ms:*:*": "2000",
        "x-amz-lex:audio:end-timeout-ms:*:*": "300",
        "x-amz-lex:audio:max-length-ms:*:*": "4000",
    }
    caller.lex_says("Yes?", dialog_state=DialogState.ELICIT_INTENT, session_attributes=attributes)
    caller.steps()
    caller.is_silent(4 * SPEAKING_MS_PER_CHARACTER + 2000)
    assert caller.steps() == ["UpdateCall"]
    assert caller.note("no-input")["times"] == 1
    caller.speaks(1000)
    caller.is_silent(280)
    assert caller.steps() == ["OpenUtterance 2"]
    caller.is_silent(20)
    assert caller.steps() == ["CloseUtterance 2"]
    caller.lex_says("Yes?", dialog_state=DialogState.ELICIT_INTENT, session_attributes=attributes)
    caller.is_silent(1000)
    caller.speaks(5000)
    assert len(caller.sent_to_lex(3)) == 4000 * 16


def test_a_time_that_the_bot_may_not_have_is_noted_once():
    caller = a_caller_lex_thinks_about()
    attributes = {"x-amz-lex:audio:max-length-ms:*:*": "15000"}
    for _ in range(2):
        caller.lex_says("Yes?", session_attributes=attributes)
        caller.says_something()
    assert caller.note("directives-limited") == {"attributes": ["x-amz-lex:audio:max-length-ms:*:*"]}


# -- no media, and odd messages


def test_before_the_stream_starts_and_after_its_end_there_is_no_silence():
    caller = Caller()
    caller.passes_without_media(1000)
    assert caller.session.media_ms == 0
    caller.dials()
    caller.hangs_up()
    caller.passes_without_media(1000)
    assert caller.session.media_ms == 0


def test_an_utterance_ends_although_no_media_follows_it():
    caller = a_caller()
    caller.speaks(1000)
    caller.passes_without_media(680)
    assert caller.steps() == ["OpenUtterance 1"]
    caller.passes_without_media(20)
    assert caller.steps() == ["CloseUtterance 1"]
    assert caller.sent_to_lex(1) == decode_mulaw(caller.said) + bytes(16 * 700)


def test_the_same_silence_is_heard_once_whatever_the_timestamps_say_later():
    caller = a_caller()
    caller.speaks(1000)
    caller.passes_without_media(400)
    caller.sends(media_text(1440, tone(20)))
    caller.passes_without_media(700)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    assert len(caller.sent_to_lex(1)) == 16 * (1000 + 440 + 20 + 700)


def test_who_sends_no_media_is_asked_again_and_at_last_the_call_ends_politely():
    caller = a_caller(GREETING="Hi.", NO_INPUT_S="10", NO_INPUT_LIMIT="1")
    caller.passes_without_media(10_500)
    assert caller.steps() == ["UpdateCall"]
    caller.passes_without_media(13_000)
    assert caller.steps() == ["UpdateCall"]
    assert [note.fields["ends_call"] for note in caller.notes if note.event == "no-input"] == [False, True]
    caller.hangs_up()
    assert caller.note("stream-ended")["silent_ms"] == 23_500


@pytest.mark.parametrize("mode", ["call-update", "stream"])
@pytest.mark.parametrize("jump_ms", [5000, 59_000, 61_000, 600_000, -3000, -10_000])
def test_a_timestamp_that_jumps_is_no_silence_of_the_callers_and_no_end(jump_ms, mode):
    caller = a_caller(REPLY_MODE=mode, GREETING="Hi.", NO_INPUT_S="3", NO_INPUT_LIMIT="0")
    caller.is_silent(2500)
    for at_ms in range(0, 400, 20):
        caller.sends(media_text(2500 + jump_ms + at_ms, tone(20)))
    for at_ms in range(400, 1200, 20):
        caller.sends(media_text(2500 + jump_ms + at_ms, b"\xff" * 160))
    assert caller.steps()[:2] == ["OpenUtterance 1", "CloseUtterance 1"]
    assert not [note for note in caller.notes if note.event == "no-input"]


def test_odd_messages_are_dropped_counted_and_noted_once_each():
    caller = a_caller()
    for text in ('{"event": "dtmf"}', '{"event": "dtmf", "dtmf": {"digit": "w"}}', '{"event": 7}', '{"event": "mark"}'):
        caller.sends(text)
    assert [note.fields["why"] for note in caller.notes if note.event == "odd-message"] == [
        "dtmf.digit is not a key",
        "event is not a text",
        "mark.name is not a text",
    ]
    caller.says_something()
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.hangs_up()
    assert caller.note("stream-ended")["odd_messages"] == 4


# -- a call that has lasted long enough

LIMIT = "We have to end this call now. Goodbye."
BEGAN = {BEGAN_PARAMETER: "1795846066"}


def test_after_the_last_turn_that_a_call_may_have_the_answer_is_heard_and_then_a_goodbye():
    caller = a_caller(MAX_TURNS="2")
    caller.says_something()
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.says_something()
    caller.lex_says("word " * 800)
    *answer, limit, hangup = caller.hears()
    assert (answer[0][:9], limit, hangup) == ("word word", LIMIT, "Hangup")  # however long the answer is
    assert caller.session.state is CallState.CLOSING
    assert caller.note("call-limit") == {"setting": "MAX_TURNS", "turns": 2}


def test_turns_that_were_not_answered_do_not_count_but_one_that_failed_may_be_the_last():
    caller = a_caller(MAX_TURNS="1", MAX_CALL_S="10")
    caller.says_something()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", *HOLDS]
    caller.is_silent(5000)
    caller.says_something()
    caller.is_silent(3000)
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == ["Sorry, I did not get that. Please say it again.", LIMIT, "Hangup"]
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_the_welcome_is_no_turn_of_the_callers():
    caller = a_caller(MAX_TURNS="1", WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.lex_says("Welcome!")
    assert caller.hears() == ["Welcome!", *HOLDS]


def test_an_answer_that_ends_the_call_says_so_itself():
    caller = a_caller(MAX_TURNS="1", TRANSFER_NUMBERS=NUMBER)
    caller.says_something()
    attributes = {ACTION_ATTRIBUTE: "transfer", TRANSFER_TO_ATTRIBUTE: NUMBER}
    caller.lex_says("To a person.", dialog_state=FULFILLED, session_attributes=attributes)
    assert caller.hears()[1:3] == ["To a person.", "Dial"]


def test_a_call_may_last_so_long_and_no_longer():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", GREETING="Hello.")
    caller.is_silent(9980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == [LIMIT, "Hangup"]
    assert caller.note("call-limit") == {"setting": "MAX_CALL_S", "turns": 0}


def test_nobody_is_cut_off_who_speaks_or_waits_for_lex_or_is_spoken_to():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", GREETING="Hello.")
    caller.is_silent(9000)
    caller.speaks(2000)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 1", "CloseUtterance 1"]
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", LIMIT, "Hangup"]
    spoken_to = a_caller_lex_thinks_about(MAX_CALL_S="10", NO_INPUT_S="60")
    spoken_to.lex_says("word " * 30)
    spoken_to.is_silent(len("word " * 30) * SPEAKING_MS_PER_CHARACTER - 100)
    assert spoken_to.noted("call-limit") == 0
    spoken_to.is_silent(200)
    assert spoken_to.noted("call-limit") == 1


def test_who_has_gone_on_speaking_is_heard_but_not_for_ever():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="60", FILLER_S="60")
    caller.is_silent(9000)
    caller.says_something()
    caller.speaks(1000)
    caller.lex_says("Which day?", turn=1)
    assert caller.hears() == ["Which day?", *HOLDS]
    caller.is_silent(60_000 - 3700)
    caller.speaks(1000)
    caller.is_silent(700)
    caller.speaks(500)
    caller.lex_says("Well?", turn=2)
    assert caller.hears() == ["Well?", LIMIT, "Hangup"]
    assert caller.noted("utterance-dropped") == 2


def test_who_may_be_keying_is_waited_for():
    caller = a_caller_asked_for_keys(MAX_CALL_S="10")
    caller.is_silent(12_000)
    assert caller.noted("call-limit") == 0


def test_a_goodbye_that_twilio_does_not_carry_out_is_said_after_the_next_silence():
    caller = a_caller(MAX_CALL_S="10", NO_INPUT_S="5", NO_INPUT_LIMIT="20")
    caller.is_silent(11_000)
    caller.does_not_get_the_update()
    caller.steps()
    caller.is_silent(4980)
    assert caller.steps() == []
    caller.is_silent(20)
    assert caller.hears() == ["Sorry, I did not hear anything.", LIMIT, "Hangup"]


def test_a_stream_that_goes_on_with_a_call_counts_on():
    caller = a_caller(
        {**BEGAN, AGE_PARAMETER: "0", TURNS_PARAMETER: "0"}, MAX_TURNS="2", MAX_CALL_S="30", NO_INPUT_S="60"
    )
    caller.is_silent(10_000)
    caller.says_something()
    caller.session.is_leaving, caller.session.next_stream = True, NEXT_STREAM
    caller.lex_says("Which day?")
    (start,) = [verb for verb in verbs_of(caller.document()) if verb.tagName == "Start"]
    told = {node.getAttribute("name"): node.getAttribute("value") for node in start.getElementsByTagName("Parameter")}
    assert [told[name] for name in (BEGAN_PARAMETER, AGE_PARAMETER, TURNS_PARAMETER)] == ["1795846066", "12", "1"]
    assert "stream-status?began=1795846066&amp;turns=1#" in caller.document()
    assert "&amp;began=1795846066&amp;turns=1#" in caller.document()
    following = a_caller(told, MAX_TURNS="2", MAX_CALL_S="30", NO_INPUT_S="60")
    following.is_silent(17_980)
    assert following.noted("call-limit") == 0
    following.is_silent(20)
    assert following.hears() == [LIMIT, "Hangup"]
    keyed = a_caller({**told, RESUMED_PARAMETER: KEYED, KEYS_PARAMETER: "12"}, MAX_TURNS="2")
    keyed.lex_recalls("Which day?")
    keyed.lex_says("Thank you.")
    assert keyed.hears() == ["Thank you.", LIMIT, "Hangup"]
    assert set(keyed.asked[0].session_attributes or {}) <= {CALL_SID_ATTRIBUTE}


def test_a_stream_that_takes_over_waits_as_long_as_the_bot_has_the_caller_waited_for():
    caller = a_caller_lex_thinks_about()
    caller.session.next_stream = NEXT_STREAM
    caller.session.is_leaving = True
    caller.lex_says("Which day?", session_attributes={NO_INPUT_S_ATTRIBUTE: "4"})
    _, handed = opening_of(caller)
    assert handed["lexbridge:no-input-ms"] == "4000"
    next_one = a_caller({**handed, SPOKEN_PARAMETER: "1000"})
    next_one.is_silent(4980)
    assert next_one.steps() == []
    next_one.is_silent(20)
    assert [note.event for note in next_one.notes][-1] == "no-input"
