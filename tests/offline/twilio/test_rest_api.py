"""The simulated Twilio's REST API: updates, stops, refusals, and faults on demand."""

from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    HOLD,
    PUBLIC,
    START,
    STREAM,
    TOKEN,
    StandIn,
    call_at,
    client_of,
    codes,
    document,
    verbs,
)

# The REST API


def test_an_update_with_a_url_fetches_the_document(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/next"] = document("<Hangup/>")
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    answer = client_of(twilio).calls(call.sid).update(url=f"{PUBLIC}/next", method="POST")
    assert (answer.sid, answer.status) == (call.sid, "in-progress")
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert RequestValidator(TOKEN).validate(f"{PUBLIC}/next", bridge.requests[-1].form, bridge.requests[-1].signature)


def test_an_update_interrupts_what_is_being_said(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, '<Say loop="100">A very long story.</Say>')
    call.wait_for(happened.BotBegan, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    call.wait(DEADLINE_S)
    (said,) = [event for event in call.events if isinstance(event, happened.VerbEnded) and event.verb == "Say"]
    assert said.interrupted


def test_an_update_cuts_what_is_being_said_within_a_frame_or_two(
    twilio: SimulatedTwilio, bridge: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = call_at(twilio, bridge, '<Say>The first half.</Say><Say loop="50">A very long story.</Say><Say>Never.</Say>')
    at_ms: list[int] = []  # the line's time of the update, and of each beginning and end of the bot's voice after it
    record = call.record

    def note(event: happened.Event) -> None:
        is_voice = isinstance(event, happened.BotBegan | happened.BotFinished)
        if isinstance(event, happened.UpdateReceived) or (at_ms and is_voice):
            at_ms.append(call.line.now_ms)
        record(event)

    monkeypatch.setattr(call, "record", note)
    call.wait_for(happened.BotBegan, DEADLINE_S, count=2)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Something else.</Say><Hangup/>"))
    call.wait(DEADLINE_S)
    begun = [event.text for event in call.events if isinstance(event, happened.BotBegan)]
    assert begun[2:] == ["Something else."]
    assert at_ms[1] - at_ms[0] <= 2 * FRAME_MS  # of nearly a minute that the story would take


def test_an_update_during_a_redirect_wins(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.first["/next"] = ["hang"]
    call = call_at(twilio, bridge, "<Say>Hi</Say><Redirect>/next</Redirect>")
    call.wait_for(happened.VerbStarted, DEADLINE_S, where=lambda event: event.verb == "Redirect")
    client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB


def test_of_two_updates_at_once_one_document_is_carried_out(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    # Ending the verb takes time here: the bridge does not answer the closing of its two-way stream.
    bridge.on_message = lambda *_: Event().wait()
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    update_with = client_of(twilio).calls(call.sid).update
    gevent.joinall(
        [gevent.spawn(update_with, twiml=document(f"<Say>{text}</Say>{HOLD}")) for text in ("One.", "Two.")],
        timeout=DEADLINE_S,
    )
    call.wait_for(happened.VerbStarted, DEADLINE_S, where=lambda event: event.verb == "Pause")
    started = [event.text for event in call.events if isinstance(event, happened.VerbStarted) and event.verb == "Say"]
    ended = [event for event in call.events if isinstance(event, happened.VerbEnded) and event.verb == "Say"]
    assert len(started) == len(ended)
    assert started[-1] == "Two."
    assert [event.interrupted for event in ended][-1] is False
    assert verbs(call).count("Pause") == 1


def test_status_completed_makes_later_updates_21220(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(status="completed")
    assert call.wait(DEADLINE_S).reason is EndReason.REST_COMPLETED
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert (raised.value.status, raised.value.code) == (400, 21220)
    assert call.complaints == []  # a call that has just ended is nobody's fault
    assert client_of(twilio).calls(call.sid).fetch().status == "completed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"twiml": document("<Say>" + "a" * 3990 + "</Say>")}, 32018),
        ({"twiml": document("<Hangup/>"), "url": f"{PUBLIC}/next"}, 20001),
        ({"url": "voice.example.com"}, 21205),
        ({"status": "finished"}, 20001),
        ({"status": "canceled"}, 21220),
        ({"url": f"{PUBLIC}/next", "method": "PUT"}, 21209),
    ],
)
def test_updates_that_twilio_refuses(
    twilio: SimulatedTwilio, bridge: StandIn, fields: dict[str, str], code: int
) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls(call.sid).update(**fields)
    assert (raised.value.status, raised.value.code) == (400, code)
    (refused,) = [event for event in call.events if isinstance(event, happened.UpdateRefused)]
    assert refused.code == code
    call.hang_up()
    assert call.wait(DEADLINE_S).reason is EndReason.CALLER_HUNG_UP


@pytest.mark.parametrize("by", ["name", "SID"])
def test_a_stream_is_stopped_by_rest(twilio: SimulatedTwilio, bridge: StandIn, by: str) -> None:
    bridge.documents["/stream-status"] = document("")
    stream = f'<Start><Stream url="{STREAM}" name="an ear" statusCallback="{PUBLIC}/stream-status"/></Start>'
    call = call_at(twilio, bridge, stream + HOLD)
    sid = call.wait_for(happened.StreamOpened, DEADLINE_S).stream_sid
    name = "an ear" if by == "name" else sid
    stopped = client_of(twilio).calls(call.sid).streams(name).update(status="stopped")
    assert (stopped.sid, stopped.call_sid, stopped.name, stopped.status) == (sid, call.sid, "an ear", "stopped")
    assert call.wait_for(happened.StreamClosed, DEADLINE_S).code == 0
    assert call.wait_for(happened.StreamStopReceived, DEADLINE_S).name == name
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls(call.sid).streams(name).update(status="stopped")
    assert (raised.value.status, raised.value.code) == (404, 20404)
    call.hang_up()
    call.wait(DEADLINE_S)
    assert bridge.kinds()[-1] == "stop"
    told = [request.form["StreamEvent"] for request in bridge.requests if request.path == "/stream-status"]
    assert told == ["stream-started", "stream-stopped"]
    assert call.complaints == []


def test_a_stream_can_do_nothing_by_rest_but_stop(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, START + HOLD)
    sid = call.wait_for(happened.StreamOpened, DEADLINE_S).stream_sid
    path = f"{twilio.url}/2010-04-01/Accounts/{twilio.account_sid}/Calls/{call.sid}/Streams/{sid}.json"
    account = (twilio.account_sid, TOKEN)
    assert requests.post(path, {"Status": "in-progress"}, auth=account, timeout=120).status_code == 400
    assert requests.get(path, auth=account, timeout=120).status_code == 405
    assert call.streams[0].sid == sid


def test_4000_characters_of_twiml_are_taken(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    filled = document("<Hangup/>").ljust(4000)
    client_of(twilio).calls(call.sid).update(twiml=filled)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB


def test_malformed_twiml_in_an_update_ends_the_call(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml="<Response><Say>")
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [12100]
    assert call.status == "completed"


def test_unknown_calls_and_wrong_tokens(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls("CA" + "0" * 32).update(twiml=document("<Hangup/>"))
    assert (raised.value.status, raised.value.code) == (404, 20404)
    call = call_at(twilio, bridge, HOLD)
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio, token="wrong").calls(call.sid).update(twiml=document("<Hangup/>"))
    assert (raised.value.status, raised.value.code) == (401, 20003)
    assert requests.put(f"{twilio.url}/2010-04-01/Accounts/x", timeout=120).status_code == 401
    assert requests.get(twilio.url, auth=(twilio.account_sid, TOKEN), timeout=120).json()["code"] == 20404


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(RestFault(status=429, code=20429), 429, 20429), (RestFault(), 500, 20500)],
)
def test_a_fault_befalls_one_request(
    twilio: SimulatedTwilio, bridge: StandIn, fault: RestFault, status: int, code: int
) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(fault)
    with pytest.raises(TwilioRestException) as raised:
        client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert (raised.value.status, raised.value.code) == (status, code)
    assert call.over is None
    client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB


def test_a_fault_may_befall_every_request_and_be_carried_out(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(status=503, always=True, carried_out=True))
    for _ in range(2):
        with pytest.raises(TwilioRestException, match="503"):
            client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB


def test_a_fault_may_be_one_calls_alone(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    unlucky, lucky = (call_at(twilio, bridge, HOLD) for _ in range(2))
    for call in (unlucky, lucky):
        call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(call_sid=unlucky.sid))
    client_of(twilio).calls(lucky.sid).update(twiml=document("<Hangup/>"))
    with pytest.raises(TwilioRestException):
        client_of(twilio).calls(unlucky.sid).update(twiml=document("<Hangup/>"))
    assert lucky.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert unlucky.over is None


def test_an_answer_may_be_slow(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(kind="slow", slow_s=0.3))
    began_s = call.now_s()
    assert update(twilio, call, timeout_s=DEADLINE_S).status_code == 200
    assert call.wait_for(happened.UpdateReceived, DEADLINE_S).at_s - began_s >= 0.3


@pytest.mark.parametrize("kind", ["reset", "hang", "close"])
def test_a_connection_may_be_reset_or_hang(twilio: SimulatedTwilio, bridge: StandIn, kind: Any) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(kind=kind))
    expected = requests.Timeout if kind == "hang" else requests.ConnectionError
    with pytest.raises(expected):
        update(twilio, call, timeout_s=0.3 if kind == "hang" else DEADLINE_S)
    assert call.over is None


def test_an_answer_may_drip(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(kind="drip", drip_s=0.005, carried_out=True))
    dripping = gevent.spawn(update, twilio, call, 1.5)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    answer = dripping.get(timeout=DEADLINE_S)
    assert answer.json()["sid"] == call.sid
    assert len(answer.content) * 0.005 > 1.5  # it outlives the client's timeout, which is a read's


def update(twilio: SimulatedTwilio, call: PhoneCall, timeout_s: float) -> requests.Response:
    path = f"/2010-04-01/Accounts/{twilio.account_sid}/Calls/{call.sid}.json"
    fields = {"Twiml": document("<Hangup/>")}
    return requests.post(twilio.url + path, fields, auth=(twilio.account_sid, TOKEN), timeout=timeout_s)
