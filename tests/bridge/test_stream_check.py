"""Parameters of streams that somebody has made up who can sign a handshake."""

import pytest

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.stream_check import StreamCheck
from lexbridge.call.events import Started
from lexbridge.twilio.route_seal import sealed_route
from lexbridge.twilio.used_tokens import UsedTokens

NEW, OLD = "the-new-token", "the-old-token"


def unsealed(text: str) -> Started:
    check = StreamCheck((NEW, OLD), UsedTokens(), CallRegistry(1))
    return check.unsealed(Started("MZ1", "CA1", "AC1", {"lexbridge:switched": text, "a": "b"}))


@pytest.mark.parametrize("text", ["1.1:sales/flowers", "1.1:sales/flowers~", sealed_route("x", "1.1:sales/flowers")])
def test_no_stream_names_the_bot_before_it(text: str) -> None:
    assert unsealed(text).parameters == {"lexbridge:switched": "", "a": "b"}


@pytest.mark.parametrize("text", ["1.1:sales/flowers", "2.0", "1.1:sales"])
def test_what_our_document_names_is_known(text: str) -> None:
    assert unsealed(sealed_route(OLD, text)).parameters == {"lexbridge:switched": text, "a": "b"}
