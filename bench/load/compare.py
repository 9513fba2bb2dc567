"""Limits of the load measurement: ratios of the service to its peers in the same run, and what each call may cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bench.load.case import OURS, Case, Figures
from lexbridge.net import read_schedule

MOST_OF_PICOWS = 1.2
MOST_OF_STOCK = 1 / 8
MOST_OF_AMPLITUDE = {"adaptive": 1.2, "hybrid": 1.3}
MOST_OF_CALL_UPDATE = 1.2
MOST_AGE_MS = 25.0
"""Longest time, at the 99th percentile, that frames wait beyond the planned interval of the visits, ms."""
MOST_CLOSED_MS = 25.0
"""Longest time, at the median, from the end of the hangover to the end of the request to Lex, ms."""
MOST_TURN_IN_MESSAGES = 1000.0
"""CPU of a turn over TLS, in media messages of picows: 9 ms where one of those costs 9 us."""
MOST_KB = {False: 35.0, True: 100.0}
"""Memory of a call, kB, by whether it talks."""
FROM_CALLS = {"hybrid": 100, "silero": 100}
"""Number of calls from which the memory of a call is told, by detector; of others it is FROM_CALLS_OF_OTHERS.

Of fewer, that of the process would be too large a part. A detector with a model is run with fewer calls.
"""
FROM_CALLS_OF_OTHERS = 200
MOST_STALL_MS = 10.0
"""Longest time of CPU without a return to the loop, outside garbage collection, ms."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Figure with the most that it may be. `unit`: that of both, empty for a ratio."""

    name: str
    found: float
    most: float
    unit: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the figure is within the limit."""
        return self.found <= self.most

    def row(self) -> list[str]:
        """Return the row of a table."""
        return [self.name, f"{self.found:.3g}", f"{self.most:.3g} {self.unit}".strip(), "yes" if self.is_kept else "NO"]


def planned_visit_ms(case: Case) -> float:
    """Return the interval at which the server plans to look at a line, ms: what its frames may wait without being late.

    Peers read a socket as soon as something is there.
    """
    if not case.is_service:
        return 0.0
    # Callers who talk are quiet for most of the time, too. The service of before is taken to know no quiet lines.
    steps = read_schedule.QUIET_STEPS if case.server == OURS else read_schedule.QUICK_STEPS
    return 1000 * steps * read_schedule.STEP_S


def limits(found: Sequence[Figures]) -> Iterator[Limit]:
    """Yield the limits that can be told of these figures, the best of each case.

    Nothing is said about the times of a case whose workers had to wait for their cores.
    """
    by_case = {figures.case: figures for figures in found}
    for figures in found:
        if figures.case.server != OURS:
            continue
        yield from _of_cost(figures, by_case)
        yield from _of_memory(figures, found)
        if figures.had_core:
            yield from _of_times(figures)
            yield Limit(f"{_title(figures)}: frames lost or late, streams broken, errors", _troubles(figures), 0)


def _of_memory(figures: Figures, found: Sequence[Figures]) -> Iterator[Limit]:
    """Yield the limit of the memory of a call.

    A worker grows by some MB with its first calls. Where the run has the same case with fewer calls, this part falls
    out: the limit is told of one more call, once, with the most calls.
    """
    case, most_kb = figures.case, MOST_KB[figures.case.talks]
    alike = (other for other in found if _but_size(other.case) == _but_size(case))
    kb_of = {other.case.calls: other.kb_a_call for other in alike}
    few, many = min(kb_of), max(kb_of)
    if few < many:
        if case.calls == many:
            one_more_kb = (many * kb_of[many] - few * kb_of[few]) / (many - few)
            yield Limit(f"{_title(figures)}: memory of one more call than {few}", one_more_kb, most_kb, "kB")
    elif case.calls >= FROM_CALLS.get(case.detector, FROM_CALLS_OF_OTHERS):
        yield Limit(f"{_title(figures)}: memory of a call", figures.kb_a_call, most_kb, "kB")


def _but_size(case: Case) -> Case:
    return replace(case, calls=0, watched=False)


def _title(figures: Figures) -> str:
    case = figures.case
    return f"{case.calls} {'talking' if case.talks else 'silent'} calls, {case.name}"


def _troubles(figures: Figures) -> int:
    return max(0, figures.lost) + figures.late + figures.broken + figures.odd


def _of_cost(figures: Figures, by_case: dict[Case, Figures]) -> Iterator[Limit]:
    case, title = figures.case, _title(figures)
    picows = by_case.get(Case("picows", case.calls))
    if case.talks:
        if figures.turn_ms is not None and picows and case.tls:
            yield Limit(
                f"{title}: a turn / message of picows",
                1000 * figures.turn_ms / picows.us_a_message,
                MOST_TURN_IN_MESSAGES,
            )
        return
    if case.watched or case.workers > 1:
        return
    plain = by_case.get(Case(OURS, case.calls))
    if plain and case.detector in MOST_OF_AMPLITUDE:
        yield Limit(f"{title} / amplitude", _ratio(figures, plain), MOST_OF_AMPLITUDE[case.detector])
    if plain and case.mode == "stream" and case.detector == "amplitude":
        yield Limit(f"{title} / call-update", _ratio(figures, plain), MOST_OF_CALL_UPDATE)
    if figures is not plain:
        return
    if picows:
        yield Limit(f"{title} / picows", _ratio(figures, picows), MOST_OF_PICOWS)
    stock = [other for other in by_case.values() if other.case.server == "stock"]
    if stock:
        best = min(stock, key=lambda other: other.us_a_message)
        yield Limit(f"{title} / stock at its best", _ratio(figures, best), MOST_OF_STOCK)


def _of_times(figures: Figures) -> Iterator[Limit]:
    case, title = figures.case, _title(figures)
    if case.talks:
        yield Limit(f"{title}: request closed, p50", figures.closed.p50, MOST_CLOSED_MS, "ms")
    else:
        yield Limit(f"{title}: frames wait beyond plan, p99", beyond_plan_ms(figures), MOST_AGE_MS, "ms")
    if case.watched:
        yield Limit(f"{title}: stall of the loop", figures.stall_cpu_ms, MOST_STALL_MS, "ms CPU")


def _ratio(one: Figures, other: Figures) -> float:
    return one.us_a_message / other.us_a_message


def beyond_plan_ms(figures: Figures) -> float:
    """Return how long frames waited beyond the planned interval, at the 99th percentile, ms."""
    return max(0.0, figures.age.p99 - planned_visit_ms(figures.case))
