"""Twilio's signatures: of webhooks, and of the handshakes of media sockets.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security and, for HMAC-SHA256,
https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys . A signature covers the address of the request. It is
checked for the address in the settings, never for one taken from headers, because a stranger can write those.
"""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import urlsplit

from twilio.request_validator import HMAC_SHA1, HMAC_SHA256, get_signature_algorithm

from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES, fragment
from lexbridge.config.twilio_account import TwilioAccounts
from lexbridge.twilio.routes import ACCOUNT_SOCKETS_PATH

SIGNATURE_HEADER = "X-Twilio-Signature"
SIGNATURE_SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"

_DEFAULT_PORTS = {"http": 80, "https": 443, "wss": 443}

_HASHES: Mapping[str, Any] = {HMAC_SHA1: sha1, HMAC_SHA256: sha256}

_SIGNATURE = re.compile(r"[A-Za-z0-9+/]{27}=|[A-Za-z0-9+/]{43}=")
"""Form of a signature: base64 of the 20 bytes of an HMAC-SHA1, or the 32 of an HMAC-SHA256."""


class Signatures:
    """Checks of signatures against the secrets and addresses of the settings.

    A request that cannot be checked does not pass. A check costs one HMAC for each address and secret; the form is
    sorted and joined once. Names of headers are in lower case.
    """

    def __init__(self, accounts: TwilioAccounts, url: str, stream_url: str, overrides: str = DEFAULT_OVERRIDES) -> None:
        """Make the checks of one service.

        `accounts`: their auth tokens, or secrets of shared keys, may have signed. `url`: public base address.
        `stream_url`: address of the media socket. `overrides`: connection overrides of the addresses, or "".
        """
        self.endings = tuple(dict.fromkeys(fragment(each) for each in ("", overrides, DEFAULT_OVERRIDES)))
        """Endings of an address that Twilio may have been told. None of them is part of a request's target."""
        self._accounts = accounts
        self._keyed = lru_cache(maxsize=_KEYS_KEPT)(_keyed)
        self._bases = _with_and_without_port(url)
        self._stream_url = stream_url

    @staticmethod
    def may_be_signed(headers: Mapping[str, str]) -> bool:
        """Return whether the signature header has the form of a signature. If not, a check is not worth its cost."""
        return _SIGNATURE.fullmatch(headers.get(_SIGNATURE_NAME, "")) is not None

    def webhook_passes(
        self, target: str, fields: Iterable[tuple[str, str]], headers: Mapping[str, str], account_sid: str = ""
    ) -> bool:
        """Return whether Twilio signed a request for `target` with `fields` in its body.

        `target`: path and query, from "/" on. Connection overrides are never part of it. It is not documented whether
        Twilio signs them, so both is taken; the usual ones pass beside the operator's, because the webhook of a number
        may still end in them. An address that Twilio was told with `user:password@` is signed with it, and Twilio sends
        the two by basic authentication. `account_sid`: the account that the request names; its secrets alone count.
        """
        user = basic_user(headers)
        bases = [f"{base.replace('://', f'://{user}@', 1)}" for base in self._bases] if user else []
        addresses = [base + target for base in (*self._bases, *bases)]
        signed = [address + ending for ending in self.endings for address in addresses]
        return self._passes(signed, fields, headers, self._accounts.of(account_sid).auth_tokens)

    def socket_passes(self, headers: Mapping[str, str], query: str = "", path: str = "/") -> bool:
        """Return whether Twilio signed a handshake for the media socket's address, with or without `query`.

        `path`: as it was requested. A handshake for another path passes if it was signed for that path. The path may
        end in an AccountSid, as `socket_address` has it: then the secrets of that account count, else those of the own
        one.
        """
        account_sid = path.rpartition("/")[2]
        account_sid = account_sid if _ACCOUNT_SID.fullmatch(account_sid) else ""
        told = [socket_address(self._stream_url, account_sid), _with_path(self._stream_url, path)]
        addresses = dict.fromkeys(
            variant
            for address in dict.fromkeys(told)
            for slashed in _with_and_without_slash(address)
            for ported in _with_and_without_port(slashed)
            for variant in (ported, f"https{ported.removeprefix('wss')}")  # the handshake is a request by HTTPS, too
        )
        with_query = [f"{address}?{query}" for address in addresses] if query else []
        return self._passes([*addresses, *with_query], (), headers, self._accounts.of(account_sid).auth_tokens)

    def _passes(
        self,
        addresses: Iterable[str],
        fields: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        secrets: Iterable[str],
    ) -> bool:
        settings = headers.get(_SETTINGS_NAME, "")
        if len(settings) > _MAX_SETTINGS or not self.may_be_signed(headers):
            return False
        algorithm = get_signature_algorithm(settings).upper()
        return self._first_signed(addresses, fields, algorithm, headers[_SIGNATURE_NAME], secrets) is not None

    def find_signed(
        self,
        addresses: Iterable[str],
        fields: Iterable[tuple[str, str]],
        headers: Mapping[str, str],
        account_sid: str = "",
    ) -> str | None:
        """Return the first of `addresses` for which the account signed `fields`, or None.

        The signature's length tells the algorithm, whatever the settings header says. This costs one HMAC for each
        address and secret.
        """
        given = headers.get(_SIGNATURE_NAME, "")
        if not self.may_be_signed(headers):
            return None
        algorithm = HMAC_SHA1 if len(given) == _SHA1_CHARACTERS else HMAC_SHA256
        return self._first_signed(addresses, fields, algorithm, given, self._accounts.of(account_sid).auth_tokens)

    def _first_signed(
        self,
        addresses: Iterable[str],
        fields: Iterable[tuple[str, str]],
        algorithm: str,
        given: str,
        secrets: Iterable[str],
    ) -> str | None:
        # Compared as text, because base64 has several texts for the same bytes, and Twilio sends one of them.
        signature = given.encode("ascii")
        macs = [self._keyed(secret, algorithm) for secret in secrets] if algorithm in _HASHES else []
        try:
            form = join_fields(fields).encode()
            texts = [(address, address.encode()) for address in addresses]
        except UnicodeEncodeError:  # surrogates, which stand for bytes that are not UTF-8
            return None
        for address, text in texts:
            if any(hmac.compare_digest(_signature(mac, text, form), signature) for mac in macs):
                return address
        return None


