"""Whole calls over real sockets that are transferred: to each kind of target, with a whisper, and back to the bot."""

from typing import Any

import pytest

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import (
    BotFinished,
    EndReason,
    StreamOpened,
    Transferred,
    UpdateReceived,
    VerbStarted,
    Whispered,
)
from lexbridge.offline.twilio.far_ends import FarEnd
from tests.support.boto import boto3_client
from tests.support.fixtures import Logged
from tests.support.flower_order import KINDS
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, running, says

PERSON = "+12065550155"
NOBODY = "Sorry, nobody can take your call right now. How else can I help you?"
TRANSFERS = {"HANGUP_INTENTS": "NoSuchIntent", "NO_INPUT_S": "120"}
HEARD = ["I would like to order flowers", "goodbye", "I would like to order flowers"]


def asks_for_transfer(rig: Rig, target: str, **attributes: str) -> tuple[SimulatedCaller, PhoneCall]:
    """Place a call, and say a sentence after which the bot's answer asks for a transfer to `target`."""
    caller = says()
    call = rig.place_call(caller)
    call.wait_for(StreamOpened, PATIENCE_S)
    caller.say("some flowers")
    wait_until(lambda: len([one for one in rig.lex.requests if one.transcript and one.answered]) == 1)
    if rig.settings.line.reply_mode == "stream":
        call.wait_for(BotFinished, PATIENCE_S, count=2)  # nobody interrupts it here
    wait_until(lambda: not caller.is_speaking)
    asked = {"lexbridge:action": "transfer", "lexbridge:transfer-to": target, "customer": "4711", **attributes}
    boto3_client(rig).post_text(
        botName="OrderFlowers", botAlias="prod", userId=call.sid, inputText="roses", sessionAttributes=asked
    )
    caller.say("goodbye")
    return caller, call


def session_attributes(rig: Rig, call: PhoneCall) -> dict[str, str]:
    session: dict[str, Any] = boto3_client(rig).get_session(botName="OrderFlowers", botAlias="prod", userId=call.sid)
    return dict(session["sessionAttributes"])


def says_said(call: PhoneCall) -> list[str]:
    """Return what Twilio said to the caller, in order."""
    return [event.text for event in call.events if isinstance(event, VerbStarted) and event.verb == "Say"]


@pytest.mark.parametrize("does", ["busy", "no-answer", "failed"])
def test_a_busy_person_brings_the_caller_back(does: Any, logged: Logged) -> None:
    with running(HEARD, TRANSFER_NUMBERS=PERSON, **TRANSFERS) as rig:
        rig.twilio.exchange.set(PERSON, FarEnd(does=does, rings_s=2))
        caller, call = asks_for_transfer(rig, PERSON)
        assert call.wait_for(Transferred, PATIENCE_S).status == does
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        rig.hears(call, NOBODY)
        wait_until(lambda: not caller.is_speaking)
        caller.say("then some flowers please")
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        assert session_attributes(rig, call)["lexbridge:transfer-status"] == does
        assert session_attributes(rig, call)["customer"] == "4711"
        assert "lexbridge:action" not in session_attributes(rig, call)
        call.hang_up()
        rig.ended(call)
    (line,) = [line for line in logged() if line["event"] == "transfer-ended"]
    assert line["status"] == does


def test_back_in_the_bots_own_voice() -> None:
    settings = {**TRANSFERS, "REPLY_MODE": "stream", "SAY_VOICE": "Polly.Joanna"}
    with running(HEARD, lex_voice=HummingVoice(), TRANSFER_NUMBERS=PERSON, pace=0.2, **settings) as rig:
        rig.twilio.exchange.set(PERSON, FarEnd(does="busy"))
        caller, call = asks_for_transfer(rig, PERSON)
        assert call.wait_for(Transferred, PATIENCE_S).status == "busy"
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        wait_until(lambda: any(one.said == NOBODY for one in rig.lex.requests))
        call.wait_for(BotFinished, PATIENCE_S, count=4)
        caller.say("then some flowers please")
        wait_until(lambda: session_attributes(rig, call).get("lexbridge:transfer-status") == "busy")
        call.hang_up()
        rig.ended(call)


