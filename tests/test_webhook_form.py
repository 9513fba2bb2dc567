"""A webhook's form: bounds, and fields that have to be of their forms."""

from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.signatures import Signatures
from lexbridge.webhook_form import CONTENT_TYPE, MAX_FIELDS, FormRefused, check_form, read_form

FORM = {
    "CallSid": "CA" + "2" * 32,
    "AccountSid": "AC" + "1" * 32,
    "From": "sip:+12065550100@example.com;user=phone",
    "To": "+12065550199",
    "Direction": "outbound-dial",
    "CallStatus": "in-progress",
    "SipHeader_X-Room": "7",
    "Digits": "12*#A",
}


def test_twilios_form_is_read() -> None:
    body = urlencode({**FORM, "CallerName": "Zoë & Co"}).encode()
    assert check_form(read_form(body, f"{CONTENT_TYPE}; charset=UTF-8")) == {**FORM, "CallerName": "Zoë & Co"}


def test_an_empty_body_needs_no_content_type() -> None:
    assert list(read_form(b"", "")) == []


@pytest.mark.parametrize("content_type", ["", "multipart/form-data; boundary=x", "application/json", "text/plain"])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(FormRefused, match="content type"):
        read_form(b"a=b", content_type)


def test_too_many_fields_are_refused_before_they_are_split() -> None:
    assert len(read_form(b"&".join([b"a=1"] * MAX_FIELDS), CONTENT_TYPE)) == MAX_FIELDS
    with pytest.raises(FormRefused, match="too many fields"):
        read_form(b"&".join([b"a=1"] * (MAX_FIELDS + 1)), CONTENT_TYPE)
    with pytest.raises(FormRefused, match="too many fields"):
        read_form(b"&" * MAX_FIELDS, CONTENT_TYPE)


@pytest.mark.parametrize("value", [b"%ff", b"\xff"])
def test_what_is_not_utf_8_is_not_signed(value: bytes) -> None:
    fields = read_form(b"CallSid=" + value, CONTENT_TYPE)
    check = Signatures(["secret"], "https://voice.example.com", "wss://voice.example.com/")
    assert not check.webhook_passes("/twiml", fields, {"x-twilio-signature": "A" * 27 + "="})


@pytest.mark.parametrize(
    "changes",
    [
        {"Digits": "1234Directioninbound"},
        {"Digits": "12 34"},
        {"CallSid": "CA" + "2" * 31},
        {"CallSid": FORM["CallSid"] + "CallStatusringing"},
        {"AccountSid": "ac" + "1" * 32},
        {"StreamSid": "MZ1"},
        {"StreamName": "a b"},
        {"Direction": "in\nbound"},
        {"From": "+1\r\n"},
        {"?of=lexbridge-0": ""},
        {"": "x"},
        {"a b": "x"},
    ],
    ids=str,
)
def test_fields_are_held_to_their_forms(changes: dict[str, str]) -> None:
    with pytest.raises(FormRefused, match="odd field"):
        check_form([*{**FORM, **changes}.items()])


def test_a_field_that_counts_comes_once() -> None:
    assert check_form([*FORM.items(), ("Digits", FORM["Digits"]), ("Other", "1"), ("Other", "2")])["Other"] == "1"
    with pytest.raises(FormRefused, match="field twice"):
        check_form([*FORM.items(), ("CallSid", "CA" + "3" * 32)])


@pytest.mark.parametrize("missing", ["CallSid", "AccountSid"])
def test_the_call_has_to_be_there(missing: str) -> None:
    with pytest.raises(FormRefused, match="without its call"):
        check_form([(name, value) for name, value in FORM.items() if name != missing])


def test_a_captured_form_cannot_be_cut_anew() -> None:
    """Every way to move a boundary between two names and values leaves the signature as it is; nearly none passes."""
    url = "https://voice.example.com/twiml/keys"
    check = Signatures(["secret"], "https://voice.example.com", "wss://voice.example.com/")
    form = {"AccountSid": FORM["AccountSid"], "CallSid": FORM["CallSid"], "Digits": "1234", "Direction": "inbound"}
    told = {"x-twilio-signature": RequestValidator("secret").compute_signature(url, form)}
    assert check.webhook_passes("/twiml/keys", form.items(), told)
    joined = "".join(name + value for name, value in sorted(form.items()))
    passed = []
    for first in range(1, len(joined)):
        for second in range(first, min(len(joined), first + 40)):
            fields = [(joined[:first], joined[first:second]), (joined[second:], "")]
            if not check.webhook_passes("/twiml/keys", fields, told):
                continue  # sorted, these do not join to the same text
            try:
                check_form(fields)
            except FormRefused:
                continue
            passed.append(fields)
    assert passed == []
