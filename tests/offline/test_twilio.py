"""The simulated Twilio, against a small bridge of the tests' own and the real twilio client, over real sockets."""

import base64
import itertools
import json
import logging
import socket
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gevent
import numpy as np
import pytest
import requests
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from lexbridge.audio.pcm import decode_mulaw, first_audible_ms, frame_levels_dbfs, rms
from lexbridge.net.http_server import MediaServer
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.report.silences import longest_silence_s, silences, waits
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.media_socket import read_message
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.rest_api import RestFault
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.telephone_audio import key_tone
from lexbridge.offline.twilio.verbs import Stream
from lexbridge.offline.twilio.webhooks import OverrideError, Overrides, Webhooks, read_overrides
from tests.support.rig import HurriedHandler

DEADLINE_S = 20
TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
STREAM = "wss://voice.example.com/media"
START = f'<Start><Stream url="{STREAM}"/></Start>'
HOLD = '<Pause length="600"/>'


@dataclass
class Request:
    """What came to the bridge."""

    path: str
    method: str
    form: dict[str, str]
    signature: str
    host: str
    token: str = ""


@dataclass
class StandIn:
    """A bridge that answers with fixed documents and keeps what its sockets said."""

    documents: dict[str, str] = field(default_factory=dict)
    """What each path answers: a document, or "status text" for another answer."""
    first: dict[str, list[str]] = field(default_factory=dict)
    """What it answers before that, once each; "hang" is no answer at all."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    content_type: str = "text/xml"
    requests: list[Request] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    handshakes: list[Request] = field(default_factory=list)
    on_message: Callable[[Any, dict[str, Any]], None] = lambda *_: None
    port: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        form = dict(parse_qsl(environ["wsgi.input"].read(length).decode() or environ["QUERY_STRING"]))
        signature = environ.get("HTTP_X_TWILIO_SIGNATURE", "")
        token = environ.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")
        request = Request(path, environ["REQUEST_METHOD"], form, signature, environ.get("HTTP_HOST", ""), token)
        connection = environ.get("wsgi.websocket")
        if connection is not None:
            self.handshakes.append(request)
            self._listen(connection)
            return []
        self.requests.append(request)
        if path in self.files:
            start_response("200 OK", [("Content-Type", self.files[path][0])])
            return [self.files[path][1]]
        before = self.first.get(path, [])
        answer = before.pop(0) if before else self.documents.get(path, "404 no such document")
        if answer == "hang":
            Event().wait()
        if answer[:3].isdigit():
            start_response(answer, [("Content-Type", "text/plain")])
            return [b""]
        start_response("200 OK", [("Content-Type", self.content_type)])
        return [answer.encode()]

    def _listen(self, connection: Any) -> None:
        while (text := connection.receive()) is not None:
            message = json.loads(text)
            self.messages.append(message)
            self.on_message(connection, message)

    def kinds(self) -> list[str]:
        return [message["event"] for message in self.messages]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == kind]


@pytest.fixture
def bridge() -> Iterator[StandIn]:
    stand_in = StandIn()
    errors = logging.getLogger("gevent")
    server = MediaServer(("127.0.0.1", 0), stand_in, error_log=errors)
    server.handler_class = HurriedHandler
    server.start()
    stand_in.port = server.server_port
    yield stand_in
    server.stop(timeout=0)


@pytest.fixture
def twilio() -> Iterator[SimulatedTwilio]:
    with SimulatedTwilio(auth_token=TOKEN, voice=SilentVoice(), pace=0.05) as simulated:
        yield simulated


def document(inside: str) -> str:
    return f"<Response>{inside}</Response>"


def call_at(twilio: SimulatedTwilio, bridge: StandIn, inside: str, **options: Any) -> PhoneCall:
    """Places a call whose webhook answers with a document holding `inside`."""
    bridge.documents["/twiml"] = document(inside)
    return twilio.place_call(options.pop("number", f"{PUBLIC}/twiml"), a_caller(), connect_to=bridge.base, **options)


def a_caller(script: Script | None = None) -> SimulatedCaller:
    return SimulatedCaller(SilentVoice(), script)


def client_of(twilio: SimulatedTwilio, token: str = TOKEN) -> Any:
    client = Client(twilio.account_sid, token)
    client.api.base_url = twilio.url
    return client


def codes(call: PhoneCall) -> list[int]:
    return [int(complaint.split()[0]) for complaint in call.complaints]


def verbs(call: PhoneCall) -> list[str]:
    return [event.verb for event in call.events if isinstance(event, happened.VerbStarted)]


# The webhook


def test_the_webhook_is_a_signed_form_with_twilios_parameters(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, "<Hangup/>")
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    (request,) = bridge.requests
    assert request.method == "POST"
    assert request.host == "voice.example.com"
    assert request.form["CallSid"] == call.sid
    assert request.form["AccountSid"] == twilio.account_sid
    assert request.form["CallStatus"] == "ringing"
    assert {"From", "To", "Direction", "ApiVersion"} <= set(request.form)
    assert RequestValidator(TOKEN).validate(f"{PUBLIC}/twiml", request.form, request.signature)
    assert call.status == "completed"
    assert call.complaints == []


def test_a_get_webhook_is_signed_with_its_query(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    number = Number(f"{PUBLIC}/twiml?shop=7#rc=2", method="GET")
    call_at(twilio, bridge, "<Hangup/>", number=number).wait(DEADLINE_S)
    (request,) = bridge.requests
    assert request.method == "GET"
    assert request.form["shop"] == "7"
    assert request.form["CallStatus"] == "ringing"


def test_somebody_who_is_not_twilio_signs_with_another_token(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call_at(twilio, bridge, "<Hangup/>", signing_token="f" * 32).wait(DEADLINE_S)
    (request,) = bridge.requests
    assert not RequestValidator(TOKEN).validate(f"{PUBLIC}/twiml", request.form, request.signature)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("500 oops", 11200),
        ("403 Forbidden", 11200),
        ("302 Found", 11200),
        ("<Response><Say>Hi</Response>", 12100),
        ("", 12100),
    ],
)
def test_a_bad_answer_ends_the_call_with_an_application_error(
    twilio: SimulatedTwilio, bridge: StandIn, answer: str, code: int
) -> None:
    bridge.documents["/twiml"] = answer
    call = twilio.place_call(f"{PUBLIC}/twiml", a_caller(), connect_to=bridge.base)
    over = call.wait(DEADLINE_S)
    assert over.reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [code]
    assert over.detail.startswith(str(code))
    assert call.status == "failed"


def test_an_answer_that_is_no_markup_is_not_read(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.content_type = "application/json"
    call = call_at(twilio, bridge, "<Hangup/>")
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [12300]


def test_a_bridge_that_is_not_there_ends_the_call(twilio: SimulatedTwilio) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        call = twilio.place_call(f"http://127.0.0.1:{unused.getsockname()[1]}/twiml", a_caller())
        assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [11205]


def test_the_fallback_address_hears_of_the_error(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents.update({"/twiml": "500 oops", "/fallback": document("<Hangup/>")})
    number = Number(f"{PUBLIC}/twiml", fallback_url=f"{PUBLIC}/fallback")
    call = twilio.place_call(number, a_caller(), connect_to=bridge.base)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[-1].form["ErrorCode"] == "11200"
    assert bridge.requests[-1].form["ErrorUrl"] == f"{PUBLIC}/twiml"


def test_the_fallback_address_may_save_a_call_that_is_under_way(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    again = f'<Redirect method="POST">{PUBLIC}/again</Redirect>'
    bridge.documents.update({"/again": "500 oops", "/fallback": document("<Hangup/>")})
    number = Number(f"{PUBLIC}/twiml", fallback_url=f"{PUBLIC}/fallback")
    call = call_at(twilio, bridge, f'<Pause length="1"/>{again}', number=number)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[-1].form["ErrorUrl"] == f"{PUBLIC}/again"
    assert codes(call) == [11200]


def test_a_fallback_address_that_fails_too_ends_the_call(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents.update({"/twiml": "500 oops", "/fallback": "500 oops"})
    number = Number(f"{PUBLIC}/twiml", fallback_url=f"{PUBLIC}/fallback")
    call = twilio.place_call(number, a_caller(), connect_to=bridge.base)
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [11200, 11200]


def test_the_call_status_callback_tells_of_the_end(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/status"] = document("")
    number = Number(f"{PUBLIC}/twiml", status_callback=f"{PUBLIC}/status")
    call_at(twilio, bridge, '<Pause length="2"/><Hangup/>', number=number).wait(DEADLINE_S)
    told = bridge.requests[-1]
    assert told.path == "/status"
    assert told.form["CallStatus"] == "completed"
    assert told.form["CallDuration"] == "2"
    assert RequestValidator(TOKEN).validate(f"{PUBLIC}/status", told.form, told.signature)


# Retries and limits, in the fragment of any URL


@pytest.mark.parametrize(
    ("fragment", "overrides"),
    [
        ("", Overrides()),
        ("#rc=2&rp=all", Overrides(retries=2, retried=frozenset({"4xx", "5xx", "ct", "rt"}))),
        ("#rc=0&rp=5xx,rt&sni=y", Overrides(retries=0, retried=frozenset({"5xx", "rt"}))),
        ("#ct=100&rt=2000&tt=3000&e=ashburn", Overrides(connect_ms=100, read_ms=2000, total_ms=3000)),
    ],
)
def test_overrides_are_read(fragment: str, overrides: Overrides) -> None:
    assert read_overrides(f"{PUBLIC}/twiml?rc=7{fragment}") == overrides


@pytest.mark.parametrize(
    "fragment", ["rc=6", "rc=two", "rc=", "ct=99", "rt=15001", "tt=-1", "rp=3xx", "rp=", "rp=5xx,"]
)
def test_overrides_that_twilio_does_not_take(fragment: str, twilio: SimulatedTwilio, bridge: StandIn) -> None:
    with pytest.raises(OverrideError):
        read_overrides(f"{PUBLIC}/twiml#{fragment}")
    call = call_at(twilio, bridge, f"<Redirect>/next#{fragment.replace('&', '&amp;')}</Redirect>")
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [11243 if fragment.startswith("rp") else 11242]


RETRIES = [
    # what the bridge answers first, the overrides, and how many requests come of it
    (["500 oops"], "", 1),
    (["500 oops", "503 oops"], "#rc=2&rp=all", 3),
    (["500 oops", "503 oops", "500 oops"], "#rc=2&rp=all", 3),
    (["404 oops"], "#rc=1&rp=5xx", 1),
    (["404 oops"], "#rc=1&rp=4xx,5xx", 2),
    (["hang"], "#rc=1&rp=rt&rt=200", 2),
    (["hang"], "#rc=1&rp=5xx&rt=200", 1),
    (["hang", "hang"], "#rc=5&rp=all&rt=200&tt=300", 2),
]


@pytest.mark.parametrize(("first", "fragment", "requests_made"), RETRIES)
def test_a_webhook_is_requested_again_as_its_address_says(
    twilio: SimulatedTwilio, bridge: StandIn, first: list[str], fragment: str, requests_made: int
) -> None:
    succeeds = requests_made > len(first)
    bridge.first["/twiml"] = first
    call = call_at(twilio, bridge, "<Hangup/>", number=Number(f"{PUBLIC}/twiml{fragment}"))
    over = call.wait(DEADLINE_S)
    assert over.reason is (EndReason.HANGUP_VERB if succeeds else EndReason.APPLICATION_ERROR)
    assert len(bridge.requests) == requests_made
    assert len({request.token for request in bridge.requests}) == 1
    for request in bridge.requests:
        assert RequestValidator(TOKEN).validate(f"{PUBLIC}/twiml", request.form, request.signature)
    (answered,) = [event for event in call.events if isinstance(event, happened.WebhookAnswered)]
    assert answered.attempts == requests_made


def test_a_connection_that_does_not_come_about_is_tried_twice(twilio: SimulatedTwilio) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        call = twilio.place_call(f"http://127.0.0.1:{unused.getsockname()[1]}/twiml", a_caller())
        call.wait(DEADLINE_S)
    (answered,) = [event for event in call.events if isinstance(event, happened.WebhookAnswered)]
    assert answered.attempts == 2


def test_redirects_and_callbacks_are_requested_again_too(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    again = "#rc=2&amp;rp=all"
    stream = f'<Start><Stream url="{STREAM}" statusCallback="{PUBLIC}/stream-status{again}"/></Start>'
    bridge.documents.update({"/stream-status": document(""), "/next": document("<Pause/><Hangup/>")})
    bridge.first.update({"/stream-status": ["503 oops"], "/next": ["500 oops", "500 oops"]})
    call = call_at(twilio, bridge, f"{stream}<Redirect>/next{again}</Redirect>")
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert sorted(request.path for request in bridge.requests) == ["/next"] * 3 + ["/stream-status"] * 3 + ["/twiml"]
    assert call.complaints == []


@pytest.mark.parametrize("sign_fragment", [False, True])
def test_the_fragment_may_be_signed(bridge: StandIn, sign_fragment: bool) -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, sign_fragment=sign_fragment) as twilio:
        call_at(twilio, bridge, "<Hangup/>", number=Number(f"{PUBLIC}/twiml#rc=2&rp=all")).wait(DEADLINE_S)
    (request,) = bridge.requests
    for fragment, signed in (("", not sign_fragment), ("#rc=2&rp=all", sign_fragment)):
        address = f"{PUBLIC}/twiml{fragment}"
        assert (RequestValidator(TOKEN).compute_signature(address, request.form) == request.signature) is signed


# Verbs


def test_verbs_run_in_order_and_take_line_time(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/next"] = document("<Say>Bye</Say>")
    text = "Hello there"
    call = call_at(twilio, bridge, f'<Say>{text}</Say><Pause length="3"/><Redirect>/next</Redirect>')
    assert call.wait(DEADLINE_S).reason is EndReason.DOCUMENT_ENDED
    assert verbs(call) == ["Say", "Pause", "Redirect", "Say"]
    assert [request.form["CallStatus"] for request in bridge.requests] == ["ringing", "in-progress"]
    said_ms = 60 * (len(text) + len("Bye"))  # SilentVoice
    assert call.line.now_ms >= said_ms + 3000
    assert len(call.line.caller_mulaw) == len(call.line.bot_mulaw) == call.line.now_ms * 8


def test_a_call_that_is_rejected_is_never_answered(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, '<Reject reason="busy"/>')
    assert call.wait(DEADLINE_S).reason is EndReason.REJECTED
    assert call.status == "busy"
    assert not call.answered


def test_a_warning_is_a_complaint_and_the_call_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, "<Shout>Hi</Shout><Hangup/>")
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert codes(call) == [12200]


def test_a_dialled_number_is_talked_to_and_the_document_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/dialled"] = document("<Hangup/>")
    call = call_at(twilio, bridge, '<Dial action="/dialled">+12065550123</Dial>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    (transferred,) = [event for event in call.events if isinstance(event, happened.Transferred)]
    assert (transferred.number, transferred.status) == ("+12065550123", "completed")
    assert bridge.requests[-1].form["DialCallStatus"] == "completed"


def test_gather_takes_the_callers_keys_and_cuts_its_prompt(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/keys"] = document("<Hangup/>")
    prompt = '<Say loop="100">One for flowers, two for coffee.</Say>'
    call = call_at(twilio, bridge, f'<Gather action="/keys" numDigits="2">{prompt}</Gather>')
    call.wait_for(happened.VerbStarted, DEADLINE_S, where=lambda event: event.verb == "Say")
    call.press("4")
    call.press("2")
    call.wait(DEADLINE_S)
    assert bridge.requests[-1].form["Digits"] == "42"
    (said,) = [event for event in call.events if isinstance(event, happened.VerbEnded) and event.verb == "Say"]
    assert said.interrupted


@pytest.mark.parametrize(
    ("attributes", "keys", "digits"),
    [
        ('numDigits="3"', "1234", "123"),
        ("", "12#", "12"),
        ('finishOnKey="*"', "1#*", "1#"),
        ('finishOnKey="" timeout="1"', "1#", "1#"),
        ('timeout="1"', "7", "7"),
        ('numDigits="4" timeout="1"', "42", "42"),
    ],
)
@pytest.mark.parametrize("nested", ['<Pause length="600"/>', '<Say loop="100">One for flowers.</Say>', ""])
def test_where_a_gather_ends(
    twilio: SimulatedTwilio, bridge: StandIn, attributes: str, keys: str, digits: str, nested: str
) -> None:
    bridge.documents["/keys"] = document("<Hangup/>")
    call = call_at(twilio, bridge, f'<Gather action="/keys" {attributes}>{nested}</Gather>')
    call.wait_for(happened.VerbStarted, DEADLINE_S)
    gevent.sleep(0)
    for key in keys:
        call.press(key)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[-1].form["Digits"] == digits


@pytest.mark.parametrize(("asked", "reason"), [("false", EndReason.DOCUMENT_ENDED), ("true", EndReason.HANGUP_VERB)])
def test_gather_without_a_key(twilio: SimulatedTwilio, bridge: StandIn, asked: str, reason: EndReason) -> None:
    bridge.documents["/keys"] = document("<Hangup/>")
    call = call_at(twilio, bridge, f'<Gather action="/keys" timeout="1" actionOnEmptyResult="{asked}"/>')
    assert call.wait(DEADLINE_S).reason is reason


def test_play_brings_a_sound_to_the_line(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    sound = BytesIO()
    with wave.open(sound, "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(16000)
        tone.writeframes(b"\x00\x20\x00\x20\x00\xe0\x00\xe0" * 4000)
    bridge.files["/tone.wav"] = ("audio/wav", sound.getvalue())
    bridge.files["/tone.ulaw"] = ("audio/basic", b"\x20" * 1600)
    bridge.files["/tone.mp3"] = ("audio/mpeg", b"ID3")
    call = call_at(twilio, bridge, "<Play>/tone.wav</Play><Play>/tone.ulaw</Play><Play>/tone.mp3</Play>")
    call.wait(DEADLINE_S)
    assert call.complaints == []
    assert call.line.now_ms >= 1000 + 200 + 1000
    assert b"\x20" * 1600 in bytes(call.line.bot_mulaw)


@pytest.mark.parametrize(("path", "code"), [("/twiml", 13420), ("/lost.wav", 11200)])
def test_what_is_no_sound_cannot_be_played(twilio: SimulatedTwilio, bridge: StandIn, path: str, code: int) -> None:
    call = call_at(twilio, bridge, f"<Play>{path}</Play>")
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert codes(call) == [code]


def test_play_makes_the_tones_of_keys(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, '<Play digits="1w#"/><Hangup/>')
    call.wait(DEADLINE_S)
    assert call.line.now_ms >= 200 + 500 + 200
    assert len(set(call.line.bot_mulaw)) > 20


# The media stream


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


def test_the_stream_carries_the_callers_audio_and_both_tracks_if_asked(
    twilio: SimulatedTwilio, bridge: StandIn
) -> None:
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


def test_the_bridge_closing_its_socket_is_31921_and_the_call_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
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


def test_stopping_a_stream_does_not_hold_the_document_up(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    answer = Event()
    bridge.on_message = lambda _, message: answer.wait() if message["event"] == "start" else None
    stop = '<Stop><Stream name="ear"/></Stop>'
    call = call_at(twilio, bridge, f'<Start><Stream url="{STREAM}" name="ear"/></Start><Pause/>{stop}<Say>Hi</Say>')
    call.wait_for(happened.BotBegan, 1)  # the bridge has not so much as read the `stop`
    answer.set()
    call.wait(DEADLINE_S)
    assert call.complaints == []


def test_stream_started_is_told_when_start_has_been_sent_and_after_the_latency_asked_for(bridge: StandIn) -> None:
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


# A two-way stream


def test_connect_blocks_until_the_bridge_closes_and_then_goes_on(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def talk(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            sid = message["streamSid"]
            payload = base64.b64encode(b"\x10" * 1600).decode()
            connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}}))
            connection.send(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": "said"}}))
        if message["event"] == "mark":
            connection.close()

    bridge.on_message = talk
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect><Say>Bye</Say><Hangup/>')
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert verbs(call) == ["Connect", "Say", "Hangup"]
    assert b"\x10" * 1600 in bytes(call.line.bot_mulaw)
    assert bridge.of("mark")[0]["mark"] == {"name": "said"}
    assert call.complaints == []


def test_clear_drops_the_sound_and_returns_the_marks(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def talk(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            sid = message["streamSid"]
            payload = base64.b64encode(b"\x10" * 80_000).decode()
            connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}}))
            connection.send(json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": "said"}}))
            connection.send(json.dumps({"event": "clear", "streamSid": sid}))
        if message["event"] == "mark":
            connection.close()

    bridge.on_message = talk
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait(DEADLINE_S)
    assert bytes(call.line.bot_mulaw).count(b"\x10") < 80_000


CONNECT = f'<Connect><Stream url="{STREAM}"/></Connect>'
AUDIO = bytes(number % 100 for number in range(16_000))  # 2 s of mu-law, of which no part is like its neighbour


class Mouth:
    """The bridge's end of a two-way stream, with a way to speak."""

    def __init__(self, bridge: StandIn, **at: Callable[["Mouth", dict[str, Any]], None]) -> None:
        """`at`: what to do when a message of that kind comes."""
        self.connection: Any = None
        self.sid = ""
        self._at = at
        bridge.on_message = self._hear

    def _hear(self, connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            self.connection, self.sid = connection, message["streamSid"]
        if message["event"] in self._at:
            self._at[message["event"]](self, message)

    def send(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"event": kind, "streamSid": self.sid, **({kind: fields} if fields else {})}))

    def media(self, mulaw: bytes) -> None:
        self.send("media", payload=base64.b64encode(mulaw).decode())

    def mark(self, name: str) -> None:
        self.send("mark", name=name)

    def clear(self) -> None:
        self.send("clear")


