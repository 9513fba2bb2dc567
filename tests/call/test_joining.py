"""Two pieces of what a caller says, joined: stories of both modes, with a pause in the middle of a sentence."""

import pytest

from lexbridge.audio.pcm import decode_mulaw
from lexbridge.call.actions import OpenUtterance
from lexbridge.call.context import CallState
from lexbridge.call.directives import ALLOW_INTERRUPT_ATTRIBUTE, CALL_SID_ATTRIBUTE, NO_INPUT_S_ATTRIBUTE
from lexbridge.call.stream_parameters import HANDED_OVER, LOST, RESUMED_PARAMETER
from lexbridge.errors import LexRejected, LexUnavailable, NotPutBack
from lexbridge.lex.model import NO_DIALOG, DialogState
from tests.support.story import CALL_SID, Caller, tone

HOLDS = ["Pause", "Redirect"]
SAY_AGAIN = "Sorry, I did not get that. Please say it again."
FIRST, SECOND = {"after": "the first answer"}, {"after": "the second answer"}
NOT_PUT_BACK = NotPutBack("Lex answered 403 AccessDeniedException")
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])


def a_caller(mode="call-update", parameters=None, **variables):
    caller = Caller(**{"REPLY_MODE": mode, "JOIN": "on", "BARGE_IN": "on", "GREETING": "Hello.", **variables})
    caller.dials(parameters)
    caller.is_silent(1000)
    return caller


def says_the_first_half(caller, ms=1000):
    caller.speaks(ms)
    caller.is_silent(700)


def a_caller_in_a_pause(mode="call-update", pause_ms=200, parameters=None, **variables):
    """A caller whose first half is at Lex, and who begins the second."""
    caller = a_caller(mode, parameters, **variables)
    says_the_first_half(caller)
    caller.is_silent(pause_ms)
    caller.speaks(500)
    caller.steps()
    return caller


def opened(caller, turn):
    """The newest request of `turn`."""
    return [action for action in caller.actions if isinstance(action, OpenUtterance) and action.turn == turn][-1]


def said(caller, from_ms):
    """All that was said since then, as Lex gets it."""
    return decode_mulaw(caller.said[8 * from_ms :])


# -- both modes


@MODES
def test_two_pieces_are_one_request_after_the_session_was_put_back(mode):
    caller = a_caller_in_a_pause(mode)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, {CALL_SID_ATTRIBUTE: CALL_SID}, NO_DIALOG)
    caller.speaks(300)  # live
    assert caller.sent_to_lex(2) == said(caller, 500)  # from the pre-roll of the first on, nothing twice or missing
    caller.is_silent(700)
    assert caller.steps() == ["CloseUtterance 2"]
    assert caller.note("joined") == {"turn": 2, "with_turn": 1}
    caller.lex_says_aloud("Which day?", ms=400)
    assert caller.gets() == ([400, "turn-2.1:end"] if mode == "stream" else [])
    if mode == "call-update":
        assert caller.hears() == ["Which day?", *HOLDS]
        assert caller.steps() == ["UpdateCall", "CancelUtterance 2"]


@MODES
def test_pieces_that_are_both_spoken_when_lex_answers_are_joined_too(mode):
    caller = a_caller_in_a_pause(mode)
    caller.is_silent(700)
    caller.lex_says("What would you like?")
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(2) == said(caller, 500)


@MODES
def test_the_session_is_put_back_to_the_answer_before(mode):
    caller = a_caller(mode, NO_INPUT_S="60")
    says_the_first_half(caller)
    caller.lex_says_aloud("Which flowers?", checkpoint=FIRST)
    caller.is_silent(10_000)
    for _ in range(2):
        says_the_first_half(caller)
        caller.is_silent(100)
    caller.lex_says("Which day?", turn=2, checkpoint=SECOND)
    assert opened(caller, 3).checkpoint == FIRST
    assert opened(caller, 3).session_attributes is None
    caller.lex_says_aloud("What time?", turn=3)
    assert caller.noted("joined") == 1


