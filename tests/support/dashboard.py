"""The Grafana dashboard docs/grafana/lexbridge.json, made from the rows below. `make docs` writes it."""

import json
from typing import Any, NamedTuple

_PANELS_A_ROW, _WIDTH, _HEIGHT = 3, 24, 8
"""Panels of one row, the width of Grafana's grid, and the height of a panel, in cells of that grid."""

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_ONE = 'job="lexbridge", instance=~"$instance"'
"""The selector that each metric gets: the instances that are chosen on the dashboard."""


_BUILD = "{{version}}, Python {{python}}, Lex {{lex_generation}}, {{reply_mode}}, {{detector}}"


class Panel(NamedTuple):
    """One panel: its title, its unit as Grafana names it, its queries by legend, and what it is for.

    In a query, `$S` stands for the selector of the instances.
    """

    title: str
    unit: str
    queries: dict[str, str]
    about: str = ""
    kind: str = "timeseries"
    is_stacked: bool = False


def _rate(metric: str, by: str = "", labels: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate(lexbridge_{metric}{{{labels}{', ' if labels else ''}$S}}[$__rate_interval]))"


def _quantiles(metric: str) -> dict[str, str]:
    buckets = _rate(f"{metric}_bucket", "le")
    return {f"p{share}": f"histogram_quantile(0.{share}, {buckets})" for share in (50, 90, 99)}


def _mean(metric: str) -> str:
    return f"{_rate(f'{metric}_sum')} / {_rate(f'{metric}_count')}"


def _within(seconds: str) -> str:
    within = _rate("caller_wait_seconds_bucket", labels=f'le="{seconds}"')
    return f"{within} / {_rate('caller_wait_seconds_count')}"


ROWS: dict[str, list[Panel]] = {
    "Calls": [
        Panel("Live calls", "none", {"calls": "sum(lexbridge_calls_live{$S})"}, kind="stat"),
        Panel("Workers", "none", {"workers": "sum(lexbridge_workers{$S})"}, kind="stat"),
        Panel("Live calls by worker", "none", {"{{worker}}": "lexbridge_worker_calls_live{$S}"}, is_stacked=True),
        Panel("Live calls by line", "none", {"{{line}}": "sum by (line) (lexbridge_calls_live{$S})"}, is_stacked=True),
        Panel(
            "Calls a second",
            "reqps",
            {
                "answered": _rate("calls_answered_total"),
                "started": _rate("calls_started_total"),
                "resumed: {{how}}": _rate("calls_resumed_total", "how"),
                "refused: {{why}}": _rate("calls_refused_total", "why"),
                "transfer: {{status}}": _rate("transfers_ended_total", "status"),
            },
            "Answered, but not started: Twilio cannot open the media stream.",
        ),
        Panel(
            "Calls ended",
            "reqps",
            {"{{ended_by}} {{why}}": _rate("calls_ended_total", "ended_by, why")},
            "`lexbridge`: by a limit, silence, or Lex's fault.",
            is_stacked=True,
        ),
        Panel(
            "Streams that ended while the call went on",
            "reqps",
            {"{{why}}": _rate("calls_left_total", "why")},
            is_stacked=True,
        ),
    ],
    "What callers notice": [
        Panel(
            "Calls with faults",
            "reqps",
            {"{{severity}}": _rate("calls_with_faults_total", "severity")},
            "By the worst line of each call in the log.",
            is_stacked=True,
        ),
        Panel(
            "Wait for a reply",
            "s",
            _quantiles("caller_wait_seconds"),
            "From the caller's last sound to the first sound of the reply.",
        ),
        Panel("Replies within", "percentunit", {f"{seconds} s": _within(seconds) for seconds in ("1.0", "2.0", "4.0")}),
        Panel(
            "Where the time goes (mean)",
            "s",
            {
                "endpointing": _mean("endpointing_seconds"),
                "wait for an earlier turn": _mean("turn_queue_seconds"),
                "Lex": _mean("lex_first_byte_seconds"),
                "rest (update or audio)": f"{_mean('reply_seconds')} - {_mean('turn_queue_seconds')} "
                f"- {_mean('lex_first_byte_seconds')}",
            },
            is_stacked=True,
        ),
        Panel("Turns", "reqps", {"{{outcome}}": _rate("turns_total", "outcome")}, is_stacked=True),
        Panel(
            "Turns that failed, by line",
            "reqps",
            {"{{line}}": _rate("turns_total", "line", 'outcome="failed"')},
            "The default line has no name.",
        ),
        Panel(
            "A call has",
            "none",
            {
                name: f"{_rate(f'{metric}_total')} / {_rate('calls_started_total')}"
                for name, metric in {
                    "fillers": "fillers",
                    "no-inputs": "no_inputs",
                    "barge-ins": "barge_ins",
                    "false alarms": "false_alarms",
                    "joins": "joins",
                    "keyed turns": "key_inputs",
                }.items()
            },
            "Mean of each, by calls that began.",
        ),
        Panel(
            "Utterances",
            "reqps",
            {
                "{{reason}}": _rate("utterances_total", "reason"),
                "dropped: {{why}}": _rate("utterances_dropped_total", "why"),
            },
        ),
    ],
    "Lex and Twilio": [
        Panel("Lex: head of the answer", "s", _quantiles("lex_first_byte_seconds")),
        Panel(
            "Lex: end of the answer", "s", _quantiles("lex_total_seconds"), "In stream mode Lex's voice is part of it."
        ),
        Panel(
            "Lex: errors",
            "reqps",
            {
                "{{kind}}": _rate("lex_errors_total", "kind"),
                "workers that do not ask": "sum(lexbridge_lex_down{$S})",
                "waited for their line": _rate("lex_requests_waited_total"),
            },
        ),
        Panel("Call updates", "s", _quantiles("call_update_seconds")),
        Panel(
            "Call updates: errors",
            "reqps",
            {
                "{{kind}} {{outcome}}": _rate("call_update_errors_total", "kind, outcome"),
                "accepted": _rate("call_updates_total"),
            },
        ),
        Panel("Endpointing", "s", _quantiles("endpointing_seconds")),
    ],
    "Media": [
        Panel(
            "Frames of 20 ms",
            "pps",
            {
                "received": _rate("media_frames_total"),
                "lost": _rate("media_frames_lost_total"),
                "not sent in silence": _rate("media_frames_silent_total"),
            },
        ),
        Panel(
            "Messages late or odd",
            "pps",
            {"late": _rate("media_messages_late_total"), "odd": _rate("media_messages_odd_total")},
        ),
        Panel(
            "Bytes",
            "Bps",
            {"received": _rate("media_received_bytes_total"), "sent": _rate("media_sent_bytes_total")},
        ),
    ],
    "Workers": [
        Panel("Busy share of the loop", "percentunit", {"{{worker}}": "lexbridge_worker_loop_busy_ratio{$S}"}),
        Panel("Lag of the loop", "s", {"{{worker}}": "lexbridge_worker_loop_lag_seconds{$S}"}),
        Panel(
            "Memory",
            "bytes",
            {
                "{{worker}}": "lexbridge_worker_resident_memory_bytes{$S}",
                "limit of {{worker}}": "lexbridge_worker_memory_limit_bytes{$S}",
            },
        ),
        Panel(
            "Workers that ended",
            "none",
            {
                "{{how}}": "sum by (how) (increase(lexbridge_worker_deaths_total{$S}[$__range]))",
                "replaced: {{why}}": "sum by (why) (increase(lexbridge_worker_replacements_total{$S}[$__range]))",
            },
        ),
        Panel("Age of workers", "s", {"{{worker}}": "time() - lexbridge_worker_start_time_seconds{$S}"}),
        Panel("Takes new calls", "bool_yes_no", {"{{worker}}": "lexbridge_worker_accepting{$S}"}),
        Panel(
            "Table of lines",
            "none",
            {
                "{{worker}}": "lexbridge_worker_lines_generation{$S}",
                "{{result}}": "sum by (result) (increase(lexbridge_lines_reloads_total{$S}[$__range]))",
            },
        ),
    ],
    "Faults": [
        Panel("Warnings and errors", "reqps", {"{{event}}": _rate("faults_total", "event")}, is_stacked=True),
        Panel(
            "Refused",
            "reqps",
            {
                "{{reason}}": _rate("refusals_total", "reason"),
                "stream: {{why}}": _rate("stream_refusals_total", "why"),
            },
            is_stacked=True,
        ),
        Panel(
            "Bugs, and what was dropped",
            "none",
            {
                "bugs": "sum(increase(lexbridge_bugs_total{$S}[$__range]))",
                "facts": "sum(increase(lexbridge_facts_dropped_total{$S}[$__range]))",
                "log lines": "sum(increase(lexbridge_log_lines_dropped_total{$S}[$__range]))",
                "uncounted lines": "sum(increase(lexbridge_lines_uncounted_total{$S}[$__range]))",
            },
        ),
        Panel(
            "What runs",
            "none",
            {
                _BUILD: "lexbridge_build_info{$S}",
                "worker {{worker}}: process": "lexbridge_worker_process_id{$S}",
                "seconds since the start": "time() - lexbridge_start_time_seconds{$S}",
            },
            kind="stat",
        ),
    ],
}


