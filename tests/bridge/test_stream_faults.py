"""Whole calls in stream mode in which Lex's voice, the hang-up or a transfer fails."""

from dataclasses import replace

import pytest

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    EndReason,
    MarkReturned,
    StreamClosed,
    StreamOpened,
    Transferred,
    UpdateReceived,
    UpdateRefused,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import DAY, FLOWERS, KINDS
from tests.support.rehearsal import living_greenlets, wait_until
from tests.support.rig import PATIENCE_S, Rig, deadlines_for, says
from tests.support.streaming import (
    call_until_asked_for_kinds,
    count_of,
    heard_by,
    prompt_heard,
    said_by_twilio,
    streaming,
    turns_of,
)

# -- Lex's voice fails


def connections(rig: Rig) -> int:
    """Return the number of connections that the local Lex has open."""
    return len(rig.lex._connections)


def idle_connections(rig: Rig) -> int:
    """Return the number of connections that the bridge keeps for its next requests."""
    manager = rig.lex_runtime._api.client._endpoint.http_session._manager
    pools = [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118 - no mapping
    return sum(
        connection is not None and connection.sock is not None for pool in pools for connection in pool.pool.queue
    )


AUDIO_FAULTS = {
    "breaks off at once": LexFault(kind="broken", after_bytes=0),
    "breaks off after half a second": LexFault(kind="broken", after_bytes=16_001),
    "stalls at once": LexFault(kind="stalled", after_bytes=0),
    "stalls after half a second": LexFault(kind="stalled", after_bytes=16_000),
    "drips": LexFault(kind="dripping"),
    "is MP3": LexFault(kind="mistyped"),
    "is of no type": LexFault(kind="mistyped", content_type=""),
    "is stereo": LexFault(kind="mistyped", content_type="audio/pcm;sample-rate=16000;channels=2"),
}


@pytest.mark.parametrize(
    ("generation", "fault"),
    [
        pytest.param(generation, fault, id=f"{generation} {name}")
        for number, (name, fault) in enumerate(AUDIO_FAULTS.items())
        for generation in [("v1", "v2")[number % 2]]
    ],
)
def test_words_that_lexs_voice_does_not_bring_are_said_by_twilio(
    generation: str, fault: LexFault, logged: Logged
) -> None:
    with streaming(FLOWERS, "roses", generation=generation, deadlines=deadlines_for(fault)) as rig:
        caller = says()
        before = living_greenlets()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        rig.lex.faults.append(replace(fault))
        caller.say("some flowers")
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        assert len(turns_of(rig)) == 1  # the turn is not sent twice
        assert [KINDS in text for text in said_by_twilio(call)] == [False, True]
        rig.lex.faults.clear()
        caller.say("roses please")
        prompt_heard(call, 1)  # the first turn of the new stream
        assert turns_of(rig)[1].said == DAY
        assert heard_by(call, DAY) == 1
        call.hang_up()
        rig.ended(call)
        wait_until(lambda: rig.calls.live_calls == 0)
        wait_until(lambda: connections(rig) == idle_connections(rig))
        wait_until(lambda: not [each for each in living_greenlets() - before if "bridge" in str(each)])
    failed = [line for line in logged() if line["event"] == "lex-audio-failed"]
    assert [line["level"] for line in failed] == ["error" if fault.kind == "mistyped" else "warning"]
    assert {line["event"] for line in logged() if line["level"] == "error"} <= {"lex-audio-failed"}


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000])
def test_lexs_voice_is_played_at_the_rate_that_it_says(rate_hz: int) -> None:
    with streaming(FLOWERS) as rig:
        fault = LexFault(kind="mistyped", content_type=f"audio/pcm; sample-rate={rate_hz}", times=None)
        rig.lex.faults.append(fault)
        _, call = call_until_asked_for_kinds(rig)
        hum_ms = 40 * len(turns_of(rig)[0].said)
        assert sum(audio.heard_ms for audio in call.sent_audio) == pytest.approx(hum_ms, abs=40)
        assert said_by_twilio(call) == [rig.settings.line.greeting]
        call.hang_up()
        rig.ended(call)


# -- hang-up and transfer


def last_words_heard(call: PhoneCall, of: str) -> None:
    """Assert that the update came only after the caller had heard all of `of`."""
    (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
    ends = [mark for mark in call.events if isinstance(mark, MarkReturned) and mark.name.endswith(":end")]
    assert ends[-1].at_s < update.at_s
    assert heard_by(call, of) == 1


def test_a_caller_is_put_through_after_the_last_words_were_heard() -> None:
    flags = {"HANGUP_INTENTS": "NoSuchIntent", "TRANSFER_NUMBERS": "+12065550155"}
    with streaming(FLOWERS, "goodbye", **flags) as rig:
        caller, call = call_until_asked_for_kinds(rig)
        asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550155"}
        boto3_client(rig).post_text(
            botName="OrderFlowers", botAlias="prod", userId=call.sid, inputText="roses", sessionAttributes=asked
        )
        caller.say("goodbye")
        assert call.wait_for(Transferred, PATIENCE_S).number == "+12065550155"
        last_words_heard(call, turns_of(rig)[-1].said)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert said_by_twilio(call) == [rig.settings.line.greeting, "Goodbye."]  # after the transferred call was over
        wait_until(lambda: rig.calls.live_calls == 0)


def test_after_a_refused_hang_up_the_call_listens() -> None:
    with streaming("goodbye", FLOWERS) as rig:
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        call.line.wait_ms(1000)
        caller.say("some flowers after all")
        prompt_heard(call, 2)
        assert KINDS in turns_of(rig)[1].said
        assert count_of(call, StreamOpened) == 1
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize(("status", "code"), [(400, 21220), (404, 20404)])
def test_a_call_that_is_over_for_twilio_ends_quietly(status: int, code: int, logged: Logged) -> None:
    with streaming("goodbye") as rig:
        rig.twilio.rest_faults.append(RestFault(status=status, code=code, always=True))
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(StreamClosed, PATIENCE_S)
        wait_until(lambda: [line for line in logged() if line["event"] == "call-gone"])
    assert not [line for line in logged() if line["level"] == "error" and line["event"] != "stream-status"]


def test_words_that_twilio_does_not_say_leave_the_call_listening() -> None:
    with streaming(FLOWERS, "roses") as rig:
        rig.lex.faults.append(LexFault(kind="mistyped"))
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        call.line.wait_ms(1000)
        caller.say("roses please")
        prompt_heard(call, 2)
        assert heard_by(call, DAY) == 1
        assert count_of(call, StreamOpened) == 1
        call.hang_up()
        rig.ended(call)
