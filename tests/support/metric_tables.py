"""The tables of docs/metrics.md: all metrics, and what the values of their labels mean. `make docs` writes them."""

from collections.abc import Iterator, Mapping
from itertools import groupby

from lexbridge.telemetry.metric_labels import ERROR_KINDS, MEANINGS, UPDATE_OUTCOMES
from lexbridge.telemetry.metric_table import GROUPS, METRICS


def metrics_table() -> str:
    """Return the metrics as Markdown tables, one for each group."""
    lines: list[str] = []
    for group, metrics in GROUPS.items():
        lines += [f"### {group}", "", "| Metric | Type | Labels | Meaning |", "|---|---|---|---|"]
        for metric in metrics:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            lines.append(f"| `{metric.full_name}` | {metric.kind.value} | {labels} | {metric.help} |")
        lines.append("")
    return "\n".join(lines)


def label_tables() -> str:
    """Return what the values of labels mean as Markdown tables, one for each metric."""
    lines: list[str] = []
    for name, metric in METRICS.items():
        if name in MEANINGS:
            labels = metric.labels[:-1] if metric.is_by_line else metric.labels
            lines += _table(metric.full_name, labels, MEANINGS[name])
        elif name == "lex_errors_total":
            heading = f"{metric.full_name}, {METRICS['call_update_errors_total'].full_name}"
            lines += _table(heading, ("kind",), {(kind,): text for kind, text in ERROR_KINDS.items()})
        elif name == "call_update_errors_total":
            lines += _table(metric.full_name, ("outcome",), {(one,): text for one, text in UPDATE_OUTCOMES.items()})
    return "\n".join(lines)


def _table(heading: str, labels: tuple[str, ...], meanings: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    """Yield a table. Values with one meaning that follow each other share a row."""
    columns = " | ".join(f"`{label}`" for label in labels)
    named = ", ".join(f"`{one}`" for one in heading.split(", "))
    yield from (f"**{named}**", "", f"| {columns} | Meaning |", "|---" * (len(labels) + 1) + "|")
    for text, group in groupby(meanings, meanings.__getitem__):
        values = zip(*group, strict=True)
        yield f"| {' | '.join(', '.join(f'`{one}`' for one in column) for column in values)} | {text} |"
    yield ""
