"""What the pages about the way in and out of Twilio show is carried out, as it stands there, in calls."""

import json
import re
from typing import Any

import pytest
import requests
import twilio.rest

from lexbridge.config.lines import Line, LineTable
from lexbridge.config.settings import Settings
from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.lex.bots import Bot, Intent, Message
from lexbridge.offline.twilio.applications import Application
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason, StreamOpened, VerbStarted, WebhookRequested
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.line import Party
from lexbridge.offline.twilio.number import Number
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.hook_server import HookServer
from tests.support.hook_server import says as answers
from tests.support.lines import called
from tests.support.packages import ROOT
from tests.support.rehearsal import wait_until
from tests.support.rig import ENVIRONMENT, PATIENCE_S, TOKEN, HummingVoice, Rig, flowers, running, says, v2_bot
from tests.support.shown_code import shown
from tests.support.stand_in_bridge import client_of
from tests.support.streaming import turns_of

CALLEE = "+12065550100"


def in_call(call: PhoneCall, words: str, count: int = 1) -> VerbStarted:
    """Wait until Twilio says `words` to the caller."""
    is_said = lambda event: event.verb == "Say" and words in event.text  # noqa: E731
    return call.wait_for(VerbStarted, PATIENCE_S, count=count, where=is_said)


# -- docs/outbound.md


def dial_out(rig: Rig, callee: Party, part: str, monkeypatch: pytest.MonkeyPatch) -> PhoneCall:
    """Run the page's program that has `part` in it, with Twilio's client, and return the call that it places."""
    rig.twilio.exchange.set(CALLEE, FarEnd(party=lambda: callee, talks_s=None))
    rig.twilio.connect_to = rig.base
    client = client_of(rig.twilio)
    monkeypatch.setattr(twilio.rest, "Client", lambda *_: client)
    exec(shown("docs/outbound.md", "python", part), {"client": client})  # noqa: S102 - a document of this repository
    (call,) = rig.twilio.calls.values()
    return call


def test_the_call_of_outbound_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = {"GREETING": "This is the shop.", "CALL_FACTS": "AnsweredBy,query.campaign", **v2_bot(flowers())}
    with running([FLOWERS], lex_voice=HummingVoice(), pace=0.1, **shop) as rig:
        callee = SimulatedCaller(HummingVoice(), Script(hello="Hello?"))
        call = dial_out(rig, callee, "import Client", monkeypatch)
        in_call(call, "This is the shop.")
        call.line.wait_ms(3000)
        callee.say("some flowers")
        wait_until(lambda: turns_of(rig) and turns_of(rig)[0].answered)
        told = turns_of(rig)[0].attributes
        facts = {name: told[f"lexbridge:{name}"] for name in ("direction", "query-campaign", "answered-by")}
        assert facts == {"direction": "outbound-api", "query-campaign": "7", "answered-by": "human"}
        call.hang_up()
        rig.ended(call)


def test_a_machine_is_found_out_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(pace=0.1, lex_voice=HummingVoice(), MACHINE_TEXT="Please call us back.") as rig:
        machine = AnsweringMachine(HummingVoice(), "You have reached Ada. Please leave a message.")
        call = dial_out(rig, machine, "async_amd", monkeypatch)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert machine.message[-1] == "Please call us back."
        asked = [event.url for event in call.events if isinstance(event, WebhookRequested)]
        assert f"{ENVIRONMENT['URL']}/twiml/answered-by?campaign=7" in asked


# -- docs/transfers.md


SETTINGS = dict(line.split("=", 1) for line in shown("docs/transfers.md", "", "TRANSFER_NUMBERS").splitlines())
BUSY = "All my colleagues are talking."


def human(transfer_to: str) -> Bot:
    """Return a bot whose intent closes as the page's Lambda function does, but with this target."""
    answer = json.loads(shown("docs/transfers.md", "json", "sessionState"))
    (message,), state = answer["messages"], answer["sessionState"]
    attributes = {**state["sessionAttributes"], "customer": "4711", "lexbridge:transfer-to": transfer_to}
    words = (Message(message["content"]),)
    asked = Intent(state["intent"]["name"], ("a human please",), closing=words, when_closed=attributes)
    return Bot("Shop", (asked, Intent(SETTINGS["TRANSFER_FAILED_INTENT"], closing=(Message(BUSY),))))


