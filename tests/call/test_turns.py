"""The caller's turns on their way to Lex: one at a time, in order, each to its end."""

import pytest

from lexbridge.call.actions import (
    BeginDialog,
    CancelUtterance,
    CloseUtterance,
    FlushUtterance,
    Note,
    OpenUtterance,
    SendKeys,
)
from lexbridge.call.states import TurnMove, TurnState
from lexbridge.call.turns import MAX_QUEUED_TURNS, Turns
from lexbridge.errors import CallStateError

FACTS = {"shop": "7"}


class Told:
    """Turns of one stream, and what they wanted done since the last look."""

    def __init__(self):
        self._acts = []
        self.turns = Turns(self._acts.append)
        self.turns.session_id = "CA1"

    def acts(self):
        acts, self._acts[:] = list(self._acts), []
        return acts

    def says(self, words, at_ms=0):
        self.turns.speech_started(at_ms, words)
        return self.turns.speech_ended(at_ms + 100)


def dropped(turn, why, started_ms=0):
    return Note("warning", "utterance-dropped", {"turn": turn, "started_ms": started_ms, "why": why})


def test_at_first_nothing_is_under_way():
    turns = Told().turns
    assert (turns.is_idle, turns.has_pending, turns.count) == (True, False, 0)


# -- what is spoken


def test_what_is_spoken_goes_to_lex_as_it_is_spoken():
    told = Told()
    told.turns.speech_started(0, b"ab")
    assert told.acts() == [OpenUtterance(1, "CA1", None, told.turns.open.audio)]
    told.turns.speech_continued(b"cd")
    assert not told.turns.open.is_complete
    turn = told.turns.speech_ended(500)
    assert told.acts() == [CloseUtterance(1)]
    assert (turn.state, turn.ended_ms, turn.is_complete) == (TurnState.RECOGNIZING, 500, True)
    assert turn.audio.mulaw() == b"abcd"
    assert (told.turns.open, told.turns.in_flight, told.turns.is_idle) == (None, turn, False)


def test_what_is_spoken_while_lex_is_busy_is_held_and_sent_whole():
    told = Told()
    told.says(b"ab")
    told.acts()
    told.turns.speech_started(0, b"cd")
    told.turns.speech_continued(b"ef")
    assert told.turns.has_pending
    assert told.turns.speech_ended(300).state is TurnState.WAITING
    assert told.turns.has_pending
    told.turns.send_next()
    assert told.acts() == []
    told.turns.finish(1, TurnMove.REPLIED)
    told.turns.send_next()
    asked, closed = told.acts()
    assert (asked.turn, asked.audio.mulaw(), closed) == (2, b"cdef", CloseUtterance(2))
    assert not told.turns.has_pending


def test_what_is_still_spoken_when_lex_gets_free_goes_on_live():
    told = Told()
    told.says(b"ab")
    told.turns.speech_started(0, b"cd")
    told.acts()
    told.turns.finish(1, TurnMove.REPLIED)
    told.turns.send_next()
    told.turns.speech_continued(b"ef")
    (asked,) = told.acts()
    assert (asked.turn, asked.audio.mulaw()) == (2, b"cdef")
    assert told.turns.in_flight.state is TurnState.HEARING


def test_lex_gets_what_is_spoken_in_pieces_of_100_ms():
    """Each piece is counted from the one before, and the first from what the request found. The end sends the rest."""
    told = Told()
    told.turns.speech_started(0, bytes(3000))
    told.acts()
    acts = []
    for _ in range(12):
        told.turns.speech_continued(bytes(160))
        acts.append(told.acts())
    assert acts == [*[[]] * 4, [FlushUtterance(1)]] * 2 + [[]] * 2
    told.turns.speech_ended(500)
    assert told.acts() == [CloseUtterance(1)]


def test_what_lex_gets_late_is_flushed_like_the_rest():
    told = Told()
    told.says(b"ab")
    told.turns.speech_started(0, bytes(3000))
    told.turns.speech_continued(bytes(160))
    told.turns.finish(1, TurnMove.REPLIED)
    told.turns.send_next()
    told.acts()
    for _ in range(4):
        told.turns.speech_continued(bytes(160))
    assert told.acts() == []
    told.turns.speech_continued(bytes(160))
    assert told.acts() == [FlushUtterance(2)]


def test_speech_without_a_beginning_changes_nothing():
    told = Told()
    told.turns.speech_continued(b"ab")
    assert told.turns.speech_ended(100) is None
    told.turns.send_next()
    assert told.acts() == []


def test_when_too_many_wait_the_oldest_gives_way():
    told = Told()
    for number in range(MAX_QUEUED_TURNS + 2):
        told.says(b"ab", at_ms=1000 * number)
    assert told.acts()[2:] == [dropped(2, "too many turns wait for Lex", 1000)]


