"""`python -m lexbridge.offline call --outbound`: its options, and rehearsals of calls that are placed."""

import argparse
from typing import Any

import pytest

from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.commands.call import add_arguments, run
from lexbridge.offline.commands.placed import (
    machine_faults,
    machine_story,
    make_callee,
    name_of,
    place,
    placed_problem,
)
from lexbridge.offline.lex.voice import SilentVoice
from tests.support.rig import PATIENCE_S, HummingVoice, flowers, running, v2_bot

WEBHOOK = "https://voice.example.com/twiml?campaign=7"
MESSAGE = "Please call us back."


def options(*given: str) -> argparse.Namespace:
    """Return the options of the command `call`."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([WEBHOOK, *given])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], None),
        (["--outbound"], None),
        (["--outbound", "--machine", "--async-amd"], None),
        (["--machine"], "go with --outbound"),
        (["--hello", "Yes?"], "go with --outbound"),
        (["--outbound", "--async-amd"], "goes with --detect or --machine"),
        (["--outbound", "--fact", "StirVerstat=ok"], "for calls that come in"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    given: list[str], problem: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    told = placed_problem(options(*given))
    if problem is None:
        assert told is None
        return
    assert told is not None
    assert problem in told
    assert run(options(*given, "--auth-token", "token")) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "script", "hello"),
    [
        (["--outbound"], Script(), "Hello?"),
        (["--outbound"], Script(hello="Smith."), "Smith."),
        (["--outbound", "--hello", "Yes?"], Script(hello="Smith."), "Yes?"),
        ([], Script(), ""),
    ],
)
def test_who_is_called_says_hello(given: list[str], script: Script, hello: str) -> None:
    callee = make_callee(options(*given), SilentVoice(), script)
    assert isinstance(callee, SimulatedCaller)
    assert callee.script.hello == hello
    assert list(machine_story(callee)) == []
    assert name_of(callee) == script.name


def rehearse(*given: str, **changes: Any) -> tuple[AnsweringMachine, list[str], list[str]]:
    """Rehearse a call to an answering machine. Return the machine, what is told of it, and the faults."""
    args = options("--outbound", "--machine", *given)
    settings = {"pace": 0.1, "BARGE_IN": "on", **v2_bot(flowers()), **changes}
    with running(**settings) as rig:
        args.connect_to = rig.base
        machine = make_callee(args, HummingVoice(), Script())
        assert isinstance(machine, AnsweringMachine)
        call = place(args, rig.twilio, machine)
        call.wait(PATIENCE_S)
        assert call.complaints == []
        return machine, list(machine_story(machine)), machine_faults(call, machine, args.expect)


@pytest.mark.parametrize("given", [[], ["--detect", "Enable"], ["--async-amd"]])
def test_a_machine_is_rehearsed(given: list[str]) -> None:
    machine, told, faults = rehearse(*given, "--expect", "call us", MACHINE_TEXT=MESSAGE)
    assert machine.message == [MESSAGE]
    assert told[-1] == f"the machine, recorded: “{MESSAGE}”"
    assert faults == []
    assert name_of(machine) == "an answering machine"


def test_words_that_no_machine_records_are_a_fault() -> None:
    assert rehearse(MACHINE_HANGUP="on")[2] == []
    assert rehearse("--expect", "call us", MACHINE_HANGUP="on")[2] == ["the machine did not record “call us”"]
