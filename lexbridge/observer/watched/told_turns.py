"""The turns of a call as they are passed on: each once, when it is over and it is known whether its reply was heard."""

from lexbridge.observer.watched.begun_replies import BegunReplies
from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.observer.watched.call_turns import Changes
from lexbridge.telemetry.facts import Event


class ToldTurns:
    """The turns of one call. Each method gives its facts something, and returns the turns that are to be passed on."""

    def __init__(self, facts: CallFacts) -> None:
        self.facts = facts
        self.told = 0
        """The number of turns that were passed on."""
        self._replies = BegunReplies()

    def take(self, event: Event) -> list[CallTurn]:
        """Take in an event of the call."""
        known = self._replies.take(event)
        return self._told([*known, *self._known_by(self.facts.take(event))])

    def worker_ended(self, pid: int, at_s: float) -> list[CallTurn]:
        """Note that a worker is gone."""
        return self._told(self._known_by(self.facts.worker_ended(pid, at_s)))

    def settle(self, now_s: float) -> list[CallTurn]:
        """Return the turns whose reply the caller must have heard by now."""
        return self._told(self._replies.settle(now_s))

    def give_up(self) -> list[CallTurn]:
        """Return the turns of which it is not known yet whether the caller heard the reply."""
        return self._told(self._replies.give_up())

    def _known_by(self, changes: Changes) -> list[CallTurn]:
        known: list[CallTurn] = []
        for stream in changes.streams_over:
            known += self._replies.stream_over(stream.stream_sid, goes_on=stream.is_spoken_on)
        for turn in changes.over:
            stream = self.facts.streams[turn.stream_sid]
            if not self._replies.add(turn, stream.last_update):
                known.append(turn)
        return known

    def _told(self, turns: list[CallTurn]) -> list[CallTurn]:
        self.told += len(turns)
        return turns