@MODES
def test_three_pieces_are_joined_as_they_come(mode):
    caller = a_caller_in_a_pause(mode)
    caller.is_silent(700)
    caller.lex_says("What would you like?")
    caller.is_silent(200)
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    caller.lex_says("Which roses?", turn=2, checkpoint=FIRST)
    assert opened(caller, 3).checkpoint == NO_DIALOG
    caller.is_silent(700)
    assert caller.sent_to_lex(3) == said(caller, 500)
    assert [caller.notes[at].fields["turn"] for at, note in enumerate(caller.notes) if note.event == "joined"] == [2, 3]


@MODES
def test_three_pieces_are_joined_where_two_of_them_wait(mode):
    caller = a_caller_in_a_pause(mode)
    caller.is_silent(900)
    caller.speaks(500)
    assert caller.note("goes-on") == {"turn": 2}
    caller.lex_says("What would you like?", turn=1)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert caller.sent_to_lex(2) == said(caller, 500)


def test_what_waits_for_an_answer_that_cannot_be_taken_back_is_joined_all_the_same():
    caller = a_caller_in_a_pause()
    caller.is_silent(900)
    caller.speaks(500)
    caller.lex_says("Done.", turn=1, dialog_state=DialogState.FULFILLED)
    caller.is_silent(700)
    assert caller.hears() == ["Done.", *HOLDS]
    assert caller.steps() == ["UpdateCall", "OpenUtterance 2", "CloseUtterance 2"]
    assert opened(caller, 2).checkpoint is None
    assert caller.sent_to_lex(2) == said(caller, 2700)


@MODES
def test_it_is_off_unless_asked_for(mode):
    caller = a_caller_in_a_pause(mode, JOIN="off")
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None
    assert caller.sent_to_lex(2) == said(caller, 2700)
    assert (caller.noted("joined"), caller.noted("join-refused")) == (0, 0)


@MODES
@pytest.mark.parametrize(
    "state",
    [DialogState.FULFILLED, DialogState.FAILED, DialogState.READY_FOR_FULFILLMENT],
    ids=lambda state: state.value,
)
def test_what_may_have_been_carried_out_stands(mode, state):
    caller = a_caller_in_a_pause(mode)
    caller.lex_says("Your roses are ordered.", dialog_state=state)
    caller.is_silent(700)
    assert caller.note("join-refused") == {"turn": 2, "why": "the dialog is closed"}
    assert opened(caller, 2).checkpoint is None
    assert caller.sent_to_lex(2) == said(caller, 2700)
    if mode == "call-update":
        assert caller.hears() == ["Your roses are ordered.", *HOLDS]


@MODES
def test_a_goodbye_ends_the_call_whatever_is_said_over_it(mode):
    caller = a_caller_in_a_pause(mode)
    caller.lex_says("Goodbye.", dialog_state=DialogState.FULFILLED, intent="GoodbyeIntent")
    assert caller.session.state is CallState.CLOSING
    assert len(caller.asked) == 1


@pytest.mark.parametrize("how", [LOST, HANDED_OVER])
def test_where_the_dialog_stood_before_this_stream_is_not_known(how):
    caller = a_caller(parameters={RESUMED_PARAMETER: how}, NO_INPUT_S="60")
    caller.lex_recalls_nothing()
    caller.is_silent(5000)
    says_the_first_half(caller)
    caller.speaks(500)
    caller.lex_says("Which day?", checkpoint=FIRST)
    assert caller.note("join-refused") == {"turn": 2, "why": "where the dialog stood is not known"}


@pytest.mark.parametrize(("mode", "how"), [("call-update", LOST), ("stream", HANDED_OVER)])
def test_where_it_stood_is_known_from_a_look_up(mode, how):
    caller = a_caller(mode, {RESUMED_PARAMETER: how}, NO_INPUT_S="60")
    caller.lex_recalls("Which flowers?", checkpoint=FIRST)
    caller.is_silent(10_000)
    says_the_first_half(caller)
    caller.speaks(500)
    caller.lex_says("Which day?", checkpoint=SECOND)
    assert opened(caller, 2).checkpoint == FIRST


# -- the session is not put back


