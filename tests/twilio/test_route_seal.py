"""The seal of a route in an address: without it, an address names lines only, and no bot of the table."""

import pytest

from lexbridge.config.route import CallRoute
from lexbridge.twilio.route_seal import read_route, sealed_route


@pytest.mark.parametrize("text", ["", "shop", "shop/flowers", "/flowers", "shop//de_DE", "shop/flowers/de_DE"])
def test_what_was_sealed_is_read(text: str) -> None:
    assert read_route(["new", "old"], sealed_route("old", text)) == CallRoute.parse(text)


def test_a_line_alone_needs_no_seal() -> None:
    assert (sealed_route("secret", "shop"), sealed_route("", "shop/flowers")) == ("shop", "shop/flowers")
    assert read_route(["secret"], "shop~" + "0" * 24) is None


@pytest.mark.parametrize(
    "forged",
    [
        "shop/flowers",
        "shop/flowers~",
        "shop/flowers~" + "0" * 24,
        sealed_route("another secret", "shop/flowers"),
        sealed_route("secret", "shop/flowers").replace("shop", "clinic"),
        sealed_route("secret", "shop/flowers") + "0",
        sealed_route("secret", "shop/flowers") + "~x",
        sealed_route("secret", "shop/flowers")[:-1],
        "shop/flowers~\N{SNOWMAN}",
        "~",
        "a line with spaces",
    ],
)
def test_a_bot_without_its_own_seal_is_not_read(forged: str) -> None:
    assert read_route(["secret"], forged) is None
