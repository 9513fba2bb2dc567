"""On Amazon ECS: the task is protected from scale-in while calls are live, and CloudWatch is told how many there are.

One worker does it for the whole task, as ECS knows no workers: the first that is alive (`Place.speaks_for_all`). A
fault of the agent's touches no call; until it is over the drain alone protects them.
"""

import math
import time
from typing import Any

import gevent
import requests

from lexbridge.logs import Log
from lexbridge.net.capped_http import capped_session
from lexbridge.server.scoreboard import Place

LOOK_EVERY_S = 1.0
RENEW_EVERY_S = 60.0
EXPIRES_MIN = 5
"""A task that cannot clear its protection any more is protected for so long at most."""
LONGEST_S = 1800.0
"""So long a task is protected at a stretch. One that always has calls would else hold up a deployment for good: ECS
lets protected tasks of the old version go on, and the load balancer goes on giving them new calls."""
REST_S = 300.0
"""In which ECS may take a task that was protected for so long. What is live on it then has the load balancer's
deregistration delay, and goes on with other tasks after that."""
RETRY_S, LONGEST_RETRY_S = 5.0, 60.0
"""After a fault, and twice as long after each further one: a role that may not will not a second later."""
DEADLINE_S = 3.0
DEPLOYMENT_BLOCKED = "DEPLOYMENT_BLOCKED"
"""ECS's reason for refusing protection: protected tasks hold up a deployment."""
METRIC_EVERY_S = 60.0
NAMESPACE, METRIC, DIMENSION = "lexbridge", "ActiveCallsPerTask", "ServiceName"


class TaskProtection:
    """Keeps ECS told whether the task may be ended. It is looked after each second.

    The agent's endpoint: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-scale-in-protection-endpoint.html
    """

    def __init__(self, agent_uri: str) -> None:
        """`agent_uri`: ECS_AGENT_URI, as ECS sets it in the container."""
        self._address = f"{agent_uri}/task-protection/v1/state"
        self._session = capped_session()
        self._protected_from_s: float | None = None
        self._rests_until_s = -math.inf
        self.forget()

    def forget(self) -> None:
        """Another worker spoke for the task meanwhile: what ECS was told last is not known."""
        self._is_protected: bool | None = None
        self._due_s = -math.inf
        self._retry_s = RETRY_S
        self._is_failing = False

    def look(self, live_calls: int, now_s: float) -> None:
        """Sets the protection when there are calls, renews it, and clears it when there are none, or when it is in a
        deployment's way. Raises nothing.
        """
        if self._protected_from_s is not None and now_s - self._protected_from_s >= LONGEST_S:
            self._rest(now_s)
        wants = live_calls > 0 and now_s >= self._rests_until_s
        is_due = now_s >= self._due_s
        if self._is_failing and not is_due:
            return
        if wants == self._is_protected and not (wants and is_due):
            return
        fault = self._put(wants)
        if fault == DEPLOYMENT_BLOCKED:
            self._rest(now_s)
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
            self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)
            if not self._is_failing:
                Log().warning("task-protection-failed", protected=wants, error=fault)
        self._is_failing = fault is not None

    def _rest(self, now_s: float) -> None:
        self._protected_from_s = None
        self._rests_until_s = now_s + REST_S
        Log().info("task-protection-rests", rest_s=REST_S)

    def _put(self, wants: bool) -> str | None:
        """Tells the agent. Returns what went wrong."""
        state: dict[str, Any] = {"ProtectionEnabled": wants}
        if wants:
            state["ExpiresInMinutes"] = EXPIRES_MIN
        try:
            with gevent.Timeout(DEADLINE_S, TimeoutError("no answer in time")):
                answer = self._session.put(self._address, json=state, timeout=DEADLINE_S)
                told = answer.json()
        except (requests.RequestException, TimeoutError, ValueError, RecursionError) as error:
            return type(error).__name__
        if isinstance(told, dict) and isinstance(told.get("protection"), dict):
            return None
        return _reason(told) or f"status {answer.status_code}"


def _reason(told: object) -> str:
    """What the agent gives as the reason, or its code: neither says anything about a call."""
    for name, key in (("failure", "Reason"), ("error", "Code")):
        fault = told.get(name) if isinstance(told, dict) else None
        if isinstance(fault, dict):
            return str(fault.get(key, name))[:100]
    return ""


def metric(service_name: str, active_calls: int, now_s: float) -> dict[str, Any]:
    """The log line's fields that CloudWatch makes a metric of: its embedded metric format. `now_s`: Unix time.

    docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    metrics = [{"Name": METRIC, "Unit": "Count"}]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
    return {
        "_aws": {"Timestamp": round(now_s * 1000), "CloudWatchMetrics": [directive]},
        DIMENSION: service_name,
        METRIC: active_calls,
    }


def report(place: Place, agent_uri: str, service_name: str) -> None:
    """A greenlet in each worker: does both, for as long as it is this worker that speaks for all."""
    protection = TaskProtection(agent_uri)
    minute = time.time() // METRIC_EVERY_S
    spoke = False
    while True:
        # One figure in each minute of the clock, whoever speaks: the scaling adds up what all tasks say in it.
        is_new_minute = minute != (minute := time.time() // METRIC_EVERY_S)
        speaks = place.speaks_for_all()
        if speaks and not spoke:
            protection.forget()
        spoke = speaks
        if speaks:
            live_calls = place.live_calls()
            try:
                protection.look(live_calls, time.monotonic())
            except Exception:
                Log().exception("task-protection-broken")
            if is_new_minute:
                Log().info("active-calls", **metric(service_name, live_calls, time.time()))
        gevent.sleep(LOOK_EVERY_S)