def test_if_the_session_is_not_put_back_the_first_answer_holds_and_the_rest_is_a_turn():
    caller = a_caller_in_a_pause()
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.speaks(300)
    caller.lex_fails(NOT_PUT_BACK)
    assert caller.hears() == ["What would you like?", *HOLDS]
    assert caller.steps() == ["OpenUtterance 2", "UpdateCall", "OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, None)
    caller.is_silent(700)
    assert caller.sent_to_lex(2).endswith(said(caller, 2700))
    assert caller.note("join-refused") == {"turn": 2, "why": "Lex's session cannot be put back"}
    caller.lex_says("Which day?", turn=2)
    assert caller.hears() == ["Which day?", *HOLDS]


def test_so_it_is_if_the_rest_is_spoken_to_its_end():
    caller = a_caller_in_a_pause()
    caller.is_silent(700)
    caller.lex_says("What would you like?")
    caller.lex_fails(NOT_PUT_BACK)
    assert caller.steps() == [
        *["OpenUtterance 2", "CloseUtterance 2"],
        "UpdateCall",
        *["OpenUtterance 2", "CloseUtterance 2"],
    ]


def test_in_stream_mode_the_first_answer_is_heard_in_lexs_voice():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?", speaks=True, session_attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"})
    caller.lex_speaks(tone(300), 1)
    caller.speaks(300)
    assert caller.gets() == []
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert caller.gets() == [300]  # it may not be interrupted, so it does not wait
    caller.lex_speaks(tone(100), 1)
    caller.lex_has_spoken(1)
    assert caller.gets() == [100, "turn-1.1:end"]


def test_in_stream_mode_a_first_answer_without_a_voice_is_left_out_or_said_by_twilio():
    caller = a_caller_in_a_pause("stream")
    caller.is_silent(700)
    caller.lex_says("What would you like?", speaks=True)
    caller.lex_loses_its_voice(1)
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert caller.noted("words-left-out") == 1  # the second piece is under way


def test_in_stream_mode_a_first_answer_without_a_word_is_followed_by_a_word_of_ours():
    say_again = "Sorry, I did not get that. Please say it again."
    caller = a_caller_in_a_pause("stream")
    caller.is_silent(700)
    caller.lex_says(speaks=True, session_attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"})
    caller.lex_has_spoken(1)
    assert caller.gets() == []
    caller.session._mode._voiced[say_again] = tone(300)
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert caller.gets() == [300, "turn-1.1:end"]


def test_a_refusal_that_comes_when_the_turn_is_over_changes_nothing():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?")
    caller.presses("1")
    seen = len(caller.actions)
    caller.lex_fails(NOT_PUT_BACK, 2)
    caller.lex_fails(NOT_PUT_BACK, 1)
    assert caller.actions[seen:] == []


def test_a_piece_that_follows_is_joined_with_the_one_that_was_not():
    caller = a_caller_in_a_pause()
    caller.is_silent(700)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert opened(caller, 2).checkpoint is None
    caller.lex_says("Which day?", turn=2, checkpoint=SECOND)
    assert opened(caller, 3).checkpoint == FIRST
    assert caller.sent_to_lex(3) == said(caller, 2700)


# -- Lex fails


def test_a_first_piece_that_lex_fails_is_sent_again_with_the_second():
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2).checkpoint == NO_DIALOG  # Lex may have taken it all the same
    assert caller.noted("turn-failed") == 0
    caller.is_silent(700)
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]


def test_if_the_session_cannot_be_put_back_then_the_caller_hears_an_apology_for_the_first():
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.lex_fails(NOT_PUT_BACK)
    assert caller.hears() == [SAY_AGAIN, *HOLDS]
    assert caller.note("turn-failed")["turn"] == 1
    assert caller.steps() == ["OpenUtterance 2", "UpdateCall", "OpenUtterance 2"]


def test_a_bot_that_refuses_ends_the_call_whoever_goes_on():
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.session.state is CallState.CLOSING
    assert len(caller.asked) == 1


