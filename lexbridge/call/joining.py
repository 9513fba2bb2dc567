"""Joining of utterances: two pieces become one if the caller heard no reply in the pause between them.

    caller   "I would like to order"          "some roses"
    turns    [1                      ]        [2 = 1 + 2       ]
    Lex                               1 ...... reply, not heard    the session as before 1, then 2
                                               ^ dropped

Joining needs a session that can be restored: it must be known where the session stood, and the reply must have done
nothing for good. Lex may still fail to restore it. So the outcome of the first piece is kept until then, and holds if
the session cannot be restored. `decide` decides, and `LexAnswers` joins.
"""

from dataclasses import dataclass

from lexbridge.call.turn import Turn
from lexbridge.errors import LexError
from lexbridge.lex.model import Checkpoint, Reply

MAX_WAIT_SHARE = 0.5
"""Share of LEX_TIMEOUT_S that a caller may have waited since their second piece for the two to be joined.

The rest has to suffice to ask Lex again. A caller who has waited longer hears the outcome of the first piece."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Outcome of a turn that Lex answered. `speaks`: the reply's audio follows."""

    turn: Turn
    reply: Reply
    speaks: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """Outcome of a turn that Lex did not answer. Lex may have taken the turn all the same."""

    turn: Turn
    error: LexError


Outcome = Answered | Failed


@dataclass(frozen=True, slots=True)
class Join:
    """Join the two pieces, and restore Lex's session to `checkpoint` first."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Stand:
    """Let the outcome of the first piece stand. `why`: the reason, for the log."""

    why: str


def decide(outcome: Outcome, checkpoint: Checkpoint | None, waited_ms: int, lex_timeout_s: float) -> Join | Stand:
    """Return whether the turn of `outcome` is joined with what the caller said next.

    `checkpoint`: where Lex's session stood before that turn, or None if it is not known. `waited_ms`: how long the
    caller has waited since the end of the second piece, 0 if they are still speaking.
    """
    # A closed dialog may have been fulfilled by a Lambda. A reply that asks something of the call closes it, too.
    if isinstance(outcome, Answered) and outcome.reply.dialog_state.is_closed:
        return Stand("the dialog is closed")
    if checkpoint is None:
        return Stand("where the dialog stood is not known")
    if waited_ms > lex_timeout_s * 1000 * MAX_WAIT_SHARE:
        return Stand("the caller has waited too long")
    return Join(checkpoint)
