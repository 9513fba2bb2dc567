"""Requests and handshakes that are admitted or refused: signatures, forms, sizes, room."""

from io import BytesIO
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from lexbridge.net.http_request import MAX_BODY_BYTES, Head, Request
from lexbridge.net.policies import Admitted, Refusal
from lexbridge.web.admission import EXPLAINED_BURST
from tests.support.live_calls import live_stream
from tests.support.rig import TOKEN
from tests.support.webhook_client import (
    FACTS,
    FORM,
    QUERY,
    STREAM_SID,
    WebhookClient,
    get,
    has_a_token,
    parameters,
    reason,
    stream,
)


@pytest.mark.parametrize("path", ["/twiml", "/twiml/resume", "/twiml/keys", "/stream-status"])
@pytest.mark.parametrize(
    "signature",
    [None, "", "AAAA", "\udcff", "x" * 5000],
    ids=["none", "empty", "wrong", "a surrogate", "long"],
)
def test_an_unsigned_webhook_is_refused(path: str, signature: str | None) -> None:
    headers = (
        {} if signature is None else {"X-Twilio-Signature": signature.encode("utf-8", "replace").decode("latin-1")}
    )
    response = WebhookClient().client.post(path, data=FORM, headers=headers)
    assert response.status_code == 403
    assert "Twilio" not in response.text


def test_a_webhook_signed_for_another_address_is_refused() -> None:
    """A webhook is refused if it is signed for another address or by another token."""
    twilio = WebhookClient()
    assert twilio.post("/twiml", token="f" * 32).status_code == 403
    assert twilio.post("/twiml", address="https://evil.example/twiml").status_code == 403
    assert twilio.post("/twiml", address="http://voice.example.com/twiml").status_code == 403
    signature = RequestValidator(TOKEN).compute_signature("https://evil.example/twiml", FORM)
    headers = {"X-Twilio-Signature": signature, "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    assert twilio.client.post("/twiml", data=FORM, headers=headers).status_code == 403


def test_a_changed_form_is_refused() -> None:
    twilio = WebhookClient()
    signature = RequestValidator(TOKEN).compute_signature(twilio.settings.service.url + "/twiml", FORM)
    changed = {**FORM, "CallSid": "CA" + "9" * 32}
    assert twilio.client.post("/twiml", data=changed, headers={"X-Twilio-Signature": signature}).status_code == 403


def test_the_secondary_token_is_accepted_during_rotation() -> None:
    twilio = WebhookClient(TWILIO_AUTH_TOKEN_SECONDARY="e" * 32)
    assert twilio.post("/twiml", token="e" * 32).status_code == 200
    assert twilio.post("/twiml").status_code == 200


def test_a_query_string_is_part_of_what_is_signed() -> None:
    twilio = WebhookClient()
    assert twilio.post("/twiml?menu=1&x=%20").status_code == 200
    assert twilio.post("/twiml?menu=1", address=twilio.settings.service.url + "/twiml").status_code == 403


def test_a_body_beyond_any_webhook_is_refused_unread() -> None:
    assert WebhookClient().post("/twiml", {**FORM, "Body": "x" * (MAX_BODY_BYTES + 1)}).status_code == 413


SHAPED = "A" * 27 + "="
"""Text with the form of a signature, so that it is checked."""


class Unread(BytesIO):
    """Request body that must not be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError(f"{size} bytes of it were asked for")

    readline = readinto = read  # type: ignore[assignment]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_announced_as_too_long_is_refused_unread(content_type: str) -> None:
    """A body is refused before it is read if its announced length is beyond any webhook's."""
    said = {"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1), "wsgi.input": Unread(), "HTTP_X_TWILIO_SIGNATURE": SHAPED}
    assert WebhookClient().client.post("/twiml", content_type=content_type, environ_overrides=said).status_code == 413


def test_a_file_beyond_any_webhook_is_refused() -> None:
    """Send a file, because Werkzeug's limit of a form's memory does not count files."""
    attached = {**FORM, "file": (BytesIO(bytes(MAX_BODY_BYTES + 1)), "big.bin")}
    assert (
        WebhookClient().client.post("/twiml", data=attached, headers={"X-Twilio-Signature": SHAPED}).status_code == 413
    )


def test_a_field_that_comes_twice_is_signed_with_all_its_values() -> None:
    twilio = WebhookClient()
    form = MultiDict([*FORM.items(), ("Extra", "2"), ("Extra", "1")])
    signature = RequestValidator(TOKEN).compute_signature(twilio.settings.service.url + "/twiml", form)
    headers = {"X-Twilio-Signature": signature}
    assert twilio.client.post("/twiml", data=form, headers=headers).status_code == 200
    once = MultiDict([*FORM.items(), ("Extra", "2")])
    assert twilio.client.post("/twiml", data=once, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"Digits": "1234Directioninbound"},
        {"CallSid": "CA" + "2" * 32 + "CallStatusringing"},
        {"AccountSid": "AC"},
        {"?of=": "lexbridge-0"},
        {"": "x"},
        {"Direction": "inbound", "StreamSid": "MZ1"},
    ],
    ids=str,
)
def test_a_signed_form_with_malformed_fields_is_refused(changes: dict[str, str]) -> None:
    """A signed form is refused if a field does not have its exact form.

    The signature covers names and values with nothing between them, so a captured form could be cut in other places.
    """
    assert WebhookClient().post("/twiml/keys", {**FORM, **changes}).status_code == 400