@MODES
def test_who_has_waited_for_half_of_the_time_hears_what_became_of_the_first_piece(mode):
    caller = a_caller_in_a_pause(mode, LEX_TIMEOUT_S="4", FILLER_S="60")
    caller.is_silent(700 + 2020)
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.note("join-refused") == {"turn": 2, "why": "the caller has waited for long"}
    assert caller.noted("turn-failed") == 1
    assert opened(caller, 2).checkpoint is None


def test_what_they_have_waited_is_less_time_for_the_whole():
    caller = a_caller_in_a_pause()
    caller.is_silent(700 + 2000)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).waited_ms == 2000
    caller.lex_fails(NOT_PUT_BACK)
    assert opened(caller, 2).waited_ms == 0


def test_the_whole_that_lex_fails_is_asked_for_again_once():
    caller = a_caller_in_a_pause()
    caller.is_silent(700)
    caller.lex_says("What would you like?")
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.hears() == [SAY_AGAIN, *HOLDS]
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2", "UpdateCall"]
    caller.is_silent(4000)
    caller.says_something()
    assert opened(caller, 3).session_attributes == {CALL_SID_ATTRIBUTE: CALL_SID}  # Lex has them no more


# -- how long the whole may be


def test_a_whole_that_is_too_long_is_two_turns():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.speaks(1400)
    assert caller.note("join-refused") == {"turn": 2, "why": "the whole is too long"}
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None


def test_a_third_piece_makes_a_whole_too_long_from_its_first_frame_on():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000", FILLER_S="60")
    caller.is_silent(700 + 600)
    caller.speaks(60)
    assert caller.noted("goes-on") == 1
    caller.lex_says("What would you like?", turn=1)
    assert caller.note("join-refused") == {"turn": 2, "why": "the whole is too long"}
    assert opened(caller, 2).checkpoint is None


def test_a_first_piece_that_leaves_no_room_is_not_waited_for():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller, 2600)  # 3800 ms, with the pre-roll
    caller.is_silent(200)
    caller.speaks(100)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 0


def test_a_first_piece_that_was_cut_by_its_length_is_over():
    caller = a_caller(MAX_UTTERANCE_MS="4000")
    caller.speaks(4000)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).checkpoint is None


def test_a_whole_that_gets_too_long_at_lex_ends_and_what_follows_is_the_next_turn():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.lex_says("What would you like?")
    caller.speaks(1500)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert [note.fields["reason"] for note in caller.notes if note.event == "utterance-ended"] == [
        "hangover",
        "max-length",
        "hangover",
    ]
    caller.lex_says("Which day?", turn=2)
    assert caller.steps() == ["UpdateCall", "OpenUtterance 3", "CloseUtterance 3"]
    assert caller.sent_to_lex(2) + caller.sent_to_lex(3) == said(caller, 500)
    assert len(caller.sent_to_lex(2)) == 16 * 4000


def test_a_whole_whose_last_silence_is_too_long_is_followed_by_nothing():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000")
    caller.lex_says("What would you like?")
    caller.speaks(900)
    caller.is_silent(700)
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]
    assert caller.note("utterance-dropped")["why"] == "nothing is said in it"
    caller.lex_says("Which day?", turn=2)
    assert caller.steps() == ["UpdateCall"]


def test_who_is_answered_within_that_silence_is_asked_again_when_they_say_nothing():
    caller = a_caller_in_a_pause(MAX_UTTERANCE_MS="4000", NO_INPUT_S="10")
    caller.lex_says("What would you like?")
    caller.speaks(900)
    caller.is_silent(500)
    caller.lex_says("Which day?", turn=2)
    caller.is_silent(200)
    assert caller.note("utterance-dropped")["why"] == "nothing is said in it"
    caller.is_silent(10_000)
    assert caller.noted("no-input") == 0  # the prompt was spoken for some of that time
    caller.is_silent(700)
    assert caller.noted("no-input") == 1


# -- what is never joined


def test_keys_are_no_piece_of_anything():
    caller = a_caller("stream")
    caller.presses("1#")
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_says("Which day?", turn=1, checkpoint=FIRST)
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 0


