"""The metrics of all processes of the service, counted in each and shown as one.

    supervisor   start(), take_supervisor_line(), stop()   the folder of the values, in shared memory
    worker       Metrics(): take_line(), report()           writes the files of its number
    observer     start_observer(), exposition()             reads all files and adds them up

Each worker counts in files that carry its number (metric_files.py). A number is free again when its worker is gone, and
the next worker goes on counting in the same files. So no counter ever goes back, and there are never more files than
there were workers at one time.

Lines of the log are only kept when they are written, which takes no lock. They are counted once a second.
Nothing here is imported or started unless somebody watches the service.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lexbridge.telemetry import metric_files
from lexbridge.telemetry.line_counts import COUNTED_EVENTS, Count, counts_of
from lexbridge.telemetry.metric_files import OBSERVER, SUPERVISOR, Folder
from lexbridge.telemetry.metric_table import METRICS
from lexbridge.telemetry.metric_values import MetricValues

MAX_LINES = 20_000
"""Limits the lines that wait to be counted, because a burst must not fill the memory: one second has 500 at most."""

_NO_MODE = "none"
"""The reply mode of the supervisor, which has no times to tell."""

_Line = tuple[str, str, Mapping[str, Any]]
Listener = Callable[[str, str, Mapping[str, Any]], object]


class _Process:
    """Means of this process: the folder, once `start` has made it, and the supervisor's own metrics."""

    folder: Folder | None = None
    supervisor: "SupervisorMetrics | None" = None
    observer: "ObserverMetrics | None" = None


def start(folder: Path | None = None) -> Path:
    """Prepare the folder in which all processes count, in the supervisor, before it forks. Return the folder.

    `folder`: an empty one; without it, one is made in shared memory. Raise OSError if there is no room for it.
    """
    made = metric_files.make_folder() if folder is None else folder
    # prometheus_client reads this when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(made)
    _Process.folder = Folder(made)
    _Process.supervisor = SupervisorMetrics(_Process.folder)
    return made


