"""The table in docs/log.md has a row for each event that the code logs, and no other; with its levels and fields.

The events are read from the source. An event is a literal wherever it is logged; its fields are read where they are
literals too.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from lexbridge import __main__ as command_line
from tests.support.settings import make_settings

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "log.md"
LEVELS = ("debug", "info", "warning", "error")
METHODS = {"info": "info", "warning": "warning", "error": "error", "exception": "error", "answer": "info"}
OTHER_METHODS = {"bind", "write"}
EVENT = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

BOUND = {"call_sid", "stream_sid", "pid", "turn", "line", "line_bot", "line_locale"}
"""Fields that a log has for all of its lines: a row may name them, but does not have to."""

FORWARDERS = {
    ("lexbridge/call/context.py", "note"),
    ("lexbridge/call/turns.py", "_note"),
    ("lexbridge/logs/log.py", "info"),
    ("lexbridge/logs/log.py", "warning"),
    ("lexbridge/logs/log.py", "error"),
    ("lexbridge/logs/log.py", "_open_window"),
    ("lexbridge/bridge/action_runner.py", "run"),
}
"""Functions that log an event of their caller's choice."""


@dataclass
class Event:
    """An event as the code or a row of the table has it. `is_open`: it has fields whose names are not in the source."""

    name: str
    places: list[str] = field(default_factory=list)
    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    is_open: bool = False

    @property
    def row(self) -> str:
        """Return the row to add to the table."""
        levels = ", ".join(level for level in LEVELS if level in self.levels)
        fields = ", ".join(f"`{name}`" for name in sorted(self.fields))
        return f"| `{self.name}` | {levels} | {fields} | WHEN IT COMES | WHAT TO DO, or - |"


@dataclass(frozen=True)
class Logged:
    """One call that logs. `event`: None if it is no literal."""

    function: str
    line: int
    event: str | None
    levels: frozenset[str]
    fields: frozenset[str]
    is_open: bool


def literals(node: ast.expr) -> list[object] | None:
    """Return the values that an expression of literals may have, or None for another expression."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        both = literals(node.body), literals(node.orelse)
        return None if None in both else [value for values in both for value in values or []]
    return None


def logged_by(call: ast.Call) -> tuple[list[ast.expr], list[object] | None] | None:
    """Return a logging call's arguments from the event on and its levels, or None if it does not log."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "RateLimitedLog":
        return call.args[:1], ["warning"]
    if isinstance(call.func, ast.Attribute) and name in METHODS and is_log(call.func.value):
        return call.args, [METHODS[name]]
    is_logs = isinstance(call.func, ast.Attribute) and is_log(call.func.value)
    assert not is_logs or name in OTHER_METHODS, f"line {call.lineno}: teach METHODS what level Log.{name}() has"
    is_written = is_logs and name == "write"
    if name in ("Note", "note", "_note") or is_written:
        return call.args[1:], literals(call.args[0])
    return None


def is_log(node: ast.expr) -> bool:
    """Return whether an expression is a Log, by its name."""
    if isinstance(node, ast.Call):
        node = node.func
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.lower().lstrip("_") == "log"


def fields_of(call: ast.Call, rest: list[ast.expr]) -> tuple[frozenset[str], bool]:
    """Return the fields of a logging call, and whether there are fields that cannot be read."""
    fields = {keyword.arg for keyword in call.keywords if keyword.arg} - {"exc_info"}
    is_open = any(keyword.arg is None for keyword in call.keywords)
    for node in rest:
        if isinstance(node, ast.Dict):
            fields |= {key.value for key in node.keys if isinstance(key, ast.Constant)}
            is_open |= not all(isinstance(key, ast.Constant) for key in node.keys)
        else:
            is_open = True
    if getattr(call.func, "id", "") == "RateLimitedLog":
        return frozenset({"reason", "count"}), True  # and what `count` is told
    return frozenset(fields), is_open


