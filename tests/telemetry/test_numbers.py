"""Masked numbers: enough to tell two callers apart, and no more."""

import pytest

from lexbridge.telemetry.numbers import masked


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+12065550123", "...123"),
        (" 12065550123", "...123"),
        ("sip:alice@example.com", "sip"),
        ("client:alice", "client"),
        ("anonymous", None),
        ("12345", None),
        ("", None),
        (None, None),
    ],
)
def test_what_is_shown_of_an_address(address: str | None, shown: str | None) -> None:
    assert masked(address) == shown
