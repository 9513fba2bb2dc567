"""Faults and refusals of all workers, counted and listed, without a word of any call."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from lexbridge.observer.watched.values import text, whole
from lexbridge.telemetry.facts import Event

SHOWN_S = 3600.0
"""Age of the oldest line that is shown, seconds: the last hour."""

MAX_LINES = 500
"""Lines of the last hour that are kept, the newest, because nobody reads more of them in a page."""

MAX_KINDS = 200
"""Different errors and reasons that are counted apart, because the log has about a hundred events."""

OTHER = "other"
"""Kind under which everything beyond MAX_KINDS is counted."""


class Health:
    """Faults and refusals since the observer started, and the faults of the last hour one by one."""

    def __init__(self) -> None:
        self.refusals: Counter[str] = Counter()
        """Refused requests, sockets and calls by reason."""
        self.errors: Counter[str] = Counter()
        """Warnings and errors by event."""
        self.refused_calls = 0
        self._lines: deque[tuple[Event, Sequence[str]]] = deque(maxlen=MAX_LINES)

    def take(self, event: Event, call_sids: Sequence[str] = ()) -> None:
        """Take in an event of any call, or of none. `call_sids`: the calls of the worker that it is about."""
        if event.name == "peer-refused":
            count_kind(self.refusals, text(event.fields, "reason"), max(1, whole(event.fields, "count") or 1))
        elif event.name == "call-refused":
            self.refused_calls += 1
            count_kind(self.refusals, f"call: {text(event.fields, 'why')}")
        if event.level in ("warning", "error"):
            count_kind(self.errors, event.name)
            self._lines.append((event, call_sids))

    def lines(self, now_s: float) -> list[dict[str, Any]]:
        """Return the warnings and errors of the last hour, the newest first, without words."""
        return [
            {
                "at_s": one.at_s,
                "level": one.level,
                "name": one.name,
                "call_sid": one.call_sid,
                "fields": one.fields,
                "calls": call_sids,
            }
            for one, call_sids in reversed(self._lines)
            if now_s - one.at_s <= SHOWN_S
        ]


def count_kind(counter: Counter[str], kind: str | None, amount: int = 1) -> None:
    """Count a kind in a counter of at most MAX_KINDS, and beyond them as OTHER."""
    name = (kind or "unknown")[:200]
    counter[name if name in counter or len(counter) < MAX_KINDS else OTHER] += amount
