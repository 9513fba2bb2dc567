"""Values out of the fields of a fact, whatever they hold: a fact of another version must not stop the observer."""

import math
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 300
"""Most characters of a field's text, because names, states and reasons are far shorter."""

MAX_WHOLE = 2**53
"""Greatest number that is taken, because a browser's JavaScript cannot hold a greater one exactly."""


def text(fields: Mapping[str, Any], name: str) -> str | None:
    """Return the text of a field, cut to MAX_TEXT, or None if there is none."""
    value = fields.get(name)
    return value[:MAX_TEXT] if isinstance(value, str) and value else None


def whole(fields: Mapping[str, Any], name: str) -> int | None:
    """Return the number of a field as a whole one, or None if there is none."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(value) if abs(value) <= MAX_WHOLE else None


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """Return whether a field is true."""
    return fields.get(name) is True


def mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the mapping of a field, or an empty one if there is none."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