def stop() -> None:
    """Delete the folder, in the supervisor, once all other processes have ended."""
    if _Process.supervisor is not None:
        _Process.supervisor.close()
    if _Process.folder is not None:
        _Process.folder.delete()
    _Process.folder = _Process.supervisor = None
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def take_supervisor_line(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """Count a line that the supervisor logs: which workers died, and what runs."""
    if _Process.supervisor is not None:
        _Process.supervisor.take_line(level, event, fields)


def start_observer() -> Listener | None:
    """Return the listener that counts the lines of this process, the observer, or None if nothing is counted."""
    if _Process.folder is None:
        return None
    try:
        _Process.observer = ObserverMetrics(_Process.folder)
    except (
        Exception
    ):  # there is no room, or the observer before still ends: what the workers count is shown all the same
        return None
    return _Process.observer.take_line


def exposition() -> tuple[bytes, str]:
    """Return all metrics of all processes in Prometheus' text format, and its content type."""
    if _Process.folder is None:
        raise RuntimeError("metrics.start() was not called before this process was forked")
    if _Process.observer is not None:
        _Process.observer.count_lines()
    return metric_files.exposition(_Process.folder)


class Metrics:
    """The metrics of one worker.

    A worker without room for its files counts nothing: `fault` says why. None of the methods raises.
    """

    def __init__(
        self, worker: int | None = None, reply_mode_of: Callable[[str], str] = lambda _: "call-update"
    ) -> None:
        """Take a number and open its files.

        `worker`: the number to take if it is free. `reply_mode_of`: returns the reply mode of a line by its name, by
        which times are kept apart.
        """
        self.fault: str | None = None
        """Why this worker counts nothing, or None if it counts."""
        self._reply_mode_of = reply_mode_of
        self._lines_with_calls: set[str] = set()
        self._lines: deque[_Line] = deque(maxlen=MAX_LINES)
        self._taken = self._counted = 0
        self._totals: dict[str, float] = {}
        self._values: MetricValues | None = None
        try:
            folder = _Process.folder
            if folder is None:
                raise RuntimeError("metrics.start() was not called before this process was forked")
            number = folder.take_number(worker)
            self._values = MetricValues(number, reply_mode_of)
            self._worker = (str(number),)
            self._show_start()
        except Exception as error:  # a fault of the metrics must cost no call
            self.fault = f"{type(error).__name__}: {error}"

    def take_line(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Keep a line of the log until the next `report` counts it. Any thread and any handler of signals may call it.

        `fields`: all of them, those of the call included. They must not change any more.
        """
        if event in COUNTED_EVENTS or level in ("warning", "error"):
            self._taken += 1
            self._lines.append((level, event, fields))

    def report(
        self,
        *,
        live_calls: int,
        live_by_line: Mapping[str, int] | None = None,
        lag_s: float,
        busy_share: float,
        memory_bytes: int,
        memory_limit_bytes: int | None = None,
        is_accepting: bool = True,
        lines_generation: int = 0,
        facts_dropped: int = 0,
        frames: int = 0,
        frames_lost: int = 0,
        frames_silent: int = 0,
        messages_late: int = 0,
        received_bytes: int = 0,
        sent_bytes: int = 0,
    ) -> None:
        """Count what has happened since the last report, and show how the worker is. Call this once a second.

        `live_calls`: now. `live_by_line`: those of each line; None: all are of the default line. `lag_s`: how late the
        event loop is. `busy_share`: share of the last seconds in which it was busy, 0 to 1. `memory_bytes`: resident
        memory. `memory_limit_bytes`: its limit, or None if the worker has none. `is_accepting`: whether the worker
        takes new calls. `lines_generation`: number of its table of lines.

        All others are totals since the worker started. `facts_dropped`: those that the observer did not get.
        `frames`: of 20 ms, received. `frames_lost`: those that did not arrive. `frames_silent`: those that a phone did
        not send. `messages_late`: too late to be heard. `received_bytes`, `sent_bytes`: on media sockets.
        """
        if self._values is None:
            self._lines.clear()
            return
        self._show_live({"": live_calls} if live_by_line is None else live_by_line)
        self._set("worker_calls_live", live_calls)
        self._set("worker_accepting", is_accepting)
        self._set("worker_lines_generation", lines_generation)
        self._set("worker_loop_lag_seconds", lag_s)
        self._set("worker_loop_busy_ratio", busy_share)
        self._set("worker_resident_memory_bytes", memory_bytes)
        if memory_limit_bytes is not None:
            self._set("worker_memory_limit_bytes", memory_limit_bytes)
        self._grow("facts_dropped_total", facts_dropped)
        self._grow("media_frames_total", frames)
        self._grow("media_frames_lost_total", frames_lost)
        self._grow("media_frames_silent_total", frames_silent)
        self._grow("media_messages_late_total", messages_late)
        self._grow("media_received_bytes_total", received_bytes)
        self._grow("media_sent_bytes_total", sent_bytes)
        self.count_lines()

    def count_lines(self) -> None:
        """Count the lines that were taken since the last report. Call this once more when the worker ends."""
        if self._values is None:
            return
        for line in self._new_lines():
            self._values.add_all(counts_of(*line, self._reply_mode_of(str(line[2].get("line") or ""))))
        self._grow("lines_uncounted_total", self._taken - self._counted - len(self._lines) + self._values.failed)

    def _new_lines(self) -> Iterator[_Line]:
        for _ in range(len(self._lines)):
            self._counted += 1
            yield self._lines.popleft()

    def _show_live(self, by_line: Mapping[str, int]) -> None:
        """Show the live calls of each line that has any now, or has had some."""
        if self._values is None:
            return
        shown = dict.fromkeys(self._lines_with_calls, 0)
        for line, count in by_line.items():
            label = self._values.line_label(line)
            shown[label] = shown.get(label, 0) + count
        self._lines_with_calls |= {*shown}
        for label, count in shown.items():
            self._set("calls_live", count, labels=(label,))

    def _show_start(self) -> None:
        self._set("workers", 1, labels=())
        self._set("worker_start_time_seconds", time.time())
        self._set("worker_process_id", os.getpid())

    def _set(self, name: str, value: float, labels: tuple[str, ...] | None = None) -> None:
        if self._values is not None:
            self._values.set(name, self._worker if labels is None else labels, value)

    def _grow(self, name: str, total: float) -> None:
        """Add to a counter what a total has grown by. A total that falls adds nothing until it has caught up."""
        if self._values is not None and total > (before := self._totals.get(name, 0)):
            self._totals[name] = total
            self._values.add_all([Count(name, amount=total - before)])


class SupervisorMetrics:
    """The metrics of the supervisor. They are counted at once, for it logs little, and nothing waits for it."""

    def __init__(self, folder: Folder) -> None:
        """Open the supervisor's files."""
        folder.open_supervisors()
        self._pid = os.getpid()
        self._values = MetricValues(SUPERVISOR)
        self._values.set("start_time_seconds", (), time.time())
        self.close = self._values.close
        """Function that closes the files."""

    def take_line(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Count a line, unless it is one of a process that the supervisor has forked."""
        if os.getpid() != self._pid:
            return
        self._values.add_all(counts_of(level, event, fields, _NO_MODE))
        if event == "serving":
            self._values.set("build_info", build_labels(fields), 1)


class ObserverMetrics:
    """The faults of the observer process, such as events that nobody takes. They are counted when it is scraped."""

    def __init__(self, folder: Folder) -> None:
        """Open the observer's files. Raise OSError if there is no room, or if another process has them."""
        folder.take(OBSERVER)
        self._values = MetricValues(OBSERVER)
        self._lines: deque[_Line] = deque(maxlen=MAX_LINES)

    def take_line(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Keep a line of the log until `count_lines`. Any thread may call it."""
        if level in ("warning", "error"):
            self._lines.append((level, event, fields))

    def count_lines(self) -> None:
        """Count the lines that were taken since the last time."""
        for _ in range(len(self._lines)):
            level, event, fields = self._lines.popleft()
            self._values.add_all(counts_of(level, event, fields, _NO_MODE))


def build_labels(serving: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of `build_info` for the fields of the line `serving`."""
    told = {
        **serving,
        "python": ".".join(map(str, sys.version_info[:3])),
        "lex_generation": "V2" if "locale" in serving else "V1",
    }
    return tuple(str(told.get(name, "")) for name in METRICS["build_info"].labels)