_KEYS_KEPT = 512
"""Keyed HMAC objects that are kept, one for each secret and algorithm."""
_BASIC = re.compile(r"(?i)basic ([A-Za-z0-9+/]{1,400}={0,2})")
_USER = re.compile(r"[!\"$-.0->A-~]{1,300}")  # without the characters that end a user or a host: "/", "?", "#", "@"
_ACCOUNT_SID = re.compile("AC[0-9a-fA-F]{32}")
_MAX_SETTINGS = 1000
"""Longest settings header that is parsed, in characters, because a stranger's is split at its commas."""
_SHA1_CHARACTERS = 28
"""Length of an HMAC-SHA1 in base64."""
_SIGNATURE_NAME, _SETTINGS_NAME = SIGNATURE_HEADER.lower(), SIGNATURE_SETTINGS_HEADER.lower()


def _keyed(secret: str, algorithm: str) -> hmac.HMAC:
    """Return an HMAC object that has its key already. Each check copies one: that is faster than a new one."""
    return hmac.new(secret.encode(), digestmod=_HASHES[algorithm])


def basic_user(headers: Mapping[str, str]) -> str:
    """Return the `user:password` of HTTP's basic authentication, as it stands in an address, or ""."""
    basic = _BASIC.fullmatch(headers.get("authorization", ""))
    if basic is None:
        return ""
    try:
        user = b64decode(basic[1] + "===").decode("latin-1")
    except ValueError:  # no base64 text has this length
        return ""
    return user if _USER.fullmatch(user) else ""


def socket_address(stream_url: str, account_sid: str = "") -> str:
    """Return the address of the media socket for calls of an account; "" is the own one.

    A handshake does not say which account it belongs to, so the address does.
    """
    return f"{stream_url.rstrip('/')}{ACCOUNT_SOCKETS_PATH}/{account_sid}" if account_sid else stream_url


def account_sid_of(fields: Iterable[tuple[str, str]]) -> str:
    """Return the AccountSid that a form names, or "". Its signature has yet to be checked."""
    return next((value for name, value in fields if name == "AccountSid"), "")


def join_fields(fields: Iterable[tuple[str, str]]) -> str:
    """Return a form as Twilio signs it: names and values, sorted, each pair once, with nothing between them."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _signature(keyed: hmac.HMAC, address: bytes, form: bytes) -> bytes:
    mac = keyed.copy()
    mac.update(address)
    mac.update(form)
    return b64encode(mac.digest())


def _with_and_without_port(address: str) -> list[str]:
    """Return the address as it is, without its port, and with its scheme's default port.

    Twilio signs any of the three.
    """
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    bare = re.sub(r":[0-9]+$", "", host)
    rest = address[len(f"{parts.scheme}://{parts.netloc}") :]
    hosts = dict.fromkeys([host, bare, f"{bare}:{_DEFAULT_PORTS[parts.scheme]}"])
    return [f"{parts.scheme}://{variant}{rest}" for variant in hosts]


def _with_path(address: str, path: str) -> str:
    """Return the address with another path."""
    return f"{urlsplit(address).scheme}://{urlsplit(address).netloc}{path}"


def _with_and_without_slash(address: str) -> list[str]:
    """Return the address without and with a "/" at its end.

    It is not documented whether Twilio adds one after a bare host, or keeps one that it was given.
    """
    bare = address.rstrip("/")
    return [bare, f"{bare}/"]
