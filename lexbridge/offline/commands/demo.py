"""`python -m lexbridge.offline demo`: whole calls through the real bridge, with nothing but this machine.

A simulated caller really speaks, a simulated Twilio carries the call, `server.py` runs as a process of its own, and a
local Lex really listens. One order goes over Lex V1, one over Lex V2. In the third call Lex's own voice goes over the
media stream: the caller interrupts it, and keys a number in.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.happy_path import happy_path, main_intent
from lexbridge.offline.caller.script import Script, load_script
from lexbridge.offline.commands.arguments import new_folder, setting
from lexbridge.offline.commands.bridge_process import ROOT, BridgeFailed, BridgeProcess, settings_of_local_bot
from lexbridge.offline.lex.bot_files import CHECK_BOOKING, ORDER_COFFEE, ORDER_FLOWERS, load_bot
from lexbridge.offline.lex.bots import Bot
from lexbridge.offline.lex.recognition import GrammarRecogniser
from lexbridge.offline.lex.requests import LexRequest
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.report.report import Timeline, latencies, write_call
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import BOT_HUNG_UP, MessageSent
from lexbridge.offline.twilio.simulator import SimulatedTwilio

SCRIPTS = Path(__file__).parents[1] / "scripts"
LONGEST_CALL_S = 180.0


@dataclass(frozen=True, slots=True)
class Round:
    """One call of the demo: the generation of Lex, the bot, the caller and the settings of the bridge.

    name: part of the names of the call's files.
    """

    name: str
    title: str
    generation: Literal["v1", "v2"]
    bot: Path
    script: Path
    settings: Mapping[str, str] = field(default_factory=dict)


ROUNDS = (
    Round("v1", "Lex V1", "v1", ORDER_FLOWERS, SCRIPTS / "order_flowers.yaml"),
    Round("v2", "Lex V2", "v2", ORDER_COFFEE, SCRIPTS / "order_coffee.yaml"),
    Round(
        "stream",
        "Lex V2, in stream mode",
        "v2",
        CHECK_BOOKING,
        SCRIPTS / "check_booking.yaml",
        {"REPLY_MODE": "stream", "WELCOME": "bot", "WELCOME_INTENT": "WelcomeIntent"},
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `demo` to `parser`."""
    parser.description = (
        "Plays whole calls through the real bridge (server.py): one order over Lex V1, one over Lex V2, and a call in "
        "stream mode in which the caller interrupts the bot and keys a number in. Prints a "
        "timeline and the latencies, and writes each call as a stereo wav (caller left, bot right) and as a picture. "
        "Exit status 0 when every order was fulfilled and the bot hung up, 1 otherwise."
    )
    parser.add_argument(
        "--only", choices=("v1", "v2", "stream"), help="only the call over this generation of Lex, or in stream mode"
    )
    parser.add_argument("--script", type=Path, help="let the caller follow another script (see `call --help`)")
    parser.add_argument(
        "--bot",
        type=Path,
        metavar="FILE",
        help="another bot: a Lex V1 export, or a V2 zip or folder; without --script the caller says what it expects",
    )
    parser.add_argument(
        "--setting",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the bridge; repeatable",
    )
    parser.add_argument(
        "--out",
        type=new_folder,
        default=str(ROOT / "demo-out"),
        metavar="FOLDER",
        help="where files go (default: demo-out)",
    )


def run(args: argparse.Namespace) -> int:
    """Play the calls of the demo, and return the exit status."""
    rounds = [each for each in ROUNDS if args.only in (None, each.name)]
    try:
        played = [(each, *_bot_and_script(each, args)) for each in rounds]
    except ValueError as error:  # of a script, or of a bot
        print(error, file=sys.stderr)
        return 2
    settings = dict(args.setting)
    args.out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    print("Starting the voices and the recogniser ...", flush=True)
    failures: list[str] = []
    with HibariVoice() as voice, GrammarRecogniser() as recogniser:
        for each, bot, script in played:
            stage = _Stage(each, bot, script, settings, args.out)
            failures += stage.play(voice, recogniser)
    took = f"{time.monotonic() - began_s:.0f} s"
    if failures:
        print(f"\nThe demo failed ({took}):\n" + "\n".join(f"  {failure}" for failure in failures))
        return 1
    print(f"\nEvery order was fulfilled and the bot hung up ({took}). Listen and look: {_shown(args.out)}/")
    return 0


