"""Amazon ECS: protect the task from scale-in while calls are live, and log the number of calls as a CloudWatch metric.

ECS protects a whole task and knows no workers, so one worker acts for all: the first that is alive. A fault of the ECS
agent never affects a call. Until it is over, only the drain protects the calls.
"""

import math
import time
from typing import Any

import gevent
import requests

from lexbridge.logs import Log
from lexbridge.net.capped_http import capped_session
from lexbridge.server.scoreboard import WorkerSlot

CHECK_INTERVAL_S = 1.0
"""Interval in seconds at which the protection is compared with the number of live calls."""
RENEW_EVERY_S = 60.0
"""Interval in seconds at which the protection is renewed: well before it expires."""
EXPIRES_MIN = 5
"""Lifetime of a protection, in minutes, because a task that cannot clear it any more must not stay protected."""
MAX_PROTECTED_S = 1800.0
"""Limits one unbroken protection, in seconds: otherwise a task that always has calls would block a deployment for ever.
ECS lets protected tasks of the old version run, and the load balancer keeps sending them new calls."""
PAUSE_S = 300.0
"""Pause in seconds after such a protection, in which ECS may stop the task.

Its live calls then have the load balancer's deregistration delay to end, and move to other tasks after that."""
RETRY_S, MAX_RETRY_S = 5.0, 60.0
"""Delay in seconds after a fault of the agent; it doubles with each further fault.

A missing permission does not appear within seconds."""
TIMEOUT_S = 3.0
"""Limits a request to the agent, in seconds."""
DEPLOYMENT_BLOCKED = "DEPLOYMENT_BLOCKED"
"""The reason by which ECS refuses protection because protected tasks hold up a deployment."""
METRIC_EVERY_S = 60.0
"""Interval in seconds at which the metric is logged: CloudWatch keeps one value a minute."""
NAMESPACE, METRIC, DIMENSION = "lexbridge", "ActiveCallsPerTask", "ServiceName"


class TaskProtection:
    """The protection of this ECS task from being stopped. `update` is called each second.

    The agent's endpoint: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
    """

    def __init__(self, agent_uri: str) -> None:
        """`agent_uri`: ECS_AGENT_URI, which ECS sets in the container."""
        self._url = f"{agent_uri}/task-protection/v1/state"
        self._session = capped_session()
        self._protected_from_s: float | None = None
        self._pauses_until_s = -math.inf
        self.reset()

    def reset(self) -> None:
        """Forget what was last set, because another worker acted for the task in between."""
        self._is_protected: bool | None = None
        self._due_s = -math.inf
        self._retry_s = RETRY_S
        self._is_failing = False

    def update(self, live_calls: int, now_s: float) -> None:
        """Set, renew or clear the protection, as the number of live calls demands. Raises nothing.

        It is also cleared for a while when it lasts too long, or when ECS says that it blocks a deployment.
        """
        if self._protected_from_s is not None and now_s - self._protected_from_s >= MAX_PROTECTED_S:
            self._pause(now_s)
        wants = live_calls > 0 and now_s >= self._pauses_until_s
        is_due = now_s >= self._due_s
        if self._is_failing and not is_due:
            return
        if wants == self._is_protected and not (wants and is_due):
            return
        fault = self._put(wants)
        if fault == DEPLOYMENT_BLOCKED:
            self._pause(now_s)
            return
        if fault is None:
            self._is_protected = wants
            self._due_s = now_s + RENEW_EVERY_S
            self._retry_s = RETRY_S
            if not wants:
                self._protected_from_s = None
            elif self._protected_from_s is None:
                self._protected_from_s = now_s
            if self._is_failing:
                Log().info("task-protection-works-again", protected=wants)
        else:
            self._due_s = now_s + self._retry_s
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
            if not self._is_failing:
                Log().warning("task-protection-failed", protected=wants, error=fault)
        self._is_failing = fault is not None

    def _pause(self, now_s: float) -> None:
        self._protected_from_s = None
        self._pauses_until_s = now_s + PAUSE_S
        Log().info("task-protection-rests", rest_s=PAUSE_S)

    def _put(self, wants: bool) -> str | None:
        """Send the wanted state to the agent. Return the fault, or None if the agent accepted it."""
        state: dict[str, Any] = {"ProtectionEnabled": wants}
        if wants:
            state["ExpiresInMinutes"] = EXPIRES_MIN
        try:
            with gevent.Timeout(TIMEOUT_S, TimeoutError("no answer in time")):
                answer = self._session.put(self._url, json=state, timeout=TIMEOUT_S)
                body = answer.json()
        except (requests.RequestException, TimeoutError, ValueError, RecursionError) as error:
            return type(error).__name__
        if isinstance(body, dict) and isinstance(body.get("protection"), dict):
            return None
        return _reason(body) or f"status {answer.status_code}"


def _reason(body: object) -> str:
    """Return the agent's reason for a refusal, or its error code. Neither contains anything about a call."""
    for name, key in (("failure", "Reason"), ("error", "Code")):
        fault = body.get(name) if isinstance(body, dict) else None
        if isinstance(fault, dict):
            return str(fault.get(key, name))[:100]
    return ""


def metric(service_name: str, active_calls: int, now_s: float) -> dict[str, Any]:
    """Return the fields of a log line in CloudWatch's embedded metric format. `now_s`: Unix time.

    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metrics = [{"Name": METRIC, "Unit": "Count"}]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": round(now_s * 1000), "CloudWatchMetrics": [directive]},
        DIMENSION: service_name,
        METRIC: active_calls,
    }


def report(slot: WorkerSlot, agent_uri: str, service_name: str) -> None:
    """Update the protection and log the metric, as a greenlet of each worker, while this worker acts for all."""
    protection = TaskProtection(agent_uri)
    minute = time.time() // METRIC_EVERY_S
    was_acting = False
    while True:
        # One value in each minute of the clock, from whichever worker acts: the scaling adds up the tasks' values.
        is_new_minute = minute != (minute := time.time() // METRIC_EVERY_S)
        is_acting = slot.is_first_alive()
        if is_acting and not was_acting:
            protection.reset()
        was_acting = is_acting
        if is_acting:
            live_calls = slot.live_calls_of_all()
            try:
                protection.update(live_calls, time.monotonic())
            except Exception:
                Log().exception("task-protection-broken")
            if is_new_minute:
                Log().info("active-calls", **metric(service_name, live_calls, time.time()))
        gevent.sleep(CHECK_INTERVAL_S)
