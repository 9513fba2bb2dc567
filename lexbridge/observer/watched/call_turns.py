"""The turns of a call as its facts tell them: which are open, and what became of the others.

A turn that is over is forgotten here: whoever needs it keeps it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lexbridge.observer.watched.call_parts import (
    ANSWERED,
    DROPPED,
    LOST,
    CallStream,
    CallTurn,
    IntentSeen,
    changed,
)
from lexbridge.observer.watched.turn_facts import begins_turn, note_turn
from lexbridge.observer.watched.values import mapping, text, whole
from lexbridge.telemetry.facts import Event

LOST_WITH_WORKER = "worker-ended"
"""The reason for the end of a stream whose worker is gone."""

STREAM_ENDED = "its stream has ended"
"""The reason in the line `utterance-dropped` for turns that were under way when their stream ended."""

NOT_TOLD = "not told"
"""The reason for an end of which the log tells nothing."""

MAX_OPEN_TURNS = 1000
"""The most turns of one call that are not over, because they stay so if the facts of their end were lost."""

MAX_LATE = 100
"""The most turns that are known to be over, the newest, because late facts tell of the last few. They begin no turn."""


@dataclass(slots=True)
class Changes:
    """The parts of a call that an event has changed."""

    turns: list[CallTurn] = field(default_factory=list)
    """All turns of which it tells more."""
    over: list[CallTurn] = field(default_factory=list)
    """Those of them that are over by it: nothing more comes of them."""
    streams_over: list[CallStream] = field(default_factory=list)


class CallTurns:
    """The turns of one call, over all of its streams."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], CallTurn] = {}
        """The turns that are not over, by the SID of their stream and their number."""
        self.over = 0
        """The number of turns that are over."""
        self.outcomes: Counter[str] = Counter()
        """The number of turns that are over, by their outcome."""
        self.intents: dict[str, IntentSeen] = {}
        self.intent: str | None = None
        """Intent of the newest answer that has one; `dialog_state` likewise."""
        self.dialog_state: str | None = None
        self.last_reply_ms: int | None = None
        self.worst_reply_ms: int | None = None
        self.worst_lex_ms: int | None = None
        self._late: deque[tuple[str, int]] = deque(maxlen=MAX_LATE)
        self._attributes: dict[str, Any] = {}
        self._answered: CallTurn | None = None  # the turn whose document comes next

    def of(self, event: Event, stream: CallStream | None) -> CallTurn | None:
        """Return the turn that an event is about, unless it is over. It is made if the event begins one."""
        number = whole(event.fields, "turn")
        if stream is None or number is None:
            return None
        key = stream.stream_sid, number
        turn = self.open.get(key)
        is_late = stream.ended_s is not None or key in self._late
        has_room = len(self.open) < MAX_OPEN_TURNS
        if turn is None and begins_turn(event) and number >= 0 and has_room and not is_late:
            turn = self.open[key] = CallTurn(stream.stream_sid, number, event.at_s, stream.worker_pid)
        return turn

    def of_stream(self, stream_sid: str) -> Iterator[CallTurn]:
        """Yield the open turns of a stream."""
        return (turn for turn in self.open.values() if turn.stream_sid == stream_sid)

    def take(self, turn: CallTurn, event: Event, changes: Changes) -> None:
        """Take in an event of an open turn."""
        note_turn(turn, event)
        changes.turns.append(turn)
        if event.name in _OF_TURN:
            _OF_TURN[event.name](self, turn, event, changes)

    def update_made(self, event: Event, changes: Changes) -> None:
        """Give a document to the turn that was answered last. One without such a turn is a filler or a reprompt."""
        number = whole(event.fields, "number")
        for turn in self.of_stream(event.stream_sid):
            if turn.answered_s is not None and turn.update is None:
                turn.update, turn.update_made_s = number, event.at_s
        answered, self._answered = self._answered, None
        if answered is not None and answered.stream_sid == event.stream_sid:
            twiml = event.words.get("twiml")
            answered.twiml = twiml if isinstance(twiml, str) else None
            changes.turns.append(answered)

    def stream_over(self, stream: CallStream, at_s: float, changes: Changes, *, is_end: bool = False) -> None:
        """End all turns of a stream that is over. `is_end`: the call ended with it, so nobody waits for an answer."""
        changes.streams_over.append(stream)
        for turn in list(self.of_stream(stream.stream_sid)):
            if turn.answered_s is not None and stream.how != LOST_WITH_WORKER:
                self._end(turn, at_s, turn.outcome or ANSWERED, changes)  # the fact that tells so was lost
            elif not is_end:
                turn.why = stream.how
                self._end(turn, at_s, LOST, changes)
            elif turn.is_said or turn.why is not None:
                turn.why, turn.is_left = stream.how, True
                self._end(turn, at_s, DROPPED, changes)
            else:
                del self.open[turn.stream_sid, turn.turn]  # nobody knows whether it would have become one

    def _lex_answered(self, turn: CallTurn, event: Event, _: Changes) -> None:
        self.intent, self.dialog_state = turn.intent or self.intent, turn.dialog_state or self.dialog_state
        if isinstance(event.words.get("session_attributes"), dict):
            now = mapping(event.words, "session_attributes")
            turn.attributes_changed = changed(self._attributes, now)
            self._attributes = now
        if turn.intent:
            self.intents.setdefault(turn.intent, IntentSeen(turn.intent)).answered(turn)
        self._answered = turn

    def _latency_told(self, turn: CallTurn, event: Event, changes: Changes) -> None:
        if turn.over_s is not None:
            self._end(turn, event.at_s, turn.outcome or NOT_TOLD, changes)

    def _dropped(self, turn: CallTurn, event: Event, changes: Changes) -> None:
        turn.why = text(event.fields, "why")
        if turn.why != STREAM_ENDED:  # else a line of the same moment tells how it ended
            self._end(turn, event.at_s, DROPPED, changes)

    def _end(self, turn: CallTurn, at_s: float, outcome: str, changes: Changes) -> None:
        turn.over_s, turn.outcome = at_s, outcome
        del self.open[turn.stream_sid, turn.turn]
        self._late.append((turn.stream_sid, turn.turn))
        self.over += 1
        self.outcomes[outcome] += 1
        if turn.lex_ms is not None:
            self.worst_lex_ms = max(turn.lex_ms, self.worst_lex_ms or 0)
        if turn.reply_ms is not None:
            self.last_reply_ms = turn.reply_ms
            self.worst_reply_ms = max(turn.reply_ms, self.worst_reply_ms or 0)
        changes.over.append(turn)
        if turn not in changes.turns:
            changes.turns.append(turn)


_OF_TURN: Mapping[str, Callable[[CallTurns, CallTurn, Event, Changes], None]] = {
    "lex-answered": CallTurns._lex_answered,
    "turn-answered": CallTurns._lex_answered,
    "turn-latency": CallTurns._latency_told,
    "utterance-dropped": CallTurns._dropped,
}