def test_a_welcome_is_no_piece_of_anything():
    caller = a_caller(WELCOME="bot", WELCOME_INTENT="Welcome")
    caller.speaks(500)
    caller.lex_says("Welcome.", turn=1, checkpoint=FIRST)
    assert opened(caller, 2).checkpoint is None


def test_a_key_drops_what_is_being_said_and_the_first_piece_with_it():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST)
    caller.lex_speaks(tone(100), 1)
    caller.presses("1#")
    assert caller.steps() == ["OpenUtterance 2", "CancelUtterance 2", "CancelUtterance 1", "SendKeys 3"]
    assert caller.note("utterance-dropped")["turn"] == 2
    caller.speaks(500)
    caller.lex_says("Which day?", turn=3)
    caller.is_silent(700)
    caller.speaks(500)
    assert caller.gets() == []


def test_a_key_drops_a_piece_that_waits_and_the_first_is_answered():
    caller = a_caller_in_a_pause("stream")
    caller.presses("1#")
    assert caller.steps() == []
    caller.lex_says_aloud("What would you like?", turn=1, ms=400)
    assert caller.steps() == ["SendKeys 3"]


def test_a_key_after_a_joined_utterance_drops_nothing():
    caller = a_caller_in_a_pause("stream")
    caller.is_silent(700)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.presses("1#")
    assert caller.noted("utterance-dropped") == 0
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert caller.noted("join-refused") == 1


# -- an answer that waits unheard (stream mode)


def a_caller_whose_answer_is_on_its_way(**variables):
    caller = a_caller("stream", **variables)
    says_the_first_half(caller)
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST)
    caller.is_silent(100)
    caller.steps()
    return caller


def test_an_answer_of_which_nothing_was_sent_is_dropped_when_the_caller_goes_on():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.speaks(500)
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, {CALL_SID_ATTRIBUTE: CALL_SID}, NO_DIALOG)
    assert caller.sent_to_lex(2) == said(caller, 500)
    caller.lex_speaks(tone(500), 1)
    caller.is_silent(700)
    caller.lex_says_aloud("Which day?", ms=400)
    assert caller.steps() == ["CloseUtterance 2", "CancelUtterance 1"]
    assert caller.gets() == [400, "turn-2.1:end"]


def test_what_it_asked_of_the_call_is_taken_back_until_it_holds_after_all():
    caller = a_caller("stream", NO_INPUT_S="60")
    says_the_first_half(caller)
    attributes = {NO_INPUT_S_ATTRIBUTE: "3"}
    caller.lex_says("What would you like?", speaks=True, checkpoint=FIRST, session_attributes=attributes)
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_fails(LexUnavailable("no answer"), 2)
    caller.does_not_get_the_update()
    caller.is_silent(10_000)
    assert caller.noted("no-input") == 0


def test_it_holds_if_the_session_is_not_put_back():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.speaks(500)
    caller.is_silent(700)
    caller.lex_speaks(tone(400), 1)
    caller.lex_has_spoken(1)
    caller.lex_fails(NOT_PUT_BACK, 2)
    assert caller.gets() == [400, "turn-1.1:end"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, None)


def test_an_answer_that_is_heard_is_interrupted_and_not_taken_back():
    caller = a_caller_whose_answer_is_on_its_way()
    caller.lex_speaks(tone(2000))
    caller.is_silent(1000)
    caller.speaks(500)
    assert caller.noted("barged-in") == 1
    assert opened(caller, 2).checkpoint is None


@pytest.mark.parametrize("state", [DialogState.ELICIT_SLOT, DialogState.FULFILLED])
def test_an_answer_that_cannot_be_taken_back_is_heard_when_the_caller_is_done(state):
    known = state is DialogState.FULFILLED
    caller = a_caller("stream", None if known else {RESUMED_PARAMETER: HANDED_OVER})
    says_the_first_half(caller)
    caller.lex_says("Your roses are ordered.", speaks=True, dialog_state=state)
    caller.speaks(500)
    assert opened(caller, 2).checkpoint is None
    assert caller.noted("join-refused") == 1
    caller.lex_speaks(tone(400), 1)
    caller.is_silent(700)
    assert caller.gets() == [400]


