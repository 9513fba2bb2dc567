"""The rules by which the HTTP server admits requests, before Flask or the media socket sees them.

A stranger's request is told from one of Twilio's as early and as cheaply as possible: by the form of the signature
header as soon as the head is there, and by the signature itself as soon as the body is. Health checks are answered at
once. A request at an address that is not served, or with a wrong signature, is logged with its remedy.
"""

import json
import time

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.net.http_request import Head, Request
from lexbridge.net.policies import Admitted, DirectAnswer, Oddity, Refusal, RequestPolicy
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.twilio.refusals import Cause, unexplained_cause, unserved_cause, unsigned_cause
from lexbridge.twilio.routes import PROBE_PATHS, SOCKET_PATH, WEBHOOK_PATHS, released_call
from lexbridge.twilio.signature_diagnosis import SignatureDiagnosis
from lexbridge.twilio.signatures import Signatures
from lexbridge.twilio.webhook_form import FormRefused, read_query
from lexbridge.web.auth import (
    VERIFIED_FORM,
    WEBHOOK_METHODS,
    WRONG_SIGNATURE_REFUSAL,
    WebhookRefused,
    body_fields,
    forbidden,
    verified_form,
)
from lexbridge.web.health import answer_probe

EXPLAINED_HZ, EXPLAINED_BURST = 1.0, 5.0
"""Wrong signatures whose cause is looked for: per second in the long run, and at once. Each takes up to some 3 ms."""


class TwilioRequestPolicy(RequestPolicy):
    """Rules that admit what Twilio has signed, answer health checks, and refuse or leave to Flask everything else."""

    def __init__(self, signatures: Signatures, calls: CallRegistry, diagnosis: SignatureDiagnosis) -> None:
        self._signatures = signatures
        self._calls = calls
        self._diagnosis = diagnosis
        self._explained = TokenBucket(EXPLAINED_HZ, EXPLAINED_BURST)

    def check_head(self, head: Head) -> Refusal | None:
        # A webhook without a signature is refused before its body is waited for.
        if _is_webhook(head) and not self._signatures.may_be_signed(head.headers):
            return forbidden(unsigned_cause(head.headers, "webhook"))
        return None

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        head = request.head
        if head.asks_for_websocket and head.path not in (*WEBHOOK_PATHS, *PROBE_PATHS):
            return self._check_handshake(head, open_sockets)
        if _is_webhook(head):
            return self._check_webhook(head, request.body)
        if head.method in ("GET", "HEAD") and (answer := answer_probe(head.path, self._calls)) is not None:
            status, state = answer
            return DirectAnswer(status, json.dumps(state).encode() + b"\n", not self._calls.is_leaving)
        cause = self._cause_of_unserved(head, request.body)
        return Admitted(is_trusted=False, oddity=Oddity(cause.reason, cause.hints))

    def _check_webhook(self, head: Head, body: bytes) -> Refusal | Admitted:
        try:
            form = verified_form(self._signatures, head.method, head.target, head.headers, body)
        except WebhookRefused as error:
            if error.refusal == WRONG_SIGNATURE_REFUSAL and self._may_explain():
                fields = body_fields(head.method, head.headers, body)
                query_fields = read_query(head.query) if head.method == "GET" else ()
                return forbidden(self._diagnosis.explain_webhook(head, fields, query_fields))
            return error.refusal
        return Admitted(is_trusted=True, environ={VERIFIED_FORM: form})

    def _check_handshake(self, head: Head, open_sockets: int) -> Refusal | Admitted:
        if not self._signatures.socket_passes(head.headers, head.query, head.path):
            return forbidden(self._cause_of_socket_refusal(head))
        if refusal := self._calls.admission.stream_refusal(open_sockets):
            return Refusal("503 Service Unavailable", refusal)
        # Whatever path it was told, it is one socket. What counts is the signature, and then the token.
        return Admitted(is_trusted=True, environ={"PATH_INFO": SOCKET_PATH})

    def _cause_of_socket_refusal(self, head: Head) -> Cause:
        if not self._signatures.may_be_signed(head.headers):
            return unsigned_cause(head.headers, "socket")
        return self._diagnosis.explain_handshake(head) if self._may_explain() else unexplained_cause("socket")

    def _cause_of_unserved(self, head: Head, body: bytes) -> Cause:
        """Return why Flask will not serve a request. Twilio itself may have been told a wrong address."""
        is_elsewhere = head.path not in WEBHOOK_PATHS
        if is_elsewhere and self._signatures.may_be_signed(head.headers) and self._may_explain():
            try:
                fields = body_fields(head.method, head.headers, body)
            except FormRefused:
                fields = ()
            if cause := self._diagnosis.explain_unknown_path(head, fields):
                return cause
        return unserved_cause(head, self._diagnosis.url)

    def _may_explain(self) -> bool:
        return self._explained.take(time.monotonic())


def _is_webhook(head: Head) -> bool:
    if head.method in WEBHOOK_METHODS and head.path in WEBHOOK_PATHS:
        return True
    return head.method == "POST" and released_call(head.path) is not None
