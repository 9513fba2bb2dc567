"""Picture of the load measurement: what a media message costs each server, and how long it waits."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.load.case import Figures
from bench.load.compare import planned_visit_ms

OURS, BEFORE, PEER, PLANNED, WAITED = "#2f6fb2", "#c98a4b", "#8795a1", "#b7cbe3", "#22313f"


def draw(path: Path, found: Sequence[Figures]) -> None:
    """Draw two bars of each case: CPU a message, and the age of messages beside the planned wait. Raises OSError."""
    figure = Figure(figsize=(12.0, 1.2 + 0.3 * len(found)), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    cost, age = figure.subplots(1, 2, sharey=True)
    names = [
        f"{figures.case.name}, {figures.case.calls:,} {'talking' if figures.case.talks else 'silent'}"
        for figures in found
    ]
    at = list(range(len(found)))
    bars = cost.barh(at, [figures.us_a_message for figures in found], color=[_color(figures) for figures in found])
    cost.bar_label(bars, fmt=" %.1f")
    cost.set_xscale("log")
    cost.set_xlim(1, 600)
    cost.set_title("CPU of a media message, with all else in it, us", loc="left")
    cost.set_yticks(at, names)
    cost.invert_yaxis()
    age.barh(
        at, [planned_visit_ms(figures.case) for figures in found], color=PLANNED, label="planned interval of visits"
    )
    age.plot([figures.age.p99 for figures in found], at, "o", color=WAITED, label="age when worked on, p99")
    age.set_title("age of messages, ms", loc="left")
    age.set_xlim(0, 150)
    age.legend(loc="center right", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _color(figures: Figures) -> str:
    if figures.case.server == "before":
        return BEFORE
    return OURS if figures.case.is_service else PEER
