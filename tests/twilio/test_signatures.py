"""Signatures made by Twilio's own RequestValidator: each true variant passes, and nothing else does."""

import base64
import hashlib
import hmac
import random

import pytest
from twilio.request_validator import RequestValidator

from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES, fragment
from lexbridge.config.twilio_account import TwilioAccounts, sid_of_other
from lexbridge.twilio.signatures import Signatures, socket_address
from tests.support.accounts import account_with, accounts_with
from tests.support.mutations import mutations

SECRET, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
CALL, ACCOUNT = "CA" + "2" * 32, "AC" + "1" * 32
FORM = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+12065550100", "Digits": ""}
SHA256 = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"

CHECK = Signatures(accounts_with(SECRET, OTHER), "https://voice.example.com", "wss://voice.example.com/")


def headers(signature: str, settings: str | None = None) -> dict[str, str]:
    others = {} if settings is None else {"x-twilio-webhooks-signature-settings": settings}
    return {"x-twilio-signature": signature, **others}


def sign(address: str, form: dict[str, str], secret: str = SECRET, algorithm: str | None = None) -> str:
    signature: str = RequestValidator(secret).compute_signature(address, form, algorithm)
    return signature


@pytest.mark.parametrize("secret", [SECRET, OTHER])
@pytest.mark.parametrize("algorithm", [None, "HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize("address", ["https://voice.example.com/twiml?a=1", "https://voice.example.com:443/twiml?a=1"])
def test_every_true_variant_of_a_webhook_passes(secret: str, algorithm: str | None, address: str) -> None:
    settings = None if algorithm is None else f"key=k1,algorithm={algorithm}"
    signed = sign(address, FORM, secret, algorithm)
    assert CHECK.webhook_passes("/twiml?a=1", FORM.items(), headers(signed, settings))


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("overrides", ["", DEFAULT_OVERRIDES, "rc=3&rp=all&ct=2000"])
def test_connection_overrides_may_be_signed_or_not(overrides: str, is_signed: bool) -> None:
    check = Signatures(accounts_with(SECRET), "https://voice.example.com", "wss://voice.example.com/", overrides)
    signed = sign(f"https://voice.example.com/twiml/resume?lost=1{fragment(overrides) if is_signed else ''}", FORM)
    assert check.webhook_passes("/twiml/resume?lost=1", FORM.items(), headers(signed))
    assert not check.webhook_passes("/twiml/resume?lost=2", FORM.items(), headers(signed))


def test_other_connection_overrides_do_not_pass() -> None:
    signed = sign("https://voice.example.com/twiml#rc=3", FORM)
    assert not CHECK.webhook_passes("/twiml", FORM.items(), headers(signed))


def test_the_usual_overrides_pass_beside_those_of_the_operator() -> None:
    check = Signatures(accounts_with(SECRET), "https://voice.example.com", "wss://voice.example.com/", "rc=3")
    signed = sign(f"https://voice.example.com/twiml#{DEFAULT_OVERRIDES}", FORM)
    assert check.webhook_passes("/twiml", FORM.items(), headers(signed))


@pytest.mark.parametrize(
    "configured", ["wss://voice.example.com/", "wss://voice.example.com:443", "wss://voice.example.com"]
)
@pytest.mark.parametrize("secret", [SECRET, OTHER])
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize("port", ["", ":443"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_true_variant_of_a_handshake_passes(
    configured: str, secret: str, algorithm: str, port: str, slash: str
) -> None:
    check = Signatures(accounts_with(SECRET, OTHER), "https://voice.example.com", configured)
    signed = sign(f"wss://voice.example.com{port}{slash}", {}, secret, algorithm)
    assert check.socket_passes(headers(signed, f"key=k1,algorithm={algorithm}"))


def test_a_socket_with_a_path_and_a_port_of_its_own_passes() -> None:
    check = Signatures(accounts_with(SECRET), "http://127.0.0.1:8080", "wss://127.0.0.1:8080/media")
    for address in ("wss://127.0.0.1:8080/media", "wss://127.0.0.1:8080/media/", "wss://127.0.0.1/media"):
        assert check.socket_passes(headers(sign(address, {})))


def test_a_repeated_parameter_is_signed_as_twilio_signs_it() -> None:
    form = [("To", "b"), ("To", "a"), ("To", "b")]
    mac = hmac.new(SECRET.encode(), b"https://voice.example.com/twimlToaTob", hashlib.sha1)
    signature = base64.b64encode(mac.digest()).decode()
    assert CHECK.webhook_passes("/twiml", form, headers(signature))


@pytest.mark.parametrize(
    "address",
    [
        "http://voice.example.com/",
        "ws://voice.example.com/",
        "wss://voice.example.com:80/",
        "wss://voice.example.com:8443/",
        "wss://voice.example.com//",
        "wss://voice.example.com/?",
        "wss://voice.example.com/media",
        "wss://evil.example/",
        "wss://voice.example.com.evil.example/",
        "wss://VOICE.example.com/",
        "",
    ],
)
def test_a_handshake_signed_for_another_address_does_not(address: str) -> None:
    assert not CHECK.socket_passes(headers(sign(address, {})))


@pytest.mark.parametrize("address", ["https://voice.example.com", "https://voice.example.com:443/"])
def test_a_handshake_may_be_signed_as_the_request_that_it_is(address: str) -> None:
    assert CHECK.socket_passes(headers(sign(address, {})))


def test_a_handshake_at_another_path_is_signed_for_either() -> None:
    for address in ("wss://voice.example.com/media", "wss://voice.example.com/"):
        assert CHECK.socket_passes(headers(sign(address, {})), path="/media")
    assert not CHECK.socket_passes(headers(sign("wss://voice.example.com/media", {})), path="/other")


def test_an_address_with_a_user_is_signed_with_it() -> None:
    signed = sign("https://user:pass@voice.example.com/twiml", FORM)
    basic = {"authorization": "Basic " + base64.b64encode(b"user:pass").decode()}
    assert CHECK.webhook_passes("/twiml", FORM.items(), {**headers(signed), **basic})
    assert not CHECK.webhook_passes("/twiml", FORM.items(), headers(signed))


SUBACCOUNT = "AC" + "5" * 32


def test_each_account_signs_with_its_own_token() -> None:
    accounts = TwilioAccounts(account_with(SECRET), [account_with(OTHER, sid=SUBACCOUNT)])
    check = Signatures(accounts, "https://voice.example.com", "wss://voice.example.com/")
    url = "https://voice.example.com/twiml"
    for sid, token in ((SUBACCOUNT, OTHER), ("AC" + "6" * 32, SECRET)):
        form = {**FORM, "AccountSid": sid}
        for used in (SECRET, OTHER):
            signed = headers(RequestValidator(used).compute_signature(url, form))
            assert check.webhook_passes("/twiml", form.items(), signed, sid) is (used == token)
    assert [sid_of_other(one, accounts.own) for one in (accounts.own, accounts.of(SUBACCOUNT))] == ["", SUBACCOUNT]
    assert [accounts.signer_of(sid) for sid in (SUBACCOUNT, "AC" + "6" * 32)] == [SUBACCOUNT, ""]
    socket = socket_address("wss://voice.example.com/", SUBACCOUNT)
    assert socket == f"wss://voice.example.com/twiml/media/{SUBACCOUNT}"
    for used in (SECRET, OTHER):
        signed = headers(RequestValidator(used).compute_signature(socket, {}))
        assert check.socket_passes(signed, path=f"/twiml/media/{SUBACCOUNT}") is (used == OTHER)


@pytest.mark.parametrize(
    "sent_headers",
    [
        {},
        headers(""),
        headers(" "),
        headers("\xff\udcff"),
        headers("AAAA"),
        headers(sign("wss://voice.example.com/", {}, "another token")),
        headers(sign("wss://voice.example.com/", {}), SHA256),
        headers(sign("wss://voice.example.com/", {}, algorithm="HMAC_SHA256")),
        headers(sign("wss://voice.example.com/", {}), "algorithm=HMAC_MD5"),
        headers(sign("wss://voice.example.com/", {}), "algorithm=" + "x" * 10_000),
        headers(sign("wss://voice.example.com/", {}), "," * 10_000),
        headers(sign("wss://voice.example.com/", {"a": "b"})),
    ],
    ids=str,
)
def test_a_handshake_without_a_right_signature_does_not(sent_headers: dict[str, str]) -> None:
    assert not CHECK.socket_passes(sent_headers)


def test_a_handshakes_query_may_be_signed_or_not() -> None:
    for address in ("wss://voice.example.com/", "wss://voice.example.com/?a=b", "wss://voice.example.com?a=b"):
        assert CHECK.socket_passes(headers(sign(address, {})), "a=b")
    assert not CHECK.socket_passes(headers(sign("wss://voice.example.com/?a=b", {})), "a=c")
    assert not CHECK.socket_passes(headers(sign("wss://voice.example.com/?a=b", {})))


def test_an_address_is_found_by_either_secret_and_algorithm() -> None:
    addresses = ["https://a.example/", "https://b.example/"]
    for secret in (SECRET, OTHER):
        for algorithm in ("HMAC_SHA1", "HMAC_SHA256"):
            sent_headers = headers(sign("https://b.example/", FORM, secret, algorithm))
            assert CHECK.find_signed(addresses, FORM.items(), sent_headers) == "https://b.example/"
            assert CHECK.find_signed(addresses, {}, sent_headers) is None
    assert CHECK.find_signed(addresses, FORM.items(), headers("AAAA")) is None
    assert CHECK.find_signed(addresses, [("a", "\udcff")], headers("A" * 27 + "=")) is None


def test_a_form_that_cannot_be_signed_does_not() -> None:
    shaped = headers(sign("https://voice.example.com/twiml", FORM))
    assert not CHECK.webhook_passes("/twiml", [("a", "\udcff")], shaped)
    assert not CHECK.webhook_passes("/twiml\udcff", FORM.items(), shaped)


def test_no_mutated_request_or_handshake_passes() -> None:
    """Try 20,000 mutated requests and handshakes: none passes."""
    mutate = mutations(2026)
    rolls = random.Random(7)
    true_webhook = sign("https://voice.example.com/twiml", FORM)
    true_handshake = sign("wss://voice.example.com/", {})
    tried = 0
    while tried < 20_000:
        target = rolls.randrange(5)
        path, form, signature, is_socket = "/twiml", dict(FORM), true_webhook, False
        if target == 0:
            path = "/" + mutate("twiml")
        elif target == 1:
            name = rolls.choice(list(form))
            form[name] = mutate(form[name])
        elif target == 2:
            name = rolls.choice(list(form))
            form[mutate(name)] = form.pop(name)
        elif target == 3:
            signature = mutate(true_webhook)
        else:
            signature, is_socket = mutate(true_handshake), True
        signed_text = path + "".join(name + form[name] for name in sorted(form))
        true_text = "/twiml" + "".join(name + FORM[name] for name in sorted(FORM))
        is_true = signature == true_handshake if is_socket else (signed_text, signature) == (true_text, true_webhook)
        if is_true:
            continue  # nothing that is signed has changed, so the request is genuine
        tried += 1
        sent_headers = headers(signature)
        passed = (
            CHECK.socket_passes(sent_headers) if is_socket else CHECK.webhook_passes(path, form.items(), sent_headers)
        )
        assert not passed, (path, form, signature)
