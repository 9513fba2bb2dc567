"""Latencies of turns: percentiles of the last hour and since the start, and the slowest turns.

Durations are counted in steps of 2 %, so that a day of calls takes no more memory than a minute.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lexbridge.observer.calls.turn_record import Turn

STEP = math.log(1.02)
"""Logarithm of the ratio between two steps, because a percentile that is wrong by 1 % is good enough."""

FIGURES = ("reply_ms", "lex_ms", "end_ms", "queue_ms", "update_ms")
"""Durations of a turn of which percentiles are kept."""

MINUTES = 60
"""Minutes that are kept apart: the last hour."""

SLOWEST = 10
"""Slowest turns that are listed."""

PERCENTS = (50, 90, 99)


class Durations:
    """Durations in milliseconds, counted in steps."""

    __slots__ = ("_least_ms", "_most_ms", "_steps", "count")

    def __init__(self) -> None:
        self.count = 0
        self._steps: Counter[int] = Counter()
        self._least_ms = self._most_ms = 0

    def add(self, ms: int) -> None:
        """Count one duration. Less than 1 ms counts as 1 ms."""
        self._steps[round(math.log(max(1, ms)) / STEP)] += 1
        self._least_ms = min(self._least_ms, ms) if self.count else ms
        self._most_ms = max(self._most_ms, ms) if self.count else ms
        self.count += 1

    def merge(self, others: Iterable["Durations"]) -> "Durations":
        """Add what others have counted, and return this."""
        for one in others:
            if one.count:
                self._steps.update(one._steps)
                self._least_ms = min(self._least_ms, one._least_ms) if self.count else one._least_ms
                self._most_ms = max(self._most_ms, one._most_ms) if self.count else one._most_ms
                self.count += one.count
        return self

    def percentile(self, percent: int) -> int | None:
        """Return the duration that so many percent do not exceed, or None if there is none."""
        below = math.ceil(self.count * percent / 100)
        for step in sorted(self._steps):
            below -= self._steps[step]
            if below <= 0:
                return min(self._most_ms, max(self._least_ms, round(math.exp(step * STEP))))
        return None

    def view(self) -> dict[str, int | None]:
        """Return the percentiles and the count."""
        return {**{f"p{percent}": self.percentile(percent) for percent in PERCENTS}, "turns": self.count}


@dataclass(slots=True)
class _Minute:
    """What was measured within one minute."""

    minute: int
    durations: dict[str, Durations] = field(default_factory=lambda: {name: Durations() for name in FIGURES})
    slowest: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


class Latency:
    """The latencies of all turns of all calls."""

    def __init__(self) -> None:
        self._minutes: dict[int, _Minute] = {}
        self._all = {name: Durations() for name in FIGURES}

    def take(self, at_s: float, call_sid: str, turn: Turn) -> None:
        """Take in a turn whose latency was logged at `at_s`."""
        minute = self._minute(int(at_s // 60))
        for name in FIGURES:
            ms = getattr(turn, name)
            if ms is not None:
                self._all[name].add(ms)
                minute.durations[name].add(ms)
        if turn.reply_ms is not None:
            told = {"call_sid": call_sid, "stream_sid": turn.stream_sid, "turn": turn.turn, "at_s": at_s}
            figures = {name: getattr(turn, name) for name in (*FIGURES, "outcome", "filler")}
            minute.slowest.append((turn.reply_ms, {**told, **figures}))
            minute.slowest.sort(key=lambda one: -one[0])
            del minute.slowest[SLOWEST:]

    def view(self, now_s: float) -> dict[str, Any]:
        """Return percentiles of the last hour and since the start, the slowest turns, and each minute."""
        first = int(now_s // 60) - MINUTES + 1
        minutes = [self._minutes[number] for number in sorted(self._minutes) if number >= first]
        slowest = sorted((one for minute in minutes for one in minute.slowest), key=lambda one: -one[0])[:SLOWEST]
        return {
            "last_hour": {
                name: Durations().merge(minute.durations[name] for minute in minutes).view() for name in FIGURES
            },
            "since_start": {name: self._all[name].view() for name in FIGURES},
            "slowest": [told for _, told in slowest],
            "history": [
                [minute.minute * 60, *(replies.percentile(percent) for percent in PERCENTS), replies.count]
                for minute in minutes
                if (replies := minute.durations["reply_ms"]).count
            ],
        }

    def _minute(self, number: int) -> _Minute:
        """Return the minute. Of more than MINUTES, the one that was first told of is dropped."""
        if number not in self._minutes and len(self._minutes) >= MINUTES:
            del self._minutes[next(iter(self._minutes))]
        return self._minutes.setdefault(number, _Minute(number))
