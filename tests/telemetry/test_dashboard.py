"""The Grafana dashboard: each metric, label and bucket that it names exists, and it shows them all."""

import json

import yaml

from lexbridge.telemetry.metric_table import METRICS
from tests.support.packages import ROOT
from tests.support.scraped_metrics import metrics_named, promtool

GRAFANA = ROOT / "docs/grafana"
PANELS = json.loads((GRAFANA / "lexbridge.json").read_text(encoding="utf-8"))["panels"]
QUERIES = [(panel, target) for panel in PANELS for target in panel.get("targets", [])]


def test_the_dashboard_shows_each_metric() -> None:
    shown = {metric.name for _, target in QUERIES for metric, _ in metrics_named(_alone(target["expr"]))}
    assert shown == {*METRICS}


def test_a_legend_names_labels_of_its_metrics() -> None:
    for _, target in QUERIES:
        labels = {label for metric, _ in metrics_named(_alone(target["expr"])) for label in metric.labels}
        named = {part.split("}}")[0] for part in target["legendFormat"].split("{{")[1:]}
        assert named <= labels, target


def test_panels_do_not_lie_over_each_other() -> None:
    cells = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len({*cells})
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_what_grafana_is_given_is_yaml() -> None:
    (source,) = yaml.safe_load((GRAFANA / "datasources.yml").read_text(encoding="utf-8"))["datasources"]
    (provider,) = yaml.safe_load((GRAFANA / "dashboards.yml").read_text(encoding="utf-8"))["providers"]
    assert (source["type"], provider["type"]) == ("prometheus", "file")


def test_promtool_can_read_each_query() -> None:
    rules = [
        {"record": f"query:{number}", "expr": _whole(target["expr"])} for number, (_, target) in enumerate(QUERIES)
    ]
    document = json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})  # JSON is YAML too
    assert promtool("check", "rules", "/dev/stdin", text=document) == ""


def _whole(expression: str) -> str:
    """Return a query as Grafana asks it."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "1h")


def _alone(expression: str) -> str:
    """Return a query without the selector that Prometheus adds itself."""
    return expression.replace('job="lexbridge", instance=~"$instance"', "")
