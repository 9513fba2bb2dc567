"""Outbound calls of the simulated Twilio: who answers, what is told, and what the REST API refuses."""

from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.line import Party
from lexbridge.offline.twilio.outbound_call import OutboundCall
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.rig import HummingVoice
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    HOLD,
    PUBLIC,
    TOKEN,
    StandIn,
    client_of,
    codes,
    document,
    verbs,
)

CALLEE, CALLER = "+12065550123", "+12065550199"
ASKED = {"To": CALLEE, "From": CALLER, "Url": f"{PUBLIC}/twiml"}


def called(
    twilio: SimulatedTwilio, bridge: StandIn, inside: str, callee: Party | None = None, **more: Any
) -> OutboundCall:
    """Place an outbound call whose webhook answers with `inside`."""
    bridge.documents["/twiml"] = document(inside)
    return twilio.place_outbound_call({**ASKED, **more}, callee, connect_to=bridge.base)


def told(bridge: StandIn, path: str) -> list[dict[str, str]]:
    """Return what was told at `path`, in order."""
    return [request.form for request in bridge.requests if request.path == path]


def person(hello: str = "Hello?", **script: Any) -> SimulatedCaller:
    return SimulatedCaller(HummingVoice(), Script(hello=hello, **script))


def test_a_dialler_places_a_call_by_the_rest_api(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.connect_to = bridge.base
    bridge.documents["/twiml"] = document("<Say>Hello, this is the shop.</Say><Hangup/>")
    made = client_of(twilio).calls.create(to=CALLEE, from_=CALLER, url=f"{PUBLIC}/twiml?job=7")
    assert (made.status, made.direction, made.to) == ("queued", "outbound-api", CALLEE)
    call = twilio.calls[made.sid]
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    (request,) = bridge.requests
    assert RequestValidator(TOKEN).validate(f"{PUBLIC}/twiml?job=7", request.form, request.signature)
    assert request.form.items() >= {"Direction": "outbound-api", "CallStatus": "in-progress", "To": CALLEE}.items()
    assert "AnsweredBy" not in request.form
    assert client_of(twilio).calls(made.sid).fetch().status == "completed"
    assert call.complaints == []


def test_the_document_may_come_with_the_request(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = twilio.place_outbound_call({"To": CALLEE, "From": CALLER, "Twiml": document("<Say>Hi.</Say>")})
    assert call.wait(DEADLINE_S).reason is EndReason.DOCUMENT_ENDED
    assert verbs(call) == ["Say"]


@pytest.mark.parametrize("does", ["busy", "no-answer", "failed"])
def test_a_callee_who_does_not_answer(twilio: SimulatedTwilio, bridge: StandIn, does: str) -> None:
    bridge.documents["/status"] = document("")
    twilio.exchange.set(CALLEE, FarEnd(does=does))
    call = called(twilio, bridge, "<Hangup/>", Timeout="5", StatusCallback=f"{PUBLIC}/status")
    assert call.wait(DEADLINE_S).reason is EndReason.NOT_ANSWERED
    assert (call.status, call.answered) == (does, False)
    (form,) = told(bridge, "/status")
    assert (form["CallStatus"], form["CallDuration"]) == (does, "0")
    assert told(bridge, "/twiml") == []


def test_a_ringing_call_can_be_cancelled_but_not_updated(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set(CALLEE, FarEnd(rings_s=500))
    call = called(twilio, bridge, "<Hangup/>", Timeout="600")
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert raised.value.code == 21220
    client_of(twilio).calls(call.sid).update(status="canceled")
    call.wait(DEADLINE_S)
    assert call.status == "canceled"


def test_progress_is_told_as_asked(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/status"] = document("")
    events = ["initiated", "ringing", "answered", "completed"]
    call = called(twilio, bridge, "<Hangup/>", StatusCallback=f"{PUBLIC}/status", StatusCallbackEvent=events)
    call.wait(DEADLINE_S)
    forms = sorted(told(bridge, "/status"), key=lambda form: form["SequenceNumber"])
    assert [form["CallStatus"] for form in forms] == ["initiated", "ringing", "in-progress", "completed"]


# Who answered


def machine(**options: Any) -> AnsweringMachine:
    return AnsweringMachine(SilentVoice(), **options)


@pytest.mark.parametrize(
    ("callee", "kind", "answered_by"),
    [
        (lambda: person(), "Enable", "human"),
        (lambda: person(), "DetectMessageEnd", "human"),
        (
            lambda: person("Smith and Sons, flowers for every day, good morning, what can I do for you?"),
            "Enable",
            "machine_start",
        ),
        (lambda: person(""), "Enable", "unknown"),
        (lambda: machine(), "Enable", "machine_start"),
        (lambda: machine(), "DetectMessageEnd", "machine_end_beep"),
        (lambda: machine(ending="silence"), "DetectMessageEnd", "machine_end_silence"),
        (lambda: machine(ending="other"), "DetectMessageEnd", "machine_end_other"),
        (lambda: None, "Enable", "human"),
    ],
)
def test_who_answered_is_told_with_the_webhook(
    twilio: SimulatedTwilio, bridge: StandIn, callee: Any, kind: str, answered_by: str
) -> None:
    call = called(twilio, bridge, "<Hangup/>", callee(), MachineDetection=kind)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    (form,) = told(bridge, "/twiml")
    assert form["AnsweredBy"] == answered_by
    assert call.detection is not None
    assert form["MachineDetectionDuration"] == str(call.detection.after_ms)
    assert call.line.now_ms >= call.detection.after_ms
    assert call.wait_for(happened.Detected, 0).answered_by == answered_by


def test_later_requests_do_not_have_the_detection(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents |= {"/next": document("<Hangup/>"), "/status": document("")}
    more = {"MachineDetection": "Enable", "StatusCallback": f"{PUBLIC}/status"}
    call = called(twilio, bridge, "<Redirect>/next</Redirect>", machine(), **more)
    call.wait(DEADLINE_S)
    found = {request.path: request.form.get("AnsweredBy") for request in bridge.requests}
    assert found == {"/twiml": "machine_start", "/next": None, "/status": "machine_start"}


def test_a_detection_that_takes_too_long_is_unknown(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    more = {"MachineDetection": "DetectMessageEnd", "MachineDetectionTimeout": "3"}
    call = called(twilio, bridge, "<Hangup/>", machine(), **more)
    call.wait(DEADLINE_S)
    assert told(bridge, "/twiml")[0]["AnsweredBy"] == "unknown"


def test_asynchronous_detection_tells_later(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/amd"] = document("")
    more = {"MachineDetection": "DetectMessageEnd", "AsyncAmd": "true", "AsyncAmdStatusCallback": f"{PUBLIC}/amd"}
    answering = machine()
    call = called(twilio, bridge, f"<Say>Hello, this is the shop.</Say>{HOLD}", answering, **more)
    call.wait_for(happened.Detected, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Please call back.</Say><Hangup/>"))
    call.wait(DEADLINE_S)
    assert "AnsweredBy" not in told(bridge, "/twiml")[0]
    (request,) = [request for request in bridge.requests if request.path == "/amd"]
    assert RequestValidator(TOKEN).validate(f"{PUBLIC}/amd", request.form, request.signature)
    assert call.detection is not None
    assert request.form == {
        "CallSid": call.sid,
        "AccountSid": twilio.account_sid,
        "AnsweredBy": "machine_end_beep",
        "MachineDetectionDuration": str(call.detection.after_ms),
    }
    assert answering.unrecorded == ["Hello, this is the shop."]
    assert answering.message == ["Please call back."]


def test_asynchronous_detection_needs_an_address(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = called(twilio, bridge, "<Hangup/>", MachineDetection="Enable", AsyncAmd="true")
    call.wait(DEADLINE_S)
    assert codes(call) == [21262]


# The callees


def test_a_person_says_hello_and_then_takes_turns(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    callee = person(turns=(Turn(say="yes please", expect="flowers"),), patience_s=600)
    call = called(twilio, bridge, f"<Pause length='3'/><Say>Would you like flowers?</Say>{HOLD}", callee)
    call.wait_for(happened.SpeechEnded, DEADLINE_S, count=2)
    call.hang_up()
    assert call.wait(DEADLINE_S).reason is EndReason.CALLEE_HUNG_UP
    order = [event for event in call.events if isinstance(event, happened.SpeechStarted | happened.BotBegan)]
    assert [event.text for event in order] == ["Hello?", "Would you like flowers?", "yes please"]


def test_a_hello_over_the_greeting_is_no_answer_to_it(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    callee = person(hello_s=1.0, turns=(Turn(say="yes please", expect="flowers"),), patience_s=600)
    call = called(twilio, bridge, f"<Say>Hello, this is the shop. Would you like flowers?</Say>{HOLD}", callee)
    call.wait_for(happened.SpeechEnded, DEADLINE_S, count=2)
    call.hang_up()
    call.wait(DEADLINE_S)
    said = [event.text for event in call.events if isinstance(event, happened.SpeechStarted)]
    assert said == ["Hello?", "yes please"]
    assert callee.troubles == []


def test_a_machine_hangs_up_after_silence(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = called(twilio, bridge, HOLD, machine(silence_s=3))
    assert call.wait(DEADLINE_S).reason is EndReason.CALLEE_HUNG_UP
    call = called(twilio, bridge, '<Say loop="100">A long story.</Say>', machine(longest_s=5))
    assert call.wait(DEADLINE_S).reason is EndReason.CALLEE_HUNG_UP


@pytest.mark.parametrize(
    ("more", "talks_s", "reason"),
    [({"TimeLimit": "4"}, None, EndReason.TIME_LIMIT), ({}, 4, EndReason.CALLEE_HUNG_UP)],
)
def test_how_long_a_call_may_last(
    twilio: SimulatedTwilio, bridge: StandIn, more: dict[str, str], talks_s: float | None, reason: EndReason
) -> None:
    twilio.exchange.set(CALLEE, FarEnd(talks_s=talks_s))
    call = called(twilio, bridge, HOLD, **more)
    assert call.wait(DEADLINE_S).reason is reason


def test_keys_are_sent_when_the_call_is_answered(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = called(twilio, bridge, "<Hangup/>", SendDigits="WW12#")
    call.wait(DEADLINE_S)
    assert call.line.now_ms >= 2000


# What the REST API refuses


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21201),
        ({"To": "nobody"}, 21211),
        ({"To": "sip:ann"}, 21211),
        ({"To": "client:"}, 21211),
        ({"From": ""}, 21213),
        ({"From": "the shop"}, 21212),
        ({"From": "+12065550178"}, 21210),
        ({"Url": ""}, 21205),
        ({"Url": "voice.example.com/twiml"}, 21205),
        ({"Twiml": document("<Hangup/>")}, 20001),
        ({"Url": "", "Twiml": document("<Say>" + "a" * 3990 + "</Say>")}, 32018),
        ({"Method": "PUT"}, 21209),
        ({"Timeout": "0"}, 21208),
        ({"SendDigits": "12a"}, 21206),
        ({"StatusCallback": "/status"}, 21609),
        ({"StatusCallbackEvent": ["ended"]}, 20001),
        ({"MachineDetection": "Maybe"}, 21234),
        ({"MachineDetection": "Enable", "MachineDetectionTimeout": "100"}, 21234),
    ],
)
def test_requests_that_twilio_refuses(
    twilio: SimulatedTwilio, bridge: StandIn, fields: dict[str, Any], code: int
) -> None:
    twilio.exchange.caller_ids.add(CALLER)
    client = client_of(twilio)
    form = {name: value for name, value in {**ASKED, **fields}.items() if value}
    uri = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Calls.json"
    answer = client.request("POST", uri, data=form)
    assert answer.status_code == 400
    assert f'"code": {code},' in answer.text
    assert twilio.calls == {}


def test_calls_are_made_by_those_who_sign_in(twilio: SimulatedTwilio) -> None:
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio, "0" * 32).calls.create(to=CALLEE, from_=CALLER, url=PUBLIC)
    assert raised.value.status == 401
    uri = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Calls.json"
    assert client_of(twilio).request("GET", uri).status_code == 405


def test_a_client_is_shown_any_caller(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.caller_ids.add(CALLER)
    call: PhoneCall = called(twilio, bridge, "<Hangup/>", To="client:ann?intent=flowers", From="the shop")
    call.wait(DEADLINE_S)
    assert (call.number.called, call.number.caller) == ("client:ann", "the shop")
