"""The values of labels: all that the code can count are known, each with a meaning."""

import re
from typing import Any

import pytest

from lexbridge.call.stream_parameters import HANDED_OVER, KEYED, RETURNED, SWITCHED
from lexbridge.call.transfers import TRANSFER_STATUSES
from lexbridge.telemetry.metric_labels import FAULTS, MEANINGS
from lexbridge.telemetry.metric_table import METRICS
from tests.support.packages import ROOT, block

_REFUSING = (
    r"refused\.count\(\s*\"([^\"]+)\"",
    r"_ViolatedError\(\w+, \"([^\"]+)\"",
    r"RequestRefused\(\"[^\"]+\", \"([^\"]+)\"",
    r"_cut_off[,(] ?\"([^\"]+)\"",
    r"FormRefused\(\"([^\"]+)\"",
    r"Cause\(\s*f?\"([^\"]+)\"",
    r"Refusal\(\"[^\"]+\", \"([^\"]+)\"",
    r"return \"\d[^\"]+\", \"([^\"]+)\"",
)
"""Where the code names a reason for a refusal."""

_CODE = [
    path.read_text(encoding="utf-8")
    for folder in ("net", "web", "twilio", "bridge", "call")
    for path in sorted((ROOT / "lexbridge" / folder).rglob("*.py"))
]


def found(*patterns: str) -> set[str]:
    """Return what the code names at any of the patterns."""
    return {name for text in _CODE for pattern in patterns for name in re.findall(pattern, text)}


def known(metric: str) -> set[Any]:
    """Return the values of the last label of a metric."""
    return {values[-1] for values in MEANINGS[metric]}


def test_each_reason_of_a_refusal_is_known() -> None:
    reasons = found(*_REFUSING)
    assert len(reasons) > 40
    whole = {reason for reason in reasons if "{" not in reason}
    assert whole - known("refusals_total") == set()
    for reason in reasons - whole:
        pattern = re.sub(r"\\\{.*?\\\}", ".+", re.escape(reason))
        assert [one for one in known("refusals_total") if re.fullmatch(pattern, one)], reason


def test_each_reason_for_dropped_words_is_known() -> None:
    dropped = found(r"\bdrop_(?:open|all)\(\"([^\"]+)\"", r"\b_drop\(.*?, \"([^\"]+)\"\)")
    assert dropped == known("utterances_dropped_total")


def test_each_way_to_go_on_with_a_call_is_known() -> None:
    assert {HANDED_OVER, KEYED, RETURNED, SWITCHED, "lost"} == known("calls_resumed_total")
    assert {*TRANSFER_STATUSES.values(), "completed", "gone"} == known("transfers_ended_total")


def test_each_reason_to_leave_a_call_is_in_the_log_table() -> None:
    (row,) = re.findall(r"^\| `call-left` .*", (ROOT / "docs/log.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {why for why in known("calls_left_total") if f"`{why}`" not in row} == set()
    named = {*re.findall(r"`([^`]+)`", row.partition("`why`: ")[2].partition(" |")[0])}
    assert named - known("calls_left_total") == set()


def test_each_warning_and_error_of_the_log_is_known() -> None:
    table = block((ROOT / "docs/log.md").read_text(encoding="utf-8"), "events")
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \|", table, re.MULTILINE)
    told = {(event, level) for event, levels in rows for level in levels.split(", ")}
    assert {one for one in told if one[1] in ("warning", "error")} == {*FAULTS}


@pytest.mark.parametrize("metric", MEANINGS)
def test_a_meaning_is_a_sentence(metric: str) -> None:
    assert metric in METRICS
    for text in MEANINGS[metric].values():
        assert re.fullmatch(r"[A-Z`].*[.]", text), text
        assert "|" not in text


def test_each_counter_with_labels_is_known_from_the_start() -> None:
    for metric in METRICS.values():
        if metric.labels and metric.name.endswith("_total"):
            assert metric.known, metric.name
