"""Answers of Lex to the caller's turns: replies, failures, and which of them the caller hears."""

from dataclasses import replace

from lexbridge.call.actions import CancelUtterance
from lexbridge.call.context import CallContext
from lexbridge.call.joining import Joining
from lexbridge.call.output.base import ReplyMode
from lexbridge.call.replies import Replies
from lexbridge.call.states import CallState, TurnMove
from lexbridge.call.turns import Turn
from lexbridge.errors import LexError, SessionNotRestored
from lexbridge.lex.model import Reply


class LexAnswers:
    """Taker of Lex's answers. It ends the turn that is answered, and sends Lex the next one."""

    def __init__(self, call: CallContext, mode: ReplyMode, joining: Joining, replies: Replies) -> None:
        self._call = call
        self._mode = mode
        self._joining = joining
        self._replies = replies

    def reply_arrived(self, number: int, reply: Reply, speaks: bool) -> None:
        """Take Lex's reply to the turn `number`. It is dropped if the turn is over. `speaks`: its audio follows."""
        turn = self._call.turns.finish(number, TurnMove.REPLIED)
        if turn is None:
            return
        self._call.failed_turns = 0
        self._call.note(
            "info",
            "turn-answered",
            turn=number,
            dialog_state=reply.dialog_state.value,
            intent=reply.intent,
            slot_to_elicit=reply.slot_to_elicit,
            messages=len(reply.messages),
        )
        if not self._joining.turn_answered(turn, reply, lambda: self._answer(turn, reply, speaks)):
            self._answer(turn, reply, speaks)
        if speaks and not self._mode.wants_speech(number):
            self._call.act(CancelUtterance(number))  # the caller will not hear this voice
        self._send_next_turn()

    def turn_failed(self, number: int, error: LexError) -> None:
        """Apologise for the turn `number`, which Lex did not answer, for good; unless the caller goes on with it."""
        if isinstance(error, SessionNotRestored):
            self._joining.session_not_restored(number)
            self._send_next_turn()
            return
        turn = self._call.turns.finish(number, TurnMove.LEX_FAILED)
        if turn is None:
            return
        if not self._joining.turn_failed(turn, error, lambda: self._fail(turn, error)):
            self._fail(turn, error)
        self._send_next_turn()

    def _answer(self, turn: Turn, reply: Reply, speaks: bool) -> None:
        """Let the caller hear the reply; or the rest of what they interrupted, if Lex heard no words."""
        call = self._call
        dialog = call.dialog = replace(call.dialog, first_attributes=None)
        has_no_words = turn.keys is None and reply.heard_nothing and not reply.dialog_state.is_closed
        if has_no_words and self._mode.resume_interrupted():
            call.dialog = replace(dialog, checkpoint=reply.checkpoint)
            call.note("info", "false-alarm", turn=turn.number)
        else:
            self._mode.discard_interrupted()
            call.dialog = replace(dialog, turns_answered=dialog.turns_answered + (turn.intent is None))
            self._replies.answer(reply, turn.number if speaks else None, turn=turn)

    def _fail(self, turn: Turn, error: LexError) -> None:
        self._mode.discard_interrupted()
        self._replies.turn_failed(turn, error)

    def _send_next_turn(self) -> None:
        if self._call.state is CallState.LIVE:
            self._call.turns.send_next()
