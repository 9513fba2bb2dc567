"""A forked process with the metrics of a worker, which a test tells what to count."""

import contextlib
import os
import pickle
import signal
from collections.abc import Iterator
from typing import Any

from lexbridge.telemetry import metrics

REPORT: dict[str, Any] = {"live_calls": 0, "lag_s": 0.0, "busy_share": 0.0, "memory_bytes": 1, "memory_limit_bytes": 9}
"""Figures that each report of a worker has to name."""


class CountingWorker:
    """A process that counts as a worker does."""

    def __init__(self, **options: Any) -> None:
        """Fork the worker. `options`: those of Metrics."""
        ours, theirs = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ours[1])
            _serve(os.fdopen(ours[0], "rb"), theirs[1], options)
        os.close(ours[0])
        os.close(theirs[1])
        self._orders, self._answers = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb")
        self.fault: str | None = pickle.load(self._answers)  # noqa: S301 - our own

    def line(self, level: str, event: str, **fields: Any) -> None:
        """Let the worker take a line of the log."""
        self._order("take_line", (level, event, fields), {})

    def report(self, **figures: Any) -> None:
        """Let the worker report. `figures`: those that are not as in REPORT."""
        self._order("report", (), {**REPORT, **figures})

    def kill(self) -> None:
        """Kill the worker, and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._answers.close()
        with contextlib.suppress(BrokenPipeError):
            self._orders.close()

    def _order(self, *order: Any) -> None:
        pickle.dump(order, self._orders)
        self._orders.flush()
        assert pickle.load(self._answers) is None  # noqa: S301 - our own


def _serve(orders: Any, answers: int, options: dict[str, Any]) -> None:
    """Carry out orders until the test ends or kills this process."""
    try:
        own = metrics.Metrics(**options)
        os.write(answers, pickle.dumps(own.fault))
        while True:
            name, arguments, named = pickle.load(orders)  # noqa: S301 - our own
            os.write(answers, pickle.dumps(getattr(own, name)(*arguments, **named)))
    finally:
        os._exit(1)


@contextlib.contextmanager
def counting_worker(**options: Any) -> Iterator[CountingWorker]:
    """Run a worker, and kill it at the end."""
    worker = CountingWorker(**options)
    try:
        yield worker
    finally:
        worker.kill()
