"""The examples of docs/offline-twilio.md are carried out in calls."""

import re
from typing import Any

from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.packages import ROOT
from tests.support.stand_in_bridge import DEADLINE_S, PUBLIC, StandIn, call_at, document

PEOPLE, PROGRAMS, OUTBOUND = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/offline-twilio.md").read_text(encoding="utf-8"), re.DOTALL
)


def transferred(twilio: SimulatedTwilio, bridge: StandIn, inside: str) -> tuple[PhoneCall, dict[str, str]]:
    """Place a call with a document, and return it with what the action was told."""
    bridge.documents["/after"] = document("<Hangup/>")
    call = call_at(twilio, bridge, inside)
    call.wait(DEADLINE_S)
    return call, [request.form for request in bridge.requests if request.path == "/after"][-1]


def test_people_queues_and_conferences(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    exec(PEOPLE, {"twilio": twilio})  # noqa: S102 - the example is ours
    number = '<Dial action="/after" callerId="+12065550177">+12065550111</Dial>'
    statuses = [transferred(twilio, bridge, number)[1]["DialCallStatus"] for _ in range(2)]
    assert statuses == ["busy", "completed"]
    bridge.documents |= {
        "/whisper": document('<Gather action="/accept" numDigits="1"><Say>Press 1.</Say></Gather><Hangup/>'),
        "/accept": document(""),
    }
    sip = '<Dial action="/after"><Sip url="/whisper">sip:desk@pbx.example.com?X-Intent=Order</Sip></Dial>'
    call, told = transferred(twilio, bridge, sip)
    assert (told["DialBridged"], call.legs[0].headers) == ("true", {"X-Intent": "Order"})
    assert transferred(twilio, bridge, '<Dial action="/after"><Client>ann</Client></Dial>')[1]["DialCallStatus"] == (
        "no-answer"
    )
    queued, told = transferred(twilio, bridge, '<Enqueue action="/after">support</Enqueue>')
    assert (told["QueueResult"], queued.line.now_ms >= 20_000) == ("bridged", True)
    conference = '<Dial action="/after"><Conference>room</Conference></Dial>'
    assert transferred(twilio, bridge, conference)[1]["DialCallStatus"] == "answered"
    assert queued.complaints == call.complaints == []


def test_another_program(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    names: dict[str, Any] = {"twilio": twilio}
    exec(PROGRAMS, names)  # noqa: S102
    address = "https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1?FlowEvent=return"
    call = call_at(twilio, bridge, f"<Redirect>{address}</Redirect>")
    assert call.wait(DEADLINE_S).reason is EndReason.DOCUMENT_ENDED
    (request,) = names["flow"].requests
    assert (request.url, request.parameters["FlowEvent"]) == (address, "return")


def test_an_outbound_call(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/twiml"] = document("<Say>Please call back.</Say><Hangup/>")
    names: dict[str, Any] = {"twilio": twilio, "voice": SilentVoice(), "base": bridge.base}
    exec(OUTBOUND, names)  # noqa: S102
    call, callee = names["call"], names["callee"]
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert callee.message == ["Please call back."]
    assert bridge.requests[0].form["AnsweredBy"] == "machine_end_beep"
    assert PUBLIC in OUTBOUND
