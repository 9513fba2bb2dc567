"""`python -m lexbridge.offline twilio`: the REST API of one simulated Twilio account, until Ctrl-C."""

import argparse
import os
import sys

from lexbridge.offline.commands.stopping import StopRequest
from lexbridge.offline.twilio.rest_resources import OwnedNumber
from lexbridge.offline.twilio.simulator import SimulatedTwilio

NUMBER = "+12065550111"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command `twilio` to `parser`."""
    parser.description = """Serves the REST API of one Twilio account, for `server.py --check=live` and for calls of
your own code to a bridge. It places no calls: `python -m lexbridge.offline call` does."""
    parser.add_argument("--auth-token", help="the account's auth token (default: TWILIO_AUTH_TOKEN)")
    parser.add_argument("--account-sid", help="its SID (default: TWILIO_ACCOUNT_SID, or one that is made up)")
    parser.add_argument(
        "--webhook", default="", metavar="URL", help="where the calls to its number go (default: nowhere)"
    )
    parser.add_argument("--method", default="POST", choices=("POST", "GET"), help="of the webhook (default: POST)")
    parser.add_argument("--number", default=NUMBER, help="its number (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8082, help="port to listen on, 0 for any (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, and return the exit status."""
    auth_token = args.auth_token or os.environ.get("TWILIO_AUTH_TOKEN")
    if not auth_token:
        print("the auth token is missing: set TWILIO_AUTH_TOKEN, or give --auth-token", file=sys.stderr)
        return 2
    account_sid = args.account_sid or os.environ.get("TWILIO_ACCOUNT_SID")
    twilio = SimulatedTwilio(auth_token=auth_token, account_sid=account_sid, port=args.port)
    if api_key_sid := os.environ.get("TWILIO_API_KEY_SID"):
        twilio.api_keys[api_key_sid] = os.environ.get("TWILIO_API_KEY_SECRET", "")
    twilio.account.numbers.append(OwnedNumber(args.number, args.webhook, args.method))
    stop_request = StopRequest()
    try:
        twilio.start()
    except OSError as error:
        print(f"cannot listen on port {args.port}: {error}", file=sys.stderr)
        return 1
    try:
        stop_request.be_ready()
        print(introduction(twilio), flush=True)
        stop_request.wait()
    finally:
        twilio.stop()
    return 0


def introduction(twilio: SimulatedTwilio) -> str:
    """Return the settings with which a bridge reaches the simulated Twilio."""
    return "\n".join(
        [
            f"Twilio's REST API listens on {twilio.url}. Ctrl-C stops it.",
            "",
            f"    export TWILIO_API_URL={twilio.url} TWILIO_ACCOUNT_SID={twilio.account_sid}",
        ]
    )
