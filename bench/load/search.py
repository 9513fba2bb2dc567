"""Search for the most calls that the service bears on the cores that it has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.load.callers import CallersFailed
from bench.load.case import Case, Figures
from bench.load.compare import MOST_AGE_MS, MOST_CLOSED_MS, Limit, beyond_plan_ms
from bench.load.measure import Times, measure
from bench.load.programs import Place

TIMES = Times(warm_s=3.0, measured_s=6.0)
TRIES = 6
REPEATS = 2
"""Number of times that a try is made while other processes have the core."""
LEAST_OF_PICOWS = {False: 0.75, True: 0.28}
"""Least number of calls, by whether they talk, as a share of those that picows would bear by its CPU."""
LEAST_HYBRID = 0.14


async def most_calls(figures: Figures, found: Sequence[Figures], place: Place, settings: Mapping[str, str]) -> Limit:
    """Return the most calls that met their limits of time, as a share of the least that should. Each try is printed.

    The first try is a little below what the CPU of `figures` promises. Without picows among `found` there is no least.
    """
    good, bad, calls = 0, 0, round(figures.calls_a_core * 0.9)
    for _ in range(TRIES):
        why = await _trouble(replace(figures.case, calls=calls), place, settings)
        print(f"{figures.case.name}, {calls} calls: {why or 'good'}", flush=True)
        good, bad = (calls, bad) if why is None else (good, calls)
        if bad and bad - good < bad * 0.06:
            break
        calls = (good + bad) // 2 if good and bad else round(calls * (1.15 if good else 0.75))
    least = 0.0
    picows = next((other for other in found if other.case.server == "picows"), None)
    if picows:
        share = LEAST_HYBRID if figures.case.detector == "hybrid" else LEAST_OF_PICOWS[figures.case.talks]
        least = picows.calls_a_core * share
    sound = "talking" if figures.case.talks else "silent"
    return Limit(f"{figures.case.name}, {sound}: fewest / most calls of a core ({good})", least / max(1, good), 1.0)


async def _trouble(case: Case, place: Place, settings: Mapping[str, str]) -> str | None:
    """Return why so many calls are too many, or None if they are not."""
    for _ in range(REPEATS):
        try:
            figures = await measure(case, place, TIMES, settings)
        except (CallersFailed, TimeoutError) as error:
            return str(error) or "the calls did not come about in time"
        if figures.had_core:
            break
    why = _broken_limit(figures)
    return why if why is None or figures.had_core else f"{why}, but a worker waited {figures.waited:.0%} for its core"


def _broken_limit(figures: Figures) -> str | None:
    """Return the limit that the calls of one run broke, or None."""
    if not figures.is_sound:
        return f"{figures.lost} frames lost, {figures.late} late, {figures.broken} broken, {figures.odd} errors"
    if figures.case.talks and figures.closed.p50 > MOST_CLOSED_MS:
        return f"requests closed {figures.closed.p50:.0f} ms late (p50)"
    if not figures.case.talks and beyond_plan_ms(figures) > MOST_AGE_MS:
        return f"frames {beyond_plan_ms(figures):.0f} ms beyond plan (p99)"
    return None
