"""The caller's turns: what they say or key in, on its way to Lex. One at a time is with Lex; the others wait in order.

The moves of a turn stand in TURN_MOVES; everything that changes its state goes through `moved`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lexbridge.call.actions import (
    Action,
    AppendAudio,
    BeginDialog,
    CancelUtterance,
    CloseUtterance,
    Note,
    OpenUtterance,
    SendKeys,
)
from lexbridge.call.states import TURN_MOVES, TurnMove, TurnState, transition
from lexbridge.lex.model import Checkpoint

MAX_HELD_TURNS = 3
"""Turns kept while Lex is still busy with an earlier one. A further one pushes the oldest out."""


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
    may_go_on: bool = False
    """The caller paused: what they say next may be its other half."""
    goes_on: bool = False
    """It is the other half of the turn that Lex is busy with, if Lex can be made to forget that one."""
    is_joined: bool = False
    """Of several utterances. The endpointer does not know how long it is."""
    is_rest: bool = False
    """What did not fit into the one before: perhaps silence only."""
    before_bytes: int = 0
    """So much of the audio belongs to the turn before, which Lex has answered."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """Lex's session is put back to it before the turn is sent."""
    waited_ms: int = 0
    """The caller was done so long before it was sent, and had heard nothing of the turn that is part of it."""

    @property
    def is_spoken(self) -> bool:
        """Whether the caller is done with it."""
        return self.ended_ms is not None


