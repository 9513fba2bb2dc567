"""What a request has to bring before it reaches Flask or the media socket: the rules, without the connection.

A stranger's request is told from Twilio's as early and as cheaply as can be: by the shape of the signature's header
when the head is there, by the signature itself when the body is. The probes of load balancers are answered at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lexbridge.call_log import CallLog
from lexbridge.http_request import Head, Request
from lexbridge.signatures import Signatures
from lexbridge.webhook_form import FormRefused, check_form, read_form

SOCKET_PATH = "/"
WEBHOOK_PATHS = frozenset(("/twiml", "/twiml/resume", "/twiml/keys", "/stream-status"))
VERIFIED_FORM = "lexbridge.form"
"""The key of a WSGI environ whose value is the webhook's form: a dict of the fields whose signature was checked."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request is not taken. `status`: the answer's status line; `reason`: one of a small set, for the log."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is ready: a probe's. `body` is JSON."""

    status: str
    body: bytes
    keeps_connection: bool = True


@dataclass(frozen=True, slots=True)
class Admitted:
    """The request goes on to Flask. `is_signed`: Twilio signed it. `environ`: what Flask is told besides."""

    is_signed: bool
    environ: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Gate(Protocol):
    """Decides about each request. It must not block."""

    def check_head(self, head: Head) -> Refusal | None:
        """Return why a request is refused by its head alone; None: it is read on."""
        ...

    def check(self, request: Request, open_sockets: int) -> Refusal | Answer | Admitted:
        """Decide about a whole request. `open_sockets`: media sockets that are open now."""
        ...


class OpenGate:
    """Lets every request in, as if it were signed: for servers without strangers."""

    def check_head(self, head: Head) -> Refusal | None:  # noqa: ARG002
        """Nothing is refused."""
        return None

    def check(self, request: Request, open_sockets: int) -> Refusal | Answer | Admitted:  # noqa: ARG002
        """Everything is admitted."""
        return Admitted(is_signed=True)


class Admission:
    """The Gate of the bridge."""

    def __init__(self, signatures: Signatures, calls: CallLog) -> None:
        self._signatures = signatures
        self._calls = calls

    def check_head(self, head: Head) -> Refusal | None:
        """Refuses a webhook or a handshake whose signature cannot be one, before its body is waited for."""
        is_webhook = head.method == "POST" and head.path in WEBHOOK_PATHS
        if is_webhook and not self._signatures.may_be_signed(head.headers):
            return Refusal("403 Forbidden", "unsigned webhook")
        return None

    def check(self, request: Request, open_sockets: int) -> Refusal | Answer | Admitted:
        """Checks the signature of a webhook and of a handshake, answers a probe, and lets the rest go to Flask."""
        head = request.head
        if head.path == SOCKET_PATH and head.asks_for_websocket:
            return self._check_handshake(head, open_sockets)
        if head.method == "POST" and head.path in WEBHOOK_PATHS:
            try:
                form = verified_form(self._signatures, head.target, head.headers, request.body)
            except WebhookRefused as error:
                return error.refusal
            return Admitted(is_signed=True, environ={VERIFIED_FORM: form})
        if head.method in ("GET", "HEAD") and (told := probe(head.path, self._calls)) is not None:
            status, state = told
            return Answer(status, json.dumps(state).encode() + b"\n", not self._calls.is_leaving)
        return Admitted(is_signed=False)

    def _check_handshake(self, head: Head, open_sockets: int) -> Refusal | Admitted:
        if not self._signatures.socket_passes(head.headers):
            return Refusal("403 Forbidden", "unsigned")
        if refusal := self._calls.stream_refusal(open_sockets):
            return Refusal("503 Service Unavailable", refusal)
        return Admitted(is_signed=True)


def probe(path: str, calls: CallLog) -> tuple[str, dict[str, Any]] | None:
    """The status line and the JSON of `/ping`, whether the process is alive, and of `/ready`, whether a new call would
    be taken; None for any other path."""
    if path == "/ping":
        return "200 OK", {"status": "ok", "live_calls": calls.live_calls}
    if path == "/ready":
        state = calls.refusal or "ready"
        status = "200 OK" if state == "ready" else "503 Service Unavailable"
        return status, {"status": state, "live_calls": calls.live_calls}
    return None


class WebhookRefused(Exception):
    """The webhook is not Twilio's, or not one that Twilio sends."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def verified_form(signatures: Signatures, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The form of a webhook that Twilio signed for `target`, by name. `headers`: names in lower case.

    Raises WebhookRefused: with 403 if it is not signed, with 400 if it is not a form that Twilio sends.
    """
    if not signatures.may_be_signed(headers):
        raise WebhookRefused(Refusal("403 Forbidden", "unsigned webhook"))
    try:
        fields = read_form(body, headers.get("content-type", ""))
        if not signatures.webhook_passes(target, fields, headers):
            raise WebhookRefused(Refusal("403 Forbidden", "unsigned webhook"))
        return check_form(fields)
    except FormRefused as error:
        raise WebhookRefused(Refusal("400 Bad Request", str(error))) from error
