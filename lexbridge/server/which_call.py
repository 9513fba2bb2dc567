"""The call of `server.py --which`: a number and what else is said of the call on the command line."""

import argparse
import time
from collections.abc import Callable
from datetime import datetime

from lexbridge.config.lines import IncomingCall
from lexbridge.config.match_reading import DIRECTIONS, parse_address


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--which`, and the options that say more of the call."""
    group = parser.add_argument_group("which line answers a call (exit status 1 if none does)")
    group.add_argument(
        "--which", metavar="NUMBER", type=_address, help="say which line answers a call to this number, and why"
    )
    group.add_argument("--from", dest="caller", metavar="NUMBER", type=_address, help="who calls")
    for option, what in (
        ("--query", "a field of the webhook's query"),
        ("--sip-header", "a header of a SIP call"),
        ("--parameter", "a parameter of a call from Twilio's Voice SDK"),
    ):
        group.add_argument(
            option, metavar="NAME=TEXT", type=_pair, action="append", default=[], help=f"{what}, once for each"
        )
    group.add_argument("--direction", choices=DIRECTIONS, default="inbound", help="the default: inbound")
    group.add_argument("--account-sid", metavar="AC...", default="", help="the Twilio account, if it is not the line's")
    group.add_argument(
        "--at", metavar="TIME", type=_time, help="when, such as 2026-12-01T09:30+01:00; the default: now"
    )


def call_of(arguments: argparse.Namespace) -> IncomingCall:
    """Return the call that the options describe."""
    direction = "outbound-api" if arguments.direction == "outbound" else arguments.direction
    form = {
        **dict(arguments.parameter),
        **{f"SipHeader_{name}": text for name, text in arguments.sip_header},
        "To": arguments.which,
        "From": arguments.caller or "",
        "Direction": direction,
        "AccountSid": arguments.account_sid,
    }
    return IncomingCall(form, dict(arguments.query), time.time() if arguments.at is None else arguments.at)


def _checked(parse: Callable[[str], str]) -> Callable[[str], str]:
    """Return a parser whose error argparse shows as it is."""

    def checked(text: str) -> str:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


_address = _checked(parse_address)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("must be NAME=TEXT")
    return name, value


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise argparse.ArgumentTypeError("must be a time such as 2026-12-01T09:30+01:00") from error