@pytest.mark.parametrize("missing", ["CallSid", "AccountSid"])
def test_a_signed_form_without_its_call_is_refused(missing: str) -> None:
    assert (
        WebhookClient().post("/twiml", {name: value for name, value in FORM.items() if name != missing}).status_code
        == 400
    )


@pytest.mark.parametrize("path", ["/twiml", "/twiml/"])
def test_a_call_is_answered_by_get_too(path: str) -> None:
    form = {**FORM, "From": "sip:zo\u00eb@example.com", "FromCity": "", "Extra": "a b&c=d"}
    response = get(WebhookClient(SHARE_CALLER_NUMBER="on"), f"{path}?bot=sales&{urlencode(form)}")
    assert response.status_code == 200
    sent = parameters(response)
    assert has_a_token(sent)
    assert sent == {**FACTS, "lexbridge:caller-number": "sip:zo\u00eb@example.com"}


def test_other_webhooks_are_answered_by_get_too() -> None:
    twilio = WebhookClient()
    resumed = get(twilio, f"/twiml/resume?lost=1&of={STREAM_SID}&{urlencode(FORM)}")
    assert stream(resumed).attrib["name"] == "lexbridge-1-44444444"
    keyed = get(twilio, f"/twiml/keys?of=lexbridge-0&{urlencode({**FORM, 'Digits': '12#'})}")
    assert parameters(keyed)["lexbridge:keys"] == "12#"
    assert get(twilio, f"/stream-status?{urlencode({**FORM, 'StreamEvent': 'stream-stopped'})}").status_code == 204


def test_a_signed_webhook_with_a_slash_at_its_end_is_served() -> None:
    assert WebhookClient().post("/twiml/").status_code == 200
    assert WebhookClient().post("/twiml/", address="https://voice.example.com/twiml").status_code == 403


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (QUERY, 200),
        (f"{QUERY}&CallSid=CA{'2' * 32}", 200),
        (f"{QUERY}&CallSid=CA{'3' * 32}", 400),
        (f"{QUERY}&Digits=x", 400),
        (f"{QUERY}&=x", 400),
        (f"{QUERY}&FromCity=%ff", 400),
        (QUERY.replace("CallSid=", "Sid="), 400),
        (QUERY + "&a=1" * 194, 200),
        (QUERY + "&a=1" * 195, 400),
        ("a=b", 400),
    ],
)
def test_the_fields_of_a_get_are_held_to_the_same_rules(query: str, status: int) -> None:
    assert get(WebhookClient(), f"/twiml?{query}").status_code == status


def test_a_get_has_to_be_signed_for_the_query_as_it_came() -> None:
    twilio = WebhookClient()
    signature = RequestValidator(TOKEN).compute_signature(f"{twilio.settings.service.url}/twiml?{QUERY}", {})
    headers = {"X-Twilio-Signature": signature}
    assert twilio.client.get(f"/twiml?{QUERY}", headers=headers).status_code == 200
    for query in (f"{QUERY}&", QUERY.replace("%2B", "%2b"), QUERY.replace("inbound", "outbound"), ""):
        assert twilio.client.get(f"/twiml?{query}", headers=headers).status_code == 403
    assert twilio.client.get(f"/twiml?{QUERY}").status_code == 403
    assert get(twilio, f"/twiml?{QUERY}", token="f" * 32).status_code == 403


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE"])
def test_a_webhook_takes_no_other_methods(method: str) -> None:
    twilio = WebhookClient()
    signature = RequestValidator(TOKEN).compute_signature(f"{twilio.settings.service.url}/twiml?{QUERY}", {})
    response = twilio.client.open(f"/twiml?{QUERY}", method=method, headers={"X-Twilio-Signature": signature})
    assert response.status_code == 405


