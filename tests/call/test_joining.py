"""Two pieces of what a caller says, joined: stories of both modes, with a pause in the middle of a sentence."""

import pytest

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.call.actions import OpenUtterance
from lexbridge.call.attributes import ALLOW_INTERRUPT_ATTRIBUTE, CALL_SID_ATTRIBUTE
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import HANDED_OVER, LOST, RESUMED_PARAMETER
from lexbridge.errors import LexRejected, LexUnavailable
from lexbridge.lex.model import NO_DIALOG, DialogState
from tests.support.call_update_stories import HOLDS
from tests.support.joining_stories import (
    FIRST,
    MODES,
    NOT_RESTORED,
    SECOND,
    a_caller,
    a_caller_in_a_pause,
    opened,
    said,
    says_the_first_half,
)
from tests.support.phrases import SAY_AGAIN
from tests.support.sounds import tone
from tests.support.twilio_messages import CALL_SID

# -- both modes


@MODES
def test_two_pieces_are_one_request_after_the_restore(mode):
    """Two pieces of an utterance are one request, once Lex's session was restored."""
    caller = a_caller_in_a_pause(mode)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, {CALL_SID_ATTRIBUTE: CALL_SID}, UtteranceAudio(), NO_DIALOG)
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
def test_pieces_both_spoken_before_the_answer_are_joined_too(mode):
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


def test_pieces_that_wait_are_joined_without_a_checkpoint():
    """Pieces that wait for an answer that cannot be taken back are joined with each other all the same."""
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
    caller.lex_tells_no_session()
    caller.is_silent(5000)
    says_the_first_half(caller)
    caller.speaks(500)
    caller.lex_says("Which day?", checkpoint=FIRST)
    assert caller.note("join-refused") == {"turn": 2, "why": "where the dialog stood is not known"}


@pytest.mark.parametrize(("mode", "how"), [("call-update", LOST), ("stream", HANDED_OVER)])
def test_where_it_stood_is_known_from_a_look_up(mode, how):
    caller = a_caller(mode, {RESUMED_PARAMETER: how}, NO_INPUT_S="60")
    caller.lex_tells_session("Which flowers?", checkpoint=FIRST)
    caller.is_silent(10_000)
    says_the_first_half(caller)
    caller.speaks(500)
    caller.lex_says("Which day?", checkpoint=SECOND)
    assert opened(caller, 2).checkpoint == FIRST


# -- the session is not restored


def test_without_a_restore_the_first_answer_holds():
    """The first answer holds if the session is not restored, and the rest of the utterance is a turn."""
    caller = a_caller_in_a_pause()
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.speaks(300)
    caller.lex_fails(NOT_RESTORED)
    assert caller.hears() == ["What would you like?", *HOLDS]
    assert caller.steps() == ["OpenUtterance 2", "UpdateCall", "OpenUtterance 2"]
    assert opened(caller, 2) == OpenUtterance(2, CALL_SID, None, UtteranceAudio())
    caller.is_silent(700)
    assert caller.sent_to_lex(2).endswith(said(caller, 2700))
    assert caller.note("join-refused") == {"turn": 2, "why": "Lex's session cannot be restored"}
    caller.lex_says("Which day?", turn=2)
    assert caller.hears() == ["Which day?", *HOLDS]


def test_so_it_is_if_the_rest_is_spoken_to_its_end():
    caller = a_caller_in_a_pause()
    caller.is_silent(700)
    caller.lex_says("What would you like?")
    caller.lex_fails(NOT_RESTORED)
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
    caller.lex_fails(NOT_RESTORED, 2)
    assert caller.gets() == [300]  # it may not be interrupted, so it does not wait
    caller.lex_speaks(tone(100), 1)
    caller.lex_has_spoken(1)
    assert caller.gets() == [100, "turn-1.1:end"]


def test_a_first_answer_without_a_voice_is_said_or_left_out():
    """A first answer without audio is left out in stream mode, or Twilio says it."""
    caller = a_caller_in_a_pause("stream")
    caller.is_silent(700)
    caller.lex_says("What would you like?", speaks=True)
    caller.lex_loses_its_voice(1)
    caller.lex_fails(NOT_RESTORED, 2)
    assert caller.noted("words-left-out") == 1  # the second piece is under way


