"""Answers to health checks."""

from typing import Any

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.twilio.routes import PING_PATH, READY_PATH


def answer_probe(path: str, calls: CallRegistry) -> tuple[str, dict[str, Any]] | None:
    """Return the status line and the JSON that answer a health check, or None if `path` is not one's.

    `/ping` tells whether the process is alive, `/ready` whether a new call would be taken.
    """
    # Of all workers: the load balancer's probe mostly reaches the worker that has the fewest calls.
    live_calls = calls.live_calls + calls.calls_of_others
    if path == PING_PATH:
        return "200 OK", {"status": "ok", "live_calls": live_calls}
    if path == READY_PATH:
        state = calls.admission.refusal or "ready"
        status = "200 OK" if state == "ready" else "503 Service Unavailable"
        return status, {"status": state, "live_calls": live_calls}
    return None
