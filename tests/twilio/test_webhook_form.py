"""The form of a webhook: its limits, and the exact forms of its fields."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.twilio.signatures import Signatures, join_fields
from lexbridge.twilio.webhook_form import (
    CONTENT_TYPE,
    MAX_FIELDS,
    FormRefused,
    check_form,
    check_method,
    read_form,
    read_query,
)
from tests.support.accounts import accounts_with

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
    check = Signatures(accounts_with("secret"), "https://voice.example.com", "wss://voice.example.com/")
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
        {"a=b": "x"},
        {"/x": "y"},
        {" x": "y"},
        {"x" * 300: "y"},
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


@pytest.mark.parametrize("name", ["SipHeader_X-My!Hdr", "user id", "a[b]", "_x", "Größe", "x" * 200])
def test_names_that_others_chose_are_taken(name: str) -> None:
    assert check_form([*FORM.items(), (name, "1")])[name] == "1"


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", []),
        ("a=b+c%2B%26&a=&=", [("a", "b c+&"), ("a", ""), ("", "")]),
        ("From=client%3AZo%C3%AB", [("From", "client:Zo\u00eb")]),
    ],
)
def test_the_fields_of_a_query_are_read_as_a_forms(query: str, fields: list[tuple[str, str]]) -> None:
    assert list(read_query(query)) == fields


@pytest.mark.parametrize("query", ["a=%ff", "%ff=a", "a=%ed%b2%80", "&" * MAX_FIELDS])
def test_a_query_that_is_not_utf_8_or_too_long_is_refused(query: str) -> None:
    with pytest.raises(FormRefused):
        read_query(query)


VICTIM = [("CallSid", "CA" + "9" * 32), ("AccountSid", FORM["AccountSid"])]


def signature(target: str, form: Sequence[tuple[str, str]]) -> str:
    found: str = RequestValidator("secret").compute_signature(f"https://voice.example.com{target}", dict(form))
    return found


def test_a_signed_get_cannot_be_cut_anew_into_a_post() -> None:
    """Try it as a caller who chose the name of their client and captured the signature."""
    name = f"AccountSid{FORM['AccountSid']}CallSidCA{'9' * 32}z"
    query = f"/twiml?CallSid={FORM['CallSid']}&AccountSid={FORM['AccountSid']}&From=client%3A{name}&To=x"
    target, forged = query.partition("AccountSidAC")[0], [*VICTIM, ("z", "&To=x")]
    assert signature(query, []) == signature(target, forged)
    assert check_form(forged)["CallSid"] == "CA" + "9" * 32
    with pytest.raises(FormRefused, match="another method"):
        check_method("POST", target, forged)


def test_a_signed_post_cannot_be_cut_anew_into_a_get() -> None:
    caller = f"sip:x&CallSid=CA{'9' * 32}&AccountSid={FORM['AccountSid']}&z="
    form = [*{**FORM, "From": caller}.items()]
    forged = "/twiml/keys?of=lexbridge-0" + join_fields(form)
    assert signature("/twiml/keys?of=lexbridge-0", form) == signature(forged, [])
    assert check_form(read_query(forged.partition("?")[2]))["CallSid"] == "CA" + "9" * 32
    with pytest.raises(FormRefused, match="another method"):
        check_method("GET", forged, ())


def test_true_webhooks_are_of_their_method() -> None:
    check_method(
        "POST", "/twiml?CallSid=x&of=CallSid", [*FORM.items(), ("SipHeader_X-Call", f"CallSid={FORM['CallSid']}")]
    )
    check_method("GET", f"/twiml?{urlencode({**FORM, 'Parent': 'CallSid' + FORM['CallSid']})}", ())


GOES_BY = ("CallSid", "AccountSid", "StreamSid", "StreamEvent", "Digits")


@pytest.mark.parametrize("query", ["", "?of=lexbridge-0"])
def test_a_captured_form_cannot_be_cut_anew(query: str) -> None:
    """Try every other way to cut the signed text of two fields, or of the query and a field.

    Twilio signs the address, the names and the values with nothing between them. No cut changes a field that counts."""
    url = f"https://voice.example.com/twiml/keys{query}"
    check = Signatures(accounts_with("secret"), "https://voice.example.com", "wss://voice.example.com/")
    form = {**FORM, "Digits": "1234", "CallerZip": "98101", "StreamSid": "MZ" + "4" * 32, "StreamEvent": "stream-error"}
    headers = {"x-twilio-signature": RequestValidator("secret").compute_signature(url, form)}
    assert check.webhook_passes(f"/twiml/keys{query}", form.items(), headers)
    fields = sorted(form.items())
    tried = passed = 0
    for before, cut, after in _cut_anew(query, fields):
        if not check.webhook_passes("/twiml/keys" + ("" if before is None else query), [*cut, *after], headers):
            continue  # the fields sort in another order, so their text is another one
        tried += 1
        try:
            found = check_form([*cut, *after])
        except FormRefused:
            continue
        passed += 1
        assert {name: found[name] for name in GOES_BY if name in found}.items() <= form.items()
    assert tried > 1000
    assert 0 < passed < tried  # those that pass only move text between fields that are not used


def _cut_anew(query: str, fields: list[tuple[str, str]]) -> Iterator[tuple[str | None, list[tuple[str, str]], Any]]:
    """Yield the query (None if it is among the fields), the one or two fields in place of two, and the others."""
    for at in range(len(fields) - 1):
        text = "".join(fields[at] + fields[at + 1])
        others = fields[:at] + fields[at + 2 :]
        for first in range(1, len(text)):
            yield query, [(text[:first], text[first:])], others
            for second in range(first, len(text), 3):
                for third in range(second + 1, len(text), 3):
                    yield query, [(text[:first], text[first:second]), (text[second:third], text[third:])], others
    text = query + "".join(fields[0])
    for first in range(1, len(text)):
        yield None, [(text[:first], text[first:])], fields[1:]
