"""Causes for which a request is refused, with their remedies, for the log.

Nothing here decides whether a request is admitted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lexbridge.net.http_request import Head
from lexbridge.twilio.routes import PROBE_PATHS, SOCKET_PATH, WEBHOOK_PATHS
from lexbridge.twilio.signatures import SIGNATURE_HEADER

WRONG_SIGNATURE = "wrong signature"
"""End of the reason for a wrong signature whose cause was not looked for, because too many came just before it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Reason for a refusal, and what the operator can do.

    `reason`: one of a small set. `signed_for`: the address for which Twilio signed the request, without user and query,
    or "" if it is not known.
    """

    reason: str
    remedy: str = ""
    signed_for: str = ""

    @property
    def hints(self) -> Mapping[str, str]:
        """The remedy and the address, as fields of a log line."""
        fields = {"signed_for": self.signed_for, "remedy": self.remedy}
        return {name: value for name, value in fields.items() if value}


def unsigned_cause(headers: Mapping[str, str], what: str) -> Cause:
    """Return the cause for a request without a signature that could be checked. `what`: "webhook" or "socket"."""
    if headers.get(SIGNATURE_HEADER.lower()):
        return Cause(f"{what}: malformed signature", "nothing if it is a stranger's; Twilio sends 28 or 44 characters")
    remedy = f"nothing if it is a stranger's; else have the proxy pass on the header {SIGNATURE_HEADER}"
    return Cause(f"{what}: no signature", remedy)


def unexplained_cause(what: str) -> Cause:
    """Return the cause for a wrong signature that nothing was tried on. `what`: "webhook" or "socket"."""
    return Cause(
        f"{what}: {WRONG_SIGNATURE}", "go by the lines with another reason: one signature a second is looked into"
    )


def unserved_cause(head: Head, url: str) -> Cause:
    """Return the cause for a request at an address, or by a method, that is not served. `url`: public base address."""
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
    """Return the cause for an unknown path. A path is near another if case, slashes or a prefix differ."""
    plain = re.sub("//+", "/", path.lower()).rstrip("/")
    for webhook in WEBHOOK_PATHS:
        if plain.endswith(webhook):
            return Cause("path near a webhook's", f"the path has to be {webhook}: Twilio's webhook is {url}/twiml")
    if plain.endswith(PROBE_PATHS):
        return Cause("path near a health check's", probes)
    return Cause("unknown path", f"nothing if it is a stranger's; Twilio's webhook is {url}/twiml, {probes}")
