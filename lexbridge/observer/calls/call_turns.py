"""The turns of a call, over all of its streams: made, filled and ended as the facts tell it."""

from collections.abc import Iterator
from typing import Any

from lexbridge.observer.calls.call_summary import Stream
from lexbridge.observer.calls.heard import HeardReplies
from lexbridge.observer.calls.turn_record import OPENS_TURN, Turn, changed_attributes, note_event
from lexbridge.observer.calls.values import text, whole
from lexbridge.telemetry.facts import Event

MAX_TURNS = 1000
"""Turns of one call that are kept, because a call of an hour has about 400."""

LOST_WITH_WORKER = "worker-ended"
"""The reason for the end of a stream, and of its turns, whose worker is gone."""

_LOSSES = ("stream lost", "bug", "bad message", "service stopped")
"""Reasons for the end of a stream that cut a caller off in the middle of a word."""


class CallTurns:
    """The turns of one call. `all` has them by stream and number, in the order in which they were first told of."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, int], Turn] = {}
        self.intent: str | None = None
        self.dialog_state: str | None = None
        self._heard = HeardReplies()
        self._attributes: dict[str, Any] = {}
        self._answered: Turn | None = None  # the turn whose document comes next

    @property
    def count(self) -> int:
        """Number of those that count as turns of the caller's."""
        return sum(turn.counts for turn in self.all.values())

    def as_spoken(self) -> list[Turn]:
        """Return the turns in the order in which the caller began to speak, or to press keys."""
        return sorted(self.all.values(), key=lambda turn: turn.began_s)

    def of(self, event: Event) -> Turn | None:
        """Return the turn that an event names, or None if it is not known."""
        return self.all.get((event.stream_sid, -1 if (number := whole(event.fields, "turn")) is None else number))

    def take(self, event: Event, stream: Stream | None) -> list[Turn]:
        """Take in an event, and return the turns that it changed. `stream`: the one that it belongs to, if any."""
        turn = self._document(event) if event.name == "update-made" else self._turn_of(event, stream)
        changed = [turn] if turn is not None else []
        changed += self._heard.take(event, stream, self.all, turn)
        if event.name in ("call-left", "call-ended", LOST_WITH_WORKER) and stream is not None:
            changed += self._lose(event)
        return changed

    def _turn_of(self, event: Event, stream: Stream | None) -> Turn | None:
        number = whole(event.fields, "turn")
        if stream is None or number is None:
            return None
        key = stream.stream_sid, number
        turn = self.all.get(key)
        if turn is None:
            if event.name not in OPENS_TURN or number < 0 or len(self.all) >= MAX_TURNS:
                return None
            turn = self.all[key] = Turn(stream.stream_sid, number, event.at_s)
        note_event(turn, event, stream.began_s)
        if event.name in ("lex-answered", "turn-answered"):
            self._answer(turn, event)
        return turn

    def _answer(self, turn: Turn, event: Event) -> None:
        self.intent, self.dialog_state = turn.intent or self.intent, turn.dialog_state or self.dialog_state
        attributes = event.words.get("session_attributes")
        if isinstance(attributes, dict):
            turn.attributes_changed = changed_attributes(self._attributes, attributes)
            self._attributes = attributes
        self._answered = turn

    def _document(self, event: Event) -> Turn | None:
        """Give the document to the turn that was answered last. A document without one is a filler or a reprompt."""
        turn, self._answered = self._answered, None
        twiml = event.words.get("twiml")
        if turn is not None:
            turn.twiml = twiml if isinstance(twiml, str) else None
        return turn

    def _lose(self, event: Event) -> Iterator[Turn]:
        """End the turns of a stream that is over, and yield them.

        One whose words were complete is lost with any stream. One that the caller was still saying is lost if a fault
        ended the stream; otherwise they hung up.
        """
        why = LOST_WITH_WORKER if event.name == LOST_WITH_WORKER else text(event.fields, "why") or event.name
        is_fault = why in (LOST_WITH_WORKER, *_LOSSES)
        for turn in self.all.values():
            is_open = turn.stream_sid == event.stream_sid and turn.outcome is None
            if is_open and (is_fault or turn.is_said):
                turn.end("lost", event.at_s, why)
                yield turn
