"""The simulated Twilio's media streams: messages, status callbacks, how each ends."""

import base64
import socket

import pytest
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from twilio.request_validator import RequestValidator

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio import media_socket
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
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


def test_the_stream_brings_twilios_exact_messages(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    inside = (
        f'<Start><Stream url="{STREAM}"><Parameter name="token" value="abc"/></Stream></Start>'
        '<Pause length="1"/><Hangup/>'
    )
    call = call_at(twilio, bridge, inside)
    call.wait(DEADLINE_S)
    connected, start, first = bridge.messages[:3]
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    sid = start["streamSid"]
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": sid,
        "start": {
            "accountSid": twilio.account_sid,
            "streamSid": sid,
            "callSid": call.sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": "abc"},
        },
    }
    media = first.pop("media")
    assert first == {"event": "media", "sequenceNumber": "2", "streamSid": sid}
    assert len(base64.b64decode(media.pop("payload"))) == 160
    assert media == {"track": "inbound", "chunk": "1", "timestamp": "20"}
    assert bridge.messages[-1] == {
        "event": "stop",
        "sequenceNumber": str(len(bridge.messages) - 1),
        "streamSid": sid,
        "stop": {"accountSid": twilio.account_sid, "callSid": call.sid},
    }
    numbers = [int(message["sequenceNumber"]) for message in bridge.messages[1:]]
    assert numbers == list(range(1, len(bridge.messages)))
    timestamps = [int(message["media"]["timestamp"]) for message in bridge.of("media") if "media" in message]
    assert timestamps == list(range(40, 20 * len(timestamps) + 40, 20))
    assert call.complaints == []


def test_the_handshake_is_signed_for_the_address_in_the_document(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call_at(twilio, bridge, START + '<Pause length="1"/>').wait(DEADLINE_S)
    (handshake,) = bridge.handshakes
    assert handshake.path == "/media"
    assert handshake.host == "voice.example.com"
    assert RequestValidator(TOKEN).validate(STREAM, {}, handshake.signature)


def test_the_stream_carries_one_track_or_both(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    inside = f'<Start><Stream url="{STREAM}" track="both_tracks"/></Start><Say>Hello</Say><Pause length="1"/>'
    call = call_at(twilio, bridge, inside)
    call.wait(DEADLINE_S)
    sent = {"inbound": b"", "outbound": b""}
    for message in bridge.of("media"):
        sent[message["media"]["track"]] += base64.b64decode(message["media"]["payload"])
    assert sent["inbound"]
    assert sent["inbound"] in bytes(call.line.caller_mulaw)
    assert sent["outbound"] in bytes(call.line.bot_mulaw)
    assert bridge.of("start")[0]["start"]["tracks"] == ["inbound", "outbound"]


def test_a_started_stream_survives_updates(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, START + HOLD)
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    for number in range(3):
        client_of(twilio).calls(call.sid).update(twiml=document(f"<Say>{number}</Say>{HOLD}"))
    client_of(twilio).calls(call.sid).update(twiml=document("<Hangup/>"))
    call.wait(DEADLINE_S)
    assert bridge.kinds().count("start") == 1
    assert bridge.kinds().count("stop") == 1
    assert call.complaints == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://voice.example.com/media", 31922),
        ("wss://voice.example.com/media?token=abc", 31920),
        ("wss://127.0.0.1:{http_port}/", 31920),
        ("wss://127.0.0.1:{silent_port}/", 31902),
    ],
)
def test_a_stream_that_does_not_open_leaves_the_call_alone(
    twilio: SimulatedTwilio, bridge: StandIn, url: str, code: int
) -> None:
    http_only = WSGIServer(("127.0.0.1", 0), bridge, log=None)
    http_only.start()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = url.format(http_port=http_only.server_port, silent_port=unused.getsockname()[1])
        stream = f'<Stream url="{url}" statusCallback="{bridge.base}/stream-status"/>'
        bridge.documents["/stream-status"] = document("")
        bridge.documents["/twiml"] = document(f'<Start>{stream}</Start><Pause length="1"/><Hangup/>')
        call = twilio.place_call(f"{bridge.base}/twiml", a_caller())
        assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    http_only.stop(timeout=0)
    assert codes(call) == [code]
    told = bridge.requests[-1].form
    assert told["StreamEvent"] == "stream-error"
    assert told["StreamError"].startswith(str(code))


