"""TwiML verbs as the simulated Twilio carries them out: `<Dial>`, `<Gather>`, `<Play>` and others."""

import wave
from io import BytesIO

import gevent
import pytest

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from tests.support.stand_in_bridge import DEADLINE_S, StandIn, call_at, codes, document, verbs


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