def calls_in(node: ast.AST, function: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Yield each call, with the function that it is in."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call):
            yield inside, child
        yield from calls_in(child, inside)


def logged_in(source: str) -> Iterator[Logged]:
    """Yield each logging call of a source."""
    for function, call in calls_in(ast.parse(source)):
        found = logged_by(call)
        if found is None or not found[0]:
            continue
        (event, *rest), levels = found
        names = literals(event)
        fields, is_open = fields_of(call, rest)
        for name in names or [None]:
            known = name if isinstance(name, str) else None
            yield Logged(function, call.lineno, known, frozenset(map(str, levels or [])), fields, is_open)


def sources() -> Iterator[tuple[str, str]]:
    for path in [ROOT / "server.py", *sorted((ROOT / "lexbridge").rglob("*.py"))]:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("lexbridge/offline/"):
            yield name, path.read_text(encoding="utf-8")


def events_of(code: Iterable[tuple[str, str]]) -> dict[str, Event]:
    """Return every event that the code logs. Fail where an event is no literal."""
    events: dict[str, Event] = {}
    for name, source in code:
        for each in logged_in(source):
            if each.event is None:
                forwarded = (name, each.function) in FORWARDERS
                assert forwarded, f"{name}:{each.line} logs an event that is no literal: write it out"
                continue
            assert EVENT.fullmatch(each.event), f"{name}:{each.line}: an event is named like-this: {each.event!r}"
            event = events.setdefault(each.event, Event(each.event))
            event.places.append(f"{name}:{each.line}")
            event.levels |= each.levels
            event.fields |= each.fields
            event.is_open |= each.is_open
    return events


def rows_of(text: str) -> list[tuple[str, str, str, str, str]]:
    """Return the cells of each row of the table."""
    found = re.search(r"<!-- events -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found is not None, "docs/log.md has no table between <!-- events --> and <!-- end -->"
    rows = []
    for line in found[1].splitlines()[2:]:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        assert len(cells) == 5, f"docs/log.md: a row has 5 cells, and these are {len(cells)}: {line}"
        rows.append((cells[0].strip("`"), cells[1], cells[2], cells[3], cells[4]))
    return rows


def differences(events: dict[str, Event], text: str) -> list[str]:
    """Return what has to be done to the table, a sentence each."""
    rows = rows_of(text)
    names = [row[0] for row in rows]
    found = [f"Sort the rows by event: `{b}` stands after `{a}`." for a, b in pairwise(names) if a >= b]
    for name, event in sorted(events.items()):
        if name not in names:
            found.append(f"{event.places[0]} logs `{name}`, which has no row. Add:\n    {event.row}")
    for name, levels, fields, when, remedy in rows:
        if name not in events:
            found.append(f"Nothing logs `{name}` any more: delete its row.")
            continue
        found += row_differences(events[name], levels, fields)
        if not (when and remedy) or "WHEN IT COMES" in when or "WHAT TO DO" in remedy:
            found.append(f"`{name}`: say when it comes, and what to do about it.")
    return found


def row_differences(event: Event, levels: str, fields: str) -> Iterator[str]:
    """Return the errors in the row of `event`."""
    told_levels = {level.strip() for level in levels.split(",")}
    told_fields = set(re.findall(r"`(\w+)`", fields))
    at = event.places[0]
    if told_levels != event.levels:
        yield f"`{event.name}` ({at}): its level is {', '.join(sorted(event.levels))}, and the row has {levels}."
    if missing := event.fields - told_fields - BOUND:
        yield f"`{event.name}` ({at}): add to its fields: {', '.join(f'`{name}`' for name in sorted(missing))}."
    if not event.is_open and (surplus := told_fields - event.fields - BOUND):
        yield f"`{event.name}` ({at}) has no field {', '.join(f'`{name}`' for name in sorted(surplus))}: take it out."


CODE = """
def f(self, log, details):
    self._log.warning("it-broke", error="x", attempt=1)
    log.write("error" if details else "info", "it-broke", {"error": "y"})
    self.note("debug", "it-began", **details)
    self.note("info", "one" if details else "other")
    print("no-event"), self.place.write("info", "no-event-either")
"""
TABLE_OF_CODE = """<!-- events -->
| event | level | fields | when | what to do |
|---|---|---|---|---|
| `it-began` | debug | `anything` | always | - |
| `it-broke` | info, warning, error | `attempt`, `error`, `turn` | when it breaks | mend it |
| `one` | info | | now | - |
| `other` | info | | then | - |
<!-- end -->
"""


def test_events_are_found_wherever_they_are_logged() -> None:
    events = events_of([("a.py", CODE)])
    assert {name: (event.levels, event.fields) for name, event in events.items()} == {
        "it-began": ({"debug"}, set()),
        "it-broke": ({"info", "warning", "error"}, {"error", "attempt"}),
        "one": ({"info"}, set()),
        "other": ({"info"}, set()),
    }
    assert differences(events, TABLE_OF_CODE) == []


@pytest.mark.parametrize(
    ("was", "is_now", "told"),
    [
        ("| `one` | info | | now | - |\n", "", "has no row. Add:\n    | `one` | info |  | WHEN IT COMES"),
        ("| `one` ", "| `old-one` | info | | now | - |\n| `one` ", "Nothing logs `old-one` any more: delete its row."),
        ("`attempt`, ", "", "`it-broke` (a.py:3): add to its fields: `attempt`."),
        ("`attempt`, ", "`attempt`, `cause`, ", "`it-broke` (a.py:3) has no field `cause`: take it out."),
        ("info, warning, error", "warning", "its level is error, info, warning, and the row has warning."),
        ("| now |", "| |", "`one`: say when it comes"),
        ("| `it-began` | debug | `anything` | always | - |\n", "", "`it-began`, which has no row"),
        ("<!-- end -->", "| `it-broke` | info, warning, error | `attempt`, `error` | - | - |\n<!-- end -->", "Sort"),
    ],
)
def test_what_differs_is_told_with_what_to_do(was: str, is_now: str, told: str) -> None:
    assert was in TABLE_OF_CODE
    (found, *_) = differences(events_of([("a.py", CODE)]), TABLE_OF_CODE.replace(was, is_now))
    assert told in found


def test_an_event_that_is_no_literal_is_not_taken() -> None:
    with pytest.raises(AssertionError, match=r"a\.py:2 logs an event that is no literal"):
        events_of([("a.py", "def f(log, event):\n    log.info(event)\n")])


def test_the_row_of_serving_has_all_that_is_told_of_the_service() -> None:
    (fields,) = [row[2] for row in rows_of(TABLE.read_text(encoding="utf-8")) if row[0] == "serving"]
    assert set(re.findall(r"`(\w+)`", fields)) == {*command_line.described(make_settings()), "workers"}


def test_the_table_has_each_event_with_its_levels_and_fields() -> None:
    events = events_of(sources())
    assert len(events) > 70
    found = differences(events, TABLE.read_text(encoding="utf-8"))
    if found:
        pytest.fail("The table in docs/log.md and the code differ.\n\n" + "\n\n".join(found), pytrace=False)
