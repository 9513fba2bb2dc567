"""The wiring: every object of one process of the service, built from the settings.

The command line, the tests and the benchmarks all call `build_service`. Nothing else wires these classes together.
"""

import logging
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask
from gevent.pywsgi import LoggingLogAdapter

from lexbridge.bridge.bridge import START_DEADLINE_S, Bridge
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.lines import LineRuntime, LineRuntimes, LoadedTable, NewestTable
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.released_calls import ReleasedCalls, UnreleasedCallControl
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import LineTable
from lexbridge.config.route import CallRoute
from lexbridge.config.service_settings import ServiceSettings
from lexbridge.config.settings import Settings
from lexbridge.config.twilio_account import TwilioAccounts, sid_of_other
from lexbridge.lex.boto import LexClients
from lexbridge.lex.runtime import Deadlines, LexRuntime
from lexbridge.net.http_server import MediaServer
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.rest import LONGEST_UPDATE_S, TwilioCallControl
from lexbridge.twilio.signature_diagnosis import SignatureDiagnosis
from lexbridge.twilio.signatures import Signatures, socket_address
from lexbridge.twilio.twiml import TwimlDocuments
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
    peer_urls: Sequence[str]
    """The addresses of Lex, Twilio and the routing hook, to which requests go while calls are live."""


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
    clients = None if lex is not None else LexClients(service)
    loaded = LoadedTable(table or LineTable.of(settings)) if newest is None else newest.load(lambda: None)
    lines = LineRuntimes(loaded, accounts, _maker_of_lines(service, lex or clients, deadlines), newest)
    if clients is not None:
        for bot in loaded.table.bots.values():  # a call may be handed to it, and making the first client takes long
            clients.client_of(bot, deadlines or Deadlines(answer_s=bot.lex_timeout_s))
    call_control = call_control or TwilioCallControl(service, accounts)
    calls = CallRegistry(service.max_calls, released, accounts.signer_of)
    unreleased = UnreleasedCallControl(call_control, calls.released)
    signatures = Signatures(accounts, service.url, service.stream_url)
    bridge = Bridge(service.account.auth_tokens, lines, unreleased, calls, used_tokens, start_deadline_s, teller)
    hook = None
    if service.route_url and service.route_secret:
        hook = RouteHook(service.route_url, service.route_secret, accounts.signer_of)
    app = create_app(settings, signatures, bridge, unreleased, calls, teller, hook)
    diagnosis = SignatureDiagnosis(signatures, service.url, service.stream_url, service.container_port)
    admission = TwilioRequestPolicy(signatures, calls, diagnosis)
    errors = LoggingLogAdapter(logging.getLogger("gevent"), logging.ERROR)
    server = MediaServer(listener, app, admission, strangers, error_log=errors)
    hook_urls = [service.route_url] if service.route_url else []
    peer_urls = [service.twilio_api_url, *hook_urls, *(clients.endpoint_urls if clients is not None else ())]
    return Service(server, app, admission, signatures, bridge, calls, call_control, peer_urls)


def _maker_of_lines(
    service: ServiceSettings, bots: LexRuntime | LexClients | None, deadlines: Deadlines | None
) -> Callable[[CallRoute, LineSettings], LineRuntime]:
    """Return the function that makes what serves the calls of one route.

    `bots`: the clients of AWS, or one bot for all lines. `deadlines`: instead of those of each line's settings.
    """

    def make(route: CallRoute, line: LineSettings) -> LineRuntime:
        limits = deadlines or Deadlines(answer_s=line.lex_timeout_s)
        if bots is None:
            raise AssertionError("there are clients unless a bot was given")
        bot = bots.make(line, limits, route.line) if isinstance(bots, LexClients) else bots
        return LineRuntime.make(route, line, _make_documents(service, route, line, limits), bot)

    return make


def _make_documents(
    service: ServiceSettings, route: CallRoute, line: LineSettings, deadlines: Deadlines
) -> TwimlDocuments:
    """Make the TwiML documents, which hold a call for as long as the next update may take."""
    # The longest time from the end of a prompt to the next update: the caller is silent, then speaks, then Lex answers,
    # then Twilio is updated. An utterance that is joined with the one before is sent to Lex twice.
    answers_s = deadlines.answer_s * (2 if line.join else 1)
    longest_s = line.no_input_s + line.max_utterance_ms / 1000 + answers_s + LONGEST_UPDATE_S + 1
    account_sid = sid_of_other(line.account, service.account)
    return TwimlDocuments(
        service.url,
        socket_address(service.stream_url, account_sid),
        math.ceil(longest_s),
        line.say_voice,
        line.say_language,
        line.reply_mode == "stream",
        route.text,
        service.account.twilio_auth_token,
        account_sid,
    )
