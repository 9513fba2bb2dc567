"""Diagnosis of signatures that Twilio's own RequestValidator has made for other addresses."""

import base64
from collections.abc import Mapping

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES
from lexbridge.net.http_request import Head
from lexbridge.twilio.refusals import Cause
from lexbridge.twilio.signature_diagnosis import MAX_SPELLINGS, SignatureDiagnosis
from lexbridge.twilio.signatures import Signatures
from tests.support.accounts import accounts_with

TOKEN, SECONDARY, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", "f" * 32
URL = "https://voice.example.com"
FORM = {"CallSid": "CA" + "2" * 32, "AccountSid": "AC" + "1" * 32, "From": "+12065550100"}
HOST = {"host": "voice.example.com"}
UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}


class Counted(Signatures):
    """Signatures that count the addresses which are tried."""

    tried = 0

    def find_signed(self, addresses, fields, headers, account_sid=""):  # type: ignore[no-untyped-def]
        given = list(addresses)
        self.tried = max(self.tried, len(given))
        return super().find_signed(given, fields, headers, account_sid)


def diagnosis(url: str = URL, stream_url: str = "") -> SignatureDiagnosis:
    stream_url = stream_url or url.replace("http", "ws", 1).replace("ws:", "wss:") + "/"
    return SignatureDiagnosis(Counted(accounts_with(TOKEN, SECONDARY), url, stream_url), url, stream_url, 8080)


def sign(address: str, form: Mapping[str, str] = FORM, token: str = TOKEN, algorithm: str | None = None) -> str:
    signature: str = RequestValidator(token).compute_signature(address, dict(form), algorithm)
    return signature


def of_webhook(
    signed: str,
    *,
    url: str = URL,
    target: str = "/twiml",
    token: str = TOKEN,
    form: Mapping[str, str] = FORM,
    headers: Mapping[str, str] = HOST,
) -> Cause:
    head = Head("POST", target, "HTTP/1.1", {**headers, "x-twilio-signature": sign(signed, form, token)})
    return diagnosis(url).explain_webhook(head, list(FORM.items()))


@pytest.mark.parametrize("token", [TOKEN, SECONDARY], ids=["primary", "secondary"])
@pytest.mark.parametrize(
    ("url", "signed", "differs", "remedy"),
    [
        (
            "http://voice.example.com",
            "https://voice.example.com/twiml",
            "scheme",
            "set URL to https://voice.example.com,",
        ),
        (URL, "http://voice.example.com/twiml", "scheme", f"have Twilio ask {URL}/twiml, or set URL to http://voice."),
        ("https://old.ngrok.app", "https://voice.example.com/twiml", "host", "set URL to https://voice.example.com,"),
        (f"{URL}/twiml", "https://voice.example.com/twiml", "path", "set URL to https://voice.example.com"),
        (URL, "https://voice.example.com:8080/twiml", "port", f"set URL to {URL}:8080, or have Twilio ask {URL}/twiml"),
        (f"{URL}:8443", "https://voice.example.com/twiml", "port", "set URL to https://voice.example.com,"),
        ("http://old.example:8080", "https://voice.example.com/twiml", "scheme and host and port", "set URL to https"),
    ],
)
def test_the_part_that_differs_is_named_with_its_remedy(
    url: str, signed: str, differs: str, remedy: str, token: str
) -> None:
    cause = of_webhook(signed, url=url, token=token)
    assert cause.reason == f"webhook: signed for another {differs}"
    assert cause.signed_for == signed
    assert cause.remedy.startswith(remedy)


def test_a_path_alone_is_no_reason_to_change_the_address() -> None:
    assert of_webhook(f"{URL}/twiml", url=f"{URL}/twiml").remedy == f"set URL to {URL}"


def test_a_token_of_another_account_is_told_from_another_address() -> None:
    cause = of_webhook(f"{URL}/twiml", token=OTHER)
    assert cause.reason == "webhook: token differs"
    assert "TWILIO_AUTH_TOKEN" in cause.remedy
    assert URL in cause.remedy
    assert not cause.signed_for


def test_an_address_that_no_header_tells_is_not_told() -> None:
    cause = of_webhook("https://elsewhere.example/twiml")
    assert cause.reason == "webhook: token differs"
    assert "elsewhere" not in str(cause)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "inside:8080", "x-forwarded-host": "outside.example, proxy.example"},
        {"host": "inside:8080", "forwarded": 'for=1.2.3.4;proto=https;host="outside.example"'},
        {"host": "outside.example"},
    ],
)
def test_the_host_may_be_told_by_any_proxys_header(headers: Mapping[str, str]) -> None:
    cause = of_webhook("https://outside.example/twiml", headers=headers)
    assert cause.reason == "webhook: signed for another host"
    assert cause.signed_for == "https://outside.example/twiml"


