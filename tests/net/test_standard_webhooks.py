"""Signatures of Standard Webhooks, verified by the library of its authors elsewhere (test_posted_events.py)."""

import base64
import hashlib
import hmac

import pytest

from lexbridge.net.standard_webhooks import signature_headers, signing_key


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_" + base64.b64encode(b"twenty-four bytes of key").decode(), b"twenty-four bytes of key"),
        ("whsec_not base64!", b"whsec_not base64!"),
        ("a secret of its own", b"a secret of its own"),
    ],
)
def test_a_secret_is_decoded_if_it_has_the_form(secret: str, key: bytes) -> None:
    assert signing_key(secret) == key


def test_the_id_the_time_and_the_body_are_signed() -> None:
    mac = hmac.new(b"key", b'msg_1.1764590400.{"a": 1}', hashlib.sha256).digest()
    assert signature_headers(b"key", "msg_1", b'{"a": 1}', 1764590400) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1764590400",
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }
