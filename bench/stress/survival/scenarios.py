"""Disturbances of the survival measurement: what each scenario does to the workers while calls are live."""

import argparse
import asyncio
import math
import os
import random
import signal
import time
from dataclasses import dataclass, field

from bench.harness import proc
from bench.harness.load import Load

RESTART_LIMIT_S = 150.0
"""Longest time from a SIGHUP until all workers are new ones, seconds."""


class RestartFailed(RuntimeError):
    """A rolling restart did not replace the workers in time."""


@dataclass(slots=True)
class Outcome:
    """Disturbances that a scenario has made."""

    kills: int = 0
    restarts: list[float] = field(default_factory=list)
    """Length of each rolling restart, seconds."""
    restarted_at_s: list[float] = field(default_factory=list)
    """Beginning of each rolling restart (monotonic)."""
    undisturbed: tuple[float, float] = (0.0, math.inf)
    """Time before the first disturbance: beginning and end (monotonic)."""


async def plain(load: Load, options: argparse.Namespace) -> Outcome:
    """Place the calls, and disturb nothing."""
    await load.ramp_up(options.ramp)
    await load.until_done()
    return Outcome()


async def kill(load: Load, options: argparse.Namespace) -> Outcome:
    """Kill a worker again and again."""
    outcome = Outcome()
    ramping = asyncio.create_task(load.ramp_up(options.ramp))
    chance = random.Random(options.seed)
    next_s = time.monotonic() + options.every
    while load.live or not ramping.done():
        await load.sleep(max(0.0, next_s - time.monotonic()))
        next_s += options.every
        workers = proc.children(load.service.pid)
        if workers and load.live:
            os.kill(chance.choice(workers), signal.SIGKILL)
            outcome.kills += 1
    await ramping
    return outcome


async def restart(load: Load, options: argparse.Namespace) -> Outcome:
    """Replace all workers again and again, while each call that ends is replaced too."""
    load.replaces_calls = True
    await load.ramp_up(options.ramp)
    outcome = Outcome()
    began_s = time.monotonic()
    await load.sleep(options.undisturbed)
    outcome.undisturbed = began_s, time.monotonic()
    for _ in range(options.restarts):
        sent_s = time.monotonic()
        outcome.restarted_at_s.append(sent_s)
        await _restart_once(load)
        outcome.restarts.append(time.monotonic() - sent_s)
        await load.sleep(options.apart)
    load.replaces_calls = False
    await load.until_done()
    return outcome


async def _restart_once(load: Load) -> None:
    old = set(proc.children(load.service.pid))
    if not old:
        raise RestartFailed("the service has no workers")
    load.service.send_signal(signal.SIGHUP)
    deadline_s = time.monotonic() + RESTART_LIMIT_S
    while time.monotonic() < deadline_s:
        await load.sleep(0.1)
        new = set(proc.children(load.service.pid))
        if not new & old and len(new) >= len(old):
            return
    raise RestartFailed(f"old workers are still there {RESTART_LIMIT_S:.0f} s after a SIGHUP")


SCENARIOS = {"plain": plain, "kill": kill, "restart": restart}
