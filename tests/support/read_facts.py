"""Calls as their facts tell them, for tests of what is made of facts."""

from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.call_parts import CallTurn
from lexbridge.observer.watched.told_turns import ToldTurns
from lexbridge.observer.watched.watched_calls import Told, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import BEGAN_S, CallOfFacts


def watched(call: CallOfFacts, calls: WatchedCalls | None = None) -> list[Told]:
    """Return what the events of a call tell."""
    calls = calls if calls is not None else WatchedCalls()
    events = [fact for fact in call.facts if isinstance(fact, Event)]
    return [told for event in events for told in calls.take(event)]


def read(call: CallOfFacts) -> tuple[CallFacts, list[CallTurn]]:
    """Return what is known of a call, and its turns that are over."""
    told, turns = ToldTurns(CallFacts(call.call_sid, BEGAN_S)), []
    for event in call.facts:
        if isinstance(event, Event) and event.name == "worker-ended":
            turns += told.worker_ended(event.fields["pid"], event.at_s)
        elif isinstance(event, Event):
            turns += told.take(event)
    return told.facts, turns
