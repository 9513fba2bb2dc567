"""Replies on their way to the caller: a newer document, or a cleared stream, may take the place of one.

The log calls a reply heard when Twilio has taken the document that says it, or when its first sound is on the way. For
a moment it is not sure then. Nothing here reads a clock. Times are Unix times, seconds.
"""

from lexbridge.observer.watched.call_parts import ANSWERED, FAILED, CallTurn
from lexbridge.telemetry.facts import Event

LEAST_HEARD_S = 0.5
"""Shortest piece of a document that counts as heard, seconds, because Twilio takes about as long to begin to speak."""

YES, REPLACED = "yes", "replaced"


class BegunReplies:
    """The turns of one call whose reply is on the way. Each is given back once it is known whether it was heard."""

    def __init__(self) -> None:
        self._on_the_way: list[tuple[float, CallTurn]] = []

    def add(self, turn: CallTurn, last_update: int | None) -> bool:
        """Add a turn that is over. Return whether it is not known yet if it was heard; `turn.heard` tells otherwise.

        `last_update`: the newest call update of its stream.
        """
        heard_s = turn.heard_s
        if turn.outcome not in (ANSWERED, FAILED):
            return False
        if heard_s is None or turn.over_s is None:
            is_replaced = turn.update is not None and last_update is not None and last_update > turn.update
            turn.heard = REPLACED if is_replaced else None
            return False
        sure_s = turn.over_s + LEAST_HEARD_S if turn.update is not None else heard_s
        self._on_the_way.append((sure_s, turn))
        return True

    def take(self, event: Event) -> list[CallTurn]:
        """Take in an event of the call, and return the turns of which it is known now."""
        known = self.settle(event.at_s)
        if event.name == "update-made":
            known += self._take_away(event.stream_sid, REPLACED, has_update=True)
        elif event.name == "audio-cleared":
            known += self._take_away(event.stream_sid, REPLACED, has_update=False)
        return known

    def settle(self, now_s: float) -> list[CallTurn]:
        """Return the turns whose reply must have been heard by now."""
        known = [turn for sure_s, turn in self._on_the_way if sure_s <= now_s]
        for turn in known:
            turn.heard = YES
        self._on_the_way = [one for one in self._on_the_way if one[0] > now_s]
        return known

    def give_up(self) -> list[CallTurn]:
        """Return all turns, because nobody waits any more until it is known."""
        unknown = [turn for _, turn in self._on_the_way]
        self._on_the_way = []
        return unknown

    def stream_over(self, stream_sid: str, *, goes_on: bool) -> list[CallTurn]:
        """Return the turns of a stream that is over. `goes_on`: whether its document is still being said."""
        heard = YES if goes_on else None
        return [turn for is_document in (True, False) for turn in self._take_away(stream_sid, heard, is_document)]

    def _take_away(self, stream_sid: str, heard: str | None, has_update: bool) -> list[CallTurn]:
        """Return the turns of a stream that a document says, or that the stream itself does (not `has_update`)."""
        found = [
            turn
            for _, turn in self._on_the_way
            if turn.stream_sid == stream_sid and (turn.update is not None) is has_update
        ]
        self._on_the_way = [one for one in self._on_the_way if one[1] not in found]
        for turn in found:
            turn.heard = heard
        return found
