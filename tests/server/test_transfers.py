"""Transfers and the way on after the bot, at `server.py` with two workers, one of which is killed in the middle."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.twilio.applications import Application
from lexbridge.offline.twilio.events import BotFinished, EndReason, Transferred, VerbStarted
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.phrases.catalogue import phrases_for
from tests.support.killed_server import KilledCall, KilledServer, killed_server
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, flowers

PERSON, STUDIO = "+12065550155", "https://studio.example.com/flow"
NOBODY = phrases_for("en_US").transfer_failed
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
NUMBERS = {"call-update": "+12065550111", "stream": "+12065550112"}
WITH_AFTER = {"call-update": "+12065550113", "stream": "+12065550114"}

TABLE = f"""
[defaults]
hangup_intents = []
transfers = ["{PERSON}"]
after_attributes = ["lexbridge:topic"]

[bots.flowers]
name = "OrderFlowers"
alias = "prod"
"""
LINE = """
[[lines]]
match.to = "{}"
bot = "flowers"
reply_mode = "{}"
after = "{}"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledServer]:
    """Run one server for all calls, because its start takes longer than a call."""
    lines = [LINE.format(number, mode, "") for mode, number in NUMBERS.items()]
    lines += [LINE.format(number, mode, f"{STUDIO}?FlowEvent=return") for mode, number in WITH_AFTER.items()]
    with killed_server(tmp_path_factory.mktemp("server"), TABLE + "".join(lines), [flowers()]) as server:
        yield server


@pytest.fixture
def flow(server: KilledServer) -> Application:
    """Return a stand-in for Studio, which takes calls back."""
    studio = Application(lambda _: "<Response><Say>Back in the flow.</Say><Hangup/></Response>")
    server.twilio.applications[STUDIO] = studio
    return studio


def lex_client(story: KilledCall) -> Any:
    """Return the client of a program that talks with the bot beside the call."""
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
    return boto3.client("lex-runtime", endpoint_url=story.server.lex.url, **keys)  # type: ignore[call-overload]


def session(story: KilledCall) -> dict[str, str]:
    """Return the session attributes that Lex has of the call."""
    found = lex_client(story).get_session(botName="OrderFlowers", botAlias="prod", userId=story.call.sid)
    return dict(found["sessionAttributes"])


def asks(story: KilledCall, **attributes: str) -> None:
    """Let the caller say two sentences. The bot's answer to the second has `attributes`, and closes the dialog."""
    story.says("I would like to order flowers")
    wait_until(lambda: len(story.turns()) == 1)
    if story.mode == "stream":
        story.call.wait_for(BotFinished, PATIENCE_S, count=2)  # nobody interrupts it here
    wait_until(lambda: not story.caller.is_speaking)
    lex_client(story).post_text(
        botName="OrderFlowers",
        botAlias="prod",
        userId=story.call.sid,
        inputText="roses",
        sessionAttributes={f"lexbridge:{name.replace('_', '-')}": value for name, value in attributes.items()},
    )
    story.says("goodbye")


def dials(story: KilledCall) -> None:
    """Wait until Twilio dials the person."""
    story.call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Dial")


def resumed(story: KilledCall) -> list[str | None]:
    """Return how each stream of the call began."""
    return [line["resumed"] for line in story.log("stream-started")]


@MODES
def test_a_transfer_comes_back_though_workers_are_killed(mode: str, server: KilledServer) -> None:
    """One dies while Twilio dials, and one while the caller hears that nobody takes the call: they hear it again."""
    server.twilio.exchange.set(PERSON, FarEnd(does="busy", rings_s=5))
    story = server.place_call(NUMBERS[mode], mode)
    asks(story, action="transfer", transfer_to=PERSON)
    dials(story)
    story.kill_its_worker()
    assert story.call.wait_for(Transferred, PATIENCE_S).status == "busy"
    wait_until(lambda: resumed(story) == [None, "returned"])
    story.begins_to_hear(NOBODY)
    server.both_serve()
    story.kill_its_worker()
    wait_until(lambda: resumed(story) == [None, "returned", "lost"])
    assert story.served["pid"] not in server.killed
    story.hears(NOBODY)
    story.says("I would like to order flowers")
    wait_until(lambda: session(story).get("lexbridge:transfer-status") == "busy")
    assert "lexbridge:action" not in session(story)  # the same session, without the request for the transfer
    story.call.hang_up()
    story.call.wait(PATIENCE_S)
    assert len([event for event in story.call.events if isinstance(event, Transferred)]) == 1
    assert not story.log("call-given-up")


@MODES
def test_a_call_killed_while_its_bot_is_done_still_goes_on(mode: str, server: KilledServer, flow: Application) -> None:
    """The bot has closed the dialog, and its worker dies before Twilio has the last document: another sends it."""
    story = server.place_call(WITH_AFTER[mode], mode)
    killed: list[int] = []

    def dies_with_the_answer(request: LexRequest) -> None:
        if request.operation == "PostContent" and story.turns() and not request.is_text and not killed:
            killed.append(story.kill_its_worker())

    server.lex.before_answer = dies_with_the_answer
    asks(story, action="return", topic="roses")
    assert story.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
    assert killed
    (request,) = flow.requests
    told = {name: request.parameters[name] for name in ("FlowEvent", "outcome", "intent", "lexbridge:topic")}
    assert told == {"FlowEvent": "return", "outcome": "done", "intent": "GoodbyeIntent", "lexbridge:topic": "roses"}


@MODES
def test_a_person_had_the_caller_and_the_flow_has_them_next(mode: str, server: KilledServer, flow: Application) -> None:
    """The worker that knew what the bot said is dead when the person hangs up: the address has it."""
    server.twilio.exchange.set(PERSON, FarEnd(talks_s=5))
    story = server.place_call(WITH_AFTER[mode], mode)
    asks(story, action="transfer", transfer_to=PERSON)
    dials(story)
    story.kill_its_worker()
    assert story.call.wait(PATIENCE_S).reason is EndReason.HANGUP_VERB
    (request,) = flow.requests
    assert (request.parameters["outcome"], request.parameters["intent"]) == ("transferred", "GoodbyeIntent")
    assert [line["status"] for line in story.log("transfer-ended")] == ["completed"]
