"""The setting CONNECTION_OVERRIDES takes what Twilio takes behind the # of an address, and nothing else."""

import pytest

from lexbridge.config.connection_overrides import DEFAULT_OVERRIDES, connection_overrides, fragment


@pytest.mark.parametrize(
    "value",
    [
        DEFAULT_OVERRIDES,
        "rc=3&rp=all&ct=2000",
        "ct=100",
        "ct=10000&rt=15000&tt=15000&rc=0",
        "rp=4xx,5xx,ct,rt",
        "sni=y&e=ashburn,dublin",
    ],
)
def test_what_twilio_takes_is_taken(value: str) -> None:
    assert connection_overrides(value) == value
    assert fragment(value) == f"#{value}"


def test_off_means_none() -> None:
    assert fragment(connection_overrides("off")) == ""


@pytest.mark.parametrize(
    "value",
    [
        "#rc=2",
        "rc",
        "rc=",
        "rc=6",
        "rc=-1",
        "ct=99",
        "ct=10001",
        "rt=15001",
        "tt=2.5",
        "rc=2&rc=2",
        "rc=2&",
        "&",
        "rp=always",
        "rp=ct,",
        "rp=,ct",
        "sni=yes",
        "e=",
        "e=a,,b",
        "retries=2",
        "rc=2 &rp=all",
        "rc=2#rc=2",
    ],
)
def test_what_twilio_refuses_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="must be overrides that Twilio takes"):
        connection_overrides(value)