@pytest.mark.parametrize(
    ("method", "target", "signed", "why"),
    [
        ("POST", "/twiml", "https://voice.example.com/twiml", "none"),
        ("POST", "/twiml/", "https://voice.example.com/twiml/", "none"),
        ("POST", "/twiml", None, "webhook: no signature"),
        ("GET", f"/twiml?{QUERY}", None, "webhook: no signature"),
        ("POST", "/twiml", "http://voice.example.com/twiml", "webhook: signed for another scheme"),
        ("POST", "/twiml/", "https://voice.example.com/twiml", "webhook: signed for another trailing slash"),
        ("GET", f"/twiml?{QUERY}", "https://voice.example.com/twiml", "webhook: signed for another method and query"),
        ("GET", "/twiml", "https://voice.example.com/twiml", "webhook: GET without fields"),
        ("PUT", "/twiml", None, "webhook by another method"),
        ("HEAD", "/twiml", "https://voice.example.com/twiml", "webhook by another method"),
        ("POST", "/Twiml", None, "path near a webhook's"),
        ("POST", "/", "https://voice.example.com/", "webhook at an unknown path"),
        ("POST", "/voice", "https://voice.example.com/voice", "webhook at an unknown path"),
        ("POST", "/voice", "https://elsewhere.example/voice", "unknown path"),
        ("GET", "/robots.txt", None, "unknown path"),
    ],
)
def test_the_log_tells_why_a_request_is_refused(method: str, target: str, signed: str | None, why: str) -> None:
    assert reason(WebhookClient().admit(method, target, signed)) == why


def test_a_stray_form_that_cannot_be_read_is_told_as_well() -> None:
    decided = WebhookClient().admit(
        "POST", "/voice", "https://voice.example.com/voice", **{"content-type": "text/json"}
    )
    assert reason(decided) == "unknown path"


def test_only_so_many_wrong_signatures_are_looked_into() -> None:
    twilio = WebhookClient()
    wrong = [reason(twilio.admit("POST", "/twiml", "http://voice.example.com/twiml")) for _ in range(100)]
    assert wrong[: int(EXPLAINED_BURST)] == ["webhook: signed for another scheme"] * int(EXPLAINED_BURST)
    assert wrong.count("webhook: wrong signature") > 80
    signed = RequestValidator("f" * 32).compute_signature("wss://voice.example.com/", {})
    assert "socket: wrong signature" in [handshake(twilio, signed)[1] for _ in range(5)]  # type: ignore[index]
    assert reason(twilio.admit("POST", "/twiml", "https://voice.example.com/twiml")) == "none"


HANDSHAKE = {"upgrade": "websocket", "connection": "Upgrade"}


def handshake(twilio: WebhookClient, signature: str, open_sockets: int = 0) -> object:
    """Return True if a handshake with the media socket is admitted, else the status line and the reason."""
    head = Head("GET", "/", "HTTP/1.1", {**HANDSHAKE, "x-twilio-signature": signature})
    match twilio.admission.check_request(Request(head), open_sockets):
        case Refusal(status, reason):
            return status, reason
        case Admitted(is_signed):
            return is_signed
    return None


def test_a_handshake_is_let_in_if_it_is_signed_and_there_is_room() -> None:
    twilio = WebhookClient(MAX_CALLS="1")
    signed = RequestValidator(TOKEN).compute_signature("wss://voice.example.com/", {})
    assert handshake(twilio, signed) is True
    assert handshake(twilio, "AAAA") == ("403 Forbidden", "socket: malformed signature")
    twilio.calls.admission.is_draining = True
    assert handshake(twilio, signed) is True  # it may be a live call's, which no other process serves
    twilio.calls.ask_to_leave(1)
    assert handshake(twilio, signed) is True  # its connection may be older than the drain
    assert handshake(twilio, "AAAA") == ("403 Forbidden", "socket: malformed signature")  # a stranger learns nothing
    twilio.calls.add(live_stream("CA" + "3" * 32))
    assert handshake(twilio, signed) is True  # the same holds for this one
    twilio.calls.add(live_stream("CA" + "4" * 32))
    assert handshake(twilio, signed) == ("503 Service Unavailable", "full")


def test_sockets_on_which_no_stream_has_started_count_too() -> None:
    twilio = WebhookClient(MAX_CALLS="3")
    signed = RequestValidator(TOKEN).compute_signature("wss://voice.example.com/", {})
    assert handshake(twilio, signed, open_sockets=5) is True
    assert handshake(twilio, signed, open_sockets=6) == ("503 Service Unavailable", "full")
    assert handshake(twilio, "AAAA", open_sockets=6) == ("403 Forbidden", "socket: malformed signature")
