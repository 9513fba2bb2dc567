"""Signatures of Standard Webhooks (https://www.standardwebhooks.com), whose libraries verify them."""

import base64
import binascii
import hashlib
import hmac
from contextlib import suppress


def signing_key(secret: str) -> bytes:
    """Return the bytes that sign. A secret of the form `whsec_` and base64, as Standard Webhooks has it, is decoded."""
    if secret.startswith("whsec_"):
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()


def signature_headers(key: bytes, message_id: str, body: bytes, now_s: int) -> dict[str, str]:
    """Return the headers that sign a body, posted at `now_s`, Unix time."""
    signed = b"%s.%d.%s" % (message_id.encode(), now_s, body)
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(now_s), "webhook-signature": f"v1,{signature}"}
