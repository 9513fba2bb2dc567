"""The events of docs/events.md: a table of fields and an example of each, and their values, made from the code."""

import json
from collections.abc import Iterator

from lexbridge.observer.events.event_bodies import body_of, enveloped
from lexbridge.observer.events.event_fields import FIELDS, VALUES
from lexbridge.observer.watched.watched_calls import LEFT_S, WatchedCalls
from lexbridge.telemetry.facts import Event
from tests.support.facts_of_calls import bad_call, service_starts, service_stops

OBSERVER = "9f86d081884c7d65"


def event_tables() -> str:
    """Return the fields and an example of each event as Markdown."""
    return "\n".join(_lines())


def value_tables() -> str:
    """Return the values of fields as Markdown."""
    lines = []
    for field, values in VALUES.items():
        lines += [f"| {field} | what it means |", "|---|---|"]
        lines += [*(f"| `{value}` | {meaning} |" for value, meaning in values.items()), ""]
    return "\n".join(lines)


def _lines() -> Iterator[str]:
    call, calls = bad_call(), WatchedCalls()
    facts = [service_starts(), *call.facts, service_stops(call.now_s + 1)]
    told = [one for fact in facts if isinstance(fact, Event) for one in calls.take(fact)]
    told += calls.tick(call.now_s + LEFT_S)
    bodies = [enveloped(body_of(one, False), OBSERVER, number) for number, one in enumerate(told, 1)]
    for name, fields in FIELDS.items():
        yield from (f"### `{name}`", "", "| field of `data` | what it tells |", "|---|---|")
        yield from (f"| `{field}` | {help_} |" for field, help_ in fields.items())
        example = json.dumps(next(body for body in bodies if body["type"] == name), indent=1)
        yield from ("", "```json", example, "```", "")
