"""A quiet line, which the bridge may visit less often: the caller neither speaks, nor keys, nor waits for an answer."""

import pytest

from lexbridge.audio.endpointing import EndpointingRules
from lexbridge.call.session import LATE_MS
from tests.support import call_update_stories, stream_stories
from tests.support.caller import Caller

ONSET_MS, HANGOVER_MS = EndpointingRules().onset_ms, EndpointingRules().hangover_ms


def hears_words(caller: Caller) -> None:
    caller.says_something()
    caller.lex_says("Which day?")


def hears_a_voice(caller: Caller) -> None:
    caller.says_something()
    caller.lex_says_aloud("Which day?", ms=3000)


@pytest.mark.parametrize(
    ("story", "quiet_after_ms"),
    [
        (lambda caller: caller.speaks(20), 60),
        (Caller.says_something, None),
    ],
    ids=["a click", "waits for Lex"],
)
@pytest.mark.parametrize("stories", [call_update_stories, stream_stories], ids=["call-update", "stream"])
def test_a_line_is_quiet_again_when_nobody_waits(stories, story, quiet_after_ms):
    caller = stories.a_caller()
    caller.is_silent(5000)
    assert caller.session.is_quiet
    story(caller)
    assert not caller.session.is_quiet
    caller.is_silent(quiet_after_ms or 5000)
    assert caller.session.is_quiet is (quiet_after_ms is not None)


def test_where_twilio_speaks_the_line_is_quiet_until_the_caller():
    caller = call_update_stories.a_caller()
    hears_words(caller)
    caller.is_silent(40)
    assert caller.session.is_quiet
    caller.speaks(20)
    assert not caller.session.is_quiet


@pytest.mark.parametrize("stories", [call_update_stories, stream_stories], ids=["call-update", "stream"])
def test_in_the_middle_of_an_utterance_a_line_is_quiet(stories):
    """Its end has to be found at once, but nothing else in it."""
    caller = stories.a_caller()
    caller.is_silent(1000)
    caller.speaks(ONSET_MS)
    assert caller.session.is_quiet
    caller.speaks(1980)  # longer than a sentence's beginning, in which pauses may be longer
    assert caller.session.is_quiet
    caller.is_silent(HANGOVER_MS - LATE_MS - 20)
    assert caller.session.is_quiet
    caller.is_silent(20)
    assert not caller.session.is_quiet
    caller.speaks(20)
    assert caller.session.is_quiet
    caller.is_silent(HANGOVER_MS)
    assert not caller.session.is_quiet  # the caller waits for Lex
    caller.speaks(500)
    assert not caller.session.is_quiet  # and goes on before the answer


def test_a_line_is_not_quiet_while_its_stream_plays_a_prompt():
    caller = stream_stories.a_caller()
    hears_a_voice(caller)
    assert not caller.session.is_quiet
    caller.is_silent(2960)
    assert not caller.session.is_quiet
    caller.is_silent(60)
    assert caller.session.is_quiet


def test_a_line_is_not_quiet_while_keys_are_collected():
    caller = stream_stories.a_caller()
    caller.is_silent(1000)
    caller.presses("1")
    caller.is_silent(1000)
    assert not caller.session.is_quiet


def test_a_line_is_not_quiet_before_and_after_the_call():
    caller = stream_stories.Caller()
    assert not caller.session.is_quiet
    caller.dials()
    caller.is_silent(5000)
    caller.hangs_up()
    assert not caller.session.is_quiet
