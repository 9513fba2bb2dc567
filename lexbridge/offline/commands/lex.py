"""`python -m lexbridge.offline lex`: the local Lex runtime alone, for a bridge, boto3 or the AWS CLI to talk to."""

import argparse
import contextlib
import sys
from pathlib import Path

from lexbridge.offline.commands.arguments import port, seconds
from lexbridge.offline.commands.stopping import StopRequest
from lexbridge.offline.lex.bot_files import example_bots, load_locales, shipped_bots
from lexbridge.offline.lex.bots import Bot, BotFileError
from lexbridge.offline.lex.recognition import GrammarRecogniser
from lexbridge.offline.lex.runtime import LocalLex
from lexbridge.offline.lex.voice import HibariVoice

_ENDPOINT_V1 = "AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE"
_ENDPOINT_V2 = "AWS_ENDPOINT_URL_LEX_RUNTIME_V2"

_ENDPOINT_STS = "AWS_ENDPOINT_URL_STS"  # for server.py --check=live


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `lex` to `parser`."""
    parser.description = "Runs the local Lex runtime: bots behind Lex's own HTTP interface, V1 and V2."
    add_bot_argument(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8081, help="port to listen on, 0 for any (default: %(default)s)")
    parser.add_argument(
        "--think-s", type=seconds, default=0.0, metavar="SECONDS", help="answer every request so much later"
    )


def add_bot_argument(parser: argparse.ArgumentParser) -> None:
    """`--bot`, which may be given several times."""
    parser.add_argument(
        "--bot",
        dest="bots",
        action="append",
        type=Path,
        metavar="FILE",
        help="a bot exported from Lex: V1 .json, V2 .zip or its unzipped folder; may be repeated "
        "(default: the bots that come with lexbridge)",
    )


def bots_of(args: argparse.Namespace) -> list[Bot]:
    """The bots asked for. Raises BotFileError."""
    if not args.bots:
        return [*shipped_bots(), *example_bots()]
    return [bot for path in args.bots for bot in load_locales(path)]


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and return the exit status."""
    try:
        bots = bots_of(args)
    except BotFileError as error:
        print(error, file=sys.stderr)
        return 2
    stop_request = StopRequest()
    with (
        GrammarRecogniser() as recogniser,
        HibariVoice() as voice,
        contextlib.ExitStack() as serving,
    ):
        lex = LocalLex(
            bots=bots, recogniser=recogniser, voice=voice, host=args.host, port=args.port, think_s=args.think_s
        )
        try:
            serving.enter_context(lex)
        except OSError as error:
            print(f"cannot listen on {args.host} port {args.port}: {error}", file=sys.stderr)
            return 1
        stop_request.be_ready()
        print(introduction(lex.url, bots), flush=True)
        stop_request.wait()
    return 0


def introduction(url: str, bots: list[Bot]) -> str:
    """Return the settings with which a bridge, or boto3, reaches each bot."""
    lines = [
        f"The local Lex runtime listens on {url}. Ctrl-C stops it.",
        "",
        "Point a bridge, or any boto3, at it (any credentials do):",
        "",
        f"    export {_ENDPOINT_V1}={url}",
        f"    export {_ENDPOINT_V2}={url}",
        f"    export {_ENDPOINT_STS}={url}",
        "    export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=offline AWS_SECRET_ACCESS_KEY=offline",
    ]
    for bot in bots:
        alias = next(iter(sorted(bot.aliases)), "prod")
        alias_id = next(iter(sorted(bot.aliases)), "TSTALIASID")
        lines += [
            "",
            f"{bot.name}, as a V1 bot, or else as a V2 bot:",
            "",
            f"    export LEX_BOT_NAME={bot.name} LEX_BOT_ALIAS={alias}",
            f"    export LEX_BOT_ID={bot.v2_id} LEX_BOT_ALIAS_ID={alias_id} LEX_LOCALE_ID={bot.locale_id}",
        ]
    return "\n".join(lines)