def _bot_and_script(each: Round, args: argparse.Namespace) -> tuple[Bot, Script]:
    """Another bot without another script is asked for what it is for. Raises ScriptError, ValueError."""
    bot = load_bot(args.bot or each.bot)
    main_intent(bot)
    if args.bot and not args.script:
        return bot, happy_path(bot)
    return bot, load_script(args.script or each.script)


class _Stage:
    """The parts that one call of the demo needs."""

    def __init__(self, each: Round, bot: Bot, script: Script, settings: Mapping[str, str], out: Path) -> None:
        self._round = each
        self._bot = bot
        self._script = script
        self._settings = {**each.settings, **settings}
        self._out = out
        self._name = each.title

    def play(self, voice: HibariVoice, recogniser: GrammarRecogniser) -> list[str]:
        """Play the call and show it. Return sentences about what went wrong."""
        print(f"\n{'─' * 4} {self._script.name}, over {self._name} {'─' * (70 - len(self._script.name))}\n")
        caller = SimulatedCaller(voice, self._script)
        with (
            LocalLex(bots=[self._bot], recogniser=recogniser, voice=voice) as lex,
            SimulatedTwilio(voice=voice) as twilio,
        ):
            log = self._out / f"bridge-{self._round.name}.log"
            try:
                with BridgeProcess({**self._bridge_settings(lex.url, twilio), **self._settings}, log) as bridge:
                    call = twilio.place_call(f"{bridge.url}/twiml", caller)
                    Timeline(call, lambda: _of_call(lex.requests, call)).follow(LONGEST_CALL_S)
            except (BridgeFailed, TimeoutError) as error:
                return [f"{self._name}: {error} (see {_shown(log)})"]
            requests = _of_call(lex.requests, call)
            print("\n" + "\n".join(latencies(call, requests)))
            self._write(call, requests)
            return self._failures(call, caller, requests)

    def _bridge_settings(self, lex_url: str, twilio: SimulatedTwilio) -> dict[str, str]:
        return {
            **settings_of_local_bot(self._bot, self._round.generation, lex_url),
            "TWILIO_AUTH_TOKEN": twilio.auth_token,
            "TWILIO_API_URL": twilio.url,
            "LOG_FORMAT": "text",
        }

    def _write(self, call: PhoneCall, requests: list[LexRequest]) -> None:
        wav, png = (self._out / f"call-{self._round.name}.{ending}" for ending in ("wav", "png"))
        write_call(call, requests, f"{self._script.name}, over {self._name}", wav, png)
        print(f"\n  {_shown(wav)}   {_shown(png)}   {_shown(self._out)}/bridge-{self._round.name}.log")

    def _failures(self, call: PhoneCall, caller: SimulatedCaller, requests: list[LexRequest]) -> list[str]:
        failures = [f"Twilio complains: {complaint}" for complaint in call.complaints]
        order = main_intent(self._bot).name
        if not any(each.intent == order and each.dialog_state == "Fulfilled" for each in requests):
            failures.append(f"{order} was not fulfilled")
        if call.over is None or call.over.reason not in BOT_HUNG_UP:
            failures.append(f"the bot did not hang up: {call.over.reason if call.over else 'the call goes on'}")
        if self._settings.get("REPLY_MODE") == "stream":
            failures += unheeded_interruptions(call, self._script)
        if failures:
            failures += [f"the caller: {trouble}" for trouble in caller.troubles]
        return [f"{self._name}: {failure}" for failure in failures]


def unheeded_interruptions(call: PhoneCall, script: Script) -> list[str]:
    """Return sentences about interruptions that stopped no prompt: each must cause a `clear` that drops audio."""
    meant = sum(turn.interrupt_after_s is not None and not turn.cough for turn in script.turns)
    cleared = [event for event in call.events if isinstance(event, MessageSent) and event.dropped_ms]
    return [f"{meant} interruptions stopped {len(cleared)} prompts"] if len(cleared) < meant else []


def _of_call(requests: Sequence[LexRequest], call: PhoneCall) -> list[LexRequest]:
    """The bridge has Lex speak its own phrases too, in sessions that are no call's."""
    return [request for request in requests if request.session_id == call.sid]


def _shown(path: Path) -> str:
    """Short, where it is under the working directory."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
