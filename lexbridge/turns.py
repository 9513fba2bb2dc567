"""The caller's turns: what they say or key in, on its way to Lex. One at a time is with Lex; the others wait in order.

The moves of a turn stand in TURN_MOVES; everything that changes its state goes through `moved`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lexbridge.actions import (
    Action,
    AppendAudio,
    BeginDialog,
    CancelUtterance,
    CloseUtterance,
    Note,
    OpenUtterance,
    SendKeys,
)
from lexbridge.errors import CallStateError

MAX_HELD_TURNS = 3
"""Turns kept while Lex is still busy with an earlier one. A further one pushes the oldest out."""


class TurnState(Enum):
    """Where one turn of the caller stands: an utterance, and Lex's answer to it."""

    HEARING = "hearing"  # it goes to Lex as it is spoken
    RECOGNIZING = "recognizing"  # all of it is at Lex
    HELD = "held"  # Lex is busy with the turn before: it is kept, and still being spoken
    WAITING = "waiting"  # the same, spoken to its end
    ANSWERED = "answered"
    FAILED = "failed"
    DROPPED = "dropped"


class TurnMove(Enum):
    """What moves a turn."""

    SPEECH_ENDED = "the utterance ends"
    LEX_FREE = "Lex is free for it"
    REPLIED = "Lex replies"
    LEX_FAILED = "Lex fails"
    DROPPED = "the call goes on without it"


TURN_MOVES: Mapping[tuple[TurnState, TurnMove], TurnState] = {
    (TurnState.HEARING, TurnMove.SPEECH_ENDED): TurnState.RECOGNIZING,
    (TurnState.HELD, TurnMove.SPEECH_ENDED): TurnState.WAITING,
    (TurnState.HELD, TurnMove.LEX_FREE): TurnState.HEARING,
    (TurnState.WAITING, TurnMove.LEX_FREE): TurnState.RECOGNIZING,
    (TurnState.RECOGNIZING, TurnMove.REPLIED): TurnState.ANSWERED,
    # Lex need not wait for the end of what it is sent.
    (TurnState.HEARING, TurnMove.REPLIED): TurnState.ANSWERED,
    (TurnState.HEARING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.RECOGNIZING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.HEARING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.HELD, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.WAITING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.RECOGNIZING, TurnMove.DROPPED): TurnState.DROPPED,
}


def moved(table: Mapping[tuple[Any, Any], Any], state: Any, move: Any) -> Any:
    """The state after `move`. Raises CallStateError if the table has no such move."""
    try:
        return table[state, move]
    except KeyError:
        raise CallStateError(f"{move.value!r} cannot happen while {state.value}") from None


@dataclass(slots=True)
class Turn:
    """One turn and what became of it. `audio` is all of it so far, PCM; media time is in milliseconds. Keys, and the
    intent by which the bot is to welcome the caller, are turns without audio: all of them is there at once."""

    number: int
    started_ms: int
    state: TurnState
    audio: bytearray = field(default_factory=bytearray, repr=False)
    ended_ms: int | None = None
    keys: str | None = field(default=None, repr=False)
    intent: str | None = None

    @property
    def is_spoken(self) -> bool:
        """Whether the caller is done with it."""
        return self.ended_ms is not None


