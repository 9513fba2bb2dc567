"""The form of a webhook: read within bounds, and its fields held to their forms.

Twilio's signature covers the address and the form's names and values joined without any mark between them. So a
captured request could be cut anew, such as `Digits=12` and `Direction=inbound` into `Digits=12Directioninbound`. Names
and values that have to be of their forms leave next to nothing of that.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security .
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from lexbridge.twilio.signatures import joined

MAX_FIELDS = 200
"""Twilio sends about 25, and some more for a SIP call with headers of its own."""

CONTENT_TYPE = "application/x-www-form-urlencoded"

Fields = Sequence[tuple[str, str]]
"""Names and values, in the order in which they came."""

_NAME = re.compile(r"[^\x00-\x20\x7f=?&#/][^\x00-\x1f\x7f=]{0,255}")
"""Twilio's own are words; those of SIP headers and of the Voice SDK's parameters are what others chose. None may look
like the end of an address, or hold a name and a value together."""

_FORMS: Mapping[str, re.Pattern[str]] = {
    "CallSid": re.compile("CA[0-9a-fA-F]{32}"),
    "AccountSid": re.compile("AC[0-9a-fA-F]{32}"),
    "StreamSid": re.compile("MZ[0-9a-fA-F]{32}"),
    "StreamName": re.compile("[A-Za-z0-9_.-]{0,256}"),
    "StreamEvent": re.compile("[a-z-]{0,40}"),
    "Direction": re.compile("[a-z-]{0,40}"),
    "CallStatus": re.compile("[a-z-]{0,40}"),
    "Digits": re.compile("[0-9A-D*#]{0,1000}"),
    "From": re.compile(r"[^\x00-\x1f\x7f]{0,1024}"),  # numbers, SIP addresses, names of clients
    "To": re.compile(r"[^\x00-\x1f\x7f]{0,1024}"),
}
"""The fields that lexbridge goes by. The others are only signed."""

_REQUIRED = ("CallSid", "AccountSid")

_OF_A_POST = [re.compile(f"{name}{sid}[0-9a-fA-F]{{32}}") for name, sid in (("CallSid", "CA"), ("AccountSid", "AC"))]
_OF_A_GET = [
    re.compile(f"[?&]{name}={sid}[0-9a-fA-F]{{32}}") for name, sid in (("CallSid", "CA"), ("AccountSid", "AC"))
]
"""What every POST, and every GET, of a call has in the text that is signed."""


class FormRefused(Exception):
    """The form is not taken; the message is one of a small set, for the log."""


def read_form(body: bytes, content_type: str) -> Fields:
    """The fields of `body`, percent-decoded as UTF-8. Raises FormRefused."""
    if body and content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise FormRefused("webhook of another content type")
    if body.count(b"&") >= MAX_FIELDS:
        raise FormRefused("webhook with too many fields")
    # What is not UTF-8 becomes surrogates, which no signature covers.
    return parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True, errors="surrogateescape")


def read_query(query: str) -> Fields:
    """The fields of a GET webhook, which are those of its address. Raises FormRefused."""
    fields = read_form(query.encode(), CONTENT_TYPE)
    # Here the signature covers the percent-encoded text, so it says nothing of what that decodes to.
    if any("\udc80" <= character <= "\udcff" for character in joined(fields)):
        raise FormRefused("webhook with an odd field")
    return fields


def check_method(method: str, target: str, fields: Fields) -> None:
    """Raises FormRefused where a signed POST was cut anew into a GET, or a signed GET into a POST.

    `fields`: of the body. Both sign one text without marks between address and form, and a caller may have chosen a
    part of it, such as the name of a client.
    """
    signs_of_other = _OF_A_POST if method == "GET" else _OF_A_GET
    signed = target + joined(fields)
    if all(sign.search(signed) for sign in signs_of_other):
        raise FormRefused("webhook of another method")


def check_form(fields: Fields) -> dict[str, str]:
    """The fields by name. Raises FormRefused where one that counts is missing, is there twice, or not of its form."""
    form: dict[str, str] = {}
    for name, value in fields:
        if not _NAME.fullmatch(name):
            raise FormRefused("webhook with an odd field")
        if form.setdefault(name, value) != value and name in _FORMS:
            raise FormRefused("webhook with a field twice")
    for name, form_of in _FORMS.items():
        if name in form and not form_of.fullmatch(form[name]):
            raise FormRefused("webhook with an odd field")
    if any(name not in form for name in _REQUIRED):
        raise FormRefused("webhook without its call")
    return form
