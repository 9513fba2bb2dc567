"""Values of any kind as those that every encoder takes."""

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 32
"""The deepest list or mapping that is kept, because Lex's answers nest some ten deep, and encoders have a limit."""

_INTEGERS = range(-(2**63), 2**64)
"""Integers that MessagePack has."""


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value without what cannot be encoded: odd characters become "?", and all other odd parts None."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, int):
        return value if value in _INTEGERS else None
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {plain(str(name)): plain(member, depth + 1) for name, member in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple):
        return [plain(member, depth + 1) for member in value]
    return None