@pytest.mark.parametrize(
    ("transfer_to", "headers"),
    [("queue:Support", {}), ("sip:desk@pbx.example.com", {"X-customer": "4711", "X-topic": "return"})],
)
def test_a_caller_is_transferred_twice_and_goes_on(transfer_to: str, headers: dict[str, str]) -> None:
    """Nobody takes the call, and the bot has the caller again. Then somebody does, and Studio has the caller next."""
    human_please = ["a human please"] * 2
    bot = human(transfer_to)
    with running(human_please, bot=lambda: bot, NO_INPUT_S="120", **v2_bot(bot), **SETTINGS) as rig:
        flow = Application(lambda _: "<Response><Say>Back in the flow.</Say><Hangup/></Response>")
        address, _, query = SETTINGS["AFTER_URL"].partition("?")
        rig.twilio.applications[address] = flow
        rig.twilio.exchange.set(transfer_to, FarEnd(does="busy"), FarEnd(talks_s=3))
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("a human")
        in_call(call, "I connect you with my colleagues.")
        in_call(call, BUSY)
        call.line.wait_ms(4000)  # nobody interrupts it here
        caller.say("a human")
        in_call(call, "Back in the flow.")
        call.wait(PATIENCE_S)
        (request,) = flow.requests
        given = {name: request.parameters[name] for name in ("FlowEvent", "outcome", "intent", "customer")}
        assert given == {"FlowEvent": "return", "outcome": "transferred", "intent": "Human", "customer": "4711"}
        assert query == "FlowEvent=return"
        assert [leg.headers for leg in call.legs] == ([headers] * 2 if headers else [])


# -- docs/routing-hook.md

QUESTION = json.loads(shown("docs/routing-hook.md", "json", "call.route"))
ANSWER = json.loads(shown("docs/routing-hook.md", "json", "Welcome back"))


def with_sales(own: Settings) -> LineTable:
    """Return a table whose line `sales` serves the calls to the number of the page's question."""
    return LineTable(None, [Line("sales", own.line, called(QUESTION["data"]["to"]))])


def test_the_hook_is_asked_and_answers_as_on_the_page() -> None:
    with HookServer(answers(ANSWER)).running() as hook, running([FLOWERS], table=with_sales, **hook.settings) as rig:
        caller, told = says(), QUESTION["data"]
        webhook = f"{ENVIRONMENT['URL']}/twiml?campaign={told['query']['campaign']}"
        number = Number(webhook, caller=told["from"], called=told["to"], facts={"CallerCountry": "US"})
        call = rig.twilio.place_call(number, caller, connect_to=rig.base)
        in_call(call, ANSWER["greeting"])
        caller.say("some flowers")
        wait_until(lambda: turns_of(rig) and turns_of(rig)[0].answered)
        assert turns_of(rig)[0].attributes["tier"] == ANSWER["attributes"]["tier"]
        (asked,) = hook.questions
        assert {*asked} == {*QUESTION}
        assert {*asked["data"]} == {*told}
        same = ("from", "to", "direction", "line", "is_new", "query")
        assert {name: asked["data"][name] for name in same} == {name: told[name] for name in same}
        assert asked["data"]["twilio"]["CallerCountry"] == told["twilio"]["CallerCountry"]
        call.hang_up()
        rig.ended(call)


# -- docs/release.md


def released_call(rig: Rig) -> tuple[SimulatedCaller, PhoneCall]:
    """Place a call that another program is to take away."""
    caller = says()
    call = rig.place_call(caller)
    call.wait_for(StreamOpened, PATIENCE_S)
    wait_until(lambda: rig.calls.stream_of(call.account_sid, call.sid))
    return caller, call


def test_the_request_of_release_lets_a_live_call_go(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The program's request reaches the service over a real socket, at the address behind the public one."""
    names: dict[str, Any] = {}
    exec(shown("docs/release.md", "python", "def release"), names)  # noqa: S102
    post = requests.post
    monkeypatch.setattr(requests, "post", lambda url, **sent: post(url.replace(ENVIRONMENT["URL"], rig.base), **sent))
    with running([FLOWERS]) as rig:
        caller, call = released_call(rig)
        answer = names["release"](ENVIRONMENT["URL"], call.account_sid, TOKEN, call.sid)
        assert (answer.status_code, answer.json()) == (200, {"released": True, "noted": True})
        client_of(rig.twilio).calls(call.sid).update(twiml="<Response><Pause length='3'/><Say>Moved.</Say></Response>")
        caller.say("some flowers")
        in_call(call, "Moved.")
        call.wait(PATIENCE_S)
        assert turns_of(rig) == []
    assert [line["ended_by"] for line in logged() if line["event"] == "call-ended"] == ["release"]


def test_a_conference_releases_who_is_moved_into_it(logged: Logged) -> None:
    page = (ROOT / "docs" / "release.md").read_text(encoding="utf-8")
    (attributes,) = re.findall(r"`<Conference (statusCallback=.*?)>`", page)
    with running([FLOWERS]) as rig:
        _, call = released_call(rig)
        conference = f"<Conference {attributes.replace('CA...', call.sid)}>Sales</Conference>"
        rig.twilio.exchange.set("conference:Sales", FarEnd(talks_s=3))
        client_of(rig.twilio).calls(call.sid).update(twiml=f"<Response><Dial>{conference}</Dial></Response>")
        wait_until(lambda: [line for line in logged() if line["event"] == "call-released"])
        call.wait(PATIENCE_S)
    assert [line["ended_by"] for line in logged() if line["event"] == "call-ended"] == ["release"]
