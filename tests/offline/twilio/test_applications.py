"""Calls that go from one program to another, as between a Studio flow, Flex and a bridge."""

from collections.abc import Callable

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.applications import Application, ApplicationAnswer, ApplicationRequest, application_at
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.webhooks import Webhooks
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    HOLD,
    PUBLIC,
    START,
    STREAM,
    TOKEN,
    StandIn,
    a_caller,
    call_at,
    client_of,
    codes,
    document,
)

STUDIO = "https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1"
FLEX = "https://flex.example.com"


def said(call: PhoneCall) -> list[str]:
    return [event.text for event in call.events if isinstance(event, happened.BotBegan)]


def test_a_flow_lends_its_call_to_the_bot_and_gets_it_back(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def flow(request: ApplicationRequest) -> str:
        if request.parameters.get("FlowEvent") == "return":
            return document(f"<Say>You chose {request.parameters['Intent']}.</Say><Hangup/>")
        return document(f"<Say>Welcome.</Say><Redirect>{PUBLIC}/twiml</Redirect>")

    studio = twilio.applications[STUDIO] = Application(flow)
    back = f"{STUDIO}?FlowEvent=return&amp;Intent=OrderFlowers"
    bridge.documents["/twiml"] = document(f"<Say>I am the bot.</Say><Redirect>{back}</Redirect>")
    call = twilio.place_call(STUDIO, a_caller(), connect_to=bridge.base)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert said(call) == ["Welcome.", "I am the bot.", "You chose OrderFlowers."]
    first, second = studio.requests
    assert first.parameters["CallSid"] == call.sid
    assert RequestValidator(TOKEN).validate(second.url, second.form, second.signature)
    assert second.url == back.replace("&amp;", "&")
    assert [request.path for request in bridge.requests] == ["/twiml"]
    assert call.complaints == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_program_takes_a_call_by_an_update(twilio: SimulatedTwilio, bridge: StandIn, method: str) -> None:
    flex = twilio.applications[FLEX] = Application(document(f"<Say>An agent is here.</Say>{HOLD}"))
    call = call_at(twilio, bridge, START + "<Say>I am the bot.</Say>" + HOLD)
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(url=f"{FLEX}/take?agent=7", method=method)
    call.wait_for(happened.BotBegan, DEADLINE_S, where=lambda event: event.text == "An agent is here.")
    (request,) = flex.requests
    assert (request.method, request.parameters["agent"]) == (method, "7")
    assert RequestValidator(TOKEN).validate(request.url, request.form, request.signature)
    assert len(call.streams) == 1  # a one-way stream lives on: the bridge still hears the caller
    call.hang_up()
    call.wait(DEADLINE_S)
    assert call.complaints == []


def test_a_call_that_is_taken_ends_its_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.applications[FLEX] = Application(document("<Hangup/>"))
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(url=FLEX)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.kinds()[-1] == "stop"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda _: ApplicationAnswer(status=503), 11200),
        (lambda _: ApplicationAnswer(text="{}", content_type="application/json"), 12300),
    ],
)
def test_a_program_that_fails_ends_the_call(
    twilio: SimulatedTwilio,
    bridge: StandIn,
    answer: Callable[[ApplicationRequest], str | ApplicationAnswer],
    code: int,
) -> None:
    application = twilio.applications[FLEX] = Application(answer)
    call = call_at(twilio, bridge, f"<Say>Bye.</Say><Redirect>{FLEX}/#rc=2&amp;rp=5xx</Redirect>")
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [code]
    assert len(application.requests) == (3 if code == 11200 else 1)  # it is asked again as the address says


def test_an_address_may_lead_to_a_server(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.applications[FLEX] = bridge.base
    bridge.documents |= {"/flex": document("<Hangup/>")}
    call = twilio.place_call(f"{FLEX}/flex", a_caller())
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[0].host == "flex.example.com"
    assert Webhooks(TOKEN, None, applications=twilio.applications).address(f"{FLEX}/a?b=1") == f"{bridge.base}/a?b=1"


def test_the_longest_address_that_fits_answers() -> None:
    applications: dict[str, Application | str] = {"https://a.example": "all", "https://a.example/one/": "one"}
    assert application_at("https://a.example", applications) == "all"
    assert application_at("https://a.example?x=1", applications) == "all"
    assert application_at("https://a.example/one?x=1", applications) == "one"
    assert application_at("https://a.example/oneself", applications) == "all"
    assert application_at("https://a.example.com/", applications) is None
