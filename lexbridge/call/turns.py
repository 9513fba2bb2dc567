"""Turns of the caller, what they say or key in, on their way to Lex.

One turn at a time is with Lex; the others wait in order. The states of a turn and the moves between them stand in
`states`.
"""

from collections.abc import Callable, Mapping, Sized
from typing import Any

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS
from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    CancelUtterance,
    CloseUtterance,
    FlushUtterance,
    Note,
    OpenUtterance,
    SendKeys,
)
from lexbridge.call.states import TURN_MOVES, TurnMove, TurnState, transition
from lexbridge.call.turn import Turn
from lexbridge.lex.model import Checkpoint

MAX_QUEUED_TURNS = 3
"""Most turns that wait while Lex is busy with an earlier one. Another one pushes the oldest out."""

FLUSH_BYTES = 100 * MULAW_BYTES_PER_MS
"""Audio that is gathered before Lex gets it, mu-law: 100 ms.

Each time costs a wake-up of a greenlet and a write to a socket, and Lex answers no sooner for smaller pieces. The end
of the utterance sends the rest at once."""


class Turns:
    """The turns of one stream. What they want done at Lex goes to `act`."""

    def __init__(self, act: Callable[[Action], object], longest_bytes: int = 0) -> None:
        """`longest_bytes`: most audio of a joined turn, mu-law; 0: no utterances are joined."""
        self._act = act
        self._longest_bytes = longest_bytes
        self.count = 0
        """Number of turns so far, which is also that of the newest."""
        self.session_id = ""
        self.first_attributes: Mapping[str, str] | None = None
        """Session attributes that go with each turn until Lex has replied for the first time."""
        self.open: Turn | None = None
        """The turn that the caller is speaking."""
        self.in_flight: Turn | None = None
        """The turn that Lex is busy with, which may be the open one."""
        # The turns after the one in flight, in order. A list, because a deque takes 760 bytes while it is empty.
        self._queue: list[Turn] = []

    @property
    def is_idle(self) -> bool:
        """Whether no turn is under way."""
        return self.open is None and self.in_flight is None and not self._queue

    @property
    def has_pending(self) -> bool:
        """Whether the caller is speaking, or has said more than Lex has heard."""
        return self.open is not None or bool(self._queue)

    @property
    def continuation(self) -> Turn | None:
        """The turn by which the caller goes on with the one that Lex is, or was, busy with."""
        return self._queue[0] if self._queue and self._queue[0].is_continuation else None

    def fits(self, before: Turn, audio: Sized) -> bool:
        """Return whether `audio`, mu-law, may be the next piece of `before`."""
        return before.may_continue and len(before.audio) + len(audio) <= self._longest_bytes

    def speech_started(self, at_ms: int, pre_roll: bytes) -> None:
        """Open a turn, because the caller begins to speak; or continue one that still waits for Lex, if it may be."""
        last = self._queue[-1] if self._queue else self.in_flight
        continues = last is not None and self.fits(last, pre_roll)
        if last is None or last is self.in_flight or not continues:
            turn = Turn(
                self._next_number(), at_ms, TurnState.HEARING, UtteranceAudio(pre_roll), is_continuation=continues
            )
            self._open(turn)
            return
        last.state = transition(TURN_MOVES, last.state, TurnMove.CONTINUED)
        last.audio.append(pre_roll)
        last.ended_ms, last.is_joined = None, True
        self.open = last
        self._note("info", "goes-on", turn=last.number)
        self._refuse_join_if_too_long(last)

    def speech_continued(self, mulaw: bytes) -> Turn | None:
        """Add audio to the open turn. It is dropped if Lex answered the turn, or failed, before the caller was done.

        Return the turn, and add nothing, if it is full: it was joined, and is as long as Lex takes. The endpointer
        cannot know that. Return None otherwise.
        """
        turn = self.open
        if turn is None:
            return None
        if turn.is_joined and len(turn.audio) >= self._longest_bytes:
            return turn
        turn.audio.append(mulaw)
        if turn is not self.in_flight:
            self._refuse_join_if_too_long(turn)
            return None
        turn.unsent_bytes += len(mulaw)
        if turn.unsent_bytes >= FLUSH_BYTES:
            turn.unsent_bytes = 0
            self._act(FlushUtterance(turn.number))
        return None

    def split(self, at_ms: int, mulaw: bytes) -> None:
        """End the open turn, which is full, and open another one that begins with `mulaw`."""
        self.speech_ended(at_ms)
        self._open(Turn(self._next_number(), at_ms, TurnState.HEARING, UtteranceAudio(mulaw), is_overflow=True))

    def speech_ended(self, at_ms: int, may_continue: bool = False) -> Turn | None:
        """End the open turn: the caller is done, or pauses. Return the turn, or None if none was open."""
        turn, self.open = self.open, None
        if turn is None:
            return None
        turn.ended_ms, turn.may_continue = at_ms, may_continue
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.SPEECH_ENDED)
        if turn is self.in_flight:
            self._act(CloseUtterance(turn.number))
        return turn

    def keys_pressed(self, at_ms: int, keys: str) -> None:
        """Take `keys`, complete, as a turn."""
        turn = Turn(self._next_number(), at_ms, TurnState.RECOGNIZING, ended_ms=at_ms, keys=keys)
        self._send_or_queue(turn, TurnState.WAITING)

    def begin_dialog(self, intent: str, words_instead: str) -> None:
        """Make the first turn of a stream, by which the bot is to speak first, with `intent`.

        `words_instead`: what the caller hears if it says nothing.
        """
        turn = Turn(
            self._next_number(), 0, TurnState.RECOGNIZING, ended_ms=0, intent=intent, words_instead=words_instead
        )
        self._send_or_queue(turn, TurnState.WAITING)

    def finish(self, number: int, move: TurnMove) -> Turn | None:
        """End the turn `number`, which Lex is done with. Return it, or None if the call has gone on without it."""
        turn = self.in_flight
        if turn is None or turn.number != number:
            return None
        turn.state = transition(TURN_MOVES, turn.state, move)
        self.in_flight = None
        if turn is self.open:
            self.open = None  # the rest of the utterance is dropped
            self._note("warning", "utterance-cut-off", turn=number)
        return turn

    def join(self, before: Turn, checkpoint: Checkpoint, waited_ms: int) -> None:
        """Put `before`, which Lex is done with, in front of its continuation, and send both to Lex as one turn."""
        turn = self._queue.pop(0)
        turn.is_continuation, turn.is_joined = False, True
        turn.checkpoint, turn.waited_ms, turn.joined_bytes = checkpoint, waited_ms, len(before.audio)
        turn.audio = UtteranceAudio(before.audio.mulaw(), turn.audio.mulaw())
        self._note("info", "joined", turn=turn.number, with_turn=before.number)
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
        self._send(turn)

    def continue_answered(self, before: Turn, at_ms: int, pre_roll: bytes, checkpoint: Checkpoint) -> None:
        """Open a turn that continues `before`, which Lex has answered, and join the two. No other turn is under way."""
        self.open = Turn(self._next_number(), at_ms, TurnState.HELD, UtteranceAudio(pre_roll))
        self._queue.append(self.open)
        self.join(before, checkpoint, waited_ms=0)

    def refuse_join(self, turn: Turn, why: str) -> None:
        """Make `turn` a turn of its own, and not the other half of another."""
        turn.is_continuation = False
        self._note("info", "join-refused", turn=turn.number, why=why)

    def undo_join(self, number: int) -> bool:
        """Take the turn before out of the joined turn `number`, and put what is left back into the queue.

        Lex's session could not be restored for it. Return False if the call has gone on without the turn.
        """
        turn = self.in_flight
        if turn is None or turn.number != number:
            return False
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.NOT_JOINED)
        turn.audio = UtteranceAudio(turn.audio.mulaw(turn.joined_bytes))
        turn.checkpoint, turn.waited_ms, turn.joined_bytes = None, 0, 0
        self.in_flight = None
        self._queue.insert(0, turn)
        self.refuse_join(turn, "Lex's session cannot be restored")
        return True

    def send_next(self) -> None:
        """Send Lex the turn that has waited longest, if Lex is free."""
        if self.in_flight is None and self._queue:
            turn = self._queue.pop(0)
            turn.state = transition(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
            self._send(turn)

    def drop_open(self, why: str) -> None:
        """Drop the open turn, if there is one."""
        turn, self.open = self.open, None
        if turn is None:
            return
        if turn is self.in_flight:
            self.in_flight = None
            self._act(CancelUtterance(turn.number))
        else:
            self._queue.remove(turn)
        self._drop(turn, why)
        self.send_next()

    def drop_all(self, why: str) -> None:
        """Drop every turn that is at Lex or waits for it."""
        if self.in_flight is not None:
            self._act(CancelUtterance(self.in_flight.number))
            self._drop(self.in_flight, why)
        for turn in self._queue:
            self._drop(turn, why)
        self.in_flight = self.open = None
        self._queue.clear()

    def _refuse_join_if_too_long(self, turn: Turn) -> None:
        if turn.is_continuation and self.in_flight is not None and not self.fits(self.in_flight, turn.audio):
            self.refuse_join(turn, "the two together are too long")

    def _next_number(self) -> int:
        self.count += 1
        return self.count

    def _open(self, turn: Turn) -> None:
        self.open = turn
        self._send_or_queue(turn, TurnState.HELD)

    def _send_or_queue(self, turn: Turn, queued_state: TurnState) -> None:
        if self.in_flight is None:
            self._send(turn)
            return
        turn.state = queued_state
        if len(self._queue) == MAX_QUEUED_TURNS:
            self._drop(self._queue.pop(0), "too many turns wait for Lex")
        self._queue.append(turn)

    def _send(self, turn: Turn) -> None:
        self.in_flight = turn
        # The CallSid alone names the Lex session, so that every process that serves the call finds it.
        head = turn.number, self.session_id, self.first_attributes
        if turn.intent is not None:
            self._act(BeginDialog(*head, turn.intent))
        elif turn.keys is not None:
            self._act(SendKeys(*head, turn.keys))
        else:
            turn.unsent_bytes = 0  # a request reads what is there without being told
            self._act(OpenUtterance(*head, turn.audio, turn.checkpoint, turn.waited_ms))
            if turn.is_complete:
                self._act(CloseUtterance(turn.number))

    def _drop(self, turn: Turn, why: str) -> None:
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.DROPPED)
        self._note("warning", "utterance-dropped", turn=turn.number, started_ms=turn.started_ms, why=why)

    def _note(self, level: str, event: str, **fields: Any) -> None:
        self._act(Note(level, event, fields))
