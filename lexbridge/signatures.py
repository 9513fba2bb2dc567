"""Who is really Twilio: the signatures of its webhooks and of its sockets' handshakes, and our own token of a stream.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security and, for HMAC-SHA256,
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys . What is checked is the address in the settings, never
one rebuilt from a request's headers: a proxy passes on what a stranger wrote there.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import urlsplit

from twilio.request_validator import RequestValidator, get_signature_algorithm

SIGNATURE_HEADER = "X-Twilio-Signature"
SIGNATURE_SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

CONNECTION_OVERRIDES = "#rc=2&rp=all"
"""At the end of each address that Twilio is to ask: two more attempts, whatever goes wrong. A process that dies with a
webhook in its hands is followed by another. https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides"""

TOKEN_LIFE_S = 60
"""From the document that opens a stream to the stream's start; Twilio takes well under a second."""

_DEFAULT_PORTS = {"http": 80, "https": 443, "wss": 443}


class Signatures:
    """Checks what comes in against the settings. Anything that cannot be checked has not passed."""

    def __init__(self, secrets: Iterable[str], url: str, stream_url: str) -> None:
        """`secrets`: auth tokens, or the secrets of shared keys; any of them will do. `url`: the public base address;
        `stream_url`: the socket's."""
        self._validators = [RequestValidator(secret) for secret in secrets]
        self._url = url
        self._socket_addresses = [
            variant for address in _with_and_without_slash(stream_url) for variant in _with_and_without_port(address)
        ]

    def webhook_passes(self, path: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Whether Twilio signed a POST of `form` to `path` (with its query, from "/" on).

        The connection overrides at the end of an address are not sent; whether they are signed is not documented.
        """
        addresses = _with_and_without_port(self._url + path)
        overridden = [address + CONNECTION_OVERRIDES for address in addresses]
        return self._passes([*addresses, *overridden], form, headers)

    def socket_passes(self, headers: Mapping[str, str]) -> bool:
        """Whether Twilio signed a handshake with the socket: its wss address, without parameters."""
        return self._passes(self._socket_addresses, {}, headers)

    def _passes(self, addresses: Iterable[str], form: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        try:
            given = headers.get(SIGNATURE_HEADER, "").encode("ascii")
            algorithm = get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER, ""))
            return any(
                hmac.compare_digest(validator.compute_signature(address, form, algorithm).encode("ascii"), given)
                for address in addresses
                for validator in self._validators
            )
        except Exception:
            # Hostile input makes the library raise in many ways: an unknown algorithm, surrogates in a form, a header
            # beyond ASCII. None of them is Twilio.
            return False


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


def make_stream_token(secret: str, call_sid: str, account_sid: str, now_s: float, spoken_s: float = 0) -> str:
    """A token that lets this call, and no other, start a stream within TOKEN_LIFE_S, and the `spoken_s` that a document
    may speak before it opens the stream. `now_s`: of the clock, epoch.

    Any process that knows `secret` can check it; none has to remember it.
    """
    expires_s = int(now_s + spoken_s) + TOKEN_LIFE_S
    return f"{expires_s}.{_mac(secret, call_sid, account_sid, expires_s)}"


def stream_token_passes(secrets: Iterable[str], token: str, call_sid: str, account_sid: str, now_s: float) -> bool:
    """Whether `token` was made with one of `secrets` for this call and has not expired."""
    form = re.fullmatch(r"([0-9]{1,12})\.([0-9a-f]{64})", token)
    if form is None or int(form[1]) < now_s:
        return False
    macs = (_mac(secret, call_sid, account_sid, int(form[1])) for secret in secrets)
    return any(hmac.compare_digest(mac, form[2]) for mac in macs)


def _mac(secret: str, call_sid: str, account_sid: str, expires_s: int) -> str:
    text = f"lexbridge stream token\n{call_sid}\n{account_sid}\n{expires_s}"
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), sha256).hexdigest()
