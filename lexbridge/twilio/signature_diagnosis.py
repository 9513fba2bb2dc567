"""Diagnosis of wrong signatures: which other address Twilio has signed, and what to do about it.

Proxies change parts of an address, and settings get them wrong. So the signature is checked for other spellings of the
address. A spelling from the request's headers gets into the log only if the signature is right for it, because then
Twilio was told to ask there. Nothing here lets a request in.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice, product
from urllib.parse import SplitResult, urlsplit

from lexbridge.net.http_request import Head
from lexbridge.twilio.refusals import Cause
from lexbridge.twilio.signatures import Signatures, account_sid_of, basic_user
from lexbridge.twilio.webhook_form import Fields

MAX_SPELLINGS = 96
"""Number of addresses that are tried for one signature.

Each costs an HMAC over the form, at most 8 KiB, for each secret.
"""

_MAX_NAMES, _MAX_PORTS, _MAX_PATHS = 3, 6, 5
"""Host names, ports and paths that are combined, however many a stranger puts into headers."""


class SignatureDiagnosis:
    """Search for the reason of a wrong signature. Each answer costs up to 2 * MAX_SPELLINGS HMACs for each secret."""

    def __init__(self, signatures: Signatures, url: str, stream_url: str, port: int) -> None:
        """Prepare for one service.

        `url`: public base address. `stream_url`: address of the media socket. `port`: the port that the service listens
        on.
        """
        self._signatures = signatures
        self.url = url
        self._stream_url = stream_url
        self._port = port

    def explain_webhook(self, head: Head, fields: Fields, query_fields: Fields = ()) -> Cause:
        """Return why a webhook's signature is wrong. `fields`: of its body. `query_fields`: of its address."""
        expected = self.url + head.target
        spellings = list(self._spellings(expected, head, ("https", "http")))
        # A proxy or a redirect may have turned a POST into a GET, or the reverse.
        account_sid = account_sid_of(fields) or account_sid_of(query_fields)
        forms = (fields, query_fields) if head.method == "GET" else (fields, ())
        for form, is_method_kept in zip(forms, (True, False), strict=True):
            if signed := self._signatures.find_signed(spellings, form, head.headers, account_sid):
                return self._of_spelling("webhook", expected, signed, head.path, is_method_kept=is_method_kept)
        if head.method == "GET" and not query_fields:
            return Cause("webhook: GET without fields", _REMEDIES["method"])
        return _unknown("webhook", "URL", self.url)

    def explain_handshake(self, head: Head) -> Cause:
        """Return why the signature of a handshake with the media socket is wrong."""
        query = f"?{head.query}" if head.query else ""
        expected = self._stream_url + query
        spellings = self._spellings(expected, head, ("wss", "https", "ws", "http"))
        if signed := self._signatures.find_signed(spellings, (), head.headers):
            return self._of_spelling("socket", expected, signed, "")
        return _unknown("socket", "STREAM_URL", self._stream_url)

    def explain_unknown_path(self, head: Head, fields: Fields) -> Cause | None:
        """Return the cause if Twilio signed a request for a path that is not served, or None if it did not."""
        if not self._signatures.webhook_passes(head.target, fields, head.headers, account_sid_of(fields)):
            return None
        remedy = f"Twilio is told to ask an address that is not served: its webhook is {self.url}/twiml"
        return Cause("webhook at an unknown path", remedy, self.url + _loggable(head.path))

    def _spellings(self, expected: str, head: Head, schemes: Sequence[str]) -> Iterator[str]:
        """Yield addresses that Twilio may have been told instead. Those that differ in one part come first."""
        parts = urlsplit(expected)
        names, ports = _hosts(parts, head.headers, self._port)
        choices: list[Sequence[str]] = [
            sorted(schemes, key=lambda scheme: scheme != parts.scheme),
            _users(head.headers),
            names[:_MAX_NAMES],
            ports[:_MAX_PORTS],
            _paths(parts.path, head)[:_MAX_PATHS],
            [f"?{parts.query}", ""] if parts.query else [""],
            self._signatures.endings,
        ]
        for scheme, *rest in islice(_nearest(choices), MAX_SPELLINGS):
            yield f"{scheme}://{''.join(rest)}"

    def _of_spelling(self, what: str, expected: str, signed: str, route: str, *, is_method_kept: bool = True) -> Cause:
        expected_parts, signed_parts = urlsplit(expected), urlsplit(signed)
        host, path = signed_parts.netloc.rpartition("@")[2], _loggable(signed_parts.path)
        base = f"{signed_parts.scheme}://{host}"
        signed_for = base + path
        differing = list(_differing(expected_parts, signed_parts))
        if not is_method_kept:
            differing.insert(0, "method")
        if not differing:
            remedy = "have the proxy pass on the header X-Twilio-Webhooks-Signature-Settings"
            return Cause(f"{what}: no signature settings", remedy, signed_for)
        remedy = _REMEDIES.get(differing[0]) or (
            self._socket_remedy(host, path, differing)
            if what == "socket"
            else self._webhook_remedy(base, signed_parts.path, route, differing)
        )
        return Cause(f"{what}: signed for another {' and '.join(differing)}", remedy, signed_for)

    def _webhook_remedy(self, base: str, path: str, route: str, differing: Sequence[str]) -> str:
        if path.removesuffix("/") != route.removesuffix("/"):
            return f"have the proxy leave the path as it is, and Twilio ask {self.url}/twiml"
        tell_twilio, set_url = f"have Twilio ask {self.url}{route}", f"set URL to {base}"
        if "path" in differing:  # URL must not have a path
            return set_url
        # The remedy with TLS comes first.
        return f"{tell_twilio}, or {set_url}" if base.startswith("http:") else f"{set_url}, or {tell_twilio}"

    def _socket_remedy(self, host: str, path: str, differing: Sequence[str]) -> str:
        if list(differing) == ["scheme"]:
            return f"have Twilio open {self._stream_url}: the address of a media stream begins with wss"
        return f"set STREAM_URL to wss://{host}{path}, or URL if that is wrong too"


