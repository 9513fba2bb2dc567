"""Joining of utterances: two pieces become one if the caller heard no reply in the pause between them.

    caller   "I would like to order"          "some roses"
    turns    [1                      ]        [2 = 1 + 2       ]
    Lex                               1 ...... reply, not heard    the session as before 1, then 2
                                               ^ dropped

Joining needs a session that can be restored: it must be known where the session stood, and the reply must have done
nothing for good. Lex may still fail to restore it. So what became of the first piece is kept until then, and holds if
the session cannot be restored.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lexbridge.audio.endpointing import SpeechStarted
from lexbridge.call.context import CallContext
from lexbridge.call.dialog import DialogContext
from lexbridge.call.output.base import ReplyMode
from lexbridge.call.turns import Turn
from lexbridge.errors import LexError
from lexbridge.lex.model import Checkpoint, Reply

MAX_WAIT_SHARE = 0.5
"""Share of LEX_TIMEOUT_S that a caller may have waited since their second piece for the two to be joined.

The rest has to suffice to ask Lex again. A caller who has waited longer hears what became of the first piece."""

Outcome = Callable[[], None]
"""Function that has the call go on with what became of a turn."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last answer that Lex gave, and the dialog before it."""

    turn: Turn
    reply: Reply
    before: DialogContext
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Joined:
    """A joined turn, and what became of its first piece, in case the session cannot be restored."""

    number: int
    first_outcome: Outcome


class Joining:
    """Judge of whether turns are joined. It has the output withhold what the caller is not to hear yet."""

    def __init__(self, call: CallContext, mode: ReplyMode) -> None:
        self._call = call
        self._mode = mode
        self._answered: _Answered | None = None
        self._joined: _Joined | None = None

    def turn_answered(self, turn: Turn, reply: Reply, outcome: Outcome) -> bool:
        """Take Lex's answer to `turn`. Return whether the turn is joined with the next, so that `outcome` waits."""
        self._settle()
        if self._join_with_next(turn, reply, outcome):
            self._mode.withhold(turn.number, reply.messages)
            return True
        self._answered = _Answered(turn, reply, self._call.dialog, outcome)
        return False

    def turn_failed(self, turn: Turn, error: LexError, outcome: Outcome) -> bool:
        """Note that Lex did not answer `turn`, which it may have taken all the same.

        Return whether the turn is joined with the next, so that `outcome` waits.
        """
        self._settle()
        self._answered = None  # the caller has said something since
        return not error.ends_call and self._join_with_next(turn, None, outcome)

    def speech_started(self, started: SpeechStarted) -> bool:
        """Join what the caller begins to say with the turn before, if the answer to that waits unheard.

        Return whether that was done. The answer is dropped then.
        """
        answered = self._answered
        if answered is None or not self._call.turns.is_idle or not self._mode.is_unheard(answered.turn.number):
            return False
        if not self._call.turns.fits(answered.turn, started.pre_roll):
            return False
        checkpoint = self._find_checkpoint(answered.reply, answered.before.checkpoint, self._call.turns.count + 1)
        if checkpoint is None:
            return False
        self._mode.withhold(answered.turn.number, answered.reply.messages)
        self._call.dialog = answered.before
        self._call.turns.continue_answered(answered.turn, started.at_ms, started.pre_roll, checkpoint)
        self._joined = _Joined(self._call.turns.count, answered.outcome)
        return True

    def session_not_restored(self, number: int) -> None:
        """Go on with what became of the first piece, because the session was not restored for the turn `number`.

        Nothing is done if the call has gone on without that turn.
        """
        joined = self._joined
        if joined is not None and self._call.turns.undo_join(number):
            self._joined = None
            joined.first_outcome()

    def turns_dropped(self) -> None:
        """Note that turns were dropped. If the joined one is among them, where the dialog stands is not known."""
        in_flight = self._call.turns.in_flight
        if self._joined is not None and (in_flight is None or in_flight.number != self._joined.number):
            self._settle()
            self._call.dialog = replace(self._call.dialog, checkpoint=None)

    def _join_with_next(self, turn: Turn, reply: Reply | None, outcome: Outcome) -> bool:
        next_turn = self._call.turns.continuation
        if next_turn is None:
            return False
        now_ms = self._call.now_ms
        waited_ms = now_ms - (now_ms if next_turn.ended_ms is None else next_turn.ended_ms)
        checkpoint = self._find_checkpoint(reply, self._call.dialog.checkpoint, next_turn.number, waited_ms)
        if checkpoint is None:
            next_turn.is_continuation = False
            return False
        self._call.turns.join(turn, checkpoint, waited_ms)
        self._joined = _Joined(next_turn.number, outcome)
        return True

    def _find_checkpoint(
        self, reply: Reply | None, checkpoint: Checkpoint | None, number: int, waited_ms: int = 0
    ) -> Checkpoint | None:
        """Return `checkpoint`, where the dialog stood before `reply`, if it may be restored for the turn `number`."""
        why = None
        # A closed dialog may have been fulfilled by a Lambda. A reply that asks something of the call closes it, too.
        if reply is not None and reply.dialog_state.is_closed:
            why = "the dialog is closed"
        elif checkpoint is None:
            why = "where the dialog stood is not known"
        elif waited_ms > self._call.rules.lex_timeout_s * 1000 * MAX_WAIT_SHARE:
            why = "the caller has waited too long"
        if why is None:
            return checkpoint
        self._call.note("info", "join-refused", turn=number, why=why)
        return None

    def _settle(self) -> None:
        """Discard what became of the first piece, because Lex's session was restored."""
        self._joined = None
        self._mode.discard_withheld()
