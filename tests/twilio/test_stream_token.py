"""Stream tokens: valid for one call and one minute, and impossible to forge."""

from collections.abc import Iterable

import pytest

from lexbridge.twilio.stream_token import TOKEN_LIFE_S, find_token_fault, make_stream_token, token_expiry_s
from tests.support.mutations import mutations

SECRET, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
CALL, ACCOUNT = "CA" + "2" * 32, "AC" + "1" * 32


def opens_stream(secrets: Iterable[str], token: str, call_sid: str, account_sid: str, now_s: float) -> bool:
    return find_token_fault(secrets, token, call_sid, account_sid, now_s) is None


def test_a_stream_token_is_for_one_call_and_one_minute() -> None:
    token = make_stream_token(SECRET, CALL, ACCOUNT, now_s=1000.9)
    assert opens_stream([SECRET], token, CALL, ACCOUNT, 1000.9)
    assert opens_stream([OTHER, SECRET], token, CALL, ACCOUNT, 1000 + TOKEN_LIFE_S)
    assert not opens_stream([SECRET], token, CALL, ACCOUNT, 1001 + TOKEN_LIFE_S)
    assert not opens_stream([OTHER], token, CALL, ACCOUNT, 1000.9)
    assert not opens_stream([SECRET], token, "CA" + "3" * 32, ACCOUNT, 1000.9)
    assert not opens_stream([SECRET], token, CALL, "AC" + "3" * 32, 1000.9)


def test_tokens_of_one_call_and_second_differ_by_their_nonces() -> None:
    first, second = (make_stream_token(SECRET, CALL, ACCOUNT, 1000, nonce=nonce) for nonce in ("0a", "0b"))
    assert first != second
    assert all(opens_stream([SECRET], token, CALL, ACCOUNT, 1000) for token in (first, second))
    assert token_expiry_s(first) == 1000 + TOKEN_LIFE_S
    assert not opens_stream([SECRET], f"{first[:-1]}b", CALL, ACCOUNT, 1000)


@pytest.mark.parametrize(
    "token", ["", ".", "1060.", "1060", "x.y", "1060." + "0" * 64, "9" * 13 + "." + "0" * 64, "٣." + "0" * 64]
)
def test_a_malformed_stream_token_does_not_pass(token: str) -> None:
    assert not opens_stream([SECRET], token, CALL, ACCOUNT, 1000)


@pytest.mark.parametrize("nonce", ["", "0123456789abcdef"])
def test_none_of_ten_thousand_mutated_stream_tokens_passes(nonce: str) -> None:
    """A token that passes after a change would open another stream."""
    token, mutate = make_stream_token(SECRET, CALL, ACCOUNT, now_s=1000, nonce=nonce), mutations(1)
    forged = {mutate(mutate(token)) for _ in range(20_000)} - {token}
    forged |= {f"0{token}", token.upper(), f"{token}.", f"{token}.0", token.rpartition(".")[0]}
    assert len(forged) > 10_000
    assert [one for one in forged if opens_stream([SECRET], one, CALL, ACCOUNT, 1000)] == []


@pytest.mark.parametrize(
    ("token", "why", "remedy"),
    [
        ("", "no token", "/twiml"),
        ("nonsense", "malformed token", "/twiml"),
        (make_stream_token(OTHER, CALL, ACCOUNT, 0), "token expired", "clock"),
        (make_stream_token("another", CALL, ACCOUNT, 1000), "token of another call", "TWILIO_AUTH_TOKEN"),
        (make_stream_token(SECRET, CALL[:-1] + "3", ACCOUNT, 1000), "token of another call", "/twiml"),
        (make_stream_token(SECRET, CALL[:-1] + "3", ACCOUNT, 0), "token of another call", "/twiml"),
    ],
)
def test_a_token_fault_comes_with_its_remedy(token: str, why: str, remedy: str) -> None:
    fault = find_token_fault([SECRET, OTHER], token, CALL, ACCOUNT, 1000)
    assert fault is not None
    assert fault[0] == why
    assert remedy in fault[1]
    assert not token or token not in str(fault)


def test_a_token_that_opens_a_stream_has_no_fault() -> None:
    assert find_token_fault([SECRET], make_stream_token(SECRET, CALL, ACCOUNT, 1000), CALL, ACCOUNT, 1060) is None
