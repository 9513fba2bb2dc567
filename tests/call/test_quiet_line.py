"""A quiet line, which the bridge may visit less often: the caller neither speaks, nor keys, nor waits for an answer."""

import pytest

from tests.support import call_update_stories, stream_stories
from tests.support.caller import Caller


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
        (lambda caller: caller.speaks(500), None),
        (Caller.says_something, None),
        (lambda caller: caller.speaks(500) or caller.lex_says_aloud("Which day?", ms=40), 2000),
    ],
    ids=["a click", "speaks", "waits for Lex", "is answered"],
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
