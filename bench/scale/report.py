"""Page of tables: docs/scale-figures.md."""

from collections.abc import Sequence

from bench.harness.report import markdown_table
from bench.scale.constants import GIVENS
from bench.scale.scenarios import AFTER_S, BURST, DEPLOYED_S, DEPLOYMENT_HOURS
from bench.scale.simulation import Outcome

AFTER_DEPLOYMENT_S = 2 * 3600


def refused_in(outcome: Outcome, from_s: int, to_s: int) -> str:
    """Return the calls refused in that part of the day, and their share of the calls that came."""
    minutes = slice(from_s // 60, to_s // 60)
    came, refused = sum(outcome.came_by_minute[minutes]), sum(outcome.refused_by_minute[minutes])
    return f"{refused:,} ({refused / max(1, came):.1%})"


def _day(size: str, outcome: Outcome) -> Sequence[str]:
    took = [f"{seconds / 60:.0f}" for seconds in outcome.deployments_took_s]
    return (
        *(size, outcome.plan.policy.name, f"{outcome.came:,}", f"{outcome.refused:,} ({outcome.refused_share:.2%})"),
        refused_in(outcome, BURST.at_s, BURST.at_s + BURST.lasts_s + AFTER_S),
        refused_in(outcome, DEPLOYED_S, DEPLOYED_S + AFTER_DEPLOYMENT_S),
        *(f"{outcome.moved:,}", f"{outcome.cut:,}", f"{max(outcome.live):,}"),
        *(f"{min(outcome.tasks)}-{max(outcome.tasks)}", f"{outcome.task_hours:,.0f}", " ".join(took) or "not over"),
        str(outcome.most_new_per_task),
    )


def _deployment(outcome: Outcome) -> Sequence[str]:
    took = [f"{seconds / 60:.0f}" for seconds in outcome.deployments_took_s]
    return (
        *(f"{outcome.plan.deregistration_s}", " ".join(took) or f"over {DEPLOYMENT_HOURS - 1} h"),
        *(f"{outcome.moved:,}", f"{outcome.cut:,}", f"{outcome.refused:,}"),
        *(f"{max(outcome.tasks)}", f"{outcome.task_hours:,.0f}"),
    )


DAY_HEADING = (
    *("calls at the peak", "policy", "calls came", "refused", "of them in the burst", "around the deployment"),
    *("moved", "cut", "most live", "tasks", "task-hours", "deployment, min", "new calls/s at one task, at most"),
)
DEPLOYMENT_HEADING = (
    *("deregistration delay, s", "deployment, min", "moved", "cut", "refused", "most tasks", "task-hours"),
)


def page(days: Sequence[tuple[str, Outcome]], deployments: Sequence[Outcome]) -> str:
    """Return the whole page, in Markdown."""
    mean_s, burst = days[0][1].plan.lengths.mean_s, BURST
    return "\n".join(
        [
            "# Figures of the simulation",
            "",
            "Written by `python -m bench scale --write docs`. [scale.md](scale.md) says what follows from them.",
            "",
            "## A working day",
            "",
            f"Calls of {mean_s:.0f} s on average. A deployment at {DEPLOYED_S / 3600:g} h. From "
            f"{burst.at_s / 3600:g} h on {burst.times:g} times the calls for {burst.lasts_s // 60} minutes.",
            "Nobody calls again. *Refused*: heard that all lines are busy. *Moved*: went on with another task at the",
            "end of a turn. *Cut*: lost.",
            "",
            markdown_table(DAY_HEADING, (_day(size, outcome) for size, outcome in days)),
            "## A deployment at the peak of 10,000 calls",
            "",
            markdown_table(DEPLOYMENT_HEADING, map(_deployment, deployments)),
            "## What the model takes as given",
            "",
            markdown_table(
                ("what", "figure", "origin", "source or reason"),
                ((one.name, one.figure, one.origin.value, one.source) for one in GIVENS),
            ),
        ]
    )
