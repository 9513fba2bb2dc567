"""Why a request is refused, as a reason of a small set and what to do about it, for whoever reads the log.

A wrong signature is compared with those of other spellings of the address: the parts that proxies change, and that
settings get wrong. An address from the request's headers gets into the log only if the signature is right for it: then
Twilio was told to ask there. Nothing here lets a request in.
"""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product
from urllib.parse import SplitResult, urlsplit

from lexbridge.net.http_request import Head
from lexbridge.twilio.signatures import CONNECTION_OVERRIDES, SIGNATURE_HEADER, Signatures
from lexbridge.twilio.webhook_form import Fields

WEBHOOK_PATHS = ("/twiml", "/twiml/", "/twiml/resume", "/twiml/keys", "/stream-status")
"""A "/" at the end of /twiml is easily typed in the Twilio console, and signed as part of the address."""
PROBE_PATHS = ("/ping", "/ready")
SOCKET_PATH = "/"

WRONG_SIGNATURE = "wrong signature"
"""The end of the reason where the right address was not looked for, as too many were just now."""

MAX_SPELLINGS = 96
"""Addresses that are tried for one signature. Each costs an HMAC of the form for each secret: at most 8 KiB."""

_MAX_NAMES, _MAX_PORTS, _MAX_PATHS = 3, 6, 5
"""Of each so many are put together, however many a stranger's headers tell."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a request is refused. `reason`: one of a small set; `remedy`: what to do about it; `signed_for`: the address
    for which Twilio signed it, without user and query; "" if that is not known."""

    reason: str
    remedy: str = ""
    signed_for: str = ""

    @property
    def hints(self) -> Mapping[str, str]:
        """The remedy and the address, as fields of a log line."""
        told = {"signed_for": self.signed_for, "remedy": self.remedy}
        return {name: value for name, value in told.items() if value}


def unsigned(headers: Mapping[str, str], what: str) -> Cause:
    """The cause where there is nothing to check. `what`: "webhook" or "socket"."""
    if headers.get(SIGNATURE_HEADER.lower()):
        return Cause(f"{what}: malformed signature", "nothing if it is a stranger's; Twilio sends 28 or 44 characters")
    remedy = f"nothing if it is a stranger's; else have the proxy pass on the header {SIGNATURE_HEADER}"
    return Cause(f"{what}: no signature", remedy)


def not_explained(what: str) -> Cause:
    """The cause of a wrong signature that is only counted. `what`: "webhook" or "socket"."""
    return Cause(
        f"{what}: {WRONG_SIGNATURE}", "go by the lines with another reason: one signature a second is looked into"
    )


def stray(head: Head, url: str) -> Cause:
    """The cause where a request is for none of the addresses that are served, or by another method. `url`: the public
    base address."""
    probes = f"the path of a health check is {' or '.join(PROBE_PATHS)}"
    if head.path in WEBHOOK_PATHS:
        return Cause("webhook by another method", f"have Twilio ask {url}/twiml by HTTP POST or GET")
    if head.path in PROBE_PATHS:
        return Cause("health check by another method", "have it ask by GET or HEAD")
    if head.path == SOCKET_PATH:
        remedy = f"Twilio's webhook is {url}/twiml, {probes}; a proxy has to pass on Upgrade and Connection"
        return Cause("no handshake at the socket's path", remedy)
    if head.asks_for_websocket:
        remedy = "the media socket is at /: set STREAM_URL, or the proxy's path, so that it is asked for there"
        return Cause("socket at an unknown path", remedy)
    return _unknown_path(head.path, url, probes)


def _unknown_path(path: str, url: str, probes: str) -> Cause:
    """Name the cause of an unknown path. One that differs from ours by case, slashes or a prefix is called near."""
    plain = re.sub("//+", "/", path.lower()).rstrip("/")
    for ours in WEBHOOK_PATHS:
        if plain.endswith(ours):
            return Cause("path near a webhook's", f"the path has to be {ours}: Twilio's webhook is {url}/twiml")
    if plain.endswith(PROBE_PATHS):
        return Cause("path near a health check's", probes)
    return Cause("unknown path", f"nothing if it is a stranger's; Twilio's webhook is {url}/twiml, {probes}")