class Turns:
    """The turns of one stream. What is to be done with Lex goes to `act`."""

    def __init__(self, act: Callable[[Action], object], longest_bytes: int = 0) -> None:
        """`longest_bytes`: utterances are joined to at most so much audio; 0: none are."""
        self._act = act
        self._longest_bytes = longest_bytes
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

    @property
    def going_on(self) -> Turn | None:
        """The turn by which the caller goes on with the one that Lex is, or was, busy with."""
        return self._held[0] if self._held and self._held[0].goes_on else None

    @property
    def is_full(self) -> bool:
        """Lex takes no more of what the caller is speaking; it was joined, so the endpointer does not know."""
        return self.spoken is not None and self.spoken.is_joined and len(self.spoken.audio) >= self._longest_bytes

    def fits(self, before: Turn, audio: bytes | bytearray) -> bool:
        """Whether `audio` can be the next piece of `before`."""
        return before.may_go_on and len(before.audio) + len(audio) <= self._longest_bytes

    def speech_started(self, at_ms: int, pre_roll: bytes) -> None:
        """The caller begins to speak. What waits for Lex all the same, they go on with."""
        last = self._held[-1] if self._held else self.at_lex
        goes_on = last is not None and self.fits(last, pre_roll)
        if last is None or last is self.at_lex or not goes_on:
            self._begin(Turn(self._number(), at_ms, TurnState.HEARING, bytearray(pre_roll), goes_on=goes_on))
            return
        last.state = transition(TURN_MOVES, last.state, TurnMove.CONTINUED)
        last.audio += pre_roll
        last.ended_ms, last.is_joined = None, True
        self.spoken = last
        self._note("info", "goes-on", turn=last.number)
        self._refuse_too_long(last)

    def speech_continued(self, pcm: bytes) -> None:
        """They go on. Of a turn that is over already, for Lex answered or failed before its end, nothing is kept."""
        turn = self.spoken
        if turn is None:
            return
        turn.audio += pcm
        if turn is self.at_lex:
            self._act(AppendAudio(turn.number, pcm))
        else:
            self._refuse_too_long(turn)

    def split(self, at_ms: int, pcm: bytes) -> None:
        """What they are speaking is full: `pcm` and what follows is a turn of its own."""
        self.speech_ended(at_ms)
        self._begin(Turn(self._number(), at_ms, TurnState.HEARING, bytearray(pcm), is_rest=True))

    def speech_ended(self, at_ms: int, may_go_on: bool = False) -> Turn | None:
        """They are done, or pause. Returns the turn; None if it was over already."""
        turn, self.spoken = self.spoken, None
        if turn is None:
            return None
        turn.ended_ms, turn.may_go_on = at_ms, may_go_on
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.SPEECH_ENDED)
        if turn is self.at_lex:
            self._act(CloseUtterance(turn.number))
        return turn

    def keyed(self, at_ms: int, keys: str) -> None:
        """The caller has pressed `keys`."""
        self._put(Turn(self._number(), at_ms, TurnState.RECOGNIZING, ended_ms=at_ms, keys=keys), TurnState.WAITING)

    def begin(self, intent: str) -> None:
        """The bot is to welcome the caller: the first turn of a call."""
        self._put(Turn(self._number(), 0, TurnState.RECOGNIZING, ended_ms=0, intent=intent), TurnState.WAITING)

    def over_at_lex(self, number: int, move: TurnMove) -> Turn | None:
        """The turn that Lex is done with; None if the call went on without it in the meantime."""
        turn = self.at_lex
        if turn is None or turn.number != number:
            return None
        turn.state = transition(TURN_MOVES, turn.state, move)
        self.at_lex = None
        if turn is self.spoken:
            self.spoken = None  # the rest of it goes to nobody
            self._note("warning", "utterance-cut-off", turn=number)
        return turn

    def join(self, before: Turn, checkpoint: Checkpoint, waited_ms: int) -> None:
        """The turn that goes on with `before`, which Lex is done with, is both of them, and goes to Lex."""
        turn = self._held.popleft()
        turn.goes_on, turn.is_joined = False, True
        turn.checkpoint, turn.waited_ms, turn.before_bytes = checkpoint, waited_ms, len(before.audio)
        turn.audio[:0] = before.audio
        self._note("info", "joined", turn=turn.number, with_turn=before.number)
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
        self._send(turn)

    def go_on_with(self, before: Turn, at_ms: int, pre_roll: bytes, checkpoint: Checkpoint) -> None:
        """The caller goes on with `before`, which Lex has answered: nothing else is under way."""
        self.spoken = Turn(self._number(), at_ms, TurnState.HELD, bytearray(pre_roll))
        self._held.append(self.spoken)
        self.join(before, checkpoint, waited_ms=0)

    def refuse(self, turn: Turn, why: str) -> None:
        """`turn` is no other half, but one of its own."""
        turn.goes_on = False
        self._note("info", "join-refused", turn=turn.number, why=why)

    def not_joined(self, number: int) -> bool:
        """The session was not put back for the turn `number`: it is only what was said last, and is to be sent again.
        False if the call went on without it in the meantime."""
        turn = self.at_lex
        if turn is None or turn.number != number:
            return False
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.NOT_JOINED)
        del turn.audio[: turn.before_bytes]
        turn.checkpoint, turn.waited_ms, turn.before_bytes = None, 0, 0
        self.at_lex = None
        self._held.appendleft(turn)
        self.refuse(turn, "Lex's session cannot be put back")
        return True

    def next(self) -> None:
        """Lex is free: the turn that waited longest goes there."""
        if self.at_lex is None and self._held:
            turn = self._held.popleft()
            turn.state = transition(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
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

    def _refuse_too_long(self, turn: Turn) -> None:
        if turn.goes_on and self.at_lex is not None and not self.fits(self.at_lex, turn.audio):
            self.refuse(turn, "the whole is too long")

    def _number(self) -> int:
        self.count += 1
        return self.count

    def _begin(self, turn: Turn) -> None:
        self.spoken = turn
        self._put(turn, TurnState.HELD)

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
            self._act(OpenUtterance(*about, turn.checkpoint, turn.waited_ms))
            self._act(AppendAudio(turn.number, bytes(turn.audio)))
            if turn.is_spoken:
                self._act(CloseUtterance(turn.number))

    def _drop(self, turn: Turn, why: str) -> None:
        turn.state = transition(TURN_MOVES, turn.state, TurnMove.DROPPED)
        self._note("warning", "utterance-dropped", turn=turn.number, started_ms=turn.started_ms, why=why)

    def _note(self, level: str, event: str, **fields: Any) -> None:
        self._act(Note(level, event, fields))
