"""Tables of the states of a call and of a turn, and of the moves between them. docs/call.md draws them.

A call has one state, and each of its turns has one. The two machines run side by side, because a caller may speak while
Lex works on what they said before:

    call       connecting -> live ................................................. -> closing -> ended
    turn 1                    hearing -> recognizing -> answered
    turn 2                               held -> waiting -> recognizing -> answered
    the bot                                              speaks            speaks      last words

- *The state of the call* says what the caller's input is for. Only while LIVE does it become turns. While RESUMING and
  CLOSING, speech is logged and forgotten; while LEAVING, the other stream hears it. After ENDED every event is dropped.
- *The state of a turn* says where its audio is: here, at Lex, or answered. At most one turn is open, at most one is in
  flight, which may be the same, and the others wait in order.
- *Conditions* are all else that changes what an event does: keys are being collected, a prompt was interrupted, the
  process is to end. `conditions.table` names each one, what begins and ends it, and what it forbids. A condition
  is no state, because any number of them may hold at once, in most states.

An event goes one way. `CallSession.receive` takes it, and what it means is found by functions that change nothing:
`replies.decide`, `joining.decide`, `limits`, `DialogContext.after`. What they decide is then done, by writing the
conditions and adding actions. Time is an event too: a frame of media makes due what waits for its time.

`CallContext.move` moves the call's machine, `Turns` that of a turn. A move that its table does not have is a bug of
lexbridge. What a peer may send late or twice is no move: a guard drops it.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from lexbridge.errors import CallStateError


class CallState(Enum):
    """State of a call, as one of its media streams sees it."""

    CONNECTING = "connecting"  # the socket is open, `start` has not come
    RESUMING = "resuming"  # the stream before was lost: Lex is asked what the bot said last
    LIVE = "live"
    LEAVING = "leaving"  # the call is being handed over to another stream
    CLOSING = "closing"  # the last document is on its way: the caller hears it out, the bot hears no more
    ENDED = "ended"


class CallMove(Enum):
    """Event that moves a call from one state to another."""

    STARTED = "the stream starts"
    RESUMED = "the stream starts after another was lost"
    LOOKED_UP = "Lex has told where the dialog stands, or cannot"
    HANDED_OVER = "the call is handed over"
    LAST_WORDS = "the last document is sent"
    NOT_CARRIED_OUT = "Twilio does not carry out the document"
    OVER = "the stream stops or is lost"


CALL_MOVES: Mapping[tuple[CallState, CallMove], CallState] = {
    (CallState.CONNECTING, CallMove.STARTED): CallState.LIVE,
    (CallState.CONNECTING, CallMove.RESUMED): CallState.RESUMING,
    (CallState.RESUMING, CallMove.LOOKED_UP): CallState.LIVE,
    (CallState.LIVE, CallMove.LAST_WORDS): CallState.CLOSING,
    (CallState.CLOSING, CallMove.NOT_CARRIED_OUT): CallState.LIVE,
    (CallState.LIVE, CallMove.HANDED_OVER): CallState.LEAVING,
    (CallState.LEAVING, CallMove.NOT_CARRIED_OUT): CallState.LIVE,
    (CallState.CONNECTING, CallMove.OVER): CallState.ENDED,
    (CallState.RESUMING, CallMove.OVER): CallState.ENDED,
    (CallState.LIVE, CallMove.OVER): CallState.ENDED,
    (CallState.LEAVING, CallMove.OVER): CallState.ENDED,
    (CallState.CLOSING, CallMove.OVER): CallState.ENDED,
}


class TurnState(Enum):
    """State of a turn: an utterance of the caller, and Lex's answer to it."""

    HEARING = "hearing"  # its audio goes to Lex as the caller speaks
    RECOGNIZING = "recognizing"  # all of its audio is at Lex
    HELD = "held"  # the caller is speaking, but Lex is busy with the turn before: the audio is kept
    WAITING = "waiting"  # the caller has finished, and Lex is still busy with the turn before
    ANSWERED = "answered"
    FAILED = "failed"
    DROPPED = "dropped"


class TurnMove(Enum):
    """Event that moves a turn from one state to another."""

    SPEECH_ENDED = "the utterance ends"
    LEX_FREE = "Lex is free for it"
    CONTINUED = "the caller goes on with it"
    NOT_JOINED = "it cannot be joined with the turn before"
    REPLIED = "Lex replies"
    LEX_FAILED = "Lex fails"
    DROPPED = "the call goes on without it"


TURN_MOVES: Mapping[tuple[TurnState, TurnMove], TurnState] = {
    (TurnState.HEARING, TurnMove.SPEECH_ENDED): TurnState.RECOGNIZING,
    (TurnState.HELD, TurnMove.SPEECH_ENDED): TurnState.WAITING,
    (TurnState.HELD, TurnMove.LEX_FREE): TurnState.HEARING,
    (TurnState.WAITING, TurnMove.LEX_FREE): TurnState.RECOGNIZING,
    (TurnState.WAITING, TurnMove.CONTINUED): TurnState.HELD,
    (TurnState.HEARING, TurnMove.NOT_JOINED): TurnState.HELD,
    (TurnState.RECOGNIZING, TurnMove.NOT_JOINED): TurnState.WAITING,
    (TurnState.RECOGNIZING, TurnMove.REPLIED): TurnState.ANSWERED,
    # Lex need not wait for the end of the audio before it replies.
    (TurnState.HEARING, TurnMove.REPLIED): TurnState.ANSWERED,
    (TurnState.HEARING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.RECOGNIZING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.HEARING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.HELD, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.WAITING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.RECOGNIZING, TurnMove.DROPPED): TurnState.DROPPED,
}

_State = TypeVar("_State", CallState, TurnState)
_Move = TypeVar("_Move", CallMove, TurnMove)


def transition(table: Mapping[tuple[_State, _Move], _State], state: _State, move: _Move) -> _State:
    """Return the state after `move`. Raise CallStateError if the table has no such move."""
    try:
        return table[state, move]
    except KeyError:
        raise CallStateError(f"{move.value!r} cannot happen while {state.value}") from None
