"""docs/console-api.md names each key of each answer of ADMIN_PORT, and no other."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support.admin_server import Admin, admin
from tests.support.packages import ROOT, block
from tests.support.told_facts import told_call_with_voice

DOCUMENT = (ROOT / "docs" / "console-api.md").read_text(encoding="utf-8")

ANSWERS: Mapping[str, Callable[[Admin], Any]] = {
    "/calls": lambda server: server.ask("/calls").json(),
    "summary": lambda server: server.ask("/calls").json()["recent"][0],
    "worker": lambda server: server.ask("/calls").json()["workers"][0],
    "/calls/SID": lambda server: server.ask("/calls/CA1").json(),
    "stream": lambda server: server.ask("/calls/CA1").json()["streams"][0],
    "turn": lambda server: server.ask("/calls/CA1").json()["turns"][0],
    "levels": lambda server: server.ask("/calls/CA1/levels").json()["streams"][0],
    "what-if": lambda server: server.post("/calls/CA1/what-if", json={"hangover_ms": 400}).json(),
    "latency": lambda server: server.ask("/console/api/latency").json(),
    "settings": lambda server: server.ask("/console/api/settings").json()[0],
    "health": lambda server: server.ask("/console/api/health").json(),
}
"""Answers by the name of their table in the document."""


def documented(name: str) -> set[str]:
    """Return the keys in the first column of a table."""
    rows = re.findall(r"^\|([^|]*)\|", block(DOCUMENT, f"keys {name}"), re.MULTILINE)
    return {key for row in rows for key in re.findall("`([^`]+)`", row)}


@pytest.mark.parametrize("name", ANSWERS)
def test_each_key_of_an_answer_is_documented_and_no_other(name: str) -> None:
    call = told_call_with_voice()
    with admin(call.book) as server:
        assert documented(name) == set(ANSWERS[name](server))


def test_each_route_is_documented_and_no_other() -> None:
    with admin() as server:
        rules = [rule for rule in server.app.url_map.iter_rules() if rule.rule.startswith("/")]
    routes = {
        (method, re.sub("<path:name>", "FILE", rule.rule.replace("<call_sid>", "SID")))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    table = DOCUMENT[DOCUMENT.index("## Paths") : DOCUMENT.index("An error is")]
    told = {
        (method, path.partition("?")[0])
        for row in re.findall(r"^\| (`(?:GET|POST).*?) \|", table, re.MULTILINE)
        for method in re.findall("GET|POST", row)
        for path in re.findall(r"(/[^`, ]*)", row)
    }
    assert told == routes
