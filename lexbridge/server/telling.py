"""A worker's reports to the observer process, several times a second, on a greenlet of their own."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from lexbridge import logs
from lexbridge.telemetry.teller import Teller

TELL_INTERVAL_S = 0.1
"""Interval in seconds at which facts are sent, because whoever watches a call live wants to see it happen."""

REPORT_INTERVAL_S = 1.0
"""Interval in seconds of the reports on the worker itself."""


def start_telling(teller: Teller, slot: int, report: Callable[[], Mapping[str, Any]]) -> None:
    """Tell the observer of this process's log lines and calls from now on. `report`: returns what a worker reports."""
    logs.listen(teller.line_logged)
    gevent.spawn(_tell, teller, slot, report)


def _tell(teller: Teller, slot: int, report: Callable[[], Mapping[str, Any]]) -> None:
    report_at_s = 0.0
    while True:
        now_s = time.monotonic()
        if now_s >= report_at_s:
            report_at_s = now_s + REPORT_INTERVAL_S
            teller.tell("worker-reports", {"pid": os.getpid(), "slot": slot, **report(), "dropped": teller.dropped})
        teller.flush()
        gevent.sleep(TELL_INTERVAL_S)
