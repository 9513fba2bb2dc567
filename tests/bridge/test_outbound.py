"""Whole calls that were placed: the callee speaks first, or a machine answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.twilio.events import BotBegan, BotFinished, EndReason, StreamOpened
from lexbridge.offline.twilio.line import Party
from lexbridge.offline.twilio.outbound_call import OutboundCall
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, HummingVoice, Rig, flowers, running, v2_bot

FLOWERS = "I would like to order flowers"
GREETING = "Hello, this is the flower shop."
MESSAGE = "Please call us back."
MODES = pytest.mark.parametrize("mode", ["call-update", "stream"])
DETECTS = pytest.mark.parametrize("detects", ["Enable", "DetectMessageEnd"])


@contextmanager
def calling(*heard: str, mode: str, **changes: Any) -> Iterator[Rig]:
    """Yield a bridge whose callees may interrupt, with a V2 bot."""
    options = {"pace": 0.1, "BARGE_IN": "on", "NO_INPUT_S": "120", "GREETING": GREETING, **v2_bot(flowers())}
    with running(heard, lex_voice=HummingVoice(), **{**options, "REPLY_MODE": mode, **changes}) as rig:
        yield rig


def a_person(hello: str = "Hello?") -> SimulatedCaller:
    return SimulatedCaller(HummingVoice(), Script(hello=hello))


def a_machine() -> AnsweringMachine:
    return AnsweringMachine(HummingVoice(), "You have reached Ada. Please leave a message.")


def place(rig: Rig, callee: Party, **fields: str) -> OutboundCall:
    """Place a call as a dialler does, with these fields of Calls.json."""
    url = f"{rig.settings.service.url}/twiml"
    asked = {"To": "+12065550100", "From": "+12065550199", "Url": f"{url}?campaign=7", **fields}
    if "AsyncAmd" in fields:
        asked["AsyncAmdStatusCallback"] = f"{url}/answered-by"
    return rig.twilio.place_outbound_call(asked, callee, connect_to=rig.base)


def operations(rig: Rig) -> list[str]:
    """Return what Lex was asked for in the sessions of calls, in order."""
    return [request.operation for request in rig.lex.requests if request.session_id.startswith("CA")]


def first_prompt(logged: Logged) -> dict[str, Any]:
    (line,) = [line for line in logged() if line["event"] == "first-prompt"]
    return dict(line)


@MODES
def test_a_callee_says_hello_and_then_hears_who_calls(mode: str, logged: Logged) -> None:
    """The first word is for nobody. The first turn is what the callee says after the greeting."""
    with calling(FLOWERS, mode=mode) as rig:
        callee = a_person()
        call = place(rig, callee)
        call.wait_for(BotBegan, PATIENCE_S)
        assert first_prompt(logged)["after"] == "speech"
        callee.say("hello, who is there")  # over the greeting
        call.wait_for(BotFinished, PATIENCE_S)
        assert operations(rig) == []
        call.line.wait_ms(1500)  # in call-update mode the bridge only estimates how long the greeting takes
        callee.say("some flowers")
        wait_until(lambda: operations(rig) == ["RecognizeUtterance"])
        call.hang_up()
        rig.ended(call)


@MODES
def test_a_silent_callee_is_greeted_too(mode: str, logged: Logged) -> None:
    with calling(mode=mode) as rig:
        call = place(rig, a_person(hello=""))
        call.wait_for(BotBegan, PATIENCE_S)
        assert first_prompt(logged)["after"] == "silence"
        call.hang_up()
        rig.ended(call)


@MODES
def test_a_person_whom_twilio_has_heard_is_greeted_at_once(mode: str, logged: Logged) -> None:
    with calling(mode=mode) as rig:
        call = place(rig, a_person(), MachineDetection="Enable")
        call.wait_for(BotBegan, PATIENCE_S)
        assert first_prompt(logged)["at_ms"] <= 40
        call.hang_up()
        rig.ended(call)


@MODES
def test_a_stream_lost_before_the_greeting_greets_later(mode: str) -> None:
    with calling(mode=mode) as rig:
        call = place(rig, a_person(hello=""))
        call.wait_for(StreamOpened, PATIENCE_S)
        call.streams[0].cut()
        call.wait_for(StreamOpened, PATIENCE_S, count=2)
        begun = call.wait_for(BotBegan, PATIENCE_S)
        assert begun.text in (GREETING, "")  # Lex's voice has no text
        call.hang_up()
        call.wait(PATIENCE_S)  # Twilio has complained of the lost stream


@MODES
@DETECTS
@pytest.mark.parametrize("is_async", [False, True])
def test_a_machine_hears_the_text_after_its_greeting(mode: str, detects: str, is_async: bool) -> None:
    with calling(mode=mode, MACHINE_TEXT=MESSAGE) as rig:
        machine = a_machine()
        background = {"AsyncAmd": "true"} if is_async else {}
        call = place(rig, machine, MachineDetection=detects, **background)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert machine.message[-1] == MESSAGE
        assert operations(rig) == []


@MODES
@DETECTS
def test_a_machine_hears_the_bots_words_after_its_greeting(mode: str, detects: str) -> None:
    with calling(mode=mode, MACHINE_INTENT="OrderFlowers") as rig:
        machine = a_machine()
        call = place(rig, machine, MachineDetection=detects)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert len(machine.message) == 1
        assert machine.unrecorded == []
        assert operations(rig) == ["PutSession"]


@MODES
@pytest.mark.parametrize("is_async", [False, True])
def test_a_machine_is_hung_up_if_that_is_wanted(mode: str, is_async: bool) -> None:
    with calling(mode=mode, MACHINE_HANGUP="on") as rig:
        machine = a_machine()
        background = {"AsyncAmd": "true"} if is_async else {}
        call = place(rig, machine, MachineDetection="DetectMessageEnd", **background)
        assert rig.ended(call).reason is EndReason.HANGUP_VERB
        assert machine.message == []
