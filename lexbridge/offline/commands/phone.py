"""`python -m lexbridge.offline phone`: a phone in the browser that calls a bridge anywhere."""

import argparse
import contextlib
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import gevent

from lexbridge.config.env_file import read_env_file
from lexbridge.errors import ConfigError
from lexbridge.offline.commands.arguments import http_address, port
from lexbridge.offline.commands.beyond import add_far_arguments, set_up
from lexbridge.offline.commands.stopping import StopRequest
from lexbridge.offline.lex.voice import HibariVoice
from lexbridge.offline.phone.bridges import Bridge
from lexbridge.offline.phone.rehearsal import Rehearsal
from lexbridge.offline.phone.server import PhoneServer
from lexbridge.offline.phone.switchboard import Switchboard
from lexbridge.offline.ports import free_port
from lexbridge.offline.twilio.simulator import SimulatedTwilio

PHONE_PORT = 8190
"""Port of the phone's page, unless something else listens there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `phone` to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = """\
Serves a page on this machine on which one click calls a bridge: the microphone is the caller of a Twilio call, the
loudspeaker plays what that caller hears. The Twilio is simulated here, the bridge notices no difference. Start the
bridge first, with the same TWILIO_AUTH_TOKEN, and with TWILIO_API_URL=http://127.0.0.1:8082 for its call updates to
come here:

    python -m lexbridge.offline phone --bridge http://127.0.0.1:8080/twiml

`python -m lexbridge.offline run` starts a bridge with a local bot as well."""
    parser.add_argument(
        "--bridge", required=True, type=http_address, metavar="URL", help="the number's voice webhook: URL/twiml"
    )
    parser.add_argument("--connect-to", type=http_address, metavar="URL", help="where the bridge really listens")
    add_far_arguments(parser)
    parser.add_argument("--auth-token", help="Twilio's auth token (default: TWILIO_AUTH_TOKEN, also from .env)")
    parser.add_argument("--account-sid", help="the account's SID (default: one that is made up)")
    parser.add_argument("--api-port", type=port, default=8082, help="port of Twilio's REST API (default: %(default)s)")
    parser.add_argument("--port", type=port, help=f"port of the page (default: {PHONE_PORT}, or any if that is taken)")


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, and return the exit status."""
    try:
        read_env_file(Path(".env"))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    auth_token = args.auth_token or os.environ.get("TWILIO_AUTH_TOKEN")
    if not auth_token:
        print("the auth token is missing: set TWILIO_AUTH_TOKEN, or give --auth-token", file=sys.stderr)
        return 2
    stop_request = StopRequest()
    with contextlib.ExitStack() as running:
        voice = running.enter_context(HibariVoice())
        twilio = SimulatedTwilio(auth_token=auth_token, account_sid=args.account_sid, port=args.api_port, voice=voice)
        set_up(args, twilio)
        if api_key_sid := os.environ.get("TWILIO_API_KEY_SID"):  # the bridge signs in by it
            twilio.api_keys[api_key_sid] = os.environ.get("TWILIO_API_KEY_SECRET", "")
        bridge = Bridge(webhook_of(args.bridge), dict(os.environ), args.connect_to)
        switchboard = Switchboard(bridge, twilio, voice)
        server = PhoneServer(switchboard, Rehearsal(twilio), page_port(args.port))
        try:
            running.enter_context(twilio)
            running.enter_context(server)
        except OSError as error:
            print(f"cannot listen: {error}", file=sys.stderr)
            return 1
        gevent.spawn(switchboard.warm_up)
        stop_request.be_ready()
        print(introduction(server.url, twilio.url, bridge.webhook), flush=True)
        stop_request.wait()
    return 0


def webhook_of(address: str) -> str:
    """Return the address of the webhook; lexbridge's own path is added to an address without a path."""
    return address.rstrip("/") + "/twiml" if urlsplit(address).path in ("", "/") else address


def page_port(wanted: int | None, usual: int = PHONE_PORT) -> int:
    """Return the port for a page: the wanted one, else the usual one if nothing listens there, else any."""
    if wanted is not None:
        return wanted
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            return free_port()
    return usual


def page_address(url: str) -> str:
    """Return the page's address with the name that every browser lets use a microphone."""
    return url.replace("127.0.0.1", "localhost") + "/"


def introduction(page_url: str, api_url: str, webhook: str) -> str:
    """Return what the command prints."""
    return "\n".join(
        [
            "Open this address and press Call:",
            "",
            f"    {page_address(page_url)}",
            "",
            f"It calls {webhook}. For replies by call update the bridge needs TWILIO_API_URL={api_url}.",
            "Ctrl-C ends it.",
        ]
    )