def test_a_port_may_be_told_by_a_header() -> None:
    cause = of_webhook(f"{URL}:5061/twiml", headers={**HOST, "x-forwarded-port": "5061"})
    assert cause.reason == "webhook: signed for another port"
    cause = of_webhook(f"{URL}:5061/twiml", headers={"host": "voice.example.com:5061"})
    assert cause.signed_for == f"{URL}:5061/twiml"


def test_the_host_of_an_ipv6_address_keeps_its_brackets() -> None:
    cause = of_webhook("https://[2001:db8::1]:444/twiml", headers={"host": "[2001:db8::1]:444"})
    assert cause.signed_for == "https://[2001:db8::1]:444/twiml"
    assert cause.reason == "webhook: signed for another host and port"


@pytest.mark.parametrize(
    ("signed", "headers"),
    [
        ("/voice/twiml", {"x-forwarded-prefix": "/voice/"}),
        ("/voice/twiml", {"x-original-uri": "/voice/twiml?a=b"}),
        ("/voice/twiml", {"x-original-url": "/voice/twiml"}),
        ("/voice/twiml", {"x-forwarded-uri": "/voice/twiml"}),
    ],
)
def test_a_path_that_the_proxy_changed_is_named(signed: str, headers: Mapping[str, str]) -> None:
    cause = of_webhook(URL + signed, headers={**HOST, **headers})
    assert cause.reason == "webhook: signed for another path"
    assert cause.signed_for == URL + signed
    assert cause.remedy == f"have the proxy leave the path as it is, and Twilio ask {URL}/twiml"


@pytest.mark.parametrize(("came", "signed"), [("/twiml", "/twiml/"), ("/twiml/", "/twiml")])
def test_a_slash_at_the_end_is_named(came: str, signed: str) -> None:
    cause = of_webhook(URL + signed, target=came)
    assert cause.reason == "webhook: signed for another trailing slash"
    assert cause.signed_for == URL + signed


def test_a_dropped_or_added_query_is_named_and_not_shown() -> None:
    cause = of_webhook(f"{URL}/twiml", target="/twiml?caller=%2B12065550100")
    assert cause.reason == "webhook: signed for another query"
    assert cause.signed_for == f"{URL}/twiml"
    cause = of_webhook("http://voice.example.com/twiml?caller=%2B12065550100", target="/twiml?caller=%2B12065550100")
    assert cause.signed_for == "http://voice.example.com/twiml"
    assert "2065550100" not in str(cause)


def test_a_user_that_is_no_base64_is_left_out() -> None:
    cause = of_webhook("https://ann:secret@voice.example.com/twiml", headers={**HOST, "authorization": "Basic AAAAA"})
    assert cause.reason == "webhook: token differs"


def test_a_user_in_the_address_is_named_and_not_shown() -> None:
    basic = "Basic " + base64.b64encode(b"ann:secret").decode()
    cause = of_webhook("https://ann:secret@voice.example.com/twiml", headers={**HOST, "authorization": basic})
    assert cause.reason == "webhook: signed for another user"
    assert cause.signed_for == f"{URL}/twiml"
    assert "secret" not in str(cause)


@pytest.mark.parametrize("basic", ["Basic !", "Basic " + base64.b64encode(b"a/b@c").decode(), "Bearer abcd"])
def test_a_malformed_user_is_not_tried(basic: str) -> None:
    assert of_webhook("https://x/twiml", headers={**HOST, "authorization": basic}).reason == "webhook: token differs"


def test_the_connection_overrides_may_be_signed_too() -> None:
    cause = of_webhook(f"http://voice.example.com/twiml#{DEFAULT_OVERRIDES}")
    assert (cause.reason, cause.signed_for) == ("webhook: signed for another scheme", "http://voice.example.com/twiml")


def test_a_post_that_is_signed_as_a_get_is_named() -> None:
    assert of_webhook(f"{URL}/twiml", form={}).reason == "webhook: signed for another method"


def test_a_get_that_is_signed_as_a_post_is_named() -> None:
    fields = list(FORM.items())
    head = Head("GET", "/twiml?CallSid=x", "HTTP/1.1", {**HOST, "x-twilio-signature": sign(f"{URL}/twiml")})
    cause = diagnosis().explain_webhook(head, (), fields)
    assert cause.reason == "webhook: signed for another method and query"
    assert cause.remedy.startswith("have nothing on the way turn a POST into a GET")


def test_a_get_whose_fields_were_lost_is_named() -> None:
    head = Head("GET", "/twiml", "HTTP/1.1", {**HOST, "x-twilio-signature": sign(f"{URL}/twiml")})
    assert diagnosis().explain_webhook(head, ()).reason == "webhook: GET without fields"


