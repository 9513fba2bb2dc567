"""The wiring: every object of one process of the service, built from the settings.

The command line, the tests and the benchmarks all call `build_service`. Nothing else wires these classes together.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask
from gevent.pywsgi import LoggingLogAdapter

from lexbridge.bridge.bridge import START_DEADLINE_S, Bridge
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.lines import LineRuntimes, LoadedTable, NewestTable
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.released_calls import ReleasedCalls, UnreleasedCallControl
from lexbridge.config.lines import LineTable
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.settings import Settings
from lexbridge.config.twilio_account import TwilioAccounts
from lexbridge.lex.runtime import Deadlines, LexRuntime
from lexbridge.net.http_server import MediaServer
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.server.line_maker import LineMaker
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.rest import TwilioCallControl
from lexbridge.twilio.signature_diagnosis import SignatureDiagnosis
from lexbridge.twilio.signatures import Signatures
from lexbridge.twilio.used_tokens import UsedTokens
from lexbridge.web.admission import TwilioRequestPolicy
from lexbridge.web.app import create_app
from lexbridge.web.route_hook import RouteHook

LOOPBACK = ("127.0.0.1", 0)
"""An address of this machine alone, on a free port."""


@dataclass(frozen=True, slots=True)
class Service:
    """The whole service in one process. `server` listens once it is started; the other objects are parts of it."""

    server: MediaServer
    app: Flask
    admission: TwilioRequestPolicy
    signatures: Signatures
    bridge: Bridge
    calls: CallRegistry
    call_control: CallControl
    peer_urls: Callable[[], Sequence[str]]
    """Function that returns the addresses of Lex, Twilio and the routing hook, to which requests go while calls are
    live. A newer table of lines may have others."""


def build_service(
    settings: Settings,
    *,
    table: LineTable | None = None,
    newest: NewestTable | None = None,
    lex: LexRuntime | None = None,
    call_control: CallControl | None = None,
    listener: socket.socket | tuple[str, int] = LOOPBACK,
    deadlines: Deadlines | None = None,
    used_tokens: UsedTokens | None = None,
    released: ReleasedCalls | None = None,
    start_deadline_s: float = START_DEADLINE_S,
    strangers: TokenBucket | None = None,
    teller: Teller | None = None,
) -> Service:
    """Build the service of one process, without starting it. Raises ConfigError, such as for missing AWS credentials.

    `table`: the lines; without it, there is the default line alone.
    `newest`: where the lines come from instead, now and whenever they have changed.
    `lex`, `call_control`: instead of the clients of AWS and Twilio, for tests and benchmarks.
    `listener`: a socket that listens already, or the address to listen on.
    `deadlines`: of requests to Lex, instead of those that LEX_TIMEOUT_S asks for.
    `used_tokens`, `released`: shared by all workers of the server; without them, this process keeps its own.
    `start_deadline_s`: from a media socket's handshake to Twilio's `start` message.
    `strangers`: limits the answers to unsigned requests; without it, at the server's usual rate.
    `teller`: tells the observer process of calls; without it nobody watches them.
    """
    service = settings.service
    accounts = TwilioAccounts(service.account)
    maker = LineMaker(service, lex, deadlines)
    loaded = LoadedTable(table or LineTable.of(settings)) if newest is None else newest.load(lambda: None)
    maker.make_ready(loaded.table.all_settings())
    lines = LineRuntimes(loaded, accounts, maker.make, newest, maker)
    call_control = call_control or TwilioCallControl(service, accounts)
    calls = CallRegistry(service.max_calls, released, accounts.signer_of)
    unreleased = UnreleasedCallControl(call_control, calls.released)
    signatures = Signatures(accounts, service.url, service.stream_url, service.connection_overrides)
    bridge = Bridge(service.account.auth_tokens, lines, unreleased, calls, used_tokens, start_deadline_s, teller)
    app = create_app(settings, signatures, bridge, unreleased, calls, teller, _make_hook(service, accounts))
    diagnosis = SignatureDiagnosis(signatures, service.url, service.stream_url, service.container_port)
    admission = TwilioRequestPolicy(signatures, calls, diagnosis)
    errors = LoggingLogAdapter(logging.getLogger("gevent"), logging.ERROR)
    server = MediaServer(listener, app, admission, strangers, error_log=errors)
    hook_urls = [service.route_url] if service.route_url else []

    def peer_urls() -> Sequence[str]:
        """Return the addresses that calls need now. A newer table of lines may have others."""
        return [service.twilio_api_url, *hook_urls, *maker.endpoint_urls()]

    return Service(server, app, admission, signatures, bridge, calls, call_control, peer_urls)


def _make_hook(service: ServiceSettings, accounts: TwilioAccounts) -> RouteHook | None:
    """Make the routing hook, or return None if the settings name none."""
    if not (service.route_url and service.route_secret):
        return None
    return RouteHook(service.route_url, service.route_secret, accounts.signer_of)
