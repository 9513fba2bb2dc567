"""A simulated Twilio on this machine.

It places calls at a bridge's webhook, carries out the TwiML, streams the line's audio, and serves the REST API with
which the bridge updates its calls.

    with SimulatedTwilio(auth_token=token) as twilio:       # the bridge gets twilio.url as TWILIO_API_URL
        call = twilio.place_call("http://127.0.0.1:8080/twiml", caller)
        call.wait(timeout_s=60)
    assert call.complaints == []

An outbound call is placed by the REST API, as a dialler does, or here with the same fields:

    twilio.connect_to = "http://127.0.0.1:8080"            # where the bridge really listens, if not at its public URL
    callee = AnsweringMachine(voice)                       # or SimulatedCaller(voice, Script(hello="Hello?"))
    asked = {"To": "+12065550123", "From": "+12065550199", "Url": "https://.../twiml", "MachineDetection": "Enable"}
    call = twilio.place_outbound_call(asked, callee)
    call.wait(timeout_s=60)                                # call.status, call.detection, call.over, callee.message

    twilio.exchange.set("+12065550123", FarEnd(does="busy"))   # who answers a call by the REST API, if nobody is given

Strict: TwiML that Twilio could not read ends the call with an application error, and whatever Twilio would refuse or
warn about is in `call.complaints`. What is not simulated: speech of `<Gather>` and `<Record>`, streams created by
REST, rates and concurrency limits (use `rest_faults`). People who are dialled, queues and conferences are those of
`exchange`: by default everybody answers. The audio of two connected parties is not mixed: they hear silence.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import gevent

from lexbridge.offline.lex.voice import SilentVoice, Voice
from lexbridge.offline.loopback_server import LoopbackServer
from lexbridge.offline.twilio.applications import Applications
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.call_request import read_call_request
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.exchange import Exchange
from lexbridge.offline.twilio.far_ends import Does, FarEnd
from lexbridge.offline.twilio.line import Party
from lexbridge.offline.twilio.number import LineConditions, Number
from lexbridge.offline.twilio.outbound_call import OutboundCall
from lexbridge.offline.twilio.rest_api import RestApi, RestFault
from lexbridge.offline.twilio.telephone_audio import TelephoneVoice
from lexbridge.offline.twilio.webhooks import Webhooks


class SimulatedTwilio(LoopbackServer):
    """A simulated Twilio with one account. Its `url` is the bridge's TWILIO_API_URL.

    auth_token, account_sid: made up if not given. voice: the voice of `<Say>`.
    pace: seconds of the clock for a second of the line; 0.1 makes calls ten times as fast.
    dial_outcome: DialCallStatus of every `<Dial>` to an address that `exchange` does not know, and how long the two
    people talk, in ms.
    callback_latency_s: seconds of the clock from an event to its status callback.
    sign_fragment: whether the signature covers the fragment of a URL.
    ca_file: PEM file of the CA certificates for a bridge's https and wss, or None for the public ones.
    key_tones: whether the tone of a pressed key is on the line too, as with carriers that do not remove it.
    connect_to: base http(s) address to which every connection of a call really goes that the REST API places.
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
        callback_latency_s: float = 0.02,
        sign_fragment: bool = False,
        key_tones: bool = True,
        ca_file: Path | None = None,
        connect_to: str | None = None,
    ) -> None:
        self.auth_token = auth_token or secrets.token_hex(16)
        self.account_sid = account_sid or "AC" + secrets.token_hex(16)
        self.calls: dict[str, PhoneCall] = {}
        """Every call placed, by SID."""
        spoken = voice or SilentVoice()
        self._voice = spoken if isinstance(spoken, TelephoneVoice) else TelephoneVoice(spoken)
        self._sign_fragment = sign_fragment
        self._conditions = LineConditions(pace=pace, callback_latency_s=callback_latency_s, key_tones=key_tones)
        self._ca_file = ca_file
        self.connect_to = connect_to
        self._api = RestApi(self.account_sid, self.auth_token, self.calls)
        self.exchange = Exchange(_far_end(*dial_outcome), lambda: [each.number for each in self._api.numbers])
        """What calls reach beyond the bridge: set here which address does what."""
        self.applications: Applications = {}
        """Other programs, by their public address, to which documents and REST updates may lead."""
        self._api.place = self.place_outbound_call
        super().__init__((host, port), self._api)

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

    def stop(self) -> None:
        """End every call and the REST API."""
        for call in self.calls.values():
            call.end(EndReason.SIMULATOR_STOPPED)
        self._api.stopped.set()
        gevent.joinall([gevent.spawn(call.wait, 20) for call in self.calls.values()])
        super().stop()

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
        """Have `caller` dial the number with this voice webhook, and return the call, which runs from now on.

        connect_to: base http(s) address to which every connection to the bridge really goes. Requests and sockets
        still name, and are signed for, the public addresses. signing_token: another auth token to sign with, as
        a stranger would. echo_db: level of the echo of what the caller hears, `echo_delay_ms` later (-20: a poor line),
        or None for no echo. sends_silence: whether the caller's phone sends frames while the caller is silent.
        """
        number = webhook if isinstance(webhook, Number) else Number(webhook)
        call = PhoneCall(
            number,
            caller,
            self._webhooks(signing_token, connect_to),
            self._voice,
            self.account_sid,
            replace(self._conditions, echo_db=echo_db, echo_delay_ms=echo_delay_ms, sends_silence=sends_silence),
            self.exchange,
        )
        self.calls[call.sid] = call
        caller.dials(call)
        call.start()
        return call

    def place_outbound_call(
        self,
        fields: Mapping[str, str | Sequence[str]],
        callee: Party | None = None,
        *,
        connect_to: str | None = None,
        signing_token: str | None = None,
    ) -> OutboundCall:
        """Place a call as POST Calls.json with these fields does, and return it. Raises RestRefusal.

        fields: To, From, Url or Twiml, MachineDetection, AsyncAmd, AsyncAmdStatusCallback, StatusCallback and so on.
        callee: the party that answers, or None for the far end that `exchange` has for To. connect_to, signing_token:
        as for `place_call`; connect_to is that of this Twilio if it is not given.
        """
        form = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
        request = read_call_request(form, self.exchange.own_numbers)
        far_end = self.exchange.callee(request.to)
        if callee is not None:
            party = callee
            far_end = FarEnd(party=lambda: party, talks_s=None)
        call = OutboundCall(
            request,
            far_end,
            self._webhooks(signing_token, connect_to or self.connect_to),
            self._voice,
            self.account_sid,
            self._conditions,
            self.exchange,
        )
        self.calls[call.sid] = call
        call.start()
        return call

    def _webhooks(self, signing_token: str | None, connect_to: str | None) -> Webhooks:
        return Webhooks(
            signing_token or self.auth_token,
            connect_to,
            sign_fragment=self._sign_fragment,
            ca_file=self._ca_file,
            applications=self.applications,
        )


def _far_end(status: str, talk_ms: int) -> FarEnd:
    """Return the far end of a `<Dial>` that ends with this DialCallStatus."""
    does: dict[str, Does] = {"busy": "busy", "no-answer": "no-answer", "failed": "failed", "canceled": "canceled"}
    return FarEnd(does=does.get(status, "answers"), talks_s=talk_ms / 1000)
