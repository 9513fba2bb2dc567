"""Settings of `python -m bench scale`: three sizes, policies of scaling, and ways to deploy."""

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.scale.scaling import Metric, Policy, Scheduled
from bench.scale.simulation import Plan
from bench.scale.traffic import Burst

CELL_CALLS = 12_500
"""Calls of a cell, with a load balancer and a service of its own. The largest size is 80 cells: 1,000,000 calls."""
SIZES = {"100": 100, "10,000": 10_000, "a cell of 12,500 (80 of them: 1,000,000)": CELL_CALLS}
MAX_CALLS, CALLS_PER_TASK, LEAST_TASKS = 160, 100, 2
DEPLOYED_S = 10 * 3600 + 1800
BURST = Burst(at_s=15 * 3600, lasts_s=900, times=2.0)
AHEAD_S, AFTER_S = 1200, 2400
DELAYS_S = (3600, 900, 300, 0)
DEPLOYMENT_HOURS = 4


def policies(peak_calls: float) -> Sequence[Policy]:
    """Return the policies: no headroom, default, more headroom, ahead of an announced burst, the plain average."""
    most = max(20, math.ceil(peak_calls / CALLS_PER_TASK * 3))
    default = Policy(f"default: {CALLS_PER_TASK} of {MAX_CALLS}", CALLS_PER_TASK, LEAST_TASKS, most)
    bursting = math.ceil(peak_calls * BURST.times / CALLS_PER_TASK)
    ahead = (Scheduled(BURST.at_s - AHEAD_S, bursting), Scheduled(BURST.at_s + BURST.lasts_s + AFTER_S, LEAST_TASKS))
    half = replace(default, name=f"half: {MAX_CALLS // 2} of {MAX_CALLS}", target=MAX_CALLS / 2)
    return (
        replace(default, name=f"no headroom: {MAX_CALLS} of {MAX_CALLS}", target=MAX_CALLS * 0.98),
        default,
        half,
        replace(default, name="default, scheduled ahead of the burst", scheduled=ahead),
        replace(default, name="default, by the average of all tasks", metric=Metric.AVERAGE),
    )


def days() -> Sequence[tuple[str, Plan]]:
    """Return a working day of each size with each policy: a deployment in the morning, a burst after noon."""
    return [
        (size, Plan(peak, policy, MAX_CALLS, burst=BURST, deployments_s=(DEPLOYED_S,)))
        for size, peak in SIZES.items()
        for policy in policies(peak)
    ]


def deployments() -> Sequence[Plan]:
    """Return a deployment at the peak with each deregistration delay."""
    peak = SIZES["10,000"]
    default = policies(peak)[1]
    return [
        Plan(
            peak,
            default,
            MAX_CALLS,
            seconds=DEPLOYMENT_HOURS * 3600,
            is_daily=False,
            deployments_s=(3600,),
            deregistration_s=delay_s,
        )
        for delay_s in DELAYS_S
    ]
