"""A bridge with fixed answers, for tests of the simulated Twilio."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gevent.event import Event
from twilio.rest import Client

from lexbridge.offline.caller.caller import SimulatedCaller
from lexbridge.offline.caller.script import Script
from lexbridge.offline.lex.voice import SilentVoice
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.simulator import SimulatedTwilio

DEADLINE_S = 120
TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
STREAM = "wss://voice.example.com/media"
START = f'<Start><Stream url="{STREAM}"/></Start>'
HOLD = '<Pause length="600"/>'


@dataclass
class Request:
    """A request or a handshake that came to the bridge."""

    path: str
    method: str
    form: dict[str, str]
    signature: str
    host: str
    token: str = ""


@dataclass
class StandIn:
    """A bridge that answers with fixed documents, and keeps the messages of its sockets."""

    documents: dict[str, str] = field(default_factory=dict)
    """The answer to each path: a document, or a status such as "503 busy"."""
    first: dict[str, list[str]] = field(default_factory=dict)
    """Answers that come before that of `documents`, once each. "hang" is no answer at all."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    content_type: str = "text/xml"
    requests: list[Request] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    handshakes: list[Request] = field(default_factory=list)
    on_message: Callable[[Any, dict[str, Any]], None] = lambda *_: None
    port: int = 0

    @property
    def base(self) -> str:
        """The address of the bridge."""
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        length = int(environ.get("CONTENT_LENGTH") or 0)
        form = dict(parse_qsl(environ["wsgi.input"].read(length).decode() or environ["QUERY_STRING"]))
        signature = environ.get("HTTP_X_TWILIO_SIGNATURE", "")
        token = environ.get("HTTP_I_TWILIO_IDEMPOTENCY_TOKEN", "")
        request = Request(path, environ["REQUEST_METHOD"], form, signature, environ.get("HTTP_HOST", ""), token)
        connection = environ.get("wsgi.websocket")
        if connection is not None:
            self.handshakes.append(request)
            self._listen(connection)
            return []
        self.requests.append(request)
        if path in self.files:
            start_response("200 OK", [("Content-Type", self.files[path][0])])
            return [self.files[path][1]]
        before = self.first.get(path, [])
        answer = before.pop(0) if before else self.documents.get(path, "404 no such document")
        if answer == "hang":
            Event().wait()
        if answer[:3].isdigit():
            start_response(answer, [("Content-Type", "text/plain")])
            return [b""]
        start_response("200 OK", [("Content-Type", self.content_type)])
        return [answer.encode()]

    def _listen(self, connection: Any) -> None:
        while (text := connection.receive()) is not None:
            message = json.loads(text)
            self.messages.append(message)
            self.on_message(connection, message)

    def kinds(self) -> list[str]:
        """Return the kinds of the messages so far."""
        return [message["event"] for message in self.messages]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of one kind."""
        return [message for message in self.messages if message["event"] == kind]


def document(inside: str) -> str:
    """Return a document that holds `inside`."""
    return f"<Response>{inside}</Response>"


def call_at(twilio: SimulatedTwilio, bridge: StandIn, inside: str, **options: Any) -> PhoneCall:
    """Place a call whose webhook answers with a document that holds `inside`."""
    bridge.documents["/twiml"] = document(inside)
    return twilio.place_call(options.pop("number", f"{PUBLIC}/twiml"), a_caller(), connect_to=bridge.base, **options)


def a_caller(script: Script | None = None) -> SimulatedCaller:
    """Return a caller who follows `script`, or who says nothing."""
    return SimulatedCaller(SilentVoice(), script)


def client_of(twilio: SimulatedTwilio, token: str = TOKEN) -> Any:
    """Return Twilio's client for the simulated Twilio."""
    client = Client(twilio.account_sid, token)
    client.api.base_url = twilio.url
    return client


def codes(call: PhoneCall) -> list[int]:
    """Return the error codes of the call's complaints."""
    return [int(complaint.split()[0]) for complaint in call.complaints]


def verbs(call: PhoneCall) -> list[str]:
    """Return the verbs that Twilio has carried out."""
    return [event.verb for event in call.events if isinstance(event, happened.VerbStarted)]