def _nearest(choices: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    """Yield each combination of one item per choice, those with the fewest other items than the first ones first."""
    for others in range(len(choices) + 1):
        for changed in combinations(range(len(choices)), others):
            yield from product(*(choice[1:] if at in changed else choice[:1] for at, choice in enumerate(choices)))


_REMEDIES = {
    "method": "have nothing on the way turn a POST into a GET, as a redirect from http to https does",
    "user": "take user:password@ out of the address that Twilio is told",
    "trailing slash": "have the proxy leave the path as it is, with or without a / at its end",
    "query": "have the proxy leave the query as it is",
}
"""Remedies by the part of the address that differs. If several differ, the first of them counts."""


def _unknown(what: str, setting: str, address: str) -> Cause:
    remedy = (
        "set TWILIO_AUTH_TOKEN to the auth token of the account, or subaccount, of the number; or else compare what"
        f" Twilio is told with {setting}, {address}: it may have a user:password@, or other overrides after a # than"
        " CONNECTION_OVERRIDES"
    )
    return Cause(f"{what}: token differs", remedy)


def _differing(expected: SplitResult, signed: SplitResult) -> Iterator[str]:
    """Yield the names of the parts in which two addresses differ. Parts with a remedy of their own come first."""
    if "@" in signed.netloc:
        yield "user"
    if expected.query != signed.query:
        yield "query"
    expected_path, signed_path = expected.path.removesuffix("/"), signed.path.removesuffix("/")
    if expected_path == signed_path and expected.path != signed.path and expected_path:
        yield "trailing slash"
    if expected.scheme != signed.scheme:
        yield "scheme"
    if _name(expected.netloc) != _name(signed.netloc):
        yield "host"
    # The default port changes with the scheme, which is no difference of its own.
    if _port(expected) != _port(signed) and (_given_port(signed.netloc) or _given_port(expected.netloc)):
        yield "port"
    if expected_path != signed_path:
        yield "path"


def _loggable(path: str) -> str:
    """Return a path as it may be logged.

    A signature covers address and form with nothing between them. So what looks like a path may be part of a form that
    somebody has captured, and only a plain path is shown.
    """
    is_plain = re.fullmatch(r"[A-Za-z0-9/_.~-]{0,80}", path) and "Sid" not in path
    return path if is_plain else "/..."


_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{1,50}\]|[A-Za-z0-9._-]{1,255})(?::[0-9]{1,5})?")
_FORWARDED_HOST = re.compile(r"(?i)(?:^|[;,\s])host=\"?([^\s\",;]{1,300})")
_PATH = re.compile(r"/[!-\"$->@-~]{0,1000}")
_DEFAULT_PORTS = {"https": "443", "http": "80", "wss": "443", "ws": "80"}


def _hosts(parts: SplitResult, headers: Mapping[str, str], listening: int) -> tuple[list[str], list[str]]:
    """Return host names and ports: those of the address, then those in the headers. A port is written ":443"."""
    own = parts.netloc
    from_headers = [headers.get("host", ""), headers.get("x-forwarded-host", "").partition(",")[0].strip()]
    from_headers += _FORWARDED_HOST.findall(headers.get("forwarded", ""))[:1]
    hosts = [own, *(host for host in from_headers if _HOST.fullmatch(host))]
    given = [_given_port(host) for host in hosts]
    forwarded = headers.get("x-forwarded-port", "").strip()
    given += [forwarded] if re.fullmatch("[0-9]{1,5}", forwarded) else []
    given += [*dict.fromkeys((_DEFAULT_PORTS[parts.scheme], "80", "443")), str(listening)]
    ports = [given[0], "", *given[1:]]
    return _each_once(map(_name, hosts)), _each_once(f":{port}" if port else "" for port in ports)


def _paths(expected: str, head: Head) -> list[str]:
    """Return the expected path, the requested one, and those in headers, with and without a "/" at the end."""
    from_headers = [head.headers.get(name, "").partition("?")[0] for name in _PATH_HEADERS]
    from_headers.append(head.headers.get("x-forwarded-prefix", "").rstrip("/") + head.path)
    paths = [expected, head.path, *filter(_PATH.fullmatch, from_headers)]
    return _each_once([*paths[:2], _other_slash(expected), *paths[2:], *map(_other_slash, paths[1:])])


_PATH_HEADERS = ("x-original-uri", "x-original-url", "x-forwarded-uri")
"""Headers in which nginx, IIS and Traefik pass on the original path."""


def _users(headers: Mapping[str, str]) -> list[str]:
    """Return what may stand before the host: nothing, or the user and password of HTTP's basic authentication."""
    user = basic_user(headers)
    return ["", f"{user}@"] if user else [""]


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
