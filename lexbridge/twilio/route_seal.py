"""The seal of a route in an address: lexbridge itself has named this bot, because a call was handed to it.

Twilio's signature shows only that the account has told Twilio an address. Who knows the token of one account could
otherwise name any bot of the table there. A line alone needs no seal: it serves the calls of its own account only.
"""

import hmac
from collections.abc import Iterable
from hashlib import sha256

from lexbridge.config.route import CallRoute

_MARK = "~"
_SEAL_CHARACTERS = 24


def sealed_route(secret: str, text: str) -> str:
    """Return a text with a route as it stands in addresses and parameters. Without a secret there is no seal."""
    return f"{text}{_MARK}{_seal(secret, text)}" if "/" in text and secret else text


def read_route(secrets: Iterable[str], sealed: str) -> CallRoute | None:
    """Return the route of an address, or None if there is none, or if it names a bot or a locale without its seal."""
    text = read_sealed(secrets, sealed)
    return None if text is None else CallRoute.parse(text)


def read_sealed(secrets: Iterable[str], sealed: str) -> str | None:
    """Return a text with a route, or None if it names a bot or a locale without its seal."""
    text, _, seal = sealed.partition(_MARK)
    if "/" not in text:
        return text if sealed == text else None
    seals = [_seal(secret, text) for secret in secrets]
    is_ours = any(hmac.compare_digest(one.encode(), seal.encode("utf-8", "replace")) for one in seals)
    return text if is_ours else None


def _seal(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), f"lexbridge route\n{text}".encode("utf-8", "replace"), sha256).hexdigest()[
        :_SEAL_CHARACTERS
    ]