def test_the_bot_itself_takes_the_caller_back() -> None:
    with running(HEARD, TRANSFER_NUMBERS="queue:Sales", TRANSFER_FAILED_INTENT="OrderFlowers", **TRANSFERS) as rig:
        rig.twilio.exchange.set("queue:Sales", FarEnd(does="busy"))  # it is full
        _, call = asks_for_transfer(rig, "queue:Sales")
        call.wait_for(UpdateReceived, PATIENCE_S, count=2, where=lambda update: KINDS in update.twiml)
        assert session_attributes(rig, call)["lexbridge:transfer-status"] == "queue-full"
        assert [one.operation for one in rig.lex.requests if one.session_id == call.sid].count("PutSession") == 1
        call.hang_up()
        call.wait(PATIENCE_S)
        assert [complaint[:5] for complaint in call.complaints] == ["14207"]  # the queue is full, as Twilio warns


def test_a_person_hears_the_whisper_and_then_the_caller(logged: Logged) -> None:
    target = f"{PERSON};ext=12"
    words = "A caller who wants roses."
    with running(HEARD, TRANSFER_NUMBERS=f"{PERSON};ext=*", **TRANSFERS) as rig:
        rig.twilio.exchange.set(PERSON, FarEnd(talks_s=3))
        _, call = asks_for_transfer(rig, target, **{"lexbridge:whisper": words})
        assert call.wait_for(Whispered, PATIENCE_S).text == words
        assert call.wait_for(Transferred, PATIENCE_S).status == "completed"
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert says_said(call)[-1] == "Goodbye."
    assert not [line for line in logged() if "roses" in str(line)]


TARGETS = [
    ("sip:sales@pbx.example.com", "sip:*@pbx.example.com"),
    ("client:alice", "client:*"),
    ("queue:Sales", "queue:Sales"),
    ("workflow:WW" + "0123456789abcdef" * 2, "workflow:WW" + "0123456789abcdef" * 2),
    ("conference:Sales", "conference:Sales"),
]


@pytest.mark.parametrize(("target", "allowed"), TARGETS, ids=lambda text: text.partition(":")[0])
def test_each_kind_of_target_is_reached_and_ends_politely(target: str, allowed: str, logged: Logged) -> None:
    settings = {**TRANSFERS, "TRANSFER_NUMBERS": allowed, "TRANSFER_ATTRIBUTES": "customer"}
    with running(HEARD, **settings) as rig:
        rig.twilio.exchange.set(target, FarEnd(talks_s=3))
        _, call = asks_for_transfer(rig, target, **{"lexbridge:whisper": "Roses."})
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert says_said(call)[-1] == "Goodbye."
    assert [line["status"] for line in logged() if line["event"] == "transfer-ended"] == ["completed"]


@pytest.mark.parametrize("target", ["+12065550156", f"{PERSON};ext=1", "sip:a@b", "queue:Sales"])
def test_nobody_else_is_reached(target: str) -> None:
    with running(HEARD, TRANSFER_NUMBERS=PERSON, **TRANSFERS) as rig:
        _, call = asks_for_transfer(rig, target)
        call.wait_for(UpdateReceived, PATIENCE_S, count=2)
        assert not [event for event in call.events if isinstance(event, UpdateReceived) and "<Dial" in event.twiml]
        call.hang_up()
        rig.ended(call)


def test_a_caller_who_hangs_up_while_it_rings_is_gone(logged: Logged) -> None:
    with running(HEARD, TRANSFER_NUMBERS=PERSON, **TRANSFERS) as rig:
        rig.twilio.exchange.set(PERSON, FarEnd(rings_s=3600))
        _, call = asks_for_transfer(rig, PERSON)
        call.wait_for(VerbStarted, PATIENCE_S, where=lambda verb: verb.verb == "Dial")
        call.hang_up()
        assert rig.ended(call).reason is EndReason.CALLER_HUNG_UP
    assert [line["status"] for line in logged() if line["event"] == "transfer-ended"] in ([], ["gone"])
    assert len([line for line in logged() if line["event"] == "stream-started"]) == 1
