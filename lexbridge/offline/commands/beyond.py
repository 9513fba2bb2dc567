"""Options of the commands that call a bridge: what its calls reach beyond it, and what Twilio tells about them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from lexbridge.offline.commands.arguments import http_address, seconds, setting
from lexbridge.offline.twilio.addresses import e164
from lexbridge.offline.twilio.applications import Application
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.dialled_leg import DialledLeg
from lexbridge.offline.twilio.far_ends import Does, FarEnd
from lexbridge.offline.twilio.simulator import SimulatedTwilio

_SCHEMES = ("sip:", "sips:", "client:", "queue:", "workflow:", "conference:")
"""Beginnings of addresses that are no numbers."""


def add_far_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to `parser`."""
    parser.add_argument(
        "--far-end",
        type=far_end,
        action="append",
        default=[],
        metavar="ADDRESS=WHAT",
        help="what happens when the call is transferred to +12065550111, sip:..., client:..., queue:NAME, workflow:SID "
        f"or conference:NAME: {', '.join(get_args(Does))}, with ,rings=S ,talks=S ,presses=KEYS if wanted; repeatable, "
        "also for one address: then in turn (default: everybody answers)",
    )
    parser.add_argument(
        "--application",
        type=application,
        action="append",
        default=[],
        metavar="URL=FILE",
        help="another program that answers at this public address, such as a Studio flow: with the TwiML in a file, or "
        "the address where it listens; repeatable",
    )
    parser.add_argument(
        "--caller-id",
        type=phone_number,
        action="append",
        default=[],
        metavar="NUMBER",
        help="a number that the account may show in transfers, besides those of the call; repeatable",
    )


def set_up(args: argparse.Namespace, twilio: SimulatedTwilio) -> None:
    """Tell the simulated Twilio what the options say."""
    by_address: dict[str, list[FarEnd]] = {}
    for address, each in args.far_end:
        by_address.setdefault(address, []).append(each)
    for address, far_ends in by_address.items():
        twilio.exchange.set(address, *far_ends)
    twilio.applications.update(args.application)
    twilio.exchange.caller_ids.update(args.caller_id)


def far_end(text: str) -> tuple[str, FarEnd]:
    """Return an address and what happens there."""
    head, comma, rest = text.partition(",")  # what follows has = too
    address, equals, told = head.rpartition("=")
    told += comma + rest
    does, *options = told.split(",")
    if not (address and equals) or does not in get_args(Does):
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDRESS=WHAT, with {', '.join(get_args(Does))}")
    if e164(address) is None and not address.startswith(_SCHEMES):
        rule = f"a number, or begins with one of {', '.join(_SCHEMES)}"
        raise argparse.ArgumentTypeError(f"{address!r} is no address: that is {rule}")
    given = dict(map(setting, options))
    unknown = sorted(set(given) - {"rings", "talks", "presses"})
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of rings, talks, presses")
    made = FarEnd(
        does=does,  # type: ignore[arg-type]
        rings_s=seconds(given.get("rings", "1")),
        talks_s=seconds(given.get("talks", "5")),
        presses=given.get("presses", ""),
    )
    return e164(address) or address, made


def application(text: str) -> tuple[str, Application | str]:
    """Return the public address of a program, and the program: TwiML of a file, or the address of a server."""
    url, equals, answers = text.rpartition("=")  # the address may have a query
    if not equals or not answers:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL=FILE")
    http_address(url)
    if urlsplit(answers).scheme in ("http", "https"):
        return url, http_address(answers)
    try:
        return url, Application(Path(answers).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{answers} cannot be read: {error}") from error


def phone_number(text: str) -> str:
    """Return a phone number in E.164."""
    number = e164(text)
    if number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no phone number, such as +12065550177")
    return number


def far_story(call: PhoneCall, twilio: SimulatedTwilio) -> list[str]:
    """Return lines about what reached the far ends of a call, and the tasks that it made."""
    lines = []
    for leg in call.legs:
        if isinstance(leg, DialledLeg):
            lines.append(f"{leg.target.address}: {leg.status}, {leg.talked_s} s; it was shown {leg.caller_id}")
            lines += [f"    {name}: {value}" for name, value in {**leg.headers, **leg.custom_parameters}.items()]
            lines += [f"    keys: {leg.keys_sent}"] if leg.keys_sent else []
            lines += [f"    whispered: “{text}”" for text in leg.whispered]
    for task in twilio.exchange.queues.tasks:
        if task.call_sid == call.sid:
            lines.append(f"task of {task.workflow_sid}: {_told(task.attributes)}")
    return lines


def _told(attributes: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in attributes.items())
