"""A simulated Twilio on this machine.

It places calls at a bridge's webhook, carries out the TwiML, streams the line's audio, and serves the REST API with
which the bridge updates its calls.

    with SimulatedTwilio(auth_token=token) as twilio:       # the bridge gets twilio.url as TWILIO_API_URL
        call = twilio.place_call("http://127.0.0.1:8080/twiml", caller)
        call.wait(timeout_s=60)
    assert call.complaints == []

Strict: TwiML that Twilio could not read ends the call with an application error, and whatever Twilio would refuse or
warn about is in `call.complaints`. What is not simulated: speech of `<Gather>` and `<Record>`, conferences, streams
created by REST, rates and concurrency limits (use `rest_faults`).
"""

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

import gevent
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from lexbridge.offline.lex.voice import SilentVoice, Voice
from lexbridge.offline.twilio.call import CALLBACK_LATENCY_S, Number, PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.line import Party, TelephoneVoice
from lexbridge.offline.twilio.rest_api import RestApi, RestFault, RestHandler
from lexbridge.offline.twilio.webhooks import Webhooks


class SimulatedTwilio:
    """Use it as a context manager, or call `start()` and `stop()`.

    `auth_token`, `account_sid`: made up when not given. `port` 0: a free one. `voice`: what `<Say>` sounds like.
    `pace`: seconds of the clock for a second of the line; 0.1 makes calls ten times as fast.
    `dial_outcome`: DialCallStatus of every `<Dial>`, and how long the two talk, milliseconds.
    `callback_latency_s`: of the clock, from what happened to the status callback that tells of it.
    `sign_fragment`: whether the fragment of a URL is signed with it; see `Webhooks`.
    `ca_file`: PEM file of the CA certificates that a bridge's https and wss are checked against; None: the public ones.
    `key_tones`: whether a key that is pressed is heard on the line too, as it is where no carrier takes it out.
    """

    def __init__(
        self,
        *,
        auth_token: str | None = None,
        account_sid: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        voice: Voice | TelephoneVoice | None = None,
        pace: float = 1.0,
        dial_outcome: tuple[str, int] = ("completed", 1000),
        callback_latency_s: float = CALLBACK_LATENCY_S,
        sign_fragment: bool = False,
        key_tones: bool = True,
        ca_file: Path | None = None,
    ) -> None:
        self.auth_token = auth_token or secrets.token_hex(16)
        self.account_sid = account_sid or "AC" + secrets.token_hex(16)
        self.calls: dict[str, PhoneCall] = {}
        """Every call placed, by SID."""
        spoken = voice or SilentVoice()
        self._voice = spoken if isinstance(spoken, TelephoneVoice) else TelephoneVoice(spoken)
        self._pace = pace
        self._dial_outcome = dial_outcome
        self._callback_latency_s = callback_latency_s
        self._sign_fragment = sign_fragment
        self._key_tones = key_tones
        self._ca_file = ca_file
        self._api = RestApi(self.account_sid, self.auth_token, self.calls)
        self._connections = Pool()
        self._server = WSGIServer((host, port), self._api, log=None, handler_class=RestHandler, spawn=self._connections)

    @property
    def url(self) -> str:
        """The REST API's address: the bridge's TWILIO_API_URL."""
        return f"http://{self._server.server_host}:{self._server.server_port}"

    @property
    def rest_faults(self) -> list[RestFault]:
        """Faults of the next REST requests: append to this list."""
        return self._api.faults

    @property
    def api_keys(self) -> dict[str, str]:
        """The API keys that the account has: the secret of each by its SID. Add to it, or revoke one."""
        return self._api.api_keys

    @property
    def account(self) -> RestApi:
        """The account's `numbers`, `account_type` and `account_status`, which the REST API tells of; change them."""
        return self._api

    def start(self) -> None:
        """Begin to serve the REST API."""
        self._server.start()

    def stop(self) -> None:
        """Ends every call and the REST API."""
        for call in self.calls.values():
            call.end(EndReason.SIMULATOR_STOPPED)
        self._api.stopped.set()
        gevent.joinall([gevent.spawn(call.wait, 20) for call in self.calls.values()])
        self._server.stop(timeout=0)
        self._connections.kill()

    def drop_connections(self) -> None:
        """Close every connection to the REST API, answered or not, and go on accepting new ones."""
        self._connections.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def place_call(
        self,
        webhook: str | Number,
        caller: Party,
        *,
        connect_to: str | None = None,
        signing_token: str | None = None,
        echo_db: float | None = None,
        echo_delay_ms: int = 150,
        sends_silence: bool = True,
    ) -> PhoneCall:
        """`caller` dials the number whose voice webhook is `webhook`; the call runs, and this returns at once.

        `connect_to`: base http(s) address to which every connection to the bridge really goes, while requests and
        sockets are signed for, and name, the public addresses. `signing_token`: signs with another auth token, as
        somebody who is not Twilio would. `echo_db`: of what the caller hears, so much comes back with what they say
        `echo_delay_ms` later (-20: a poor line); None: no echo. `sends_silence`: whether the caller's phone sends
        frames while they are silent; many an internet phone does not.
        """
        number = webhook if isinstance(webhook, Number) else Number(webhook)
        call = PhoneCall(
            number,
            caller,
            Webhooks(
                signing_token or self.auth_token,
                connect_to,
                sign_fragment=self._sign_fragment,
                ca_file=self._ca_file,
            ),
            self._voice,
            self.account_sid,
            pace=self._pace,
            dial_outcome=self._dial_outcome,
            callback_latency_s=self._callback_latency_s,
            key_tones=self._key_tones,
            echo_db=echo_db,
            echo_delay_ms=echo_delay_ms,
            sends_silence=sends_silence,
        )
        self.calls[call.sid] = call
        caller.dials(call)
        call.start()
        return call
