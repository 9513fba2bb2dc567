"""The values of all metrics of one process, in prometheus_client's multi-process mode: in files, by its number."""

from collections.abc import Iterable
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


class MetricValues:
    """All metrics of this process. Only one object of a process is in use, because prometheus_client has one file."""

    def __init__(self, number: str, reply_mode: str | None) -> None:
        """Open the files of `number`, whose earlier values count on.

        `reply_mode`: that of this process' times, or None if it has no times to tell.

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
        self._sets = dict.fromkeys(METRICS, 0)
        self.failed = 0
        """How many additions could not be counted: a bug."""
        modes = () if reply_mode is None else ((reply_mode,),)
        for metric in METRICS.values():
            for labels in modes if metric.kind is Kind.HISTOGRAM else metric.known:
                self._child(metric.name, labels)

    def add_all(self, counts: Iterable[Count]) -> None:
        """Add all `counts`. One of them that cannot be counted is left out, with those that follow it."""
        try:
            for name, labels, amount in counts:
                child = self._child(name, labels)
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
        if self._sets[name] >= MAX_LABEL_SETS:
            return metric.labels(*["other"] * len(labels))
        self._sets[name] += 1
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
