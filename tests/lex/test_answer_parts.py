"""The reader of an answer's parts: a part that cannot be read is named, and no error is raised."""

import base64
from typing import Any

import pytest

from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.v2 import pack


def deep(levels: int = 100_000) -> Any:
    """Return lists nested `levels` deep."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("read", "value", "found", "is_odd"),
    [
        ("object", {"a": 1}, {"a": 1}, False),
        ("object", None, {}, False),
        ("object", ["a"], {}, True),
        ("text", "a", "a", False),
        ("text", None, None, False),
        ("text", 7, None, True),
        ("texts", {"a": "b", "n": 7, "none": None}, {"a": "b", "n": "7"}, False),
        ("texts", {"a": "b", "deep": deep()}, {"a": "b"}, True),
        ("texts", {"a": "b", "set": {1}}, {"a": "b"}, True),
        ("texts", "a", {}, True),
        ("json", "[1]", [1], False),
        ("json", "[1", None, True),
        ("json", "[" * 100_000, None, True),
        ("json", "9" * 5000, None, True),
        ("text_of_base64", base64.b64encode("schön".encode()).decode(), "schön", False),
        ("text_of_base64", "", None, False),
        ("text_of_base64", "%", None, True),
        ("text_of_base64", base64.b64encode(b"\xff").decode(), None, True),
        ("text_of_base64", 7, None, True),
        ("packed", pack({"a": [1]}), {"a": [1]}, False),
        ("packed", None, None, False),
        ("packed", "%", None, True),
        ("packed", pack("a")[:20], None, True),
        ("packed", pack([1] * 30_000), None, True),
        ("packed", ["a"], None, True),
    ],
)
def test_a_part_is_read_or_named(read: str, value: Any, found: Any, is_odd: bool) -> None:
    parts = AnswerParts()
    assert getattr(parts, read)(value, "a part") == found
    assert parts.odd == (("a part",) if is_odd else ())


def test_the_objects_of_a_list_have_names_of_their_own() -> None:
    parts = AnswerParts()
    assert list(parts.objects([{"a": 1}, 7, {"b": 2}], "list")) == [("list[0]", {"a": 1}), ("list[2]", {"b": 2})]
    assert list(parts.objects(None, "nothing")) == []
    assert list(parts.objects("text", "text")) == []
    assert parts.odd == ("list[1]", "text")


def test_a_part_is_named_once() -> None:
    parts = AnswerParts()
    for name in ("a", "b", "a"):
        parts.mark_odd(name)
    assert parts.odd == ("a", "b")
