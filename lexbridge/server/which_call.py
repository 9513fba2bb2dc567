"""The call of `server.py --which`: a number and what else is said of the call on the command line."""

import argparse
import time
from collections.abc import Callable
from datetime import datetime

from lexbridge.config.lines import IncomingCall
from lexbridge.config.match_reading import DIRECTIONS, parse_account_sid, parse_address


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
    group.add_argument(
        "--account-sid",
        metavar="AC...",
        type=_account_sid,
        help="the Twilio account, if it is not the line's",
    )
    group.add_argument(
        "--at", metavar="TIME", type=_time, help="when, such as 2026-12-01T09:30+01:00; the default: now"
    )


def find_misuse(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str | None:
    """Return what is wrong if the options describe a call and `--which` is not there, or None.

    Otherwise the service would start, and its caller would wait for an answer.
    """
    if arguments.which is not None:
        return None
    options = {
        "--from": "caller",
        "--query": "query",
        "--sip-header": "sip_header",
        "--parameter": "parameter",
        "--direction": "direction",
        "--account-sid": "account_sid",
        "--at": "at",
    }
    given = [name for name, stored in options.items() if getattr(arguments, stored) != parser.get_default(stored)]
    return f"{given[0]} describes a call: it goes with --which NUMBER" if given else None


def call_of(arguments: argparse.Namespace) -> IncomingCall:
    """Return the call that the options describe."""
    direction = "outbound-api" if arguments.direction == "outbound" else arguments.direction
    form = {
        **dict(arguments.parameter),
        **{f"SipHeader_{name}": text for name, text in arguments.sip_header},
        "To": arguments.which,
        "From": arguments.caller or "",
        "Direction": direction,
        "AccountSid": arguments.account_sid or "",
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
_account_sid = _checked(parse_account_sid)


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
