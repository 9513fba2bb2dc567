"""The turns of a call as the console shows them, over all of its streams."""

from lexbridge.observer.calls.call_summary import Stream
from lexbridge.observer.calls.heard import HeardReplies
from lexbridge.observer.calls.turn_record import Turn
from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.observer.watched.call_turns import Changes
from lexbridge.telemetry.facts import Event

MAX_TURNS = 1000
"""Turns of one call that are kept, because a call of an hour has about 400."""


class ShownTurns:
    """The turns of one call. `all` has them by stream and number, in the order in which they were first told of."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, int], Turn] = {}
        self._heard = HeardReplies()

    @property
    def count(self) -> int:
        """Number of those that count as turns of the caller's."""
        return sum(turn.counts for turn in self.all.values())

    def as_spoken(self) -> list[Turn]:
        """Return the turns in the order in which the caller began to speak, or to press keys."""
        return sorted(self.all.values(), key=lambda turn: turn.began_s)

    def take(self, event: Event, changes: Changes, streams: dict[str, Stream]) -> list[Turn]:
        """Take in what an event has changed, and return the turns that are shown in another way by it."""
        shown = [turn for told in changes.turns if (turn := self._shown(told, streams)) is not None]
        answered = shown[0] if shown and event.name == "update-made" else None
        return [*shown, *self._heard.take(event, streams.get(event.stream_sid), self.all, answered)]

    def _shown(self, told: CallTurn, streams: dict[str, Stream]) -> Turn | None:
        key = told.stream_sid, told.turn
        turn = self.all.get(key)
        if turn is None:
            if len(self.all) >= MAX_TURNS:
                return None
            turn = self.all[key] = Turn(*key, told.began_s)
        turn.show(told, streams[told.stream_sid].began_s)
        return turn