class SignatureDiagnosis:
    """Finds out why signatures are wrong. Each answer costs up to two times MAX_SPELLINGS HMACs for each secret."""

    def __init__(self, signatures: Signatures, url: str, stream_url: str, port: int) -> None:
        """`url`: the public base address; `stream_url`: the socket's; `port`: the one that is listened on."""
        self._signatures = signatures
        self.url = url
        self._stream_url = stream_url
        self._port = port

    def of_webhook(self, head: Head, fields: Fields, query_fields: Fields = ()) -> Cause:
        """Find why the signature of a webhook is wrong. `fields`: those of its body; `query_fields`: of its address."""
        expected = self.url + head.target
        spellings = list(self._spellings(expected, head, ("https", "http")))
        # Something on the way made a GET of a POST, or the reverse.
        forms = (fields, query_fields) if head.method == "GET" else (fields, ())
        for form, is_method_kept in zip(forms, (True, False), strict=True):
            if signed := self._signatures.find_signed(spellings, form, head.headers):
                return self._of_spelling("webhook", expected, signed, head.path, is_method_kept=is_method_kept)
        if head.method == "GET" and not query_fields:
            return Cause("webhook: GET without fields", _REMEDIES["method"])
        return _unknown("webhook", "URL", self.url)

    def of_socket(self, head: Head) -> Cause:
        """Find why the signature of a handshake with the media socket is wrong."""
        query = f"?{head.query}" if head.query else ""
        expected = self._stream_url + query
        spellings = self._spellings(expected, head, ("wss", "https", "ws", "http"))
        if signed := self._signatures.find_signed(spellings, (), head.headers):
            return self._of_spelling("socket", expected, signed, "")
        return _unknown("socket", "STREAM_URL", self._stream_url)

    def of_stray(self, head: Head, fields: Fields) -> Cause | None:
        """The cause if Twilio signed a request for an address of ours that is not served; None if it did not."""
        if not self._signatures.webhook_passes(head.target, fields, head.headers):
            return None
        remedy = f"Twilio is told to ask an address that is not served: its webhook is {self.url}/twiml"
        return Cause("webhook at an unknown path", remedy, self.url + _shown(head.path))

    def _spellings(self, expected: str, head: Head, schemes: Sequence[str]) -> Iterator[str]:
        """Addresses that Twilio may have been told instead, those that differ in one part first."""
        parts = urlsplit(expected)
        names, ports = _hosts(parts, head.headers, self._port)
        choices: list[Sequence[str]] = [
            sorted(schemes, key=lambda scheme: scheme != parts.scheme),
            _users(head.headers),
            names[:_MAX_NAMES],
            ports[:_MAX_PORTS],
            _paths(parts.path, head)[:_MAX_PATHS],
            [f"?{parts.query}", ""] if parts.query else [""],
            ["", CONNECTION_OVERRIDES],
        ]
        for scheme, *rest in islice(_nearest(choices), MAX_SPELLINGS):
            yield f"{scheme}://{''.join(rest)}"

    def _of_spelling(self, what: str, expected: str, signed: str, route: str, *, is_method_kept: bool = True) -> Cause:
        ours, theirs = urlsplit(expected), urlsplit(signed)
        host, path = theirs.netloc.rpartition("@")[2], _shown(theirs.path)
        base = f"{theirs.scheme}://{host}"
        signed_for = base + path
        differing = list(_differing(ours, theirs))
        if not is_method_kept:
            differing.insert(0, "method")
        if not differing:
            remedy = "have the proxy pass on the header X-Twilio-Webhooks-Signature-Settings"
            return Cause(f"{what}: no signature settings", remedy, signed_for)
        remedy = _REMEDIES.get(differing[0]) or (
            self._mend_socket(host, path, differing)
            if what == "socket"
            else self._mend_webhook(base, theirs.path, route, differing)
        )
        return Cause(f"{what}: signed for another {' and '.join(differing)}", remedy, signed_for)

    def _mend_webhook(self, base: str, path: str, route: str, differing: Sequence[str]) -> str:
        if path.removesuffix("/") != route.removesuffix("/"):
            return f"have the proxy leave the path as it is, and Twilio ask {self.url}/twiml"
        told, set_up = f"have Twilio ask {self.url}{route}", f"set URL to {base}"
        if "path" in differing:  # the one in URL is too much
            return set_up
        # The remedy with TLS comes first.
        return f"{told}, or {set_up}" if base.startswith("http:") else f"{set_up}, or {told}"

    def _mend_socket(self, host: str, path: str, differing: Sequence[str]) -> str:
        if list(differing) == ["scheme"]:
            return f"have Twilio open {self._stream_url}: the address of a media stream begins with wss"
        return f"set STREAM_URL to wss://{host}{path}, or URL if that is wrong too"