def test_a_settings_header_that_was_dropped_is_named() -> None:
    signature = sign(f"{URL}/twiml", algorithm="HMAC_SHA256")
    head = Head("POST", "/twiml", "HTTP/1.1", {**HOST, "x-twilio-signature": signature})
    cause = diagnosis().explain_webhook(head, list(FORM.items()))
    assert cause.reason == "webhook: no signature settings"
    assert "X-Twilio-Webhooks-Signature-Settings" in cause.remedy


@pytest.mark.parametrize(
    ("signed", "differs", "remedy"),
    [
        ("wss://voice.example.com:8443/", "port", "set STREAM_URL to wss://voice.example.com:8443/"),
        ("https://voice.example.com/", "scheme", "have Twilio open wss://voice.example.com/"),
        ("wss://outside.example/", "host", "set STREAM_URL to wss://outside.example/"),
        ("wss://voice.example.com/media", "path", "set STREAM_URL to wss://voice.example.com/media"),
    ],
)
def test_a_handshake_is_explained_too(signed: str, differs: str, remedy: str) -> None:
    others = {"host": "voice.example.com:8443", "x-forwarded-host": "outside.example", "x-original-uri": "/media"}
    head = Head("GET", "/", "HTTP/1.1", {**UPGRADE, **others, "x-twilio-signature": sign(signed, {})})
    cause = diagnosis().explain_handshake(head)
    assert (cause.reason, cause.signed_for) == (f"socket: signed for another {differs}", signed)
    assert cause.remedy.startswith(remedy)


def test_a_handshake_by_another_token_is_told() -> None:
    signature = sign("wss://voice.example.com/", {}, OTHER)
    cause = diagnosis().explain_handshake(
        Head("GET", "/?a=b", "HTTP/1.1", {**UPGRADE, "x-twilio-signature": signature})
    )
    assert cause.reason == "socket: token differs"
    assert "STREAM_URL" in cause.remedy


def test_twilio_at_an_address_that_is_not_served_is_told() -> None:
    headers = {**HOST, "x-twilio-signature": sign(f"{URL}/voice?a=b")}
    cause = diagnosis().explain_unknown_path(Head("POST", "/voice?a=b", "HTTP/1.1", headers), list(FORM.items()))
    assert cause is not None
    assert (cause.reason, cause.signed_for) == ("webhook at an unknown path", f"{URL}/voice")
    assert f"{URL}/twiml" in cause.remedy
    assert diagnosis().explain_unknown_path(Head("POST", "/voices", "HTTP/1.1", headers), list(FORM.items())) is None


def test_a_captured_form_in_the_place_of_a_path_is_not_shown() -> None:
    joined = "/twiml" + "".join(name + value for name, value in sorted(FORM.items()))
    signed = {**HOST, "x-twilio-signature": sign(f"{URL}/twiml")}
    cause = diagnosis().explain_unknown_path(Head("POST", joined, "HTTP/1.1", signed), ())
    assert cause is not None
    assert cause.signed_for == f"{URL}/..."
    cause = diagnosis().explain_webhook(Head("POST", "/twiml", "HTTP/1.1", {**signed, "x-original-uri": joined}), ())
    assert cause.signed_for == f"{URL}/..."


def test_however_many_spellings_the_headers_tell_few_are_tried() -> None:
    headers = {
        "host": "a.example:1",
        "x-forwarded-host": "b.example:2",
        "forwarded": "host=c.example:3",
        "x-forwarded-port": "4",
        "x-forwarded-prefix": "/d",
        "x-original-uri": "/e",
        "x-original-url": "/f",
        "x-forwarded-uri": "/g",
        "authorization": "Basic " + base64.b64encode(b"u:p").decode(),
        "x-twilio-signature": "A" * 27 + "=",
    }
    signatures = Counted(accounts_with(TOKEN), URL, "wss://voice.example.com/")
    diagnosed = SignatureDiagnosis(signatures, f"{URL}:444/x", "wss://voice.example.com:444/x", 8080)
    diagnosed.explain_webhook(Head("POST", "/twiml?a=b", "HTTP/1.1", headers), list(FORM.items()))
    diagnosed.explain_handshake(Head("GET", "/?a=b", "HTTP/1.1", headers))
    assert signatures.tried == MAX_SPELLINGS


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "x y", "x-forwarded-host": "<script>", "forwarded": "host=a/b", "x-forwarded-port": "80a"},
        {"x-original-uri": "nonsense", "x-forwarded-prefix": "a@b", "authorization": "Basic ===="},
        {},
    ],
)
def test_headers_that_are_nonsense_are_not_tried(headers: Mapping[str, str]) -> None:
    cause = of_webhook("https://nowhere.example/twiml", headers=headers)
    assert cause.reason == "webhook: token differs"
    assert not any(value in str(cause) for value in headers.values())