def test_the_stream_status_callback_tells_of_start_and_stop(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/stream-status"] = document("")
    stream = f'<Stream url="{STREAM}" name="ear" statusCallback="{PUBLIC}/stream-status"/>'
    call = call_at(twilio, bridge, f'<Start>{stream}</Start><Pause length="1"/>')
    call.wait(DEADLINE_S)
    told = [request.form for request in bridge.requests if request.path == "/stream-status"]
    assert [form["StreamEvent"] for form in told] == ["stream-started", "stream-stopped"]
    assert {form["StreamName"] for form in told} == {"ear"}
    assert {form["CallSid"] for form in told} == {call.sid}


def test_a_named_stream_can_be_stopped(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    stream = f'<Start><Stream url="{STREAM}" name="ear"/></Start>'
    stop = '<Stop><Stream name="ear"/></Stop>'
    call = call_at(twilio, bridge, f"{stream}<Pause/>{stop}{stop}<Hangup/>")
    call.wait(DEADLINE_S)
    assert bridge.kinds().count("stop") == 1
    assert codes(call) == [12200]  # the second: there is no such stream any more


def test_a_socket_closed_by_the_bridge_is_31921(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.on_message = lambda connection, _: connection.close()
    call = call_at(twilio, bridge, START + '<Pause length="1"/><Hangup/>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    (closed,) = [event for event in call.events if isinstance(event, happened.StreamClosed)]
    assert closed.code == 31921
    assert codes(call) == [31921]


def test_a_lost_connection_is_31903(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, START + '<Pause length="2"/><Hangup/>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    call.streams[0].cut()
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert codes(call) == [31903]


def test_a_message_on_a_one_way_stream_is_31924(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.on_message = lambda connection, _: connection.send("{}")
    call = call_at(twilio, bridge, START + '<Pause length="1"/><Hangup/>')
    call.wait(DEADLINE_S)
    assert codes(call) == [31924]


@pytest.mark.parametrize("between", ["", "<Pause/>"])
def test_a_second_stream_of_the_same_name_is_refused(twilio: SimulatedTwilio, bridge: StandIn, between: str) -> None:
    stream = f'<Start><Stream url="{STREAM}" name="ear" statusCallback="{PUBLIC}/stream-status"/></Start>'
    bridge.documents["/stream-status"] = document("")
    call = call_at(twilio, bridge, f"{stream}{between}{stream}<Pause/><Hangup/>")
    call.wait(DEADLINE_S)
    assert codes(call) == [12200]
    assert bridge.kinds().count("start") == 1
    told = [request.form["StreamEvent"] for request in bridge.requests if request.path == "/stream-status"]
    assert sorted(told) == ["stream-error", "stream-started", "stream-stopped"]


def test_the_name_of_a_stream_that_is_over_is_free(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    stream = f'<Start><Stream url="{STREAM}" name="ear"/></Start>'
    stop = '<Stop><Stream name="ear"/></Stop>'
    call = call_at(twilio, bridge, f"{stream}{stop}{stream}{HOLD}")
    call.wait_for(happened.StreamOpened, DEADLINE_S, count=2)
    client_of(twilio).calls(call.sid).update(twiml=document(stop + stream + HOLD))  # a hand-over
    call.wait_for(happened.StreamOpened, DEADLINE_S, count=3)
    call.streams[-1].cut()
    client_of(twilio).calls(call.sid).update(twiml=document(stream + "<Pause/><Hangup/>"))
    call.wait(DEADLINE_S)
    assert bridge.kinds().count("start") == 4
    assert bridge.kinds().count("stop") == 3
    assert codes(call) == [31903]


def test_stopping_a_stream_does_not_hold_the_document_up(
    twilio: SimulatedTwilio, bridge: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_socket, "CLOSE_LIMIT_S", 2 * DEADLINE_S)
    answer = Event()
    bridge.on_message = lambda _, message: answer.wait() if message["event"] == "start" else None
    stop = '<Stop><Stream name="ear"/></Stop>'
    call = call_at(twilio, bridge, f'<Start><Stream url="{STREAM}" name="ear"/></Start><Pause/>{stop}<Say>Hi</Say>')
    call.wait_for(happened.BotBegan, DEADLINE_S)  # the bridge has not so much as read the `stop`
    answer.set()
    call.wait(DEADLINE_S)
    assert call.complaints == []


def test_stream_started_is_told_after_start_and_its_latency(bridge: StandIn) -> None:
    """`stream-started` is told when `start` has been sent, and after the latency asked for."""
    bridge.documents["/stream-status"] = document("")
    stream = f'<Start><Stream url="{STREAM}" statusCallback="{PUBLIC}/stream-status"/></Start>'
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, callback_latency_s=0.4) as twilio:
        call = call_at(twilio, bridge, stream + HOLD)
        opened = call.wait_for(happened.StreamOpened, DEADLINE_S)
        told = call.wait_for(
            happened.WebhookRequested, DEADLINE_S, where=lambda event: event.purpose == "stream-status"
        )
        assert bridge.kinds()[:2] == ["connected", "start"]
        assert told.at_s - opened.at_s >= 0.4
        assert told.parameters["StreamEvent"] == "stream-started"
