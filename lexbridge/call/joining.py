"""Joining: what a caller says in two pieces, with a pause between them in which no reply was heard, is one utterance.

    caller   "I would like to order"          "some roses"
    turns    [1                      ]        [2 = 1 + 2       ]
    Lex                               1 ...... reply, not heard    the session as before 1, then 2
                                               ^ dropped

That takes a session that can be put back: it is known where it stood, and nothing was done for good. Until Lex has
carried that out, what became of the first piece is kept: it holds if it cannot be.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lexbridge.audio.endpointing import SpeechStarted
from lexbridge.call.context import CallContext, DialogSnapshot
from lexbridge.call.output.base import ReplyMode
from lexbridge.call.turns import Turn
from lexbridge.errors import LexError
from lexbridge.lex.model import Checkpoint, Reply

MOST_WAITED = 0.5
"""Of LEX_TIMEOUT_S. Who has been silent for longer since their second piece hears what became of the first; else the
time that is left to ask for the whole would be too short."""

Outcome = Callable[[], None]
"""Has the call go on with what became of a turn."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last answer that Lex gave, and how the call stood before it."""

    turn: Turn
    reply: Reply
    before: DialogSnapshot
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Joined:
    """A turn with the one before in front of it, and what becomes of that one if the session cannot be put back."""

    number: int
    outcome: Outcome


class Joining:
    """Decides on it, and has the ReplyMode withhold what is not to be heard yet."""

    def __init__(self, call: CallContext, mode: ReplyMode) -> None:
        self._call = call
        self._mode = mode
        self._answered: _Answered | None = None
        self._joined: _Joined | None = None

    def answered(self, turn: Turn, reply: Reply, outcome: Outcome) -> bool:
        """Lex answered `turn`. Whether the caller goes on with it: then `outcome` waits."""
        self._settle()
        if self._joins(turn, reply, outcome):
            self._mode.withhold(turn.number, reply.messages)
            return True
        self._answered = _Answered(turn, reply, self._call.snapshot_dialog(), outcome)
        return False

    def failed(self, turn: Turn, error: LexError, outcome: Outcome) -> bool:
        """Lex did not answer `turn`, and may have taken it all the same. Whether the caller goes on with it: then
        `outcome` waits."""
        self._settle()
        self._answered = None  # something was said since
        return not error.ends_call and self._joins(turn, None, outcome)

    def goes_on(self, started: SpeechStarted) -> bool:
        """The caller begins to speak. Whether they go on with a turn whose answer waits unheard: it is dropped."""
        answered = self._answered
        if answered is None or not self._call.turns.is_idle or not self._mode.is_unheard(answered.turn.number):
            return False
        if not self._call.turns.fits(answered.turn, started.pre_roll):
            return False
        checkpoint = self._to_put_back(answered.reply, answered.before.checkpoint, self._call.turns.count + 1)
        if checkpoint is None:
            return False
        self._mode.withhold(answered.turn.number, answered.reply.messages)
        self._call.restore_dialog(answered.before)
        self._call.turns.continue_answered(answered.turn, started.at_ms, started.pre_roll, checkpoint)
        self._joined = _Joined(self._call.turns.count, answered.outcome)
        return True

    def not_put_back(self, number: int) -> None:
        """Lex's session could not be put back for the turn `number`: what became of the one before holds. Nothing is
        done if the call went on without it."""
        joined = self._joined
        if joined is not None and self._call.turns.undo_join(number):
            self._joined = None
            joined.outcome()

    def dropped(self) -> None:
        """Turns were dropped, perhaps the joined one. Nobody knows then where the dialog stands."""
        at_lex = self._call.turns.in_flight
        if self._joined is not None and (at_lex is None or at_lex.number != self._joined.number):
            self._settle()
            self._call.checkpoint = None

    def _joins(self, turn: Turn, reply: Reply | None, outcome: Outcome) -> bool:
        next_turn = self._call.turns.continuation
        if next_turn is None:
            return False
        now_ms = self._call.now_ms
        waited_ms = now_ms - (now_ms if next_turn.ended_ms is None else next_turn.ended_ms)
        checkpoint = self._to_put_back(reply, self._call.checkpoint, next_turn.number, waited_ms)
        if checkpoint is None:
            next_turn.is_continuation = False
            return False
        self._call.turns.join(turn, checkpoint, waited_ms)
        self._joined = _Joined(next_turn.number, outcome)
        return True

    def _to_put_back(
        self, reply: Reply | None, checkpoint: Checkpoint | None, number: int, waited_ms: int = 0
    ) -> Checkpoint | None:
        """`checkpoint`, where the dialog stood before `reply`, if it is to be put back there for the turn `number`."""
        why = None
        # A closed dialog may have been fulfilled, by a Lambda. What asks something of the call is closed, too.
        if reply is not None and reply.dialog_state.is_closed:
            why = "the dialog is closed"
        elif checkpoint is None:
            why = "where the dialog stood is not known"
        elif waited_ms > self._call.rules.lex_timeout_s * 1000 * MOST_WAITED:
            why = "the caller has waited for long"
        if why is None:
            return checkpoint
        self._call.note("info", "join-refused", turn=number, why=why)
        return None

    def _settle(self) -> None:
        """The session was put back: what became of the first piece is of no account."""
        self._joined = None
        self._mode.forget_withheld()
