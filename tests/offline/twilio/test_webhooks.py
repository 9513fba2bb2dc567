"""The simulated Twilio's webhooks: signatures, bad answers, fallbacks, retries."""

import socket
from types import SimpleNamespace

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio import webhooks
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.webhooks import OverrideError, Overrides, read_overrides
from tests.support.stand_in_bridge import DEADLINE_S, PUBLIC, STREAM, TOKEN, StandIn, a_caller, call_at, codes, document

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


def test_facts_of_a_number_come_with_every_request(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    facts = {"StirVerstat": "TN-Validation-Passed-A", "SipHeader_X-Department": "4"}
    bridge.documents["/next"] = document("<Hangup/>")
    call = call_at(twilio, bridge, "<Redirect>/next</Redirect>", number=Number(f"{PUBLIC}/twiml", facts=facts))
    call.wait(DEADLINE_S)
    assert [request.form.items() >= facts.items() for request in bridge.requests] == [True, True]


def test_a_get_webhook_is_signed_with_its_query(twilio: SimulatedTwilio, bridge: StandIn) -> None:
    number = Number(f"{PUBLIC}/twiml?shop=7#rc=2", method="GET")
    call_at(twilio, bridge, "<Hangup/>", number=number).wait(DEADLINE_S)
    (request,) = bridge.requests
    assert request.method == "GET"
    assert request.form["shop"] == "7"
    assert request.form["CallStatus"] == "ringing"


def test_an_impostor_of_twilio_signs_with_another_token(twilio: SimulatedTwilio, bridge: StandIn) -> None:
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
    (["hang"], "#rc=1&rp=rt&rt=1000", 2),
    (["hang"], "#rc=1&rp=5xx&rt=1000", 1),
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


def test_a_webhook_is_not_requested_again_when_its_time_is_over(
    twilio: SimulatedTwilio, bridge: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each request takes 6 s by this clock, of 15.
    monkeypatch.setattr(webhooks, "time", SimpleNamespace(monotonic=lambda: 6.0 * len(bridge.requests)))
    bridge.first["/twiml"] = ["hang"] * 6
    call = call_at(twilio, bridge, "<Hangup/>", number=Number(f"{PUBLIC}/twiml#rc=5&rp=all&rt=1000&tt=15000"))
    assert call.wait(DEADLINE_S).reason is EndReason.APPLICATION_ERROR
    assert len(bridge.requests) == 3


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
