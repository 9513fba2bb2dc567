"""Queues and conferences of the simulated Twilio: how callers wait, are taken out, and meet."""

import json

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.far_ends import FarEnd
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    PUBLIC,
    TOKEN,
    StandIn,
    a_caller,
    call_at,
    client_of,
    codes,
    document,
    verbs,
)

WORKFLOW = "WW" + "0" * 32
NOBODY = FarEnd(does="no-answer")


def told(bridge: StandIn, path: str) -> dict[str, str]:
    """Return what the action at `path` was told."""
    (request,) = [request for request in bridge.requests if request.path == path]
    assert RequestValidator(TOKEN).validate(PUBLIC + path, request.form, request.signature)
    return request.form


def another_call(twilio: SimulatedTwilio, bridge: StandIn, path: str, inside: str) -> PhoneCall:
    """Place a call to another number of the same bridge."""
    bridge.documents[path] = document(inside)
    return twilio.place_call(PUBLIC + path, a_caller(), connect_to=bridge.base)


# Queues


def test_an_agent_takes_the_caller_out_of_the_queue(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/after"] = document("<Hangup/>")
    twilio.exchange.set("queue:support", FarEnd(rings_s=4, talks_s=3))
    call = call_at(twilio, bridge, '<Enqueue action="/after">support</Enqueue><Say>Never.</Say>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    form = told(bridge, "/after")
    assert (form["QueueResult"], form["QueueSid"]) == ("bridged", twilio.exchange.queues.by_name["support"].sid)
    assert int(form["QueueTime"]) >= 3
    assert call.line.now_ms >= 7000
    assert verbs(call) == ["Enqueue", "Hangup"]
    assert call.complaints == []


def test_without_an_action_the_document_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, "<Enqueue>support</Enqueue><Say>Goodbye.</Say>")
    call.wait(DEADLINE_S)
    assert verbs(call) == ["Enqueue", "Say"]


def test_a_task_of_a_workflow_has_the_attributes(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    attributes = json.dumps({"intent": "OrderFlowers", "language": "en"})
    task = f'<Task priority="5" timeout="60">{attributes}</Task>'
    call = call_at(twilio, bridge, f'<Enqueue workflowSid="{WORKFLOW}">{task}</Enqueue>')
    call.wait(DEADLINE_S)
    (made,) = twilio.exchange.queues.tasks
    assert (made.workflow_sid, made.priority, made.timeout_s) == (WORKFLOW, 5, 60)
    assert made.attributes.items() >= {"intent": "OrderFlowers", "call_sid": call.sid, "from": "+12065550100"}.items()
    assert call.complaints == []


def test_a_caller_hears_the_wait_url_and_may_leave(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set("queue:support", NOBODY)
    bridge.first["/wait"] = [document("<Say>You are first.</Say>"), document("")]
    bridge.documents |= {"/wait": document("<Say>Still.</Say><Leave/><Say>Never.</Say>"), "/after": document("")}
    call = call_at(twilio, bridge, '<Enqueue waitUrl="/wait" action="/after">support</Enqueue>')
    call.wait(DEADLINE_S)
    asked = [request.form for request in bridge.requests if request.path == "/wait"]
    assert [form["QueuePosition"] for form in asked] == ["1", "1", "1"]
    assert {"QueueSid", "QueueTime", "AvgQueueTime", "CurrentQueueSize"} <= set(asked[0])
    assert told(bridge, "/after")["QueueResult"] == "leave"
    assert [event.text for event in call.events if isinstance(event, happened.BotBegan)] == ["You are first.", "Still."]
    assert call.complaints == []


@pytest.mark.parametrize(
    ("wait", "reason", "found"),
    [
        (document("<Hangup/>"), EndReason.HANGUP_VERB, []),
        (document("<Pause/><Dial>+12065550123</Dial><Hangup/>"), EndReason.HANGUP_VERB, [12200]),
        ("503 busy", EndReason.APPLICATION_ERROR, [11200]),
    ],
)
def test_what_else_a_wait_url_may_do(
    twilio: SimulatedTwilio, bridge: StandIn, wait: str, reason: EndReason, found: list[int]
) -> None:
    twilio.exchange.set("queue:support", NOBODY)
    bridge.documents["/wait"] = wait
    call = call_at(twilio, bridge, '<Enqueue waitUrl="/wait">support</Enqueue>')
    assert call.wait(DEADLINE_S).reason is reason
    assert codes(call) == found


def test_leave_outside_of_a_queue_changes_nothing(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, "<Leave/><Say>Hi.</Say>")
    call.wait(DEADLINE_S)
    assert verbs(call) == ["Leave", "Say"]


@pytest.mark.parametrize(("does", "result"), [("busy", "queue-full"), ("failed", "system-error")])
def test_a_queue_that_takes_nobody(twilio: SimulatedTwilio, bridge: StandIn, does: str, result: str) -> None:
    bridge.documents["/after"] = document("")
    twilio.exchange.set("queue:support", FarEnd(does=does))
    call = call_at(twilio, bridge, '<Enqueue action="/after">support</Enqueue>')
    call.wait(DEADLINE_S)
    assert told(bridge, "/after")["QueueResult"] == result
    assert codes(call) == ([14207] if does == "busy" else [])


def test_a_caller_hangs_up_or_is_redirected(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/after"] = document("<Say>Never.</Say>")
    twilio.exchange.set("queue:support", NOBODY)
    call = call_at(twilio, bridge, '<Enqueue action="/after">support</Enqueue>')
    call.wait_for(happened.Queued, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document(f'<Enqueue action="{PUBLIC}/after">support</Enqueue>'))
    call.wait_for(happened.Queued, DEADLINE_S, count=2)
    call.hang_up()
    call.wait(DEADLINE_S)
    results = [request.form["QueueResult"] for request in bridge.requests if request.path == "/after"]
    assert sorted(results) == ["hangup", "redirected"]
    assert verbs(call) == ["Enqueue", "Enqueue"]
    assert twilio.exchange.queues.by_name["support"].callers == []


def test_a_call_that_dials_the_queue_talks_to_its_first(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set("queue:support", NOBODY)
    bridge.documents |= {
        "/after": document("<Say>Thank you.</Say>"),
        "/dialled": document(""),
        "/announce": document("<Say>Here is an agent.</Say>"),
    }
    caller = call_at(twilio, bridge, '<Enqueue action="/after">support</Enqueue>')
    caller.wait_for(happened.Queued, DEADLINE_S)
    queue = '<Dial action="/dialled"><Queue url="/announce">support</Queue></Dial>'
    agent = another_call(twilio, bridge, "/agent", queue)
    caller.wait_for(happened.Transferred, DEADLINE_S)
    agent.hang_up()
    caller.wait(DEADLINE_S)
    assert told(bridge, "/after")["QueueResult"] == "bridged"
    assert told(bridge, "/announce")["DequeingCallSid"] == agent.sid
    said = [event.text for event in caller.events if isinstance(event, happened.BotBegan)]
    assert said == ["Here is an agent.", "Thank you."]


def test_a_queued_caller_who_hangs_up_frees_the_agent(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set("queue:support", NOBODY)
    bridge.documents["/dialled"] = document("<Hangup/>")
    agent = another_call(twilio, bridge, "/agent", "<Enqueue>other</Enqueue>")
    agent.wait_for(happened.Queued, DEADLINE_S)
    caller = call_at(twilio, bridge, "<Enqueue>support</Enqueue>")
    caller.wait_for(happened.Queued, DEADLINE_S)
    dial = f'<Dial action="{PUBLIC}/dialled"><Queue>support</Queue></Dial>'
    client_of(twilio).calls(agent.sid).update(twiml=document(dial))
    caller.wait_for(happened.Transferred, DEADLINE_S)
    caller.hang_up()
    agent.wait(DEADLINE_S)
    form = told(bridge, "/dialled")
    assert (form["DialCallStatus"], form["DialCallSid"]) == ("completed", caller.sid)


@pytest.mark.parametrize(("known", "status"), [(False, "failed"), (True, "no-answer")])
def test_a_queue_without_callers(twilio: SimulatedTwilio, bridge: StandIn, known: bool, status: str) -> None:
    bridge.documents["/dialled"] = document("<Hangup/>")
    if known:
        call_at(twilio, bridge, "<Enqueue>support</Enqueue>").wait(DEADLINE_S)
    call = call_at(twilio, bridge, '<Dial action="/dialled" timeout="5"><Queue>support</Queue></Dial>')
    call.wait(DEADLINE_S)
    assert told(bridge, "/dialled")["DialCallStatus"] == status


# Conferences


def test_a_conference_with_a_scripted_person(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents |= {"/dialled": document("<Hangup/>"), "/status": document(""), "/music": document("<Pause/>")}
    twilio.exchange.set("conference:room", FarEnd(rings_s=3, talks_s=4))
    status = 'statusCallback="/status" statusCallbackEvent="start end join leave"'
    conference = f'<Conference waitUrl="/music" participantLabel="bot" {status}>room</Conference>'
    call = call_at(twilio, bridge, f'<Dial action="/dialled">{conference}</Dial>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    form = told(bridge, "/dialled")
    assert form["DialCallStatus"] == "answered"
    assert "DialCallSid" not in form
    assert call.line.now_ms >= 7000
    told_events = [request.form for request in bridge.requests if request.path == "/status"]
    order = sorted(told_events, key=lambda each: int(each["SequenceNumber"]))
    assert [each["StatusCallbackEvent"] for each in order] == [
        "participant-join",
        "participant-join",
        "conference-start",
        "participant-leave",
        "conference-end",
    ]
    assert order[0]["ParticipantLabel"] == "bot"
    assert {each["FriendlyName"] for each in order} == {"room"}
    assert twilio.exchange.conferences.rooms == {}
    assert call.complaints == []


def test_two_calls_meet_and_one_ends_the_conference(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    twilio.exchange.set("conference:room", NOBODY)
    bridge.documents["/dialled"] = document("<Say>It is over.</Say>")
    waiting = '<Dial action="/dialled"><Conference startConferenceOnEnter="false">room</Conference></Dial>'
    one = call_at(twilio, bridge, waiting)
    one.wait_for(happened.VerbStarted, DEADLINE_S)
    room = twilio.exchange.conferences.rooms["room"]
    assert not room.started.is_set()
    two = another_call(
        twilio, bridge, "/two", '<Dial><Conference endConferenceOnExit="true" beep="false">room</Conference></Dial>'
    )
    assert room.started.wait(DEADLINE_S)
    two.hang_up()
    one.wait(DEADLINE_S)
    assert told(bridge, "/dialled")["DialCallStatus"] == "answered"


def test_conferences_wait_url_takes_few_verbs(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/music"] = document("<Gather/><Say>Please wait.</Say>")
    twilio.exchange.set("conference:room", NOBODY)
    call = call_at(twilio, bridge, '<Dial><Conference waitUrl="/music">room</Conference></Dial>')
    call.wait_for(happened.BotBegan, DEADLINE_S)
    call.hang_up()
    call.wait(DEADLINE_S)
    assert codes(call) == [13238]