def test_an_answer_is_not_taken_back_for_a_whole_that_is_too_long():
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller, 2600)
    caller.lex_says("What would you like?", speaks=True)
    caller.is_silent(300)
    caller.speaks(100)
    assert opened(caller, 2).checkpoint is None


def test_it_is_not_gone_on_with_after_something_else_was_said():
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller)
    caller.is_silent(100)
    caller.speaks(1900)  # too long for a whole
    caller.lex_says("What would you like?", turn=1, speaks=True, checkpoint=FIRST)
    caller.is_silent(700)
    caller.lex_fails(LexUnavailable("no answer"), 2)
    caller.speaks(300)
    assert opened(caller, 3).checkpoint is None
    assert caller.noted("joined") == 0


def test_a_filler_that_plays_before_it_does_not_count():
    variables = {"REPLY_MODE": "stream", "JOIN": "on", "BARGE_IN": "on", "GREETING": "Hello.", "FILLER_S": "1"}
    caller = Caller({"One moment please.": tone(1200)}, **variables)
    caller.dials()
    caller.is_silent(1000)
    says_the_first_half(caller)
    caller.is_silent(700)
    caller.lex_says_aloud("What would you like?", turn=1, ms=400, checkpoint=FIRST)
    caller.gets()
    caller.speaks(500)
    assert caller.gets() == ["clear"]
    assert opened(caller, 2).checkpoint == NO_DIALOG
    caller.is_silent(700)
    caller.lex_says_aloud("Which day?", turn=2, ms=500)
    assert caller.gets() == [500, "turn-2.1:500", "turn-2.1:end"]


# -- false alarms


def test_a_cough_over_a_prompt_and_the_words_after_it_are_one_utterance():
    caller = a_caller("stream", NO_INPUT_S="60")
    says_the_first_half(caller)
    caller.lex_says_aloud("Which flowers would you like?", ms=3000, checkpoint=FIRST)
    caller.is_silent(1000)
    caller.speaks(320)
    caller.is_silent(800)
    caller.speaks(320)
    caller.gets()
    caller.lex_says("Sorry?", turn=2, transcript="")
    assert caller.noted("false-alarm") == 0
    assert opened(caller, 3).checkpoint == FIRST
    caller.is_silent(700)
    caller.lex_says("Sorry?", turn=3, transcript="")  # it was one
    assert caller.noted("false-alarm") == 1
    assert caller.gets()[0] == 500
    caller.is_silent(3000)
    says_the_first_half(caller)
    caller.speaks(320)
    caller.lex_says("Which day?", turn=4, checkpoint=SECOND)
    assert (
        caller.note("join-refused")["why"] == "where the dialog stood is not known"
    )  # the cough's answer told nothing


def test_a_false_alarm_that_is_too_long_for_one_turn_ends_with_the_silence_after_it():
    caller = a_caller("stream", MAX_UTTERANCE_MS="4000")
    says_the_first_half(caller)
    caller.lex_says_aloud("Which flowers would you like?", ms=3000, checkpoint=FIRST)
    caller.is_silent(1000)
    says_the_first_half(caller)
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_says("Sorry?", turn=2, transcript="", checkpoint=FIRST)
    caller.speaks(900)
    caller.is_silent(500)
    caller.gets()
    caller.lex_says("Sorry?", turn=3, transcript="")
    assert (caller.noted("false-alarm"), caller.gets()) == (1, [])  # they may be saying more
    caller.is_silent(200)
    assert caller.note("utterance-dropped")["turn"] == 4
    assert caller.gets()[0] == 500  # the prompt goes on


# -- a process that leaves, and the end


@MODES
def test_a_call_is_not_handed_over_between_two_pieces(mode):
    caller = a_caller_in_a_pause(mode, FILLER_S="60")
    caller.session.is_leaving = True
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.is_silent(3000)
    assert caller.session.state is CallState.LIVE
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_at_the_end_nothing_is_kept():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?", speaks=True)
    caller.hangs_up()
    assert caller.steps() == ["OpenUtterance 2", "CancelUtterance 2", "CancelUtterance 1"]
