"""The line of a call in what is told of it: the console's summary, events, traces, and the what-if of its own line."""

import msgspec
import pytest

from lexbridge.config.lines import Line, LineTable
from lexbridge.config.route import CallRoute
from lexbridge.observer.admin.call_settings import CallSettings
from lexbridge.observer.admin.level_store import LevelStore
from lexbridge.observer.admin.settings_view import effective_settings
from lexbridge.observer.admin.what_if import WhatIfRefused
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.events.event_bodies import body_of
from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.watched_calls import CallEnded
from lexbridge.telemetry.facts import Event
from tests.support.rig import ENVIRONMENT, V1_BOT, settings

SHOP = {"line": "shop", "line_bot": "flowers", "line_locale": "de_DE"}


def told(name: str, at_s: float = 1.0, stream_sid: str = "", **fields: object) -> Event:
    """Return an event of the call."""
    return Event(at_s, "CA1", stream_sid, 0 if stream_sid else -1, "info", name, dict(fields))


def recorded(*events: Event) -> CallRecord:
    """Return the call of these events."""
    record = CallRecord("CA1", 1.0)
    for event in events:
        record.take(event, msgspec.json.encode(event))
    return record


def test_the_newest_stream_tells_the_line() -> None:
    facts = CallFacts("CA1", 1.0)
    facts.take(told("call-described", caller="...100", called="...111", line="shop"))
    assert facts.route == CallRoute("shop")
    facts.take(told("stream-described", 2.0, "MZ1", mode="stream", pid=1, line="shop"))
    facts.take(told("stream-described", 9.0, "MZ2", mode="stream", pid=1, **SHOP))
    assert facts.route == CallRoute("shop", "flowers", "de_DE")
    facts.take(told("call-described", 9.5, line="shop"))
    assert facts.route == CallRoute("shop", "flowers", "de_DE")


def test_summary_and_events_have_the_line() -> None:
    record = recorded(told("call-described", line="shop"), told("stream-described", 2.0, "MZ1", pid=1, **SHOP))
    summary = record.summary(3.0)
    assert (summary.line, summary.line_bot, summary.line_locale) == ("shop", "flowers", "de_DE")
    assert "line shop" in summary.search
    assert body_of(CallEnded(record.facts), has_words=False)["data"]["line"] == "shop"
    again = CallRecord("opened-1", 1.0)
    again.restore(summary)
    assert again.facts.route == record.facts.route


def table_of(**lines: str) -> LineTable:
    """Return a table without a default line. `lines`: the hangover of each."""
    return LineTable(None, [Line(name, settings(HANGOVER_MS=ms).line) for name, ms in lines.items()])


def test_a_call_has_the_settings_of_its_own_line() -> None:
    table = [table_of(shop="500", clinic="900")]
    of_calls = CallSettings(lambda: table[0])
    shop, clinic = (recorded(told("call-described", line=name)) for name in ("shop", "clinic"))
    assert (of_calls.of(shop).hangover_ms, of_calls.of(clinic).hangover_ms) == (500, 900)
    table[0] = table_of(clinic="800")
    assert of_calls.of(clinic).hangover_ms == 800
    with pytest.raises(WhatIfRefused, match="the line that served this call is not in the table"):
        of_calls.of(shop)


def test_a_call_from_a_file_may_have_the_default_line() -> None:
    default = settings().line
    opened = recorded(told("call-described", line="of another service"))
    opened.is_opened = True
    assert CallSettings(lambda: LineTable(default)).of(opened) is default


def test_levels_are_shown_of_a_line_that_is_gone() -> None:
    record = recorded(told("call-described", line="shop"), told("stream-described", 2.0, "MZ1", pid=1, line="shop"))
    levels = LevelStore(CallSettings(lambda: table_of(clinic="800")))
    assert levels.view(record, 0, lambda: None) == {"streams": []}


def test_settings_are_shown_where_there_is_no_default_line() -> None:
    without = settings()
    shown = effective_settings(type(without)(without.service, None), ENVIRONMENT | V1_BOT)
    values = {one["name"]: one["value"] for one in shown}
    assert (values["HANGOVER_MS"], values["LEX_BOT_NAME"]) == (None, None)
    assert values["URL"] == "https://voice.example.com"
