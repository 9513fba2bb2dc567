"""The values of all metrics of one process, in prometheus_client's multi-process mode: in files, by its number."""

from collections import Counter as Counted
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lexbridge.telemetry.line_counts import Count
from lexbridge.telemetry.metric_table import METRICS, PREFIX, Kind, Metric

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

MAX_LABEL_SETS = 150
"""Limits the label values of one metric in one process, because each is a time series that Prometheus keeps for weeks.

The closed sets of the code are smaller: the faults and the refusals have about 80 each. A value beyond the limit is
counted as `other`."""

MAX_LABEL_CHARACTERS = 80
"""Limits the characters of a label's value."""


MAX_LINES = 30
"""Limits the lines that one process tells apart. Those that come later are counted as `other`."""


class MetricValues:
    """All metrics of this process. Only one object of a process is in use, because prometheus_client has one file."""

    def __init__(self, number: str, reply_mode_of: Callable[[str], str] | None = None) -> None:
        """Open the files of `number`, whose earlier values count on.

        `reply_mode_of`: returns the reply mode of a line by its name; None if this process has no times to tell.

        Raise OSError if that fails.
        """
        # Imported only here, where somebody watches the service.
        from prometheus_client import CollectorRegistry, values

        values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]
        self.close = values.ValueClass.close_all_files
        """Function that closes the files."""
        registry = CollectorRegistry()
        self._metrics = {one.name: _make(one, registry) for one in METRICS.values()}
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._sets: Counted[tuple[str, ...]] = Counted()  # by metric and line
        self._reply_mode_of = reply_mode_of
        self._lines: set[str] = set()
        self.failed = 0
        """How many additions could not be counted: a bug."""
        for metric in METRICS.values():
            if not metric.is_by_line:
                for labels in self._known(metric, ""):
                    self._child(metric.name, labels)
        self.line_label("")

    def line_label(self, line: str) -> str:
        """Return the label of a line. All metrics of the line are shown from now on."""
        if line in self._lines:
            return line
        if len(self._lines) >= MAX_LINES:
            return "other"
        self._lines.add(line)
        for metric in METRICS.values():
            # Prometheus would see the first error of the line as a beginning, and not as a step from 0 to 1.
            for labels in self._known(metric, line) if metric.is_by_line else ():
                self._child(metric.name, labels)
        return line

    def _known(self, metric: Metric, line: str) -> Iterable[tuple[str, ...]]:
        """Return the label values of a metric that are shown before anything is counted."""
        named = (line,) if metric.is_by_line else ()
        if metric.kind is Kind.HISTOGRAM:
            return () if self._reply_mode_of is None else ((self._reply_mode_of(line), *named),)
        return [(*labels[:-1], line) for labels in metric.known] if metric.is_by_line else metric.known

    def add_all(self, counts: Iterable[Count]) -> None:
        """Add all `counts`. One of them that cannot be counted is left out, with those that follow it."""
        try:
            for name, labels, amount in counts:
                is_by_line = METRICS[name].is_by_line
                child = self._child(name, (*labels[:-1], self.line_label(labels[-1])) if is_by_line else labels)
                if METRICS[name].kind is Kind.HISTOGRAM:
                    child.observe(amount)
                else:
                    child.inc(amount)
        except Exception:  # no code that logs could handle it
            self.failed += 1

    def set(self, name: str, labels: tuple[str, ...], value: float) -> None:
        """Set a gauge."""
        try:
            self._child(name, labels).set(value)
        except Exception:  # as above
            self.failed += 1

    def _child(self, name: str, labels: tuple[str, ...]) -> Any:
        """Return the values of a metric for its label values."""
        if (child := self._children.get((name, labels))) is not None:
            return child
        metric = self._metrics[name]
        if not labels:
            return self._children.setdefault((name, labels), metric)
        line = labels[-1:] if METRICS[name].is_by_line else ()
        if self._sets[name, *line] >= MAX_LABEL_SETS:
            return metric.labels(*["other"] * (len(labels) - len(line)), *line)
        self._sets[name, *line] += 1
        child = metric.labels(*[label[:MAX_LABEL_CHARACTERS] for label in labels])
        return self._children.setdefault((name, labels), child)


def _make(metric: Metric, registry: Any) -> "Counter | Gauge | Histogram":
    from prometheus_client import Counter, Gauge, Histogram

    name = PREFIX + metric.name
    match metric.kind:
        case Kind.COUNTER:
            return Counter(name, metric.help, metric.labels, registry=registry)
        case Kind.HISTOGRAM:
            return Histogram(name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
        case Kind.GAUGE:
            # Of a worker that is gone, no gauge counts. The supervisor's one stays.
            if metric.name == "build_info":
                return Gauge(name, metric.help, metric.labels, registry=registry, multiprocess_mode="max")
            return Gauge(name, metric.help, metric.labels, registry=registry, multiprocess_mode="livesum")
