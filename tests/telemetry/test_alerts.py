"""The alerts: each names metrics, labels and values that exist, and has a section in the runbook."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lexbridge.telemetry.metric_table import METRICS, PREFIX, Kind, Metric
from tests.support.packages import ROOT
from tests.support.scraped_metrics import metrics_named, promtool

PROMETHEUS = ROOT / "docs/prometheus"
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
_LABELS_OF_PROMETHEUS = {"job", "instance", "le"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_names_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    named = list(metrics_named(rule["expr"]))
    labels = {label for metric, _ in named for label in metric.labels}
    assert named or rule["expr"].startswith("up{")
    for grouped in re.findall(r"by \(([^)]*)\)", rule["expr"]):
        assert {*re.split(r",\s*", grouped)} <= labels | _LABELS_OF_PROMETHEUS
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert label in labels | _LABELS_OF_PROMETHEUS


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_sees_the_first_event(rule: dict[str, Any]) -> None:
    """What an alert waits for is shown as 0 from the start, or its first event would not be a step up."""
    for metric, matchers in metrics_named(rule["expr"]):
        if metric.kind is not Kind.COUNTER:
            continue
        assert [values for values in _known(metric) if _match(metric, values, matchers)], (metric.name, matchers)


def _known(metric: Metric) -> Iterator[tuple[str, ...]]:
    yield from metric.known if metric.labels else [()]


def _match(metric: Metric, values: tuple[str, ...], matchers: dict[str, str]) -> bool:
    named = dict(zip(metric.labels, values, strict=True))
    return all(re.fullmatch(pattern, named[label]) for label, pattern in matchers.items())


def test_each_alert_has_a_section_of_the_runbook() -> None:
    """Each section says what callers hear, how to confirm it, and what to do."""
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    assert list(sections) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        name = rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")
        for what in (
            "**Callers**",
            "**Confirm.**",
            "Console:" if name != "LexbridgeDown" else "curl",
            "Log:",
            "**Do.**",
        ):
            assert what in sections[name], (name, what)


def test_the_runbook_names_metrics_and_sections_that_exist() -> None:
    assert len(list(metrics_named(RUNBOOK))) > 40
    anchors = {name.lower() for name in re.findall(r"^### (\w+)", RUNBOOK, re.MULTILINE)}
    assert {*re.findall(r"\(#(\w+)\)", RUNBOOK)} <= anchors
    events = (ROOT / "docs/log.md").read_text(encoding="utf-8")
    for event in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", RUNBOOK):
        known = {value for metric in METRICS.values() for values in metric.known for value in values}
        assert f"| `{event}` |" in events or event in known, event


def test_each_metric_that_the_document_names_exists() -> None:
    assert len(list(metrics_named((ROOT / "docs/metrics.md").read_text(encoding="utf-8")))) >= len(METRICS)


def test_the_configuration_scrapes_the_job_of_the_alerts() -> None:
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert configuration["rule_files"] == ["alerts.yml"]
    (job,) = configuration["scrape_configs"]
    assert f'up{{job="{job["job_name"]}"}} == 0' in [rule["expr"] for rule in RULES]


def test_each_alert_is_tested_with_figures() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    assert [test["name"] for test in tests] == [rule["alert"] for rule in RULES]
    for test in tests:
        rests, fires = test["alert_rule_test"]
        assert rests["exp_alerts"] == []
        assert len(fires["exp_alerts"]) == 1
        assert all(one["series"].startswith((PREFIX, "up{")) for one in test["input_series"])


def test_promtool_accepts_and_tests_the_alerts() -> None:
    assert promtool("check", "config", str(PROMETHEUS / "prometheus.yml")) == ""
    assert promtool("test", "rules", str(PROMETHEUS / "alerts_test.yml")) == ""
