"""A worker's reports to the observer process."""

from collections.abc import Callable
from typing import Any

import pytest

from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.server import telling as telling_module
from lexbridge.server.telling import Telling, WorkerReport
from tests.support.telling import telling


def test_a_bug_in_a_report_hides_none_of_the_later(monkeypatch: pytest.MonkeyPatch, logged: Callable[[], Any]) -> None:
    monkeypatch.setattr(telling_module, "REPORT_INTERVAL_S", 0.0)
    monkeypatch.setattr(telling_module, "TELL_INTERVAL_S", 0.01)
    failures = iter([ValueError("secret")])

    def report() -> WorkerReport:
        for failure in failures:
            raise failure
        return WorkerReport("ready", 0, True, 0.0, 0.0, 0, None, MediaFigures(), {})

    with telling() as told:
        Telling(told.teller, 0, None).start(report)
        told.wait_for("worker-reports", 2)
    (fault,) = [line for line in logged() if line["event"] == "telling-fault"]
    assert (fault["reason"], fault["error"]) == ("worker", "ValueError")
