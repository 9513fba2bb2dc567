"""Causes for the log: each refused request gets a reason of a small set and a remedy."""

from collections.abc import Mapping

import pytest

from lexbridge.net.http_request import Head
from lexbridge.twilio.refusals import Cause, unexplained_cause, unserved_cause, unsigned_cause
from lexbridge.twilio.routes import WEBHOOK_PATHS

URL = "https://voice.example.com"
UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}


def test_a_missing_signature_is_told_from_a_malformed_one() -> None:
    assert unsigned_cause({}, "webhook").reason == "webhook: no signature"
    assert unsigned_cause({"x-twilio-signature": ""}, "socket").reason == "socket: no signature"
    assert unsigned_cause({"x-twilio-signature": "my secret"}, "socket").reason == "socket: malformed signature"
    assert "secret" not in str(unsigned_cause({"x-twilio-signature": "my secret"}, "socket"))
    assert unexplained_cause("socket").reason == "socket: wrong signature"


@pytest.mark.parametrize(
    ("method", "path", "headers", "reason", "remedy"),
    [
        ("PUT", "/twiml", {}, "webhook by another method", f"{URL}/twiml by HTTP POST or GET"),
        ("HEAD", "/twiml/", {}, "webhook by another method", "by HTTP POST or GET"),
        ("POST", "/ready", {}, "health check by another method", "GET or HEAD"),
        ("GET", "/", {}, "no handshake at the socket's path", "/ping or /ready"),
        ("GET", "/media", UPGRADE, "socket at an unknown path", "STREAM_URL"),
        ("POST", "/TwiML", {}, "path near a webhook's", f"has to be /twiml: Twilio's webhook is {URL}/twiml"),
        ("POST", "/twiml//resume", {}, "path near a webhook's", "has to be /twiml/resume"),
        ("POST", "/voice/stream-status/", {}, "path near a webhook's", "has to be /stream-status"),
        ("GET", "/ping/", {}, "path near a health check's", "/ping or /ready"),
        ("GET", "/wp-login.php", {}, "unknown path", f"{URL}/twiml"),
        ("POST", "/twimlx", {}, "unknown path", f"{URL}/twiml"),
    ],
)
def test_what_is_not_served_is_told_with_its_remedy(
    method: str, path: str, headers: Mapping[str, str], reason: str, remedy: str
) -> None:
    cause = unserved_cause(Head(method, path, "HTTP/1.1", headers), URL)
    assert cause.reason == reason
    assert remedy in cause.remedy
    assert path in WEBHOOK_PATHS or path == "/" or path in ("/ready", "/ping/") or path not in str(cause)


def test_what_is_not_known_is_no_field_of_the_line() -> None:
    assert dict(Cause("why").hints) == {}
    assert dict(Cause("why", "do this", "https://x/").hints) == {"remedy": "do this", "signed_for": "https://x/"}