def test_a_first_answer_without_words_gets_an_apology():
    """A first answer without words gets a phrase of lexbridge in stream mode."""
    say_again = "Sorry, I did not get that. Please say it again."
    phrase_audio = {}
    caller = a_caller_in_a_pause("stream", phrase_audio=phrase_audio)
    caller.is_silent(700)
    caller.lex_says(speaks=True, session_attributes={ALLOW_INTERRUPT_ATTRIBUTE: "false"})
    caller.lex_has_spoken(1)
    assert caller.gets() == []
    phrase_audio[say_again] = tone(300)
    caller.lex_fails(NOT_RESTORED, 2)
    assert caller.gets() == [300, "turn-1.1:end"]


def test_a_refused_restore_after_the_turn_changes_nothing():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?")
    caller.presses("1")
    seen = len(caller.actions)
    caller.lex_fails(NOT_RESTORED, 2)
    caller.lex_fails(NOT_RESTORED, 1)
    assert caller.actions[seen:] == []


def test_a_third_piece_is_joined_with_the_unjoined_second():
    caller = a_caller_in_a_pause()
    caller.is_silent(700)
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.is_silent(100)
    caller.speaks(500)
    caller.lex_fails(NOT_RESTORED, 2)
    assert opened(caller, 2).checkpoint is None
    caller.lex_says("Which day?", turn=2, checkpoint=SECOND)
    assert opened(caller, 3).checkpoint == FIRST
    assert caller.sent_to_lex(3) == said(caller, 2700)


# -- Lex fails


def test_a_failed_first_piece_is_sent_again_with_the_second():
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.steps() == ["OpenUtterance 2"]
    assert opened(caller, 2).checkpoint == NO_DIALOG  # Lex may have taken it all the same
    assert caller.noted("turn-failed") == 0
    caller.is_silent(700)
    caller.lex_says("Which day?")
    assert caller.hears() == ["Which day?", *HOLDS]


def test_a_failed_first_piece_without_restore_is_apologised_for():
    """The caller hears an apology for the first piece if the session cannot be restored after its failure."""
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexUnavailable("no answer"))
    caller.lex_fails(NOT_RESTORED)
    assert caller.hears() == [SAY_AGAIN, *HOLDS]
    assert caller.note("turn-failed")["turn"] == 1
    assert caller.steps() == ["OpenUtterance 2", "UpdateCall", "OpenUtterance 2"]


def test_a_bot_that_refuses_ends_the_call_between_pieces():
    caller = a_caller_in_a_pause()
    caller.lex_fails(LexRejected("no such bot"))
    assert caller.session.state is CallState.CLOSING
    assert len(caller.asked) == 1


@MODES
def test_after_half_of_the_time_the_first_piece_is_answered(mode):
    """A caller who has waited for half of the time hears what became of the first piece."""
    caller = a_caller_in_a_pause(mode, LEX_TIMEOUT_S="4", FILLER_S="60")
    caller.is_silent(700 + 2020)
    caller.lex_fails(LexUnavailable("no answer"))
    assert caller.note("join-refused") == {"turn": 2, "why": "the caller has waited too long"}
    assert caller.noted("turn-failed") == 1
    assert opened(caller, 2).checkpoint is None


def test_what_they_have_waited_is_less_time_for_the_whole():
    caller = a_caller_in_a_pause()
    caller.is_silent(700 + 2000)
    caller.lex_says("What would you like?")
    assert opened(caller, 2).waited_ms == 2000
    caller.lex_fails(NOT_RESTORED)
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


# -- a process that leaves, and the end


@MODES
def test_a_call_is_not_handed_over_between_two_pieces(mode):
    caller = a_caller_in_a_pause(mode, FILLER_S="60")
    caller.has_to_leave()
    caller.lex_says("What would you like?", checkpoint=FIRST)
    caller.is_silent(3000)
    assert caller.session.state is CallState.LIVE
    assert caller.steps() == ["OpenUtterance 2", "CloseUtterance 2"]


def test_at_the_end_nothing_is_kept():
    caller = a_caller_in_a_pause("stream")
    caller.lex_says("What would you like?", speaks=True)
    caller.hangs_up()
    assert caller.steps() == ["OpenUtterance 2", "CancelUtterance 2", "CancelUtterance 1"]
