"""`python -m lexbridge.offline call`: one simulated call at a bridge of your own."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lexbridge.offline.caller import script as call_script
from lexbridge.offline.caller.answering_machine import AnsweringMachine
from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.happy_path import happy_path
from lexbridge.offline.caller.script import Script, Turn, load_script
from lexbridge.offline.commands.arguments import http_address, new_file, port, seconds, setting
from lexbridge.offline.commands.beyond import add_far_arguments, far_story, set_up
from lexbridge.offline.commands.placed import (
    CALLEE,
    add_placed_arguments,
    machine_faults,
    machine_story,
    make_callee,
    name_of,
    place,
    placed_problem,
)
from lexbridge.offline.lex.bot_files import load_bot
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.report.causes import Placed
from lexbridge.offline.report.report import Timeline, latencies, write_call
from lexbridge.offline.report.verdict import faults_of
from lexbridge.offline.twilio.simulator import SimulatedTwilio

SCRIPTS = Path(__file__).parents[1] / "scripts"

_DESCRIPTION = """\
Calls a bridge as Twilio would: signed webhook, media stream, REST updates. Start the bridge first, with the same
TWILIO_AUTH_TOKEN, and with TWILIO_API_URL=http://127.0.0.1:8082 for its updates to come here:

    python -m lexbridge.offline call http://127.0.0.1:8080/twiml --say "I would like to order some flowers"

Exit status 0 when the bot answered (and said what --expect has), the bot hung up, and Twilio had nothing to complain
about; 1 otherwise, with the likely causes. The greeting and lexbridge's own phrases, such as its apologies, are no
answer of the bot's. In stream mode the bot's words are heard by speech recognition: in English, and with mistakes.

With --outbound the bridge's operator calls. With --machine too, the exit status is 0 when the bridge ended the
call, and the machine recorded what --expect has."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `call` to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _DESCRIPTION
    parser.epilog = f"The script. {call_script.__doc__}"
    _add_words(parser)
    _add_twilio(parser)
    add_far_arguments(parser)
    add_placed_arguments(parser)
    _add_results(parser)


def _add_words(parser: argparse.ArgumentParser) -> None:
    """Add whom the caller calls, what they say, and what they have to hear."""
    parser.add_argument("webhook", type=http_address, help="the number's voice webhook, as Twilio's console has it")
    parser.add_argument("--say", action="append", metavar="TEXT", help="what the caller says, a turn each; repeatable")
    parser.add_argument("--script", type=Path, help="what the caller does (default: orders flowers)")
    parser.add_argument(
        "--expect", metavar="TEXT", help="the bot has to say this, in capitals or not, perhaps as part of a sentence"
    )
    parser.add_argument("--bot", type=Path, metavar="FILE", help="say what the bot in this Lex export expects")


def _add_twilio(parser: argparse.ArgumentParser) -> None:
    """Add the account, the addresses and the facts by which the call comes from Twilio."""
    parser.add_argument("--auth-token", help="Twilio's auth token (default: TWILIO_AUTH_TOKEN)")
    parser.add_argument("--account-sid", help="the account's SID (default: made up)")
    parser.add_argument(
        "--api-port", type=port, default=8082, metavar="PORT", help="where Twilio's REST API listens (default: 8082)"
    )
    parser.add_argument(
        "--connect-to",
        type=http_address,
        metavar="URL",
        help="connect here instead, and sign for the public addresses all the same",
    )
    parser.add_argument(
        "--caller-number",
        default="+12065550100",
        metavar="NUMBER",
        help="From, or To with --outbound (default: %(default)s)",
    )
    parser.add_argument(
        "--fact",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="more that Twilio tells with each request, such as StirVerstat=TN-Validation-Passed-A or "
        "SipHeader_X-Department=4; repeatable",
    )


def _add_results(parser: argparse.ArgumentParser) -> None:
    """Add how long the call may take, and where it is written."""
    parser.add_argument("--longest-s", type=seconds, default=300.0, metavar="S", help="give up after (default: 300)")
    parser.add_argument(
        "--wav", type=new_file(".wav"), metavar="FILE", help="write the call here: caller left, bot right"
    )
    parser.add_argument(
        "--picture", type=new_file(".png"), metavar="FILE", help="write a picture of the call here, a PNG"
    )


def run(args: argparse.Namespace) -> int:
    """Make the call, and return the exit status."""
    auth_token = args.auth_token or os.environ.get("TWILIO_AUTH_TOKEN")
    if not auth_token:
        print("the auth token is missing: set TWILIO_AUTH_TOKEN, or give --auth-token", file=sys.stderr)
        return 2
    if problem := placed_problem(args):
        print(problem, file=sys.stderr)
        return 2
    try:
        script = _script(args)
    except ValueError as error:  # of the script, or of the bot
        print(error, file=sys.stderr)
        return 2
    with HibariVoice() as voice:
        twilio = SimulatedTwilio(auth_token=auth_token, account_sid=args.account_sid, port=args.api_port, voice=voice)
        if api_key_sid := os.environ.get("TWILIO_API_KEY_SID"):  # the bridge signs in by it
            twilio.api_keys[api_key_sid] = os.environ.get("TWILIO_API_KEY_SECRET", "")
        set_up(args, twilio)
        caller = make_callee(args, voice, script)
        who = f"{name_of(caller)} is {'called by' if args.outbound else 'calling'}"
        print(f"Twilio's REST API is at http://127.0.0.1:{args.api_port}; {who} {args.webhook}\n")
        try:
            twilio.start()
        except OSError as error:
            print(f"cannot listen on port {args.api_port}: {error}", file=sys.stderr)
            return 1
        try:
            return _call(args, twilio, caller)
        finally:
            twilio.stop()


def _script(args: argparse.Namespace) -> Script:
    if args.say:
        return Script(turns=tuple(Turn(say=text) for text in args.say))
    if args.bot and not args.script:
        return happy_path(load_bot(args.bot))
    return load_script(args.script or SCRIPTS / "order_flowers.yaml")


def _call(args: argparse.Namespace, twilio: SimulatedTwilio, caller: CALLEE) -> int:
    placed = Placed(args.webhook, twilio.url, args.connect_to)
    call = place(args, twilio, caller)
    try:
        Timeline(call).follow(args.longest_s)
    except TimeoutError as error:
        print(error, file=sys.stderr)
        _tell(faults_of(call, placed, args.expect))
        return 1
    print("\n" + "\n".join(latencies(call, [])))
    for line in far_story(call, twilio):
        print(f"  {line}")
    for line in machine_story(caller):
        print(f"  {line}")
    for trouble in caller.troubles if isinstance(caller, SimulatedCaller) else ():
        print(f"  the caller: {trouble}")
    for complaint in call.complaints:
        print(f"  Twilio complains: {complaint}")
    if args.wav or args.picture:
        wav = args.wav or args.picture.with_suffix(".wav")
        try:
            write_call(call, [], name_of(caller), wav, args.picture or wav.with_suffix(".png"))
        except OSError as error:
            print(f"the call cannot be written to {wav}: {error.strerror}", file=sys.stderr)
            return 1
    if isinstance(caller, AnsweringMachine):
        faults = machine_faults(call, caller, args.expect)
    else:
        faults = faults_of(call, placed, args.expect)
    _tell(faults)
    return 1 if faults or call.complaints else 0


def _tell(faults: Sequence[str]) -> None:
    if faults:
        print("\n" + "\n".join(f"  {fault}" for fault in faults), file=sys.stderr)
