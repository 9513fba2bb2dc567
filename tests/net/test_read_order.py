"""The order in which a socket acts on what one read brought."""

import pytest

from lexbridge.net.read_order import in_order
from lexbridge.net.rfc6455 import PONG, Close, Item, Ping, Pong, Violation, encode

PING_A, PING_B, ANSWER = Ping(b"a"), Ping(b"b"), Pong(b"1")
A, B = encode(PONG, b"a"), encode(PONG, b"b")


@pytest.mark.parametrize(
    ("items", "done"),
    [
        ([], []),
        (["1", "2", b"3"], [["1", "2", b"3"]]),
        (["1", PING_A], [["1"], A]),
        ([PING_A, "1"], [A, ["1"]]),
        (["1", PING_A, PING_B, "2", "3"], [["1"], A + B, ["2", "3"]]),
        ([ANSWER], [[ANSWER]]),
        (["1", ANSWER, "2"], [["1"], [ANSWER], ["2"]]),
        (["1", PING_A, ANSWER], [["1"], A, [ANSWER]]),
        (["1", Close(1000, "")], [["1"]]),
        ([PING_A, Violation(1002, "not masked")], [A]),
    ],
)
def test_messages_are_delivered_before_the_pong_that_says_so(items: list[Item], done: list[object]) -> None:
    assert list(in_order(items, has_pinged=True)) == done


def test_a_pong_of_a_peer_that_was_not_pinged_means_nothing() -> None:
    assert list(in_order(["1", ANSWER, "2", PING_A], has_pinged=False)) == [["1", "2"], A]
