"""A client of the Flask app whose requests Twilio has signed, and readers of the answers."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode
from xml.etree import ElementTree

from flask.testing import FlaskClient
from twilio.request_validator import RequestValidator
from werkzeug.test import TestResponse

from lexbridge.bridge.call_control import CallControl
from lexbridge.config.lines import LineTable
from lexbridge.config.settings import Settings
from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import Admitted, DirectAnswer, Refusal
from lexbridge.server.build import build_service
from lexbridge.twilio.stream_token import find_token_fault
from lexbridge.twilio.webhook_form import CONTENT_TYPE
from tests.support.rehearsal import RehearsedLex
from tests.support.rig import TOKEN, settings

FORM = {
    "CallSid": "CA" + "2" * 32,
    "AccountSid": "AC" + "1" * 32,
    "From": "+12065550100",
    "To": "+12065550199",
    "Direction": "inbound",
    "CallStatus": "ringing",
}


STREAM_SID = "MZ" + "4" * 32


LOST_STREAM = {
    "CallSid": FORM["CallSid"],
    "AccountSid": FORM["AccountSid"],
    "StreamSid": STREAM_SID,
    "StreamName": "lexbridge-2-00000000",
    "StreamEvent": "stream-error",
    "StreamError": "31921",
}


FACTS = {"lexbridge:called-number": "+12065550199", "lexbridge:direction": "inbound"}
QUERY = urlencode(FORM)


class WebhookClient:
    """A test client of the app that signs requests as Twilio does."""

    def __init__(
        self,
        control: CallControl | None = None,
        table: Callable[[Settings], LineTable] | None = None,
        **changes: str,
    ) -> None:
        """`table`: makes the table of lines of the settings; without it, there is the default line alone."""
        self.settings = settings(**changes)
        lines = None if table is None else table(self.settings)
        # No media socket is opened here, and no bot is asked.
        service = build_service(self.settings, table=lines, lex=RehearsedLex(), call_control=control or Control())
        self.calls = service.calls
        self.admission = service.admission
        self.client: FlaskClient = service.app.test_client()

    def admit(
        self, method: str, target: str, signed: str | None = None, form: Mapping[str, str] = FORM, **headers: str
    ) -> Refusal | DirectAnswer | Admitted:
        """Return the server's decision on a request. `signed`: the address that the signature of `form` is for.

        The server decides in two steps: by the head, and then by the whole request.
        """
        sent = {"host": "voice.example.com", "content-type": CONTENT_TYPE, **headers}
        if signed is not None:
            sent["x-twilio-signature"] = RequestValidator(TOKEN).compute_signature(signed, form)
        head = Head(method, target, "HTTP/1.1", sent)
        body = b"" if method == "GET" else urlencode(form).encode()
        return self.admission.check_head(head) or self.admission.check_request(Request(head, body), 0)

    def post(
        self, path: str, form: Mapping[str, str] = FORM, token: str = TOKEN, address: str | None = None
    ) -> TestResponse:
        """Send a signed webhook by POST. Return the answer."""
        signed = address or self.settings.service.url + path
        signature = RequestValidator(token).compute_signature(signed, form)
        return self.client.post(path, data=dict(form), headers={"X-Twilio-Signature": signature})


def stream(response: TestResponse, verb: str = "Start") -> ElementTree.Element:
    """Return the stream that a document opens with `verb`."""
    found = ElementTree.fromstring(response.text).find(f"./{verb}/Stream")
    assert found is not None
    return found


def parameters(response: TestResponse, verb: str = "Start") -> dict[str, str]:
    """Return the parameters of the stream that a document opens with `verb`."""
    return {node.attrib["name"]: node.attrib["value"] for node in stream(response, verb).iter("Parameter")}


def has_a_token(sent: dict[str, str]) -> bool:
    """Take the token out of the parameters. Return whether it is valid."""
    token = sent.pop("lexbridge:token")
    return find_token_fault([TOKEN], token, FORM["CallSid"], FORM["AccountSid"], time.time()) is None


class Control(CallControl):
    """A CallControl that keeps the updates that it gets, and raises `error` if there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.requests: list[tuple[str, ...]] = []
        self._error = error

    def update(self, account_sid: str, call_sid: str, twiml: str, log: object, is_wanted: object = None) -> None:
        """Note the document."""
        self._take(account_sid, call_sid, twiml)

    def stop_stream(self, account_sid: str, call_sid: str, stream: str) -> None:
        """Note the stream that is to be stopped."""
        self._take(account_sid, call_sid, stream)

    def _take(self, *sent: str) -> None:
        self.requests.append(sent)
        if self._error is not None:
            raise self._error


def get(twilio: WebhookClient, target: str, token: str = TOKEN) -> TestResponse:
    """Send a signed webhook by GET. Return the answer."""
    signature = RequestValidator(token).compute_signature(twilio.settings.service.url + target, {})
    return twilio.client.get(target, headers={"X-Twilio-Signature": signature})


def reason(decided: Refusal | DirectAnswer | Admitted) -> str:
    """Return the reason that is logged of a request."""
    if isinstance(decided, Refusal):
        return decided.reason
    assert isinstance(decided, Admitted)
    return decided.oddity.reason if decided.oddity else "none"
