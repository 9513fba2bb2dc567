"""The events of docs/events.md: a table of fields and an example of each, made from the code."""

import json
from collections.abc import Iterator

from lexbridge.observer.event_bodies import FIELDS, body_of
from lexbridge.observer.watched_calls import LEFT_S, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import bad_call

SHOWN = {"call.started": 0, "turn": 1, "call.ended": -1}
"""The place of each type's example among the events of a call with faults."""


def event_tables() -> str:
    """Return the fields and an example of each event as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    call, calls = bad_call(), WatchedCalls()
    told = [one for fact in call.facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(call.now_s + LEFT_S)
    for name, fields in FIELDS.items():
        yield from (f"### `{name}`", "", "| field of `data` | what it tells |", "|---|---|")
        yield from (f"| `{field}` | {help_} |" for field, help_ in fields.items())
        example = json.dumps(body_of(told[SHOWN[name]], False), indent=1)
        yield from ("", "```json", example, "```", "")
