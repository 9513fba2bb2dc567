"""Faults of Lex and of Twilio during whole calls, and what the caller hears then."""

from typing import Literal

import pytest

from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.twilio.events import (
    EndReason,
    StreamClosed,
    StreamOpened,
    Transferred,
    UpdateReceived,
    UpdateRefused,
)
from lexbridge.offline.twilio.rest_api import RestFault
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS
from tests.support.phrases import NOT_AVAILABLE, SAY_AGAIN
from tests.support.rehearsal import wait_until
from tests.support.rig import (
    PATIENCE_S,
    QUICK_UPDATES,
    Rig,
    deadlines_for,
    flowers,
    running,
    says,
    spoken,
    update_deadlines_for,
    v2_bot,
)


def hears_after_lex_fault(rig: Rig, *texts: str) -> None:
    """Place a call with one utterance. Assert which documents Twilio receives, in order."""
    caller = says("some roses please")
    call = rig.place_call(caller)
    for count, text in enumerate(texts, start=1):
        update = call.wait_for(UpdateReceived, PATIENCE_S, count=count)
        assert text in spoken(update.twiml)
    call.hang_up()
    rig.ended(call)


PASSING = [
    pytest.param(LexFault(status=500, when="start"), id="500 at the start"),
    pytest.param(LexFault(status=500, when="middle"), id="500 in the middle"),
    pytest.param(LexFault(status=500, when="end"), id="500 at the end"),
    pytest.param(LexFault(status=502), id="502"),
    pytest.param(LexFault(status=424), id="424"),
    pytest.param(LexFault(status=429), id="429"),
    pytest.param(LexFault(status=409), id="409"),
    pytest.param(LexFault(kind="reset", when="start"), id="reset at the start"),
    pytest.param(LexFault(kind="reset", when="middle"), id="reset in the middle of the upload"),
    pytest.param(LexFault(kind="reset", when="end"), id="reset at the end"),
]


TOO_LONG = [
    pytest.param(LexFault(kind="hang", when="start"), id="hangs from the start"),
    pytest.param(LexFault(kind="hang", when="end"), id="hangs at the end"),
    pytest.param(LexFault(kind="drip"), id="drips"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_one_lex_fault_is_not_heard(fault: LexFault) -> None:
    with running(["I would like to order flowers"] * 2) as rig:
        rig.lex.faults.append(fault)
        hears_after_lex_fault(rig, KINDS)
        first, second = rig.lex.requests
        assert second.audio.startswith(first.audio)
        assert len(second.audio) > 320


@pytest.mark.parametrize("fault", [*PASSING, *TOO_LONG])
def test_a_lex_fault_that_stays_is_heard_as_one_apology(fault: LexFault) -> None:
    with running(["I would like to order flowers"] * 4, pace=0.1, deadlines=deadlines_for(fault)) as rig:
        times = 1 if fault.kind in ("hang", "drip") else 2  # there is no time for a second request
        rig.lex.faults.append(LexFault(status=fault.status, when=fault.when, times=times, kind=fault.kind))
        caller = says("some roses please", "some roses please")
        call = rig.place_call(caller)
        assert SAY_AGAIN in spoken(call.wait_for(UpdateReceived, PATIENCE_S, count=1).twiml)
        assert KINDS in spoken(call.wait_for(UpdateReceived, PATIENCE_S, count=2).twiml)  # and then another chance
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("when", ["start", "middle", "end"])
@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_a_refusal_by_lex_ends_the_call_in_words(status: int, when: str, generation: str, logged: Logged) -> None:
    bot = v2_bot(flowers()) if generation == "v2" else {}
    with running(**bot) as rig:
        rig.lex.faults.append(LexFault(status=status, when=when, times=None))  # type: ignore[arg-type]
        call = rig.place_call(says("some roses please"))
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        (update,) = [event for event in call.events if isinstance(event, UpdateReceived)]
        assert spoken(update.twiml) == NOT_AVAILABLE
    named = "ACCESS_KEY_ID" if status == 403 else "LEX_BOT_ID" if generation == "v2" else "LEX_BOT_NAME"
    assert [named in line["error"] for line in logged() if line["level"] == "error"] == [True]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(RestFault(status=429, code=20429), id="20429"),
        pytest.param(RestFault(status=500, code=20500), id="500"),
        pytest.param(RestFault(kind="hang"), id="hang"),
        pytest.param(RestFault(kind="drip"), id="drip"),
        pytest.param(RestFault(kind="reset"), id="reset"),
    ],
)
def test_two_faults_of_twilio_are_unheard_three_cost_a_reply(fault: RestFault) -> None:
    heard = ["I would like to order flowers", "roses", "tomorrow"]
    with running(heard, attempt_deadlines_s=update_deadlines_for(fault), NO_INPUT_S="120") as rig:
        rig.twilio.rest_faults.extend([fault, fault])
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, KINDS)
        rig.twilio.rest_faults.extend([fault, fault, fault])
        caller.say("roses please")
        call.wait_for(UpdateRefused, PATIENCE_S, count=5)
        caller.say("tomorrow please")  # the reply before was lost; the dialog goes on with the next turn
        rig.hears(call, "what time")
        assert len([event for event in call.events if isinstance(event, UpdateReceived)]) == 2
        call.hang_up()
        rig.ended(call)


@pytest.mark.parametrize(("status", "code"), [(400, 21220), (404, 20404)])
def test_a_call_that_is_over_for_twilio_ends_quietly(status: int, code: int, logged: Logged) -> None:
    with running(["I would like to order flowers"]) as rig:
        rig.twilio.rest_faults.append(RestFault(status=status, code=code, always=True))
        call = rig.place_call(says("some flowers"))
        call.wait_for(UpdateRefused, PATIENCE_S)
        closed = call.wait_for(StreamClosed, PATIENCE_S)
        assert closed.code in (0, 31921)
        wait_until(lambda: rig.calls.live_calls == 0)
    assert not [line for line in logged() if line["level"] == "error" and line["event"] != "stream-status"]


@pytest.mark.parametrize("kind", ["hang", "drip"])
def test_a_transfer_that_twilio_answers_late_is_asked_for_once(kind: Literal["hang", "drip"]) -> None:
    """The stream is stopped before Twilio's answer arrives: a second request would interrupt the transferred call."""
    flags = {"HANGUP_INTENTS": "NoSuchIntent", "TRANSFER_NUMBERS": "+12065550155"}
    # The transferred call lasts longer than all deadlines and the pauses between them.
    with running(
        ["I would like to order flowers", "goodbye"], attempt_deadlines_s=QUICK_UPDATES, dial_ms=90_000, **flags
    ) as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("some flowers")
        rig.hears(call, KINDS)
        asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": "+12065550155"}
        boto3_client(rig).post_text(
            botName="OrderFlowers", botAlias="prod", userId=call.sid, inputText="roses", sessionAttributes=asked
        )
        rig.twilio.rest_faults.append(RestFault(kind=kind, carried_out=True))
        caller.say("goodbye")
        assert call.wait_for(Transferred, PATIENCE_S).number == "+12065550155"
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert len([event for event in call.events if isinstance(event, UpdateReceived)]) == 2
        assert not [event for event in call.events if isinstance(event, UpdateRefused)]


def test_last_words_that_twilio_refuses_leave_the_call_alive() -> None:
    with running(["goodbye", "goodbye"]) as rig:
        rig.twilio.rest_faults.extend([RestFault()] * 3)
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        caller.say("goodbye then")
        call.wait_for(UpdateRefused, PATIENCE_S, count=3)
        wait_until(lambda: not caller.is_speaking)
        caller.say("goodbye I said")
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