# -- keys, and a welcome


def test_keys_go_to_lex_at_once():
    told = Told()
    told.turns.keys_pressed(200, "12")
    assert told.acts() == [SendKeys(1, "CA1", None, "12")]
    assert told.turns.in_flight.state is TurnState.RECOGNIZING
    assert told.turns.open is None


def test_keys_wait_while_lex_is_busy():
    told = Told()
    told.says(b"ab")
    told.acts()
    told.turns.keys_pressed(200, "12")
    assert told.acts() == []
    told.turns.finish(1, TurnMove.LEX_FAILED)
    told.turns.send_next()
    assert told.acts() == [SendKeys(2, "CA1", None, "12")]


def test_the_dialog_begins_with_an_intent():
    told = Told()
    told.turns.begin_dialog("Welcome", "Hello.")
    assert told.acts() == [BeginDialog(1, "CA1", None, "Welcome")]
    assert told.turns.finish(1, TurnMove.REPLIED).state is TurnState.ANSWERED
    assert told.turns.is_idle


def test_every_kind_of_turn_brings_the_first_attributes():
    told = Told()
    told.turns.first_attributes = FACTS
    told.turns.begin_dialog("Welcome", "Hello.")
    told.turns.finish(1, TurnMove.LEX_FAILED)
    told.turns.keys_pressed(0, "1")
    told.turns.finish(2, TurnMove.LEX_FAILED)
    told.turns.speech_started(0, b"ab")
    asked = [act for act in told.acts() if isinstance(act, BeginDialog | SendKeys | OpenUtterance)]
    assert [act.session_attributes for act in asked] == [FACTS] * 3


# -- how a turn ends


@pytest.mark.parametrize(
    ("move", "state"), [(TurnMove.REPLIED, TurnState.ANSWERED), (TurnMove.LEX_FAILED, TurnState.FAILED)]
)
def test_lex_may_be_done_with_a_turn_before_the_caller_is(move, state):
    told = Told()
    told.turns.speech_started(0, b"ab")
    told.acts()
    assert told.turns.finish(1, move).state is state
    told.turns.speech_continued(b"cd")
    assert told.turns.speech_ended(100) is None
    assert told.acts() == [Note("warning", "utterance-cut-off", {"turn": 1})]


def test_of_another_turn_than_its_own_lex_is_not_done():
    told = Told()
    assert told.turns.finish(1, TurnMove.REPLIED) is None
    told.says(b"ab")
    assert told.turns.finish(2, TurnMove.REPLIED) is None
    assert told.turns.in_flight.number == 1


def test_what_is_spoken_can_be_no_turn():
    told = Told()
    told.turns.speech_started(40, b"ab")
    told.acts()
    told.turns.drop_open("a key was pressed")
    assert told.acts() == [CancelUtterance(1), dropped(1, "a key was pressed", 40)]
    assert told.turns.is_idle
    told.turns.drop_open("a key was pressed")
    assert told.acts() == []


def test_what_is_held_while_it_is_spoken_can_be_no_turn():
    told = Told()
    told.says(b"ab")
    told.turns.speech_started(40, b"cd")
    told.acts()
    told.turns.drop_open("a key was pressed")
    assert told.acts() == [dropped(2, "a key was pressed", 40)]
    assert (told.turns.in_flight.number, told.turns.has_pending) == (1, False)


def test_all_turns_can_be_dropped():
    told = Told()
    for _ in range(3):
        told.says(b"ab")
    told.turns.speech_started(0, b"cd")
    told.acts()
    told.turns.drop_all("the call is over")
    assert told.acts() == [CancelUtterance(1), *[dropped(turn, "the call is over") for turn in (1, 2, 3, 4)]]
    assert told.turns.is_idle
    told.turns.drop_all("the call is over")
    assert told.acts() == []


def test_a_turn_that_is_over_does_not_move():
    told = Told()
    turn = told.says(b"ab")
    turn.state = TurnState.ANSWERED
    with pytest.raises(CallStateError, match=r"^'Lex replies' cannot happen while answered$"):
        told.turns.finish(1, TurnMove.REPLIED)


def test_a_refusal_to_join_that_is_late_changes_nothing():
    told = Told()
    told.says(b"ab")
    told.acts()
    assert not told.turns.undo_join(7)
    told.turns.finish(1, TurnMove.REPLIED)
    assert not told.turns.undo_join(1)
    assert told.acts() == []


def test_words_and_keys_do_not_show_when_a_turn_is_printed():
    told = Told()
    told.says(b"hush")
    told.turns.keys_pressed(0, "4711")
    assert "hush" not in repr(told.turns.in_flight)
    told.turns.finish(1, TurnMove.REPLIED)
    told.turns.send_next()
    assert "4711" not in repr(told.turns.in_flight)
