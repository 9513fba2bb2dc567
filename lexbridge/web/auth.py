"""Proof that a webhook comes from Twilio, before its form is used."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import Response, abort, request

from lexbridge.net.policies import Refusal
from lexbridge.twilio.refusals import Cause, unexplained_cause, unsigned_cause
from lexbridge.twilio.routes import released_call
from lexbridge.twilio.signatures import Signatures, account_sid_of
from lexbridge.twilio.webhook_form import Fields, FormRefused, check_form, check_method, read_form, read_query

WEBHOOK_METHODS = ("POST", "GET")
"""HTTP methods of a webhook. A phone number may be set to GET, and a redirected POST arrives as a GET."""

VERIFIED_FORM = "lexbridge.form"
"""Key of the WSGI environ under which the form of a signed webhook stands: a dict of its fields."""


class WebhookRefused(Exception):
    """A webhook that Twilio did not sign, or whose form is not as Twilio sends it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def forbidden(cause: Cause) -> Refusal:
    """Return a refusal with 403, and `cause` for the log."""
    return Refusal("403 Forbidden", cause.reason, cause.hints)


WRONG_SIGNATURE_REFUSAL = forbidden(unexplained_cause("webhook"))
"""Refusal of a webhook whose signature is wrong, before its cause is looked for."""


def verified_form(
    signatures: Signatures, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> dict[str, str]:
    """Return the fields of a signed webhook by name: those of a POST's form, or of a GET's query.

    `method`: one of WEBHOOK_METHODS. `headers`: with their names in lower case.

    Raise WebhookRefused: with 403 if Twilio did not sign it for `target`, with 400 if its form is not as Twilio sends
    it.
    """
    if not signatures.may_be_signed(headers):
        raise WebhookRefused(forbidden(unsigned_cause(headers, "webhook")))
    try:
        signed = body_fields(method, headers, body)
        fields = read_query(target.partition("?")[2]) if method == "GET" else signed
        if not signatures.webhook_passes(target, signed, headers, account_sid_of(fields)):
            raise WebhookRefused(WRONG_SIGNATURE_REFUSAL)
        check_method(method, target, signed)
        if (call_sid := released_call(target.partition("?")[0])) is not None:
            # The path names the call. Twilio's own form may name another, such as that of a conference's participant.
            fields = [*((name, value) for name, value in fields if name != "CallSid"), ("CallSid", call_sid)]
        return check_form(fields)
    except FormRefused as error:
        raise WebhookRefused(Refusal("400 Bad Request", str(error))) from error


def body_fields(method: str, headers: Mapping[str, str], body: bytes) -> Fields:
    """Return the fields that Twilio signs beside the address, which a GET has not. Raise FormRefused."""
    return () if method == "GET" else read_form(body, headers.get("content-type", ""))


def signed_by_twilio(signatures: Signatures) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """Return a decorator for Flask views, which answers 403 unless Twilio has signed the request."""

    def decorate(view: Callable[[], Response]) -> Callable[[], Response]:
        """Wrap `view`."""

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Response:
            if request.method not in WEBHOOK_METHODS:  # Flask routes a HEAD wherever it routes a GET
                abort(405)
            if VERIFIED_FORM not in request.environ:  # the request did not come through `MediaServer`
                query = request.query_string.decode("latin-1")
                target = request.path + (f"?{query}" if query else "")
                headers = {name.lower(): value for name, value in request.headers.items()}
                try:
                    if not signatures.may_be_signed(headers):
                        abort(403)  # before the body is read
                    form = verified_form(signatures, request.method, target, headers, request.get_data())
                    request.environ[VERIFIED_FORM] = form
                except WebhookRefused as error:
                    abort(int(error.refusal.status[:3]))
            return view(*args, **kwargs)

        return checked

    return decorate
