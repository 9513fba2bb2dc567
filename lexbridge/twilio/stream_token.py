"""The token with which a media stream proves that it was opened by one of this service's documents.

Twilio signs a stream's handshake, but the signature does not tell which call the stream is for. So `/twiml` puts a
token into the document as a `<Parameter>`, and Twilio sends it back in the stream's `start` message.
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256

TOKEN_LIFE_S = 60
"""Time from the document that opens a stream to the stream's start, in seconds. Twilio takes well under one."""


def make_stream_token(
    secret: str,
    call_sid: str,
    account_sid: str,
    now_s: float,
    spoken_s: float = 0,
    nonce: str = "",
    route: str = "",
) -> str:
    """Return a token with which a stream of this call, and of no other, may start within TOKEN_LIFE_S.

    `now_s`: Unix time. `spoken_s`: how long the document speaks before it opens the stream; the token is valid for that
    much longer. `nonce`: 1 to 32 hexadecimal digits. A token opens one stream, so two tokens that are made for a call
    within a second need a nonce each. `route`: text of the route that serves the call, which the token proves.

    Any process that knows `secret` can check the token.
    """
    expires_s = int(now_s + spoken_s) + TOKEN_LIFE_S
    mac = _mac(secret, call_sid, account_sid, expires_s, nonce, route)
    return f"{expires_s}.{mac}.{nonce}" if nonce else f"{expires_s}.{mac}"


def find_token_fault(
    secrets: Iterable[str], token: str, call_sid: str, account_sid: str, now_s: float, route: str = ""
) -> tuple[str, str] | None:
    """Return why `token` does not open a stream of this call on this route, and a remedy, or None if it opens one.

    The reason is one of a small set. A token counts as expired only if it was made with one of `secrets` for this call.
    """
    if not token:
        return "no token", "open the stream by the webhook /twiml: a <Stream> of another document has no token of ours"
    form = _TOKEN.fullmatch(token)
    if form is None:
        return "malformed token", "open the stream by the webhook /twiml: its document has the token"
    macs = (_mac(secret, call_sid, account_sid, int(form[1]), form[3] or "", route) for secret in secrets)
    if not any(hmac.compare_digest(mac, form[2]) for mac in macs):
        return "token of another call", "let each call ask /twiml itself; TWILIO_AUTH_TOKEN has to be one for all tasks"
    if int(form[1]) < now_s:
        return (
            "token expired",
            f"let Twilio open the stream within {TOKEN_LIFE_S} s of /twiml; set this machine's clock",
        )
    return None


def token_expiry_s(token: str) -> int:
    """Return the Unix time at which a valid token expires."""
    return int(token.partition(".")[0])


# Each number has one spelling: with a leading zero the same token could be used twice.
_TOKEN = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})(?:\.([0-9a-f]{1,32}))?")


def _mac(secret: str, call_sid: str, account_sid: str, expires_s: int, nonce: str, route: str) -> str:
    parts = ["lexbridge stream token", call_sid, account_sid, str(expires_s), nonce, route]
    while not parts[-1]:
        parts.pop()
    text = "\n".join(parts)
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
