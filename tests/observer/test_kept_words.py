"""Words in memory: whoever passes on no words keeps none, not even while a turn is open."""

import gc
from collections.abc import Iterator

import pytest

from lexbridge.observer.watched.kept_words import NO_WORDS, SAID, with_words
from lexbridge.observer.watched.watched_calls import WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import BEGAN_S, PIN, CallOfFacts, holds_secret

ALL_BUT_DOCUMENTS = {"tulips", "geheimnis", PIN, "Mrs Bramble", "what flowers"}


def open_call() -> CallOfFacts:
    """Return a call with a turn that is over, one that Lex has answered, and keys."""
    call = CallOfFacts()
    call.is_answered()
    call.has_turn(1)
    call.asks(2)
    call.tells("lex-asked", {"keys": PIN}, turn=2, how="keys")
    call.is_answered_by_lex(2)
    call.tells("update-made", {"twiml": "<Response>geheimnis</Response>"}, number=2, hands_over=False)
    return call


def texts(root: object) -> Iterator[str]:
    """Yield all texts that an object holds, directly or over others."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        for other in [] if isinstance(one, type) or callable(one) else gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type):
                seen.add(id(other))
                waiting.append(other)


@pytest.mark.parametrize(("kept", "found"), [(NO_WORDS, set()), (SAID, ALL_BUT_DOCUMENTS)])
def test_words_are_kept_only_where_somebody_passes_them_on(kept: frozenset[str], found: set[str]) -> None:
    calls, call = WatchedCalls(kept), open_call()
    for event in call.facts:
        if isinstance(event, Event):
            list(calls.take(event))
    facts = calls.facts(call.call_sid)
    assert facts is not None
    del call
    assert {secret for text in texts(calls) for secret in holds_secret(text)} == found
    assert list(facts.turns.intents) == ["OrderFlowers"]


def test_slots_without_their_values_are_named() -> None:
    words = {"slots": {"Type": "tulips", "Date": None, "Count": 0}, "raw": {"a": 1}, "transcript": "tulips"}
    event = Event(BEGAN_S, "CA1", "MZ1", 0, "debug", "lex-answered", {"turn": 1}, words)
    assert with_words(event, NO_WORDS).words == {"slots": {"Type": "", "Date": None, "Count": ""}}
    assert with_words(event, SAID).words == {"slots": words["slots"], "transcript": "tulips"}
    without = Event(BEGAN_S, "CA1", "MZ1", 0, "debug", "update-made", {})
    assert with_words(without, NO_WORDS) is without
