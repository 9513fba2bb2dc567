"""What a request has to bring before it reaches Flask or the media socket: the rules, without the connection.

A stranger's request is told from Twilio's as early and as cheaply as can be: by the shape of the signature's header
when the head is there, by the signature itself when the body is. The probes of load balancers are answered at once.
What is not served, or not signed rightly, is told with its remedy; only so many wrong signatures are looked into.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from lexbridge.bridge.live_calls import CallLog
from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import Admitted, DirectAnswer, Oddity, Refusal, RequestPolicy
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.twilio.refusals import (
    SOCKET_PATH,
    WEBHOOK_PATHS,
    Cause,
    SignatureDiagnosis,
    not_explained,
    stray,
    unsigned,
)
from lexbridge.twilio.signatures import Signatures
from lexbridge.twilio.webhook_form import Fields, FormRefused, check_form, check_method, read_form, read_query

WEBHOOK_METHODS = ("POST", "GET")
EXPLAINED_HZ, EXPLAINED_BURST = 1.0, 5.0
"""Wrong signatures that are looked into, a second in the long run, and at once. Each takes up to some 3 ms."""
VERIFIED_FORM = "lexbridge.form"
"""The key of a WSGI environ whose value is the webhook's form: a dict of the fields whose signature was checked."""


class Admission(RequestPolicy):
    """The rules of lexbridge for requests: Twilio's are admitted if they are signed, a health check is answered."""

    def __init__(self, signatures: Signatures, calls: CallLog, diagnosis: SignatureDiagnosis) -> None:
        self._signatures = signatures
        self._calls = calls
        self._diagnosis = diagnosis
        self._explained = TokenBucket(EXPLAINED_HZ, EXPLAINED_BURST)

    def check_head(self, head: Head) -> Refusal | None:
        """Refuses a webhook whose signature cannot be one, before its body is waited for."""
        if _is_webhook(head) and not self._signatures.may_be_signed(head.headers):
            return _forbidden(unsigned(head.headers, "webhook"))
        return None

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        """Checks the signature of a webhook and of a handshake, answers a probe, and lets the rest go to Flask."""
        head = request.head
        if head.path == SOCKET_PATH and head.asks_for_websocket:
            return self._check_handshake(head, open_sockets)
        if _is_webhook(head):
            return self._check_webhook(head, request.body)
        if head.method in ("GET", "HEAD") and (told := probe(head.path, self._calls)) is not None:
            status, state = told
            return DirectAnswer(status, json.dumps(state).encode() + b"\n", not self._calls.is_leaving)
        cause = self._find_oddity(head, request.body)
        return Admitted(is_trusted=False, oddity=Oddity(cause.reason, cause.hints))

    def _check_webhook(self, head: Head, body: bytes) -> Refusal | Admitted:
        try:
            form = verified_form(self._signatures, head.method, head.target, head.headers, body)
        except WebhookRefused as error:
            if error.refusal == _WRONG_SIGNATURE and self._may_explain():
                fields = _body_fields(head.method, head.headers, body)
                query_fields = read_query(head.query) if head.method == "GET" else ()
                return _forbidden(self._diagnosis.of_webhook(head, fields, query_fields))
            return error.refusal
        return Admitted(is_trusted=True, environ={VERIFIED_FORM: form})

    def _check_handshake(self, head: Head, open_sockets: int) -> Refusal | Admitted:
        if not self._signatures.socket_passes(head.headers, head.query):
            return _forbidden(self._explain_socket(head))
        if refusal := self._calls.stream_refusal(open_sockets):
            return Refusal("503 Service Unavailable", refusal)
        return Admitted(is_trusted=True)

    def _explain_socket(self, head: Head) -> Cause:
        if not self._signatures.may_be_signed(head.headers):
            return unsigned(head.headers, "socket")
        return self._diagnosis.of_socket(head) if self._may_explain() else not_explained("socket")

    def _find_oddity(self, head: Head, body: bytes) -> Cause:
        """Find why Flask will not serve a request. One that is signed is Twilio's, at an address that is not served."""
        is_elsewhere = head.path not in WEBHOOK_PATHS
        if is_elsewhere and self._signatures.may_be_signed(head.headers) and self._may_explain():
            try:
                fields = _body_fields(head.method, head.headers, body)
            except FormRefused:
                fields = ()
            if cause := self._diagnosis.of_stray(head, fields):
                return cause
        return stray(head, self._diagnosis.url)

    def _may_explain(self) -> bool:
        return self._explained.take(time.monotonic())


def _is_webhook(head: Head) -> bool:
    return head.method in WEBHOOK_METHODS and head.path in WEBHOOK_PATHS


def _forbidden(cause: Cause) -> Refusal:
    return Refusal("403 Forbidden", cause.reason, cause.hints)


_WRONG_SIGNATURE = _forbidden(not_explained("webhook"))


def probe(path: str, calls: CallLog) -> tuple[str, dict[str, Any]] | None:
    """The status line and the JSON of `/ping`, whether the process is alive, and of `/ready`, whether a new call would
    be taken; None for any other path. Both tell the live calls of all workers: a probe mostly gets to the worker that
    has the fewest."""
    live_calls = calls.live_calls + calls.calls_of_others
    if path == "/ping":
        return "200 OK", {"status": "ok", "live_calls": live_calls}
    if path == "/ready":
        state = calls.refusal or "ready"
        status = "200 OK" if state == "ready" else "503 Service Unavailable"
        return status, {"status": state, "live_calls": live_calls}
    return None


class WebhookRefused(Exception):
    """The webhook is not Twilio's, or not one that Twilio sends."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def verified_form(
    signatures: Signatures, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> dict[str, str]:
    """The fields of a webhook that Twilio signed for `target`, by name: of a POST its form's, of a GET those of its
    query. `method`: one of WEBHOOK_METHODS; `headers`: names in lower case.

    Raises WebhookRefused: with 403 if it is not signed, with 400 if it is not one that Twilio sends.
    """
    if not signatures.may_be_signed(headers):
        raise WebhookRefused(_forbidden(unsigned(headers, "webhook")))
    try:
        signed = _body_fields(method, headers, body)
        fields = read_query(target.partition("?")[2]) if method == "GET" else signed
        if not signatures.webhook_passes(target, signed, headers):
            raise WebhookRefused(_WRONG_SIGNATURE)
        check_method(method, target, signed)
        return check_form(fields)
    except FormRefused as error:
        raise WebhookRefused(Refusal("400 Bad Request", str(error))) from error


def _body_fields(method: str, headers: Mapping[str, str], body: bytes) -> Fields:
    """Read the fields that the signature covers beside the address. A GET has none. Raises FormRefused."""
    return () if method == "GET" else read_form(body, headers.get("content-type", ""))
