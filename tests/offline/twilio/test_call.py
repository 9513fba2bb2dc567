"""A simulated call as a whole: its silences and waits, its end, and where its connections go."""

import itertools
from pathlib import Path

import pytest

from lexbridge.offline.caller.script import Script, Turn
from lexbridge.offline.report.silences import longest_silence_s, silences, waits
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.simulator import SimulatedTwilio
from lexbridge.offline.twilio.webhooks import Webhooks
from tests.support.stand_in_bridge import (
    DEADLINE_S,
    HOLD,
    PUBLIC,
    START,
    TOKEN,
    StandIn,
    a_caller,
    call_at,
    client_of,
    document,
)


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


def test_with_a_trusted_authority_a_local_stream_is_encrypted() -> None:
    assert Webhooks(TOKEN, ca_file=Path("ca.pem")).address("wss://localhost:8443/") == "wss://localhost:8443/"
