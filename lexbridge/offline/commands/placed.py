"""Options of `python -m lexbridge.offline call` for a call that the service's operator places."""

import argparse
from collections.abc import Iterator
from dataclasses import replace

from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.commands.beyond import phone_number
from lexbridge.offline.lex.voice import Voice
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BOT_HUNG_UP
from lexbridge.offline.twilio.number import Number
from lexbridge.offline.twilio.simulator import SimulatedTwilio

CALLEE = SimulatedCaller | AnsweringMachine


def add_placed_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of outbound calls to `parser`."""
    group = parser.add_argument_group(
        "outbound calls", "The bridge's operator calls: who is called says hello, and then does what the script says."
    )
    parser.add_argument(
        "--to",
        type=phone_number,
        default="+12065550199",
        metavar="NUMBER",
        help="the bridge's number, such as one of its table of lines (default: %(default)s)",
    )
    group.add_argument("--outbound", action="store_true", help="place the call, as calls.create does with this webhook")
    group.add_argument(
        "--hello", metavar="TEXT", help="what the callee says first, unless the script has it (default: Hello?)"
    )
    group.add_argument("--machine", action="store_true", help="an answering machine answers, and records what it hears")
    group.add_argument(
        "--detect",
        choices=["Enable", "DetectMessageEnd"],
        help="have Twilio detect machines (default: not, and DetectMessageEnd with --machine)",
    )
    group.add_argument(
        "--async-amd", action="store_true", help="detect while the call goes on, and tell /twiml/answered-by"
    )


def placed_problem(args: argparse.Namespace) -> str | None:
    """Return what is wrong with these options together, or None."""
    if not args.outbound and (args.machine or args.detect or args.async_amd or args.hello):
        return "--machine, --detect, --async-amd and --hello go with --outbound"
    if args.async_amd and not (args.machine or args.detect):
        return "--async-amd goes with --detect or --machine"
    return "--fact is for calls that come in" if args.outbound and args.fact else None


def make_callee(args: argparse.Namespace, voice: Voice, script: Script) -> CALLEE:
    """Return who is on the phone: the caller, or who is called."""
    if args.machine:
        return AnsweringMachine(voice)
    if args.outbound:
        script = replace(script, hello=args.hello or script.hello or "Hello?")
    return SimulatedCaller(voice, script)


def place(args: argparse.Namespace, twilio: SimulatedTwilio, callee: CALLEE) -> PhoneCall:
    """Place the call that the options ask for, in or out."""
    if not args.outbound:
        number = Number(args.webhook, caller=args.caller_number, called=args.to, facts=dict(args.fact))
        return twilio.place_call(number, callee, connect_to=args.connect_to)
    fields = {"To": args.caller_number, "From": args.to, "Url": args.webhook}
    detects = args.detect or ("DetectMessageEnd" if args.machine else None)
    if detects:
        fields["MachineDetection"] = detects
    if args.async_amd:
        address, mark, query = args.webhook.partition("#")[0].partition("?")
        fields |= {"AsyncAmd": "true", "AsyncAmdStatusCallback": f"{address.rstrip('/')}/answered-by{mark}{query}"}
    return twilio.place_outbound_call(fields, callee, connect_to=args.connect_to)


def name_of(callee: CALLEE) -> str:
    """Return what the callee is called in reports."""
    return "an answering machine" if isinstance(callee, AnsweringMachine) else callee.script.name


def machine_story(callee: CALLEE) -> Iterator[str]:
    """Yield sentences about what an answering machine heard."""
    if isinstance(callee, AnsweringMachine):
        heard = [
            *(("not recorded", text) for text in callee.unrecorded),
            *(("recorded", text) for text in callee.message),
        ]
        for when, text in heard:
            yield f"the machine, {when}: " + (f"“{text}”" if text else "audio")


def machine_faults(call: PhoneCall, machine: AnsweringMachine, expected: str | None) -> list[str]:
    """Return sentences about what was wrong with a call that a machine has answered. `expected`: what it has to record.

    Words in audio are taken for the expected ones.
    """
    faults = []
    if call.over is None or call.over.reason not in BOT_HUNG_UP:
        faults.append("it was not the bridge that ended the call")
    wanted = (expected or "").casefold()
    if wanted and not any(not text or wanted in text.casefold() for text in machine.message):
        faults.append(f"the machine did not record “{expected}”")
    return faults
