"""The console, posted events and traces understand the same facts alike, in every figure."""

from itertools import dropwhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.observer.watched.call_facts import logged
from lexbridge.telemetry.facts import Event
from tests.support.told_figures import assert_agree, of_events
from tests.support.told_stories import STORIES


@pytest.mark.parametrize("name", STORIES)
def test_all_who_watch_a_call_tell_the_same(name: str) -> None:
    assert_agree(STORIES[name]().facts)


@given(st.sampled_from(sorted(STORIES)), st.data())
def test_they_agree_whatever_facts_are_lost(name: str, data: st.DataObject) -> None:
    """The channel drops facts if the observer is too slow. What stays known may be little, and is the same for all."""
    call = STORIES[name]()
    lost = data.draw(st.sets(st.integers(0, len(call.facts) - 1), max_size=12))
    facts = [fact for number, fact in enumerate(call.facts) if number not in lost and isinstance(fact, Event)]
    # A line of a webhook about a call that nobody knows begins one in the console alone.
    known = dropwhile(lambda fact: fact.media_ms < 0 and fact.name not in ("call-answered", "call-described"), facts)
    if told := list(known):
        assert_agree(told)


# -- what each story comes to


@pytest.mark.parametrize(
    ("name", "turns", "end"),
    [
        ("usual_call", ["answered"] * 2, ("caller", "caller hung up")),
        ("bad_call", ["answered", "lost worker-ended", "answered"], ("caller", "stopped by Twilio")),
        ("stream_lost", ["answered", "lost stream lost", "lost stream lost", "answered"], ("bot", "bot hung up")),
        ("hung_up_while_lex_worked", ["answered", "dropped caller hung up"], ("caller", "caller hung up")),
        ("hung_up_in_a_word", ["answered", "lost stopped by Twilio"], ("caller", "stopped by Twilio")),
        ("keys_and_silence", ["answered", "lost keys", "answered"], ("lexbridge", "no-input")),
        ("interrupted", ["answered", "joined", "answered", "false-alarm", "failed"], ("lexbridge", "turn-failed")),
        ("given_up", ["answered"], ("lexbridge", "call-given-up")),
        ("silent_to_the_end", ["answered"], ("lexbridge", "silent-caller-left")),
        ("taken_over", ["answered", "answered"], ("transfer", "transferred")),
        ("worker_died", ["answered", "lost worker-ended", "lost worker-ended"], (None, "worker-ended")),
        ("never_ended", ["answered"], (None, "nothing more was heard of it")),
        ("without_a_stream", [], (None, "no stream")),
        ("from_the_middle", ["answered", "answered"], ("caller", "caller hung up")),
    ],
)
def test_each_story_comes_to_what_it_is(name: str, turns: list[str], end: tuple[str | None, str]) -> None:
    facts = STORIES[name]().facts
    told, call = of_events(facts)
    assert [" ".join(filter(None, (turn["outcome"], turn["why"]))) for turn in told] == turns
    assert (call["ended_by"], call["why"]) == (end[0], logged(end[1]))
