"""`python -m lexbridge.offline run`: a bridge, a local bot and the phone in the browser, ready to talk to."""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gevent

from lexbridge.config.env_file import read_env_file
from lexbridge.config.setting import Group
from lexbridge.config.settings import SETTINGS
from lexbridge.errors import ConfigError
from lexbridge.offline.commands.arguments import port, setting
from lexbridge.offline.commands.beyond import add_far_arguments, set_up
from lexbridge.offline.commands.bridge_process import BridgeFailed
from lexbridge.offline.commands.phone import PHONE_PORT, page_address, page_port
from lexbridge.offline.commands.rehearsed_lines import RehearsedLines, read_rehearsed_lines
from lexbridge.offline.commands.stopping import StopRequest
from lexbridge.offline.lex.bot_files import (
    CHECK_BOOKING,
    ORDER_COFFEE,
    ORDER_FLOWERS,
    example_bots,
    load_bot,
    load_locales,
    shipped_bots,
)
from lexbridge.offline.lex.bots import Bot, BotFileError
from lexbridge.offline.lex.recognition import GrammarRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.phone.bridges import MODES, OfferedBot, OwnBridge, local_bot
from lexbridge.offline.phone.rehearsal import Rehearsal
from lexbridge.offline.phone.server import PhoneServer
from lexbridge.offline.phone.switchboard import Switchboard
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.simulator import SimulatedTwilio

SHIPPED = {"flowers": ORDER_FLOWERS, "coffee": ORDER_COFFEE, "booking": CHECK_BOOKING}
"""The bots that come with lexbridge, by short names."""

_WELCOMES = {"CheckBooking": {"WELCOME": "bot", "WELCOME_INTENT": "WelcomeIntent"}}
CONSOLE_PORT = 9090
"""Port of the console and the metrics (ADMIN_PORT), unless something else listens there."""

