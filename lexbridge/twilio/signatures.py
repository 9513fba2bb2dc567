"""Who is really Twilio: the signatures of its webhooks and of its sockets' handshakes, and our own token of a stream.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security and, for HMAC-SHA256,
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys . What is checked is the address in the settings, never
one rebuilt from a request's headers: a proxy passes on what a stranger wrote there.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import urlsplit

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, get_signature_algorithm

SIGNATURE_HEADER = "X-Twilio-Signature"
SIGNATURE_SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

CONNECTION_OVERRIDES = "#rc=2&rp=all"
"""At the end of each address that Twilio is to ask: two more attempts, whatever goes wrong. A process that dies with a
webhook in its hands is followed by another. https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""

TOKEN_LIFE_S = 60
"""From the document that opens a stream to the stream's start; Twilio takes well under a second."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "wss": 443}

_HASHES: Mapping[str, Any] = {HMAC_SHA1: sha1, HMAC_SHA256: sha256}

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=")
"""Base64 of an HMAC-SHA1's 20 bytes, or of an HMAC-SHA256's 32."""


class Signatures:
    """Checks what comes in against the settings. Anything that cannot be checked has not passed.

    A check costs one HMAC for each address and secret; the form is sorted and joined once. Header names are in lower
    case.
    """

    def __init__(self, secrets: Iterable[str], url: str, stream_url: str) -> None:
        """`secrets`: auth tokens, or the secrets of shared keys; any of them will do. `url`: the public base address;
        `stream_url`: the socket's."""
        keys = [secret.encode() for secret in secrets]
        # An HMAC that has taken its key is copied for each check.
        self._macs = {name: [hmac.new(key, digestmod=of) for key in keys] for name, of in _HASHES.items()}
        self._bases = _with_and_without_port(url)
        self._socket_addresses = [
            variant for address in _with_and_without_slash(stream_url) for variant in _with_and_without_port(address)
        ]

    @staticmethod
    def may_be_signed(headers: Mapping[str, str]) -> bool:
        """Whether the signature's header has the shape of one: only then is it worth checking."""
        return _SIGNATURE.fullmatch(headers.get(_SIGNATURE_NAME, "")) is not None

    def webhook_passes(self, target: str, fields: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> bool:
        """Whether Twilio signed a POST of the form `fields` to `target`, the path with its query from "/" on.

        The connection overrides at the end of an address are not sent; whether they are signed is not documented.
        """
        addresses = [base + target for base in self._bases]
        return self._passes([*addresses, *(address + CONNECTION_OVERRIDES for address in addresses)], fields, headers)

    def socket_passes(self, headers: Mapping[str, str], query: str = "") -> bool:
        """Whether Twilio signed a handshake with the socket: its wss address, with or without the `query` that came."""
        with_query = [f"{address}?{query}" for address in self._socket_addresses] if query else []
        return self._passes([*self._socket_addresses, *with_query], (), headers)

    def _passes(self, addresses: Iterable[str], fields: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> bool:
        settings = headers.get(_SETTINGS_NAME, "")
        if len(settings) > _MAX_SETTINGS or not self.may_be_signed(headers):
            return False
        algorithm = get_signature_algorithm(settings).upper()
        return self._first_signed(addresses, fields, algorithm, headers[_SIGNATURE_NAME]) is not None

    def find_signed(
        self, addresses: Iterable[str], fields: Iterable[tuple[str, str]], headers: Mapping[str, str]
    ) -> str | None:
        """The first of `addresses` for which Twilio signed `fields`, by the algorithm that the signature's length tells
        and whatever the settings header says; None if there is none. It costs an HMAC for each address and secret.
        """
        given = headers.get(_SIGNATURE_NAME, "")
        if not self.may_be_signed(headers):
            return None
        return self._first_signed(
            addresses, fields, HMAC_SHA1 if len(given) == _SHA1_CHARACTERS else HMAC_SHA256, given
        )

    def _first_signed(
        self, addresses: Iterable[str], fields: Iterable[tuple[str, str]], algorithm: str, given: str
    ) -> str | None:
        # Compared as text: base64 has several texts for the same bytes, and Twilio sends one of them.
        signature = given.encode("ascii")
        macs = self._macs.get(algorithm, [])
        try:
            form = joined(fields).encode()
            texts = [(address, address.encode()) for address in addresses]
        except UnicodeEncodeError:  # surrogates: something that was not UTF-8
            return None
        for address, text in texts:
            if any(hmac.compare_digest(_signature(mac, text, form), signature) for mac in macs):
                return address
        return None


_MAX_SETTINGS = 1000
"""Characters: Twilio sends about 70, and whatever a stranger sends is taken apart at its commas."""
_SHA1_CHARACTERS = 28
"""Of an HMAC-SHA1 in base64."""
_SIGNATURE_NAME, _SETTINGS_NAME = SIGNATURE_HEADER.lower(), SIGNATURE_SETTINGS_HEADER.lower()


def joined(fields: Iterable[tuple[str, str]]) -> str:
    """A form as Twilio signs it: names and values, sorted, each pair once."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _signature(keyed: hmac.HMAC, address: bytes, form: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(address)
    mac.update(form)
    return b64encode(mac.digest())


def _with_and_without_port(address: str) -> list[str]:
    """The address as it is, without its port, and with its scheme's own: Twilio signs now one and now another."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    bare = re.sub(r":[0-9]+$", "", host)
    rest = address[len(f"{parts.scheme}://{parts.netloc}") :]
    hosts = dict.fromkeys([host, bare, f"{bare}:{_DEFAULT_PORTS[parts.scheme]}"])
    return [f"{parts.scheme}://{variant}{rest}" for variant in hosts]


def _with_and_without_slash(address: str) -> list[str]:
    """It is not documented whether Twilio puts a "/" after a bare host, or leaves the one it was given."""
    bare = address.rstrip("/")
    return [bare, f"{bare}/"]


def make_stream_token(
    secret: str, call_sid: str, account_sid: str, now_s: float, spoken_s: float = 0, nonce: str = ""
) -> str:
    """A token that lets this call, and no other, start a stream within TOKEN_LIFE_S, and the `spoken_s` that a document
    may speak before it opens the stream. `now_s`: of the clock, epoch.

    Any process that knows `secret` can check it. As a token opens one stream, two that are made for a call within a
    second need a `nonce` each: 1 to 32 hexadecimal digits.
    """
    expires_s = int(now_s + spoken_s) + TOKEN_LIFE_S
    mac = _mac(secret, call_sid, account_sid, expires_s, nonce)
    return f"{expires_s}.{mac}.{nonce}" if nonce else f"{expires_s}.{mac}"


def stream_token_passes(secrets: Iterable[str], token: str, call_sid: str, account_sid: str, now_s: float) -> bool:
    """Whether `token` was made with one of `secrets` for this call and has not expired."""
    return find_token_fault(secrets, token, call_sid, account_sid, now_s) is None


def find_token_fault(
    secrets: Iterable[str], token: str, call_sid: str, account_sid: str, now_s: float
) -> tuple[str, str] | None:
    """Why `token` does not open a stream of this call, one of a small set, and what to do about it; None: it does.

    A token counts as expired only if it was made with one of `secrets` for this call.
    """
    if not token:
        return "no token", "open the stream by the webhook /twiml: a <Stream> of another document has no token of ours"
    form = _TOKEN.fullmatch(token)
    if form is None:
        return "malformed token", "open the stream by the webhook /twiml: its document has the token"
    macs = (_mac(secret, call_sid, account_sid, int(form[1]), form[3] or "") for secret in secrets)
    if not any(hmac.compare_digest(mac, form[2]) for mac in macs):
        return "token of another call", "let each call ask /twiml itself; TWILIO_AUTH_TOKEN has to be one for all tasks"
    if int(form[1]) < now_s:
        return (
            "token expired",
            f"let Twilio open the stream within {TOKEN_LIFE_S} s of /twiml; set this machine's clock",
        )
    return None


def expiry_of(token: str) -> int:
    """The time at which a token that has passed expires: epoch, seconds."""
    return int(token.partition(".")[0])


# A number has one text here: "0" before it would be another token that says the same.
_TOKEN = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})(?:\.([0-9a-f]{1,32}))?")


def _mac(secret: str, call_sid: str, account_sid: str, expires_s: int, nonce: str) -> str:
    text = f"lexbridge stream token\n{call_sid}\n{account_sid}\n{expires_s}" + (f"\n{nonce}" if nonce else "")
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