def dashboard() -> str:
    """Return the dashboard as Grafana's JSON."""
    made = {
        "uid": "lexbridge",
        "title": "lexbridge",
        "tags": ["lexbridge"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "panels": _panels(),
    }
    return f"{json.dumps(made, indent=1)}\n"


def _variables() -> list[dict[str, Any]]:
    instances = 'label_values(lexbridge_calls_live{job="lexbridge"}, instance)'
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        {
            "name": "instance",
            "label": "Instance",
            "type": "query",
            "datasource": _DATASOURCE,
            "definition": instances,
            "query": {"query": instances, "refId": "instances"},
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
            "refresh": 2,
        },
    ]


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y, width = 0, _WIDTH // _PANELS_A_ROW
    for row, panels in ROWS.items():
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        made.append(
            {"id": len(made) + 1, "type": "row", "title": row, "collapsed": False, "gridPos": place, "panels": []}
        )
        for number, panel in enumerate(panels):
            across, down = number % _PANELS_A_ROW, number // _PANELS_A_ROW
            place = {"x": across * width, "y": y + 1 + down * _HEIGHT, "w": width, "h": _HEIGHT}
            made.append({"id": len(made) + 1, "gridPos": place, **_panel(panel)})
        y += 1 + -(-len(panels) // _PANELS_A_ROW) * _HEIGHT
    return made


def _panel(panel: Panel) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + at),
            "datasource": _DATASOURCE,
            "expr": query.replace("$S", _ONE),
            "legendFormat": legend,
        }
        for at, (legend, query) in enumerate(panel.queries.items())
    ]
    look = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.is_stacked else {"fillOpacity": 5}
    custom = {"custom": {"showPoints": "never", **look}} if panel.kind == "timeseries" else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
        "targets": targets,
    }
