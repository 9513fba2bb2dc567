"""Figures that the model takes as given, each with its origin."""

from dataclasses import dataclass
from enum import Enum

from lexbridge.server import ecs


class Origin(Enum):
    """Origin of a figure."""

    DOCUMENTED = "documented"
    OURS = "our templates and code"
    SEEN = "seen by others in what AWS made"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Given:
    """Figure of the model, or a rule without one. `source`: an address, a file of this project, or a reason."""

    name: str
    amount: float | None
    unit: str
    origin: Origin
    source: str

    @property
    def value(self) -> float:
        """Amount of a figure. A rule has none."""
        assert self.amount is not None, self.name
        return self.amount

    @property
    def figure(self) -> str:
        """Figure with its unit; empty for a rule."""
        return "" if self.amount is None else f"{self.value:g} {self.unit}".strip()


_ECS = "docs.aws.amazon.com/AmazonECS/latest/developerguide"
_ALARMS = "alarms of target tracking on an ECS service, of a minute each"
_ALB = "docs.aws.amazon.com/elasticloadbalancing/latest/application"

START_S = Given(
    "task start, to the first call", 105, "s", Origin.ASSUMED, "image pull, start, two health checks: 90-120"
)
START_SPREAD_S = Given("its spread, either way", 15, "s", Origin.ASSUMED, "")
STARTS_PER_MIN = Given(
    "tasks started for one service",
    500,
    "a minute",
    Origin.DOCUMENTED,
    "docs.aws.amazon.com/general/latest/gr/ecs-service.html",
)
METRIC_EVERY_S = Given("the metric is logged", ecs.METRIC_EVERY_S, "s", Origin.OURS, "lexbridge/server/ecs.py")
METRIC_LATE_S = Given("from the log to a metric that alarms see", 60, "s", Origin.ASSUMED, "log agent and ingestion")
OUT_MINUTES = Given("datapoints above the target, to scale out", 3, "", Origin.SEEN, _ALARMS)
IN_MINUTES = Given("datapoints below, to scale in", 15, "", Origin.SEEN, _ALARMS)
OUT_BASE = Given(
    "scaling begins with the tasks that run, not those desired; nothing is scaled in during a deployment", None, "",
    Origin.DOCUMENTED, f"{_ECS}/service-auto-scaling.html",
)  # fmt: skip
IN_BELOW = Given("below is under so much of the target", 0.9, "", Origin.SEEN, f"{_ALARMS}; EC2 has 0.7")
OUT_COOLDOWN_S = Given("cooldown after scaling out", 60, "s", Origin.OURS, "cloudformation/service.yml")
IN_COOLDOWN_S = Given("cooldown after scaling in", 600, "s", Origin.OURS, "cloudformation/service.yml")
DRAIN_S = Given("from SIGTERM to the end of a task", 110, "s", Origin.OURS, "DRAIN_S, cloudformation/service.yml")
MOVED_PER_S = Given("calls that a draining task moves, at least", 10, "a second", Origin.OURS, "docs/processes.md")
MOVED_WITHIN_S = Given("and all of them within", 10, "s", Origin.OURS, "docs/processes.md")
PROTECTED_S = Given("protection without a rest", ecs.MAX_PROTECTED_S, "s", Origin.OURS, "lexbridge/server/ecs.py")
REST_S = Given("rest of the protection", ecs.PAUSE_S, "s", Origin.OURS, "lexbridge/server/ecs.py")
RENEWED_EVERY_S = Given(
    "protection is renewed, and refused while a deployment is blocked",
    ecs.RENEW_EVERY_S,
    "s",
    Origin.OURS,
    "lexbridge/server/ecs.py",
)
BLOCKED_REST = Given(
    "a blocked deployment is told of when protected tasks are more than desired", None, "", Origin.DOCUMENTED,
    f"{_ECS}/task-scale-in-protection.html",
)  # fmt: skip
SURPLUS = Given(
    "most tasks in a deployment, times desired", 2, "", Origin.OURS, "MaximumPercent, cloudformation/service.yml"
)
DEREGISTRATION_S = Given(
    "calls of a deregistered task go on for, at most", 3600, "s", Origin.DOCUMENTED,
    f"{_ALB}/edit-target-group-attributes.html",
)  # fmt: skip
CALL_MEAN_S = Given("length of a call, mean", 180, "s", Origin.ASSUMED, "log-normal")
CALL_SIGMA = Given(
    "its log-normal sigma", 0.9, "", Origin.ASSUMED, "median 120 s, one of 1,000 is longer than half an hour"
)
LONGEST_CALL_S = Given("longest call", 7200, "s", Origin.ASSUMED, "")

GIVENS = [given for given in list(globals().values()) if isinstance(given, Given)]
"""All figures and rules, in order."""