class Turns:
    """The turns of one stream. What is to be done with Lex goes to `act`."""

    def __init__(self, act: Callable[[Action], object]) -> None:
        self._act = act
        self.count = 0
        """Turns so far; also the number of the newest."""
        self.session_id = ""
        self.first_attributes: Mapping[str, str] | None = None
        """Session attributes to be sent with a turn: until Lex has replied for the first time."""
        self.spoken: Turn | None = None
        """The turn that the caller is speaking."""
        self.at_lex: Turn | None = None
        """The turn that Lex is busy with; it may be the same."""
        self._held: deque[Turn] = deque()  # the turns after it, in order

    @property
    def is_idle(self) -> bool:
        """Nothing is under way."""
        return self.spoken is None and self.at_lex is None and not self._held

    @property
    def has_more(self) -> bool:
        """The caller is speaking, or has said more than Lex has heard."""
        return self.spoken is not None or bool(self._held)

    def speech_started(self, at_ms: int, pre_roll: bytes) -> None:
        """The caller begins to speak."""
        self.count += 1
        turn = Turn(self.count, at_ms, TurnState.HEARING, bytearray(pre_roll))
        self.spoken = turn
        self._put(turn, TurnState.HELD)

    def speech_continued(self, pcm: bytes) -> None:
        """They go on. Of a turn that is over already, for Lex answered or failed before its end, nothing is kept."""
        turn = self.spoken
        if turn is None:
            return
        turn.audio += pcm
        if turn is self.at_lex:
            self._act(AppendAudio(turn.number, pcm))

    def speech_ended(self, at_ms: int) -> Turn | None:
        """They are done. Returns the turn; None if it was over already."""
        turn, self.spoken = self.spoken, None
        if turn is None:
            return None
        turn.ended_ms = at_ms
        turn.state = moved(TURN_MOVES, turn.state, TurnMove.SPEECH_ENDED)
        if turn is self.at_lex:
            self._act(CloseUtterance(turn.number))
        return turn

    def keyed(self, at_ms: int, keys: str) -> None:
        """The caller has pressed `keys`."""
        self.count += 1
        self._put(Turn(self.count, at_ms, TurnState.RECOGNIZING, ended_ms=at_ms, keys=keys), TurnState.WAITING)

    def begin(self, intent: str) -> None:
        """The bot is to welcome the caller: the first turn of a call."""
        self.count += 1
        self._put(Turn(self.count, 0, TurnState.RECOGNIZING, ended_ms=0, intent=intent), TurnState.WAITING)

    def over_at_lex(self, number: int, move: TurnMove) -> Turn | None:
        """The turn that Lex is done with; None if the call went on without it in the meantime."""
        turn = self.at_lex
        if turn is None or turn.number != number:
            return None
        turn.state = moved(TURN_MOVES, turn.state, move)
        self.at_lex = None
        if turn is self.spoken:
            self.spoken = None  # the rest of it goes to nobody
            self._note("utterance-cut-off", turn=number)
        return turn

    def next(self) -> None:
        """Lex is free: the turn that waited longest goes there."""
        if self.at_lex is None and self._held:
            turn = self._held.popleft()
            turn.state = moved(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
            self._send(turn)

    def drop_spoken(self, why: str) -> None:
        """What the caller is speaking is no turn."""
        turn, self.spoken = self.spoken, None
        if turn is None:
            return
        if turn is self.at_lex:
            self.at_lex = None
            self._act(CancelUtterance(turn.number))
        else:
            self._held.remove(turn)
        self._drop(turn, why)
        self.next()

    def drop_all(self, why: str) -> None:
        """What is still on its way to Lex, or waits for it, is of no use."""
        if self.at_lex is not None:
            self._act(CancelUtterance(self.at_lex.number))
            self._drop(self.at_lex, why)
        for turn in self._held:
            self._drop(turn, why)
        self.at_lex = self.spoken = None
        self._held.clear()

    def _put(self, turn: Turn, while_busy: TurnState) -> None:
        if self.at_lex is None:
            self._send(turn)
            return
        turn.state = while_busy
        if len(self._held) == MAX_HELD_TURNS:
            self._drop(self._held.popleft(), "too many turns wait for Lex")
        self._held.append(turn)

    def _send(self, turn: Turn) -> None:
        self.at_lex = turn
        # The CallSid alone names the Lex session: any process that has the call finds it.
        about = turn.number, self.session_id, self.first_attributes
        if turn.intent is not None:
            self._act(BeginDialog(*about, turn.intent))
        elif turn.keys is not None:
            self._act(SendKeys(*about, turn.keys))
        else:
            self._act(OpenUtterance(*about))
            self._act(AppendAudio(turn.number, bytes(turn.audio)))
            if turn.is_spoken:
                self._act(CloseUtterance(turn.number))

    def _drop(self, turn: Turn, why: str) -> None:
        turn.state = moved(TURN_MOVES, turn.state, TurnMove.DROPPED)
        self._note("utterance-dropped", turn=turn.number, started_ms=turn.started_ms, why=why)

    def _note(self, event: str, **fields: Any) -> None:
        self._act(Note("warning", event, fields))
