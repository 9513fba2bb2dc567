"""Sealed text: words that travel in an address of this service, which only this service can write and read.

Twilio, its logs and those of a load balancer see each address. A text is sealed with a synthetic initialisation vector,
as in RFC 5297: an HMAC of the text, under which the text is encrypted and by which it is checked.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable
from hashlib import sha256
from itertools import count

_TAG_BYTES = 16


def seal(secret: str, purpose: str, text: str) -> str:
    """Return `text` so that only who knows `secret` can read it, or write another. `purpose`: what it may be used for.

    The result has letters, digits, `-` and `_`.
    """
    plain = text.encode("utf-8", "replace")
    tag = _mac(secret, f"{purpose} tag", plain)[:_TAG_BYTES]
    return base64.urlsafe_b64encode(tag + _encrypt(secret, purpose, tag, plain)).rstrip(b"=").decode("ascii")


def unseal(secrets: Iterable[str], purpose: str, sealed: str) -> str | None:
    """Return the text that was sealed for `purpose` with one of `secrets`, or None if it was not."""
    try:
        both = base64.b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4), b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    tag, encrypted = both[:_TAG_BYTES], both[_TAG_BYTES:]
    for secret in secrets:
        plain = _encrypt(secret, purpose, tag, encrypted)
        if hmac.compare_digest(_mac(secret, f"{purpose} tag", plain)[:_TAG_BYTES], tag):
            return plain.decode("utf-8")
    return None


def _mac(secret: str, purpose: str, message: bytes) -> bytes:
    key = hmac.new(secret.encode(), f"lexbridge sealed text\n{purpose}".encode(), sha256).digest()
    return hmac.new(key, message, sha256).digest()


def _encrypt(secret: str, purpose: str, tag: bytes, message: bytes) -> bytes:
    """Return `message` with each bit turned that a stream of bytes has set. Twice, it is the message again."""
    stream = b""
    for block in count():
        if len(stream) >= len(message):
            break
        stream += _mac(secret, f"{purpose} stream", tag + block.to_bytes(4, "big"))
    return bytes(one ^ other for one, other in zip(message, stream, strict=False))
