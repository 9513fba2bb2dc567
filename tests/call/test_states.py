"""The tables of states: each move happens in a story, and no other move is possible."""

import pytest

from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.call.context import CallContext
from lexbridge.call.states import CALL_MOVES, TURN_MOVES, CallMove, CallState, TurnMove, TurnState, transition
from lexbridge.call.stream_parameters import LOST, RESUMED_PARAMETER
from lexbridge.errors import CallStateError, LexUnavailable, SessionNotRestored
from lexbridge.twilio.twiml import TwimlDocuments
from tests.support.call_update_stories import BYE, NEXT
from tests.support.caller import Caller
from tests.support.settings import make_settings


def says_bye_over_the_next_words(caller, pause_ms):
    caller.speaks(500)
    caller.is_silent(pause_ms)
    caller.lex_says(**BYE)


def is_handed_over(caller):
    caller.has_to_leave(NEXT)
    caller.says_something()
    caller.lex_says("Which day?")


# To each row of the two tables a story that makes its move.
TOLD = {
    (CallState.CONNECTING, CallMove.STARTED): Caller.dials,
    (CallState.CONNECTING, CallMove.OVER): Caller.hangs_up,
    (CallState.LIVE, CallMove.LAST_WORDS): lambda caller: (caller.says_something(), caller.lex_says(**BYE)),
    (CallState.CONNECTING, CallMove.RESUMED): lambda caller: caller.dials({RESUMED_PARAMETER: LOST}),
    (CallState.RESUMING, CallMove.LOOKED_UP): Caller.lex_tells_session,
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
    (TurnState.WAITING, TurnMove.CONTINUED): lambda caller: (
        [caller.says_something() for _ in range(2)],
        caller.speaks(500),
    ),
    (TurnState.HEARING, TurnMove.NOT_JOINED): lambda caller: (
        caller.says_something(),
        caller.speaks(500),
        caller.lex_says(),
        caller.lex_fails(SessionNotRestored("not tried")),
    ),
    (TurnState.RECOGNIZING, TurnMove.NOT_JOINED): lambda caller: (
        [caller.says_something() for _ in range(2)],
        caller.lex_says(turn=1),
        caller.lex_fails(SessionNotRestored("not tried")),
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
        watched = lambda table, *row: made.append(row) or transition(table, *row)  # noqa: E731
        monkeypatch.setattr(f"lexbridge.call.{machine}.transition", watched)
    caller = Caller(JOIN="on" if move in (TurnMove.CONTINUED, TurnMove.NOT_JOINED) else "off")
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
                assert transition(table, state, move) is table[state, move]
                continue
            with pytest.raises(CallStateError) as raised:
                transition(table, state, move)
            assert str(raised.value) == f"'{move.value}' cannot happen while {state.value}"


def test_nothing_leads_out_of_the_last_states():
    last = {CallState.ENDED, TurnState.ANSWERED, TurnState.FAILED, TurnState.DROPPED}
    assert not [state for state, _ in (*CALL_MOVES, *TURN_MOVES) if state in last]
    assert {*CALL_MOVES.values(), *TURN_MOVES.values()} >= last


def test_a_call_that_is_not_live_has_no_stream_to_speak_over():
    settings = make_settings()
    documents = TwimlDocuments(settings.service.url, settings.service.stream_url, hold_s=60)
    call = CallContext(settings.line.call_rules, documents, Endpointer(EndpointingRules()))
    with pytest.raises(CallStateError, match=r"^the call is connecting: no stream reaches the caller$"):
        call.update(documents.goodbye([]))
