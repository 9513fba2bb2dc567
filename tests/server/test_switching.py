"""Switches to another bot at `server.py` with two workers, of which the one that serves the call is killed."""

from collections.abc import Iterator

import pytest

from lexbridge.phrases.catalogue import phrases_for
from tests.support.killed_server import KilledCall, KilledServer, killed_server
from tests.support.rehearsal import wait_until
from tests.support.rig import HUM_MS
from tests.support.switching_rig import AT_ONCE, BOTS, COFFEE_WORDS, FLOWER_WORDS

TABLE = """
[bots.router]
id = "ROUTER0000"
alias = "TSTALIASID"

[bots.flowers]
id = "FLOWERS000"
alias = "TSTALIASID"

[bots.coffee]
name = "Coffee"
alias = "prod"
welcome = "bot"
welcome_intent = "Brew"

[[lines]]
name = "call-update"
match.to = "+12065550111"
bot = "router"

[[lines]]
name = "stream"
match.to = "+12065550112"
bot = "router"
reply_mode = "stream"
"""
NUMBERS = {"call-update": "+12065550111", "stream": "+12065550112"}
MODES = pytest.mark.parametrize("mode", NUMBERS)
COFFEE = COFFEE_WORDS.replace("[customer]", "4711")
FLOWERS = FLOWER_WORDS.replace("[customer]", "4711")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledServer]:
    """Run one server for all calls, because its start takes longer than a call."""
    with killed_server(tmp_path_factory.mktemp("server"), TABLE, BOTS) as server:
        yield server


def another_worker_has(story: KilledCall, bot: str) -> None:
    """Wait until a worker that was not killed has the call, on a stream to `bot`, and knows what Lex has of it."""
    killed = story.server.killed
    wait_until(lambda: story.served.get("line_bot") == bot and story.served["pid"] not in killed)
    opened_s = story.newest_stream.at_s
    asked = story.server.lex.requests
    wait_until(lambda: any(one.operation == "GetSession" and one.answered and one.began >= opened_s for one in asked))


def assert_went_on(story: KilledCall, said: list[str]) -> None:
    """Check what was answered in the session of the call, and that the next bot has the attributes of the first."""
    turns = story.turns()
    assert [one.said for one in turns] == said
    carried = {name: turns[-1].attributes[name] for name in ("customer", "lexbridge:switches")}
    assert carried == {"customer": "4711", "lexbridge:switches": "1"}
    assert {line["line"] for line in story.log("stream-started")} == {story.mode}
    story.call.hang_up()


@MODES
@pytest.mark.parametrize("dies_at", ["bot-switched", "switched stream"])
def test_a_worker_dies_in_the_middle_of_a_switch(dies_at: str, mode: str, server: KilledServer) -> None:
    """The bot that hands the call over says its words again, or the next bot begins again, with the attributes."""
    story = server.place_call(NUMBERS[mode], mode)
    story.says("flowers please")
    if dies_at == "bot-switched":
        wait_until(lambda: story.log("bot-switched"))
    else:
        wait_until(lambda: story.served.get("resumed") == "switched")
    story.kill_its_worker()
    another_worker_has(story, "flowers")
    if dies_at == "bot-switched":
        # Twilio says again what Lex had begun to say.
        assert story.is_said(AT_ONCE) or max(story.ms_heard_of_lex().values()) >= HUM_MS * len(AT_ONCE)
        story.call.line.wait_ms(2000)
    else:
        story.hears(phrases_for("en_US").say_it_again)
    story.is_answered("some roses")
    assert_went_on(story, [AT_ONCE, FLOWERS])


@MODES
def test_a_worker_dies_while_the_next_bot_begins(mode: str, server: KilledServer) -> None:
    """The bot of the other generation welcomes the caller, who has heard its first words, and then hears them all."""
    story = server.place_call(NUMBERS[mode], mode)
    story.says("coffee please")
    wait_until(lambda: story.served.get("line_bot") == "coffee")
    story.begins_to_hear(COFFEE)
    story.kill_its_worker()
    another_worker_has(story, "coffee")
    story.hears(COFFEE)
    story.is_answered("an espresso")
    assert story.turns()[-1].slots["Text"].endswith("espresso")  # for which the dead worker's welcome had asked
    assert_went_on(story, ["", ""])