def test_media_of_any_length_is_played_without_a_seam(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        places = [0, 1, 400, 733, 733, 5001, len(AUDIO)]
        for start, end in itertools.pairwise(places):
            mouth.media(AUDIO[start:end])
        mouth.mark("said")

    Mouth(bridge, start=speak, mark=lambda mouth, _: mouth.connection.close())
    call = call_at(twilio, bridge, CONNECT)
    call.wait(DEADLINE_S)
    assert AUDIO in bytes(call.line.bot_mulaw)
    (sent,) = call.sent_audio
    assert (sent.sent_ms, sent.heard_ms, sent.mark, sent.cleared_s) == (2000, 2000, "said", None)
    assert sent.heard_to_ms is not None
    assert sent.heard_from_ms is not None
    assert sent.heard_to_ms - sent.heard_from_ms == 2000
    assert sent.first_media_s is not None
    assert sent.last_media_s is not None
    assert sent.mark_sent_s is not None
    assert sent.mark_returned_s is not None
    assert sent.first_media_s <= sent.last_media_s <= sent.mark_sent_s <= sent.mark_returned_s
    # The mark is on its way when its last frame is over, on the line's own time.
    assert call.line_s(sent.mark_returned_s) >= sent.heard_to_ms / 1000 - 0.2
    heard = [type(event) for event in call.events if isinstance(event, happened.BotBegan | happened.BotFinished)]
    assert heard == [happened.BotBegan, happened.BotFinished]
    assert call.complaints == []


def test_a_voice_that_begins_with_silence_is_audible_later(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    silence_ms = 400

    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.media(b"\xff" * 8 * silence_ms + key_tone("1", 1000))
        mouth.mark("said")

    Mouth(bridge, start=speak, mark=lambda mouth, _: mouth.connection.close())
    call = call_at(twilio, bridge, CONNECT)
    call.wait(DEADLINE_S)
    kinds = (happened.BotBegan, happened.BotAudible, happened.BotFinished)
    assert [type(event) for event in call.events if isinstance(event, kinds)] == [*kinds]
    (sent,) = call.sent_audio
    assert sent.heard_from_ms is not None
    audible_ms = first_audible_ms(bytes(call.line.bot_mulaw))
    assert audible_ms == sent.heard_from_ms + silence_ms


def test_a_mark_returns_at_once_when_nothing_is_buffered(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    Mouth(bridge, start=lambda mouth, _: mouth.mark("nothing"))
    call = call_at(twilio, bridge, CONNECT)
    returned = call.wait_for(happened.MarkReturned, DEADLINE_S)
    assert (returned.name, returned.cleared) == ("nothing", False)
    places = [type(event) for event in call.events]
    assert places.index(happened.MarkReturned) == places.index(happened.MessageSent) + 1
    assert call.sent_audio[0].first_media_s is None


def test_each_mark_returns_when_what_was_before_it_has_been_played(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        for name in ("one", "two", "three"):
            mouth.media(AUDIO[:4000])
            mouth.mark(name)

    Mouth(bridge, start=speak)
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.MarkReturned, DEADLINE_S, count=3)
    call.hang_up()
    call.wait(DEADLINE_S)
    assert [sent.mark for sent in call.sent_audio] == ["one", "two", "three"]
    assert [message["mark"]["name"] for message in bridge.of("mark")] == ["one", "two", "three"]
    heard = [(sent.heard_from_ms, sent.heard_to_ms) for sent in call.sent_audio]
    first_ms = heard[0][0]
    assert first_ms is not None
    assert heard == [(first_ms + at, first_ms + at + 500) for at in (0, 500, 1000)]
    returned_s = [sent.mark_returned_s or 0 for sent in call.sent_audio]
    assert returned_s == sorted(returned_s)
    # Each comes with its own last frame, not with the first of the next: that one follows 20 ms later.
    kinds = [message["event"] for message in bridge.messages if message["event"] in ("media", "mark")]
    assert kinds.index("mark") > 20


def test_clear_in_the_middle_cuts_the_voice_and_returns_all_marks(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        for name in ("one", "two"):
            mouth.media(b"\x10" * 80_000)
            mouth.mark(name)

    def hush(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.clear()
        mouth.mark("late")
        mouth.media(b"\x20" * 800)
        mouth.mark("new")

    Mouth(bridge, start=speak, dtmf=hush)
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.BotBegan, DEADLINE_S)
    call.press("1")
    call.wait_for(happened.MarkReturned, DEADLINE_S, count=4)
    returned = [(event.name, event.cleared) for event in call.events if isinstance(event, happened.MarkReturned)]
    assert returned == [("one", True), ("two", True), ("late", False), ("new", False)]
    one, two, _, new = call.sent_audio
    assert 0 < one.heard_ms < 10_000
    assert bytes(call.line.bot_mulaw).count(b"\x10") == one.heard_bytes
    assert (two.heard_ms, two.heard_from_ms, two.cleared_s) == (0, None, one.cleared_s)
    assert (new.heard_ms, new.cleared_s) == (100, None)
    (cleared,) = [event for event in call.events if isinstance(event, happened.MessageSent) and event.kind == "clear"]
    assert cleared.dropped_ms == 20_000 - one.heard_ms
    finished = call.wait_for(happened.BotFinished, DEADLINE_S)
    assert finished.at_s == pytest.approx(cleared.at_s, abs=0.01)


def test_a_short_gap_in_the_audio_is_no_end_of_the_prompt_and_a_long_one_is(
    twilio: SimulatedTwilio, bridge: StandIn
) -> None:
    places = {10: 800, 20: 800, 60: 800}  # 100 ms of it at each: the first gap is of 100 ms, the second of 700

    def speak(mouth: Mouth, message: dict[str, Any]) -> None:
        place = int(message["media"]["chunk"])
        if place in places:
            mouth.media(AUDIO[: places[place]])

    Mouth(bridge, media=speak)
    with SimulatedTwilio(auth_token=TOKEN, pace=0.2) as slower:
        call = call_at(slower, bridge, CONNECT)
        call.wait_for(happened.BotFinished, DEADLINE_S, count=2)
    kinds = [type(event) for event in call.events if isinstance(event, happened.BotBegan | happened.BotFinished)]
    assert kinds[:4] == [happened.BotBegan, happened.BotFinished] * 2
    (sent,) = call.sent_audio  # no mark came
    assert (sent.heard_ms, sent.mark_sent_s) == (300, None)
    assert len([event for event in call.events if isinstance(event, happened.MediaBegan)]) == 1


def test_what_is_buffered_when_the_bridge_closes_is_not_played(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, message: dict[str, Any]) -> None:
        if message["media"]["chunk"] == "1":
            mouth.media(b"\x10" * 80_000)
            mouth.mark("said")
            mouth.connection.close()

    Mouth(bridge, media=speak)
    call = call_at(twilio, bridge, CONNECT + "<Say>Bye</Say>")
    call.wait(DEADLINE_S)
    assert call.line.now_ms < 5000
    assert bridge.of("mark") == []
    assert call.complaints == []


def test_an_update_during_connect_sends_stop_and_no_mark_and_drops_the_audio(
    twilio: SimulatedTwilio, bridge: StandIn
) -> None:
    def speak(mouth: Mouth, _: dict[str, Any]) -> None:
        mouth.media(b"\x10" * 80_000)
        mouth.mark("said")

    Mouth(bridge, start=speak)
    call = call_at(twilio, bridge, CONNECT + "<Say>Never said</Say>")
    call.wait_for(happened.BotBegan, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Bye</Say><Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.kinds()[-1] == "stop"
    assert bridge.of("mark") == []
    assert call.line.now_ms < 5000
    assert verbs(call) == ["Connect", "Say", "Hangup"]


def test_connect_with_an_action_asks_it_what_comes_next(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    Mouth(bridge, media=lambda mouth, _: mouth.connection.close())
    bridge.documents["/next"] = document("<Say>Bye</Say><Hangup/>")
    connect = f'<Connect action="/next"><Stream url="{STREAM}"/></Connect><Say>Never said</Say>'
    call = call_at(twilio, bridge, connect)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.requests[-1].form["CallSid"] == call.sid
    assert verbs(call) == ["Connect", "Say", "Hangup"]


def test_a_call_has_one_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, CONNECT)
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    assert call.connect_stream(Stream(STREAM)) is None
    assert codes(call) == [12200]
    assert call.wait_for(happened.StreamRefused, DEADLINE_S).code == 12200
    assert len(bridge.handshakes) == len(call.streams) == 1
    client_of(twilio).calls(call.sid).update(twiml=document(CONNECT))  # when the first is over there may be another
    call.wait_for(happened.StreamOpened, DEADLINE_S, count=2)
    assert codes(call) == [12200]


def test_a_started_stream_listens_beside_the_connected_one(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def speak(mouth: Mouth, message: dict[str, Any]) -> None:
        if message["start"]["tracks"] == ["inbound"]:
            mouth.media(AUDIO)
            mouth.mark("said")

    Mouth(bridge, start=speak)
    ear = f'<Start><Stream url="{STREAM}" track="both_tracks"/></Start>'
    call = call_at(twilio, bridge, ear + "<Pause/>" + CONNECT)
    call.wait_for(happened.MarkReturned, DEADLINE_S)
    call.press("7")
    call.hang_up()
    call.wait(DEADLINE_S)
    ear_sid, mouth_sid = [message["streamSid"] for message in bridge.of("start")]
    outbound = b"".join(
        base64.b64decode(message["media"]["payload"])
        for message in bridge.of("media")
        if message["streamSid"] == ear_sid and message["media"]["track"] == "outbound"
    )
    assert AUDIO in outbound
    assert {message["media"]["track"] for message in bridge.of("media") if message["streamSid"] == mouth_sid} == {
        "inbound"
    }
    assert [message["streamSid"] for message in bridge.of("dtmf") + bridge.of("mark")] == [mouth_sid] * 2
    assert sorted(message["streamSid"] for message in bridge.of("stop")) == sorted([ear_sid, mouth_sid])
    assert call.complaints == []


@pytest.mark.parametrize("audible", [True, False])
def test_a_key_is_on_the_line_too(bridge: StandIn, audible: bool) -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, key_tones=audible) as twilio:
        call = call_at(twilio, bridge, CONNECT)
        call.wait_for(happened.StreamOpened, DEADLINE_S)
        call.press("5")
        call.press("#")
        until_ms = call.line.now_ms + 1000
        while call.line.now_ms < until_ms:
            gevent.sleep(0.01)
        call.hang_up()
        call.wait(DEADLINE_S)
    assert [message["dtmf"]["digit"] for message in bridge.of("dtmf")] == ["5", "#"]
    heard = bytes(call.line.caller_mulaw)
    tones = [heard.find(key_tone(digit, 160)) for digit in "5#"]
    assert tones[1] - tones[0] == (8 * (160 + 60) if audible else 0)
    assert (tones[0] >= 0) is audible
    kinds = bridge.kinds()
    loud = [rms(decode_mulaw(base64.b64decode(message["media"]["payload"]))) > 500 for message in bridge.of("media")]
    if audible:  # the message comes with the tone's first 20 ms
        assert kinds[: kinds.index("dtmf")].count("media") == loud.index(True)


class HummingVoice:
    """Loud, and the same all the time."""

    rate_hz = 8000

    def speak(self, text: str) -> bytes:
        return b"\x00\x20\x00\x20\x00\xe0\x00\xe0" * (120 * len(text))


def test_a_poor_line_has_an_echo(bridge: StandIn) -> None:
    with SimulatedTwilio(auth_token=TOKEN, pace=0.05, voice=HummingVoice()) as twilio:
        call = call_at(twilio, bridge, "<Pause/><Say>Hello, who is it?</Say><Pause/>", echo_db=-20, echo_delay_ms=160)
        call.wait(DEADLINE_S)
        quiet = call_at(twilio, bridge, "<Say>Hello, who is it?</Say>")
        quiet.wait(DEADLINE_S)
    said, heard = (frame_levels_dbfs(decode_mulaw(bytes(m))) for m in (call.line.bot_mulaw, call.line.caller_mulaw))
    (spoken,) = np.nonzero(said > -60)
    (echoed,) = np.nonzero(heard > -50)
    assert list(echoed) == list(spoken + 8)
    assert heard[echoed] == pytest.approx(said[spoken] - 20, abs=0.5)
    assert frame_levels_dbfs(decode_mulaw(bytes(quiet.line.caller_mulaw))).max() < -60


def test_keys_reach_a_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    call.press("5")
    call.hang_up()
    call.wait(DEADLINE_S)
    (pressed,) = bridge.of("dtmf")
    assert pressed["dtmf"] == {"track": "inbound_track", "digit": "5"}


def test_an_update_stops_a_two_way_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait_for(happened.StreamOpened, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Bye</Say><Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert bridge.kinds()[-1] == "stop"
    assert call.complaints == []


def test_invalid_messages_are_reported_once_a_stream(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    def babble(connection: Any, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            connection.send("{}")
            connection.send("[]")
            connection.send(b"\x00\x01", binary=True)
            connection.send(json.dumps({"event": "clear", "streamSid": "MZ"}))
            connection.close()

    bridge.on_message = babble
    call = call_at(twilio, bridge, f'<Connect><Stream url="{STREAM}"/></Connect>')
    call.wait(DEADLINE_S)
    assert codes(call) == [31951, 31950]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("hello", "not JSON"),
        ('"media"', "none of media, mark, clear"),
        ({"event": "hangup", "streamSid": "MZ1"}, "none of media, mark, clear"),
        ({"event": "clear", "streamSid": "MZ2"}, "this stream is MZ1"),
        ({"event": "clear"}, "streamSid None"),
        ({"event": "clear", "streamSid": "MZ1", "clear": {}}, "with the fields"),
        ({"event": "mark", "streamSid": "MZ1"}, "with the fields"),
        ({"event": "mark", "streamSid": "MZ1", "mark": {"name": 1}}, "mark is not an object"),
        ({"event": "media", "streamSid": "MZ1", "media": {"payload": "AAAA", "track": "x"}}, "media is not an object"),
        ({"event": "media", "streamSid": "MZ1", "media": {"payload": "?"}}, "not base64"),
    ],
)
def test_which_messages_twilio_takes_for_invalid(message: Any, why: str) -> None:
    text = message if isinstance(message, str) else json.dumps(message)
    with pytest.raises(ValueError, match=why):
        read_message(text.encode(), "MZ1")


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


def test_an_update_cuts_what_is_being_said_within_a_frame_or_two(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, '<Say>The first half.</Say><Say loop="50">A very long story.</Say><Say>Never.</Say>')
    call.wait_for(happened.BotBegan, DEADLINE_S, count=2)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Something else.</Say><Hangup/>"))
    call.wait(DEADLINE_S)
    spoken = [event for event in call.events if isinstance(event, happened.BotBegan | happened.BotFinished)]
    assert [event.text for event in spoken if isinstance(event, happened.BotBegan)][2:] == ["Something else."]
    (updated,) = [event for event in call.events if isinstance(event, happened.UpdateReceived)]
    next_s = next(event.at_s for event in call.events if event.at_s > updated.at_s and event in spoken)
    assert next_s - updated.at_s < 0.5  # of the clock, on a busy machine; the story would take nearly 3 s


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


def test_status_completed_ends_the_call_and_later_updates_are_21220(twilio: SimulatedTwilio, bridge: StandIn) -> None:
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
    assert requests.post(path, {"Status": "in-progress"}, auth=account, timeout=5).status_code == 400
    assert requests.get(path, auth=account, timeout=5).status_code == 405
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
    assert requests.put(f"{twilio.url}/2010-04-01/Accounts/x", timeout=5).status_code == 401
    assert requests.get(twilio.url, auth=(twilio.account_sid, TOKEN), timeout=5).json()["code"] == 20404


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
    assert update(twilio, call, timeout_s=5).status_code == 200
    assert call.wait_for(happened.UpdateReceived, DEADLINE_S).at_s - began_s >= 0.3


@pytest.mark.parametrize("kind", ["reset", "hang", "close"])
def test_a_connection_may_be_reset_or_hang(twilio: SimulatedTwilio, bridge: StandIn, kind: Any) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(kind=kind))
    expected = requests.Timeout if kind == "hang" else requests.ConnectionError
    with pytest.raises(expected):
        update(twilio, call, timeout_s=0.3)
    assert call.over is None


def test_an_answer_may_drip(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    call.wait_for(happened.Answered, DEADLINE_S)
    twilio.rest_faults.append(RestFault(kind="drip", drip_s=0.002, carried_out=True))
    dripping = gevent.spawn(update, twilio, call, 0.3)
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert (
        dripping.get(timeout=DEADLINE_S).json()["sid"] == call.sid
    )  # outlives the client's timeout, which is a read's


def update(twilio: SimulatedTwilio, call: PhoneCall, timeout_s: float) -> requests.Response:
    path = f"/2010-04-01/Accounts/{twilio.account_sid}/Calls/{call.sid}.json"
    fields = {"Twiml": document("<Hangup/>")}
    return requests.post(twilio.url + path, fields, auth=(twilio.account_sid, TOKEN), timeout=timeout_s)


# The call as a whole


def test_silences_and_waits_are_read_off_the_call(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/twiml"] = document("<Pause/><Say>Hello, who is it?</Say>" + HOLD)
    caller = a_caller(Script(patience_s=600))
    call = twilio.place_call(f"{PUBLIC}/twiml", caller, connect_to=bridge.base)
    update_with = client_of(twilio).calls(call.sid).update
    call.wait_for(happened.BotFinished, DEADLINE_S)
    caller.say("roses")
    call.wait_for(happened.SpeechEnded, DEADLINE_S)
    update_with(
        twiml=document('<Pause length="2"/><Say>One moment.</Say><Pause length="3"/><Say>Which day?</Say>' + HOLD)
    )
    call.wait_for(happened.BotFinished, DEADLINE_S, count=3)
    caller.say("tomorrow")
    call.wait_for(happened.SpeechEnded, DEADLINE_S, count=2)
    update_with(twiml=document('<Pause length="4"/><Hangup/>'))
    call.wait(DEADLINE_S)

    first, second = waits(call)
    assert (first.said, second.said) == ("roses", "tomorrow")
    assert [text for _, text in first.voices] == ["One moment.", "Which day?"]
    assert first.delay_s is not None
    assert first.delay_s >= 1  # frames that were late are made up for: on a busy machine 2 s may look shorter
    assert (second.voices, second.delay_s) == ((), None)
    found = silences(call)
    assert found[0].began_s == 0
    assert found[0].length_s >= 0.5
    assert [each.length_s >= least_s for each, least_s in zip(found[-4:], (1, 1.5, 0, 2), strict=True)] == [True] * 4
    assert all(one.ended_s < other.began_s for one, other in itertools.pairwise(found))
    assert longest_silence_s(call, first.ended_s, first.voices[0][0]) == pytest.approx(first.delay_s)
    assert longest_silence_s(call, first.voices[0][0], first.voices[1][0]) == pytest.approx(found[-3].length_s)


def test_a_call_that_was_never_answered_has_no_silence(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, "<Reject/>")
    call.wait(DEADLINE_S)
    assert (silences(call), waits(call)) == ([], [])


def test_stopping_twilio_ends_every_call(bridge: StandIn) -> None:
    with SimulatedTwilio(pace=0.05) as twilio:
        call = call_at(twilio, bridge, START + HOLD)
        call.wait_for(happened.StreamOpened, DEADLINE_S)
    assert call.wait(DEADLINE_S).reason is EndReason.SIMULATOR_STOPPED
    assert bridge.kinds()[-1] == "stop"


def test_waiting_has_a_deadline_that_says_what_is_missing(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    call = call_at(twilio, bridge, HOLD)
    with pytest.raises(TimeoutError, match=r"no UpdateReceived \(0 of 1\)"):
        call.wait_for(happened.UpdateReceived, 0.05)
    with pytest.raises(TimeoutError, match="the call goes on"):
        call.wait(0.05)


def test_a_caller_and_a_bridge_take_turns(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    bridge.documents["/twiml"] = document(START + "<Say>What would you like?</Say>" + HOLD)
    caller = a_caller(
        Script(turns=(Turn(say="roses", expect="what would you like"), Turn(say="yes", expect="sure")), patience_s=600)
    )
    call = twilio.place_call(f"{PUBLIC}/twiml", caller, connect_to=bridge.base)
    call.wait_for(happened.SpeechEnded, DEADLINE_S)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Are you sure?</Say>" + HOLD))
    call.wait_for(happened.SpeechEnded, DEADLINE_S, count=2)
    client_of(twilio).calls(call.sid).update(twiml=document("<Say>Goodbye.</Say><Hangup/>"))
    assert call.wait(DEADLINE_S).reason is EndReason.HANGUP_VERB
    assert caller.heard == ["What would you like?", "Are you sure?", "Goodbye."]
    assert caller.troubles == []
    assert call.complaints == []


@pytest.mark.parametrize(
    ("url", "connect_to", "address"),
    [
        ("https://voice.example.com/twiml?a=1#rc=2", None, "https://voice.example.com/twiml?a=1"),
        ("https://voice.example.com/twiml", "http://127.0.0.1:8080", "http://127.0.0.1:8080/twiml"),
        ("wss://voice.example.com/", "http://127.0.0.1:8080", "ws://127.0.0.1:8080/"),
        ("wss://voice.example.com", "https://10.0.0.1", "wss://10.0.0.1/"),
        ("wss://voice.example.com/media", None, "wss://voice.example.com/media"),
        ("wss://127.0.0.1:8080/", None, "ws://127.0.0.1:8080/"),
        ("http://127.0.0.1:8080/twiml", None, "http://127.0.0.1:8080/twiml"),
    ],
)
def test_where_a_connection_really_goes(url: str, connect_to: str | None, address: str) -> None:
    assert Webhooks(TOKEN, connect_to).address(url) == address


def test_with_somebody_to_trust_a_stream_to_this_machine_stays_encrypted() -> None:
    assert Webhooks(TOKEN, ca_file=Path("ca.pem")).address("wss://localhost:8443/") == "wss://localhost:8443/"
