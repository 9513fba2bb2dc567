"""The form of a webhook: read within limits, and checked field by field.

Twilio's signature covers the address and the form's names and values with nothing between them. So the fields of a
captured request could be cut in other places, such as `Digits=12` and `Direction=inbound` into
`Digits=12Directioninbound`. Strict forms of names and values leave an attacker next to nothing to cut.
Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security .
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from lexbridge.twilio.signatures import join_fields

MAX_FIELDS = 200
"""Most fields of a form. Twilio sends about 25, and some more for a SIP call with headers of its own."""

CONTENT_TYPE = "application/x-www-form-urlencoded"

Fields = Sequence[tuple[str, str]]
"""Names and values of a form, in their order."""

_NAME = re.compile(r"[^\x00-\x20\x7f=?&#/][^\x00-\x1f\x7f=]{0,255}")
"""Form of a field's name.

Twilio's names are words, but others choose those of SIP headers and of the Voice SDK's parameters. None may look like
the end of an address, or like a name together with its value.
"""

_VALUES: Mapping[str, re.Pattern[str]] = {
    "CallSid": re.compile("CA[0-9a-fA-F]{32}"),
    "AccountSid": re.compile("AC[0-9a-fA-F]{32}"),
    "StreamSid": re.compile("MZ[0-9a-fA-F]{32}"),
    "StreamName": re.compile("[A-Za-z0-9_.-]{0,256}"),
    "StreamEvent": re.compile("[a-z-]{0,40}"),
    "Direction": re.compile("[a-z-]{0,40}"),
    "CallStatus": re.compile("[a-z-]{0,40}"),
    "DialCallStatus": re.compile("[a-z-]{0,40}"),
    "DialBridged": re.compile("[a-z]{0,10}"),
    "QueueResult": re.compile("[a-z-]{0,40}"),
    "AnsweredBy": re.compile("[A-Za-z0-9_-]{0,40}"),
    "Digits": re.compile("[0-9A-D*#]{0,1000}"),
    "From": re.compile(r"[^\x00-\x1f\x7f]{0,1024}"),  # numbers, SIP addresses, names of clients
    "To": re.compile(r"[^\x00-\x1f\x7f]{0,1024}"),
}
"""Forms of the values that lexbridge uses. Other fields are only signed."""

_REQUIRED = ("CallSid", "AccountSid")

_OF_A_POST = [re.compile(f"{name}{sid}[0-9a-fA-F]{{32}}") for name, sid in (("CallSid", "CA"), ("AccountSid", "AC"))]
_OF_A_GET = [
    re.compile(f"[?&]{name}={sid}[0-9a-fA-F]{{32}}") for name, sid in (("CallSid", "CA"), ("AccountSid", "AC"))
]
"""Patterns that the signed text of every POST of a call has, and of every GET."""


class FormRefused(Exception):
    """A form breaks a rule. The message is one of a small set, for the log."""


def read_form(body: bytes, content_type: str) -> Fields:
    """Return the fields of `body`, percent-decoded as UTF-8. Raise FormRefused."""
    if body and content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise FormRefused("webhook of another content type")
    if body.count(b"&") >= MAX_FIELDS:
        raise FormRefused("webhook with too many fields")
    # Bytes that are not UTF-8 become surrogates, which no signature covers.
    return parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True, errors="surrogateescape")


def read_query(query: str) -> Fields:
    """Return the fields of a GET webhook, which stand in its address. Raise FormRefused."""
    fields = read_form(query.encode(), CONTENT_TYPE)
    # The signature of a GET covers the percent-encoded text, so bytes that are not UTF-8 could be signed.
    if any("\udc80" <= character <= "\udcff" for character in join_fields(fields)):
        raise FormRefused("webhook with an odd field")
    return fields


def check_method(method: str, target: str, fields: Fields) -> None:
    """Raise FormRefused if a signed POST was turned into a GET, or a signed GET into a POST. `fields`: of the body.

    The signature covers one text, with nothing between address and form. A caller may have chosen a part of it, such as
    the name of a client, so that it can be cut in another place.
    """
    patterns_of_other = _OF_A_POST if method == "GET" else _OF_A_GET
    signed = target + join_fields(fields)
    if all(pattern.search(signed) for pattern in patterns_of_other):
        raise FormRefused("webhook of another method")


def check_form(fields: Fields) -> dict[str, str]:
    """Return the fields by name. Raise FormRefused if a field that lexbridge uses is missing, comes twice or is odd."""
    form: dict[str, str] = {}
    for name, value in fields:
        if not _NAME.fullmatch(name):
            raise FormRefused("webhook with an odd field")
        if form.setdefault(name, value) != value and name in _VALUES:
            raise FormRefused("webhook with a field twice")
    for name, pattern in _VALUES.items():
        if name in form and not pattern.fullmatch(form[name]):
            raise FormRefused("webhook with an odd field")
    if any(name not in form for name in _REQUIRED):
        raise FormRefused("webhook without its call")
    return form