_BOT_NAMES = ("LEX_BOT_ID", "LEX_BOT_NAME")
_GROUPS = frozenset({Group.BOT, Group.CALL, Group.DETECTOR, Group.TURNS, Group.WORDS})
"""Settings that a real bot keeps. The run makes up the others: no rehearsal is posted or recorded elsewhere."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `run` to `parser`."""
    parser.description = (
        "Starts the local Lex, the bridge (server.py) and a page with a telephone, on this machine, and prints the "
        "page's address. One click there is a Twilio call to the bridge. Ctrl-C ends all of it."
    )
    parser.add_argument(
        "--bot",
        dest="bots",
        action="append",
        metavar="NAME|FILE",
        help=f"{', '.join(SHIPPED)}, or a bot exported from Lex; repeatable, first the one to begin with",
    )
    parser.add_argument(
        "--lines",
        type=Path,
        metavar="FILE",
        help="a table of lines (LINES_FILE), asked of the local bots: the page dials one of its numbers. AWS roles, "
        "endpoints and Twilio accounts of the table are left out",
    )
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="the reply mode to begin with")
    parser.add_argument("--port", type=port, help=f"port of the page (default: {PHONE_PORT}, or any if that is taken)")
    parser.add_argument(
        "--setting",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the bridge, such as VAD=hybrid; repeatable",
    )
    add_far_arguments(parser)
    parser.add_argument("--keep-logs", action="store_true", help="keep the bridge's logs after Ctrl-C")
    parser.add_argument(
        "--real-bot", action="store_true", help="ask the bot on AWS that the environment or .env names, not a local one"
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and return the exit status."""
    try:
        read_env_file(Path(".env"))
        named = next((name for name in _BOT_NAMES if os.environ.get(name)), None)
        if args.real_bot and named is None:
            raise ValueError(f"--real-bot: none of {', '.join(_BOT_NAMES)} is set, in the environment or in .env")
        if args.real_bot and args.lines:
            raise ValueError("--lines asks local bots, and --real-bot one on AWS: give one of them")
        files = [SHIPPED.get(each, Path(each)) for each in args.bots or SHIPPED]
        bots = [] if args.real_bot else [load_bot(file) for file in files]
        lines = None
        if args.lines:
            bots = _bots_for_lines(args.bots or ())
            lines = read_rehearsed_lines(args.lines, bots)
    except (ConfigError, BotFileError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if named and not args.real_bot:
        print(f"{named} is set: this run asks a local bot all the same. --real-bot asks yours.")
    stop_request = StopRequest()
    print("Starting the voice, the bot and the bridge ...", flush=True)
    with contextlib.ExitStack() as running:
        voice = running.enter_context(HibariVoice())
        lex = None
        if not args.real_bot:
            recogniser = running.enter_context(GrammarRecogniser())
            lex = running.enter_context(LocalLex(bots=bots, recogniser=recogniser, voice=voice))
        twilio = running.enter_context(SimulatedTwilio(voice=voice))
        set_up(args, twilio)
        if lines is not None and lex is not None:
            offered = lines.offered(lex.url, _written(lines, running))
        elif lex is None:
            offered = [real_bot(os.environ)]
        else:
            offered = [
                local_bot(bot, "v1" if file == ORDER_FLOWERS else "v2", lex.url, _WELCOMES.get(bot.name, {}))
                for bot, file in zip(bots, files, strict=True)
            ]
        return _serve(args, running, voice, lex, twilio, offered, stop_request)


def _bots_for_lines(given: Sequence[str]) -> list[Bot]:
    """Return the bots that come with lexbridge, and those that are given, in each of their locales."""
    named = [bot for each in given for bot in load_locales(SHIPPED.get(each, Path(each)))]
    return [*named, *shipped_bots(), *example_bots()]


def _written(lines: RehearsedLines, running: contextlib.ExitStack) -> Path:
    """Write the table of a rehearsal, and return where it is for as long as it runs."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="lexbridge-lines-")))
    place = folder / "lines.toml"
    place.write_text(lines.text(), encoding="utf-8")
    return place


def _serve(
    args: argparse.Namespace,
    running: contextlib.ExitStack,
    voice: HibariVoice,
    lex: LocalLex | None,
    twilio: SimulatedTwilio,
    offered: Sequence[OfferedBot],
    stop_request: StopRequest,
) -> int:
    """Start the bridge and the page, and wait for the end. Return the exit status."""
    port_of_page = page_port(args.port) or free_port()
    settings = {
        "TWILIO_AUTH_TOKEN": twilio.auth_token,
        "TWILIO_API_URL": twilio.url,
        "LOG_FORMAT": "json",
        "ADMIN_PORT": str(page_port(None, CONSOLE_PORT)),
        "REHEARSAL_URL": f"http://127.0.0.1:{port_of_page}",
        **dict(args.setting),
    }
    admin_url = f"http://127.0.0.1:{settings['ADMIN_PORT']}" if settings["ADMIN_PORT"] else ""
    folder = Path(tempfile.mkdtemp(prefix="lexbridge-run-"))
    if not args.keep_logs:
        running.callback(shutil.rmtree, folder, ignore_errors=True)
    bridge = OwnBridge(offered, lex, settings, folder)
    running.callback(bridge.stop)
    switchboard = Switchboard(bridge, twilio, voice, console_url=admin_url)
    server = PhoneServer(switchboard, Rehearsal(twilio, lex, bridge), port_of_page)
    try:
        warming = gevent.spawn(switchboard.warm_up_voice)
        bridge.switch(args.mode, offered[0].name)
        running.enter_context(server)
        warming.join()
    except (OSError, BridgeFailed) as error:
        print(error, file=sys.stderr)
        return 1
    switchboard.be_ready()
    switchboard.watchers.add(restarts_told(bridge))
    stop_request.be_ready()
    print(introduction(page_address(server.url), admin_url, bridge), flush=True)
    stop_request.wait()
    print("\nEnding the calls and the bridge ...", flush=True)
    print(f"The bridge's logs in {folder} are {'kept' if args.keep_logs else 'deleted'}.", flush=True)
    return 0


def real_bot(environment: Mapping[str, str]) -> OfferedBot:
    """Return the bot that the environment's settings name, with the settings of its calls and AWS's own variables."""
    names = {one.name for one in SETTINGS if one.group in _GROUPS}
    names |= {name for name in environment if name.startswith("AWS_")}
    settings = {name: environment[name] for name in names if environment.get(name, "").strip()}
    name = settings.get("LEX_BOT_ID") or settings["LEX_BOT_NAME"]
    return OfferedBot(f"{name}, on AWS", settings)


def introduction(address: str, admin_url: str, bridge: OwnBridge) -> str:
    """Return what the command prints when all is ready. `admin_url`: the address of ADMIN_PORT, or ""."""
    lines = ["", "Open this address and press Call:", "", f"    {address}", ""]
    if admin_url:
        lines += ["Each call as it happens, the metrics, and the calls in a terminal:", "", f"    {admin_url}/console/"]
        python = os.path.relpath(sys.executable) if sys.executable.startswith(f"{Path.cwd()}/") else sys.executable
        lines += [f"    {admin_url}/metrics", f"    {python} -m lexbridge.offline top --url {admin_url}", ""]
    if bridge.bot.examples:
        lines += [f"{bridge.bot.name} listens, in {bridge.mode} mode. Say, one sentence a turn:", ""]
        lines += [f"    {sentence}" for sentence in bridge.bot.examples]
    else:
        lines += [f"{bridge.bot.name} listens, in {bridge.mode} mode."]
    return "\n".join([*lines, "", f"The bridge's log is {bridge.process.log}. Ctrl-C ends everything."])


def restarts_told(bridge: OwnBridge) -> Callable[[], None]:
    """Return a watcher of the switchboard that prints, once for each restart of the bridge, where its log is."""
    told = [bridge.process.log]

    def look() -> None:
        if (log := bridge.process.log) not in told:
            told.append(log)
            print(f"The bridge runs again: {bridge.bot.name}, in {bridge.mode} mode. Its log is {log}.", flush=True)

    return look
