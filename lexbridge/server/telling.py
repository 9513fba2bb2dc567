"""A worker's reports to the observer process and to the metrics, on a greenlet of their own."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import gevent

from lexbridge import logs
from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.telemetry.metrics import Metrics
from lexbridge.telemetry.teller import Teller

TELL_INTERVAL_S = 0.1
"""Interval in seconds at which facts are sent, because whoever watches a call live wants to see it happen."""

REPORT_INTERVAL_S = 1.0
"""Interval in seconds of the reports on the worker itself."""

Listener = Callable[[str, str, Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """State of a worker. `lag_s`: how late its loop is. `busy`: the share of time in which the loop is busy, 0 to 1."""

    state: str
    live_calls: int
    is_accepting: bool
    lag_s: float
    busy: float
    memory_bytes: int
    memory_limit_bytes: int | None
    media: MediaFigures
    """Totals of all streams of the worker so far."""
    live_by_line: Mapping[str, int]
    """Live calls of each line that has had any."""
    lines_generation: int = 0
    """Number of the table of lines that serves new calls; 0 if there is none."""


class Telling:
    """Teller of a worker: to the observer process by `teller`, and to the metrics by `metrics`, if they are wanted."""

    def __init__(self, teller: Teller, slot: int, metrics: Metrics | None) -> None:
        self.teller = teller
        self._slot = slot
        self._metrics = metrics
        self._faults = RateLimitedLog("telling-fault")

    def start(self, report: Callable[[], WorkerReport]) -> None:
        """Tell of this process's log lines and calls from now on. `report`: returns how the worker is."""
        tell = self.teller.line_logged
        logs.listen(tell if self._metrics is None else both(tell, self._metrics.take_line))
        if self._metrics is not None and self._metrics.fault is not None:
            Log().error("metrics-not-counted", error=self._metrics.fault)
        gevent.spawn(self._tell, report)

    def finish(self) -> None:
        """Tell what is left, because the process ends."""
        if self._metrics is not None:
            self._metrics.count_lines()
        self.teller.flush()

    def _tell(self, report: Callable[[], WorkerReport]) -> None:
        report_at_s = 0.0
        while True:
            now_s = time.monotonic()
            is_report_due = now_s >= report_at_s
            if is_report_due:
                report_at_s = now_s + REPORT_INTERVAL_S
            try:
                if is_report_due:
                    self._report(report())
                self.teller.flush()
            except Exception as error:  # a bug must not keep from the observer all that comes after it
                self._faults.count("worker", {"error": type(error).__name__})
            gevent.sleep(TELL_INTERVAL_S)

    def _report(self, worker: WorkerReport) -> None:
        self.teller.tell(
            "worker-reports",
            {
                "pid": os.getpid(),
                "slot": self._slot,
                "state": worker.state,
                "live_calls": worker.live_calls,
                "lag_ms": round(1000 * worker.lag_s),
                "busy_percent": round(100 * worker.busy),
                "memory_mb": worker.memory_bytes >> 20,
                "lines_generation": worker.lines_generation,
                "dropped": self.teller.dropped,
            },
        )
        if self._metrics is not None:
            self._metrics.report(
                live_calls=worker.live_calls,
                live_by_line=worker.live_by_line,
                lag_s=worker.lag_s,
                busy_share=worker.busy,
                memory_bytes=worker.memory_bytes,
                memory_limit_bytes=worker.memory_limit_bytes,
                is_accepting=worker.is_accepting,
                lines_generation=worker.lines_generation,
                facts_dropped=self.teller.dropped,
                **asdict(worker.media),
            )


def both(first: Listener, second: Listener) -> Listener:
    """Return a listener that hands each line to both. The second gets it also if the first fails."""

    def listen(level: str, event: str, fields: Mapping[str, Any]) -> None:
        try:
            first(level, event, fields)
        finally:
            second(level, event, fields)

    return listen
