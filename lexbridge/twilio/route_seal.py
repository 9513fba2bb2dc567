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
    """Return the text of a route as it stands in addresses. Without a secret there is no seal."""
    return f"{text}{_MARK}{_seal(secret, text)}" if "/" in text and secret else text


def read_route(secrets: Iterable[str], sealed: str) -> CallRoute | None:
    """Return the route of an address, or None if there is none, or if it names a bot or a locale without its seal."""
    text, _, seal = sealed.partition(_MARK)
    route = CallRoute.parse(text)
    if route is None or not (route.bot or route.locale_id):
        return route if sealed == text else None
    seals = [_seal(secret, text) for secret in secrets]
    return route if any(hmac.compare_digest(one.encode(), seal.encode()) for one in seals) else None


def _seal(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), f"lexbridge route\n{text}".encode(), sha256).hexdigest()[:_SEAL_CHARACTERS]
