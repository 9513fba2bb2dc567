"""Words of events that a fold of facts may keep. Whoever passes on no words keeps none in memory either."""

from collections.abc import Mapping
from typing import Any

import msgspec

from lexbridge.telemetry.facts import Event

NO_WORDS: frozenset[str] = frozenset()
"""Words of those who pass on no words: none."""

SAID = frozenset({"transcript", "messages", "keys", "slots"})
"""Words of those who pass on what was said, and neither documents nor Lex's own answers."""

HIDDEN = ""
"""Value of a slot that has one which is not kept. The names of slots are no words."""

MAX_SLOTS = 100
"""The most slots of one answer that are kept, because the bot decides how many there are."""


def with_words(event: Event, kept: frozenset[str]) -> Event:
    """Return the event with only those of its words whose names are `kept`."""
    if not event.words:
        return event
    words: dict[str, Any] = {name: value for name, value in event.words.items() if name in kept}
    slots = event.words.get("slots")
    if isinstance(slots, Mapping):
        some = dict(list(slots.items())[:MAX_SLOTS])
        words["slots"] = some if "slots" in kept else _hidden(some)
    return msgspec.structs.replace(event, words=words)


def _hidden(slots: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: None if value is None else HIDDEN for name, value in slots.items()}
