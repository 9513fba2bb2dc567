"""What becomes of values that no encoder takes."""

from typing import Any

import msgspec
import pytest

from lexbridge.telemetry.plain_values import MAX_DEPTH, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("roses", "roses"),
        ("a\ud800b", "a?b"),
        (None, None),
        (True, True),
        (1.5, 1.5),
        (b"\xff", b"\xff"),
        (2**64 - 1, 2**64 - 1),
        (2**64, None),
        (-(2**63) - 1, None),
        ({"a\udfff": [1, (2, {3: object()})]}, {"a?": [1, [2, {"3": None}]]}),
    ],
)
def test_odd_parts_are_replaced(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain(value))) == expected


def test_deep_parts_are_cut_off() -> None:
    deep: Any = "end"
    for _ in range(10_000):
        deep = [deep]
    found, depth = plain(deep), 0
    while found is not None:
        (found,), depth = found, depth + 1
    assert depth == MAX_DEPTH
