"""Log lines of every kind that has no traceback: what is logged, for the test of each line's bytes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any

SID = "CA" + "b15e" * 8
STREAM = "MZ" + "0f" * 16


class Colour(Enum):
    """A value that JSON does not know."""

    RED = "red"


class Named(str):
    """A text of a class of its own."""


@dataclass(frozen=True)
class Case:
    """One line: its level, event and fields, and what its log was bound to before."""

    event: str
    fields: dict[str, Any] = field(default_factory=dict)
    level: str = "info"
    bound: tuple[dict[str, Any], ...] = ()


_CALL = ({"call_sid": SID},)
_STREAM = (*_CALL, {"stream_sid": STREAM})
_LATENCY = {"outcome": "answered", "end_ms": 700, "lex_ms": 281, "update_ms": 9, "reply_ms": 989, "filler": False}

TEXTS = (
    "",
    " ",
    "plain",
    "two words",
    "quotes \" and ' and \\",
    "a\nline\r\x1b[2J\x00\x7f",
    "tab\there",
    "a=b",
    "caffè ☎ 花 \U0001f339",
    "\u2028\u2029\ufeff\u200b",
    "\ud800 alone",
    "</script>&amp;",
    "x" * 300,
)
"""Texts, each of which is an event and a field."""

VALUES = (
    None,
    True,
    0,
    -7,
    10**30,
    0.1,
    -0.0,
    1e300,
    float("nan"),
    float("inf"),
    float("-inf"),
    b"bytes \xff",
    (1, "two"),
    [],
    ["a b", None, [1.5]],
    {},
    {"key": {"nested": True, "é": 1}, 5: "five", None: 1, True: 2},
    {1},
    Colour.RED,
    Named("named text"),
    PurePosixPath("/etc/a b"),
    Decimal("1.50"),
    datetime(2026, 11, 28, tzinfo=UTC),
    ValueError("an error as a value"),
)
"""Values of a field."""

CASES = (
    Case("serving", {"port": 8080, "bot": "Flowers", "alias": None}),
    Case("call-answered", {"from_region": "eu"}, bound=_CALL),
    Case("stream-started", {"resumed": None}, bound=_STREAM),
    Case("turn-latency", {"turn": 3, **_LATENCY}, bound=_STREAM),
    Case("turn-latency", _LATENCY, bound=(*_STREAM, {"turn": 3})),
    Case("turn-failed", {"turn": 1, "error": "two words"}, "warning", _STREAM),
    Case("call-broken", {"turn": 1}, "error", _STREAM),
    Case("unheard-of", {"turn": 1}, "debug", _STREAM),
    Case("bare"),
    Case("bare", level="warning"),
    Case("bound-again", {"turn": 3}, bound=({"turn": 1}, {"turn": 2, "call_sid": SID})),
    Case("bound-and-given", {"call_sid": "CA2", "other": 1}, bound=({"first": 0}, *_STREAM)),
    Case("worker-started", {"pid": 78}),
    Case("worker-started", {"pid": 78}, bound=({"first": 0},)),
    Case("call-sid-is-none", {"a": 1}, bound=({"call_sid": None},)),
    Case("call-sid-is-odd", {"a": 1}, bound=({"call_sid": "a b\n" + SID},)),
    Case("call-sid-is-short", {"a": 1}, bound=({"call_sid": "CA1"},)),
    Case("call-sid-is-a-number", {"a": 1}, bound=({"call_sid": 12},)),
    Case("reserved", {"level": "loud", "timestamp": "noon", "call": "other", "after": 1}),
    Case("reserved", {"logger": "x", "logger_name": "y", "message": "z", "msg": "m"}),
    *(Case(text, {"text": text, "last": 1}) for text in TEXTS),
    *(Case("value", {"value": value, "last": 1}) for value in VALUES),
    Case("many", {f"field_{number}": number for number in range(40)}, bound=_STREAM),
    Case("many-texts", {f"text_{number}": text for number, text in enumerate(TEXTS)}, "warning", _STREAM),
)

CONFIGURATIONS = (("json", False, None), ("json", False, 77), ("text", False, None), ("text", True, 77))
"""Format, colours and process id of a log."""