def _nearest(choices: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Every way to take one of each choice: first the first of each, then those with one other, with two others, ..."""
    for others in range(len(choices) + 1):
        for changed in combinations(range(len(choices)), others):
            yield from product(*(choice[1:] if at in changed else choice[:1] for at, choice in enumerate(choices)))


_REMEDIES = {
    "method": "have nothing on the way turn a POST into a GET, as a redirect from http to https does",
    "user": "take user:password@ out of the address that Twilio is told",
    "trailing slash": "have the proxy leave the path as it is, with or without a / at its end",
    "query": "have the proxy leave the query as it is",
}
"""Of the part that differs, or that is the first of those."""


def _unknown(what: str, setting: str, address: str) -> Cause:
    remedy = (
        "set TWILIO_AUTH_TOKEN to the auth token of the account, or subaccount, of the number; or else compare what"
        f" Twilio is told with {setting}, {address}: it may have a user:password@, or a # with overrides of your own"
    )
    return Cause(f"{what}: token differs", remedy)


def _differing(ours: SplitResult, theirs: SplitResult) -> Iterator[str]:
    """The names of the parts in which two addresses differ, those with a remedy of their own first."""
    if "@" in theirs.netloc:
        yield "user"
    if ours.query != theirs.query:
        yield "query"
    our_path, their_path = ours.path.removesuffix("/"), theirs.path.removesuffix("/")
    if our_path == their_path and ours.path != theirs.path and our_path:
        yield "trailing slash"
    if ours.scheme != theirs.scheme:
        yield "scheme"
    if _name(ours.netloc) != _name(theirs.netloc):
        yield "host"
    # With the scheme its own port changes too.
    if _port(ours) != _port(theirs) and (_given_port(theirs.netloc) or _given_port(ours.netloc)):
        yield "port"
    if our_path != their_path:
        yield "path"


def _shown(path: str) -> str:
    """A path for the log. As the signature covers address and form without marks between them, what looks like a path
    may be of a form that somebody has captured: so nothing but a plain path is shown."""
    is_plain = re.fullmatch(r"[A-Za-z0-9/_.~-]{0,80}", path) and "Sid" not in path
    return path if is_plain else "/..."


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{1,50}\]|[A-Za-z0-9._-]{1,255})(?::[0-9]{1,5})?")
_FORWARDED_HOST = re.compile(r"(?i)(?:^|[;,\s])host=\"?([^\s\",;]{1,300})")
_PATH = re.compile(r"/[!-\"$->@-~]{0,1000}")
_BASIC = re.compile(r"(?i)basic ([A-Za-z0-9+/]{1,400}={0,2})")
_USER = re.compile(r"[!\"$-.0->A-~]{1,300}")  # nothing that ends a user, or a host: "/", "?", "#", "@"
_DEFAULT_PORTS = {"https": "443", "http": "80", "wss": "443", "ws": "80"}


def _hosts(parts: SplitResult, headers: Mapping[str, str], listening: int) -> tuple[list[str], list[str]]:
    """Names and ports: those of the address, then those that the headers tell. A port is written ":443"."""
    own = parts.netloc
    told = [headers.get("host", ""), headers.get("x-forwarded-host", "").partition(",")[0].strip()]
    told += _FORWARDED_HOST.findall(headers.get("forwarded", ""))[:1]
    hosts = [own, *(host for host in told if _HOST.fullmatch(host))]
    given = [_given_port(host) for host in hosts]
    forwarded = headers.get("x-forwarded-port", "").strip()
    given += [forwarded] if re.fullmatch("[0-9]{1,5}", forwarded) else []
    given += [*dict.fromkeys((_DEFAULT_PORTS[parts.scheme], "80", "443")), str(listening)]
    ports = [given[0], "", *given[1:]]
    return _each_once(map(_name, hosts)), _each_once(f":{port}" if port else "" for port in ports)


def _paths(expected: str, head: Head) -> list[str]:
    """The path of the address, the one that came, and those that headers tell, with and without a "/" at the end."""
    told = [head.headers.get(name, "").partition("?")[0] for name in _PATH_HEADERS]
    told.append(head.headers.get("x-forwarded-prefix", "").rstrip("/") + head.path)
    paths = [expected, head.path, *filter(_PATH.fullmatch, told)]
    return _each_once([*paths[:2], _other_slash(expected), *paths[2:], *map(_other_slash, paths[1:])])


_PATH_HEADERS = ("x-original-uri", "x-original-url", "x-forwarded-uri")
"""Where nginx, IIS and Traefik leave the path that they were asked for."""


def _users(headers: Mapping[str, str]) -> list[str]:
    """List what may stand before the host: nothing, or the user and password of HTTP's basic authentication."""
    basic = _BASIC.fullmatch(headers.get("authorization", ""))
    if basic is None:
        return [""]
    try:
        user = b64decode(basic[1] + "===").decode("latin-1")
    except ValueError:  # no text in base64 has so many characters
        return [""]
    return ["", f"{user}@"] if _USER.fullmatch(user) else [""]


def _other_slash(path: str) -> str:
    return path[:-1] if path.endswith("/") else f"{path}/"


def _name(netloc: str) -> str:
    return re.sub(":[0-9]*$", "", netloc.rpartition("@")[2])


def _given_port(netloc: str) -> str:
    found = re.search(":([0-9]+)$", netloc)
    return found[1] if found else ""


def _port(parts: SplitResult) -> str:
    return _given_port(parts.netloc) or _DEFAULT_PORTS[parts.scheme]


def _each_once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
