"""Answers of Lex to the caller's turns: replies, failures, and which of them the caller hears."""

from dataclasses import dataclass, replace

from lexbridge.audio.speech_events import SpeechStarted
from lexbridge.call import joining
from lexbridge.call.actions import CancelUtterance
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.dialog import DialogContext
from lexbridge.call.events import (
    AnswerEvent,
    LexFailed,
    LexReplied,
    LexSpeechEnded,
    LexSpeechFailed,
    LexSpoke,
)
from lexbridge.call.joining import Answered, Failed, Join, Outcome
from lexbridge.call.output.stream import StreamSpeaker
from lexbridge.call.states import CallState, TurnMove
from lexbridge.errors import LexError, SessionNotRestored
from lexbridge.lex.model import Checkpoint, Reply


@dataclass(frozen=True, slots=True)
class _LastAnswer:
    """The last answer that Lex gave, and the dialog before it."""

    outcome: Answered
    before: DialogContext


@dataclass(frozen=True, slots=True)
class _Joined:
    """A joined turn, and the outcome of its first piece, in case the session cannot be restored."""

    number: int
    first: Outcome


class LexAnswers:
    """Taker of Lex's answers. It ends the turn that is answered, or joins it with the next, and sends Lex the next."""

    def __init__(self, call: CallContext, voice: StreamSpeaker | None, conversation: Conversation) -> None:
        """`voice`: the speaker, if it plays Lex's voice over the stream. A document cannot be taken back."""
        self._call = call
        self._voice = voice
        self._conversation = conversation
        self._last_answer: _LastAnswer | None = None
        self._joined: _Joined | None = None

    def take(self, event: AnswerEvent) -> None:
        """Take what Lex answers to a turn, or its voice."""
        match event:
            case LexReplied():
                self._reply_arrived(event.turn, event.reply, event.speaks)
            case LexFailed():
                self._turn_failed(event.turn, event.error)
            case LexSpoke() if self._voice is not None:
                self._call.take_reports(self._voice.speech_arrived(event.turn, event.mulaw))
            case LexSpeechEnded() if self._voice is not None:
                self._call.take_reports(self._voice.speech_ended(event.turn))
            case LexSpeechFailed() if self._voice is not None:
                self._call.take_reports(self._voice.speech_failed(event.turn))
            case _:
                pass  # audio that Lex was not asked for

    def speech_started(self, started: SpeechStarted) -> bool:
        """Join what the caller begins to say with the turn before, if the answer to that waits unheard.

        Return whether that was done. The answer is dropped then.
        """
        last, turns, voice = self._last_answer, self._call.turns, self._voice
        if last is None or voice is None:
            return False
        if not voice.is_unheard(last.outcome.turn.number):
            self._last_answer = None  # with the turn's audio
            return False
        if not turns.is_idle:
            return False
        if not turns.fits(last.outcome.turn, started.pre_roll):
            return False
        checkpoint = self._find_checkpoint(last.outcome, last.before, turns.count + 1)
        if checkpoint is None:
            return False
        voice.withhold(last.outcome.turn.number, last.outcome.reply.messages)
        self._call.go_to(last.before)
        turns.continue_answered(last.outcome.turn, started.at_ms, started.pre_roll, checkpoint)
        self._joined = _Joined(turns.count, last.outcome)
        return True

    def turns_dropped(self) -> None:
        """Note that turns were dropped. If the joined one is among them, where the dialog stands is not known."""
        in_flight = self._call.turns.in_flight
        if self._joined is not None and (in_flight is None or in_flight.number != self._joined.number):
            self._settle()
            self._call.go_to(replace(self._call.dialog, checkpoint=None))

    def _reply_arrived(self, number: int, reply: Reply, speaks: bool) -> None:
        """Take Lex's reply to the turn `number`. It is dropped if the turn is over. `speaks`: its audio follows."""
        turn = self._call.turns.finish(number, TurnMove.REPLIED)
        if turn is None:
            return
        self._call.lex_answered()
        self._call.note(
            "info",
            "turn-answered",
            turn=number,
            dialog_state=reply.dialog_state.value,
            intent=reply.intent,
            slot_to_elicit=reply.slot_to_elicit,
            messages=len(reply.messages),
        )
        self._settle()
        outcome = Answered(turn, reply, speaks)
        if not self._join_with_next(outcome):
            # Only an answer that waits to be played may be taken back. A document cannot, so its turn is not kept.
            self._last_answer = None if self._voice is None else _LastAnswer(outcome, self._call.dialog)
            self._go_on_with(outcome)
        elif self._voice is not None:
            self._voice.withhold(number, reply.messages)
        if speaks and (self._voice is None or not self._voice.wants_speech(number)):
            self._call.act(CancelUtterance(number))  # the caller will not hear this voice
        self._send_next_turn()

    def _turn_failed(self, number: int, error: LexError) -> None:
        """Apologise for the turn `number`, which Lex did not answer, for good; unless the caller goes on with it."""
        if isinstance(error, SessionNotRestored):
            self._undo_join(number)
        elif turn := self._call.turns.finish(number, TurnMove.LEX_FAILED):
            self._settle()
            self._last_answer = None  # the caller has said something since
            outcome = Failed(turn, error)
            if error.ends_call or not self._join_with_next(outcome):
                self._go_on_with(outcome)
        else:
            return
        self._send_next_turn()

    def _go_on_with(self, outcome: Outcome) -> None:
        """Go on with `outcome`, which stands."""
        if isinstance(outcome, Failed):
            self._discard_interrupted()
            self._conversation.turn_failed(outcome.turn, outcome.error)
        else:
            self._answer(outcome)

    def _answer(self, outcome: Answered) -> None:
        """Let the caller hear the reply; or the rest of what they interrupted, if Lex heard no words."""
        call, turn, reply = self._call, outcome.turn, outcome.reply
        call.go_to(replace(call.dialog, first_attributes=None, checkpoint=reply.checkpoint))
        has_no_words = turn.keys is None and reply.heard_nothing and not reply.dialog_state.is_closed
        resumed = self._voice.resume_interrupted() if has_no_words and self._voice is not None else None
        if resumed is not None:
            call.take_reports(resumed)
            call.note("info", "false-alarm", turn=turn.number)
        else:
            self._discard_interrupted()
            self._conversation.answer(reply, turn.number if outcome.speaks else None, turn=turn)

    def _join_with_next(self, outcome: Outcome) -> bool:
        """Join the turn of `outcome` with the next, if that continues it. Return whether that was done."""
        next_turn = self._call.turns.continuation
        if next_turn is None:
            return False
        waited_ms = 0 if next_turn.ended_ms is None else self._call.now_ms - next_turn.ended_ms
        checkpoint = self._find_checkpoint(outcome, self._call.dialog, next_turn.number, waited_ms)
        if checkpoint is None:
            next_turn.is_continuation = False
            return False
        self._call.turns.join(outcome.turn, checkpoint, waited_ms)
        self._joined = _Joined(next_turn.number, outcome)
        return True

    def _find_checkpoint(
        self, outcome: Outcome, before: DialogContext, number: int, waited_ms: int = 0
    ) -> Checkpoint | None:
        """Return where Lex's session is to be restored to for the turn `number`, or None if that is not joined."""
        decision = joining.decide(outcome, before.checkpoint, waited_ms, self._call.rules.lex_timeout_s)
        if isinstance(decision, Join):
            return decision.checkpoint
        self._call.note("info", "join-refused", turn=number, why=decision.why)
        return None

    def _undo_join(self, number: int) -> None:
        """Go on with the outcome of the first piece: Lex's session was not restored for the turn `number`.

        Nothing is done if the call has gone on without that turn.
        """
        joined = self._joined
        if joined is not None and self._call.turns.undo_join(number):
            self._joined = None
            self._go_on_with(joined.first)

    def _settle(self) -> None:
        """Discard the outcome of the first piece, because Lex's session was restored."""
        self._joined = None
        if self._voice is not None:
            self._voice.discard_withheld()

    def _discard_interrupted(self) -> None:
        if self._voice is not None:
            self._voice.discard_interrupted()

    def _send_next_turn(self) -> None:
        if self._call.state is CallState.LIVE:
            self._call.turns.send_next()
