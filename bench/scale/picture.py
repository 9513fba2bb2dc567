"""Picture of a simulated day."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.scale.scenarios import DEPLOYED_S
from bench.scale.simulation import Outcome

INK, LIVE, ROOM, REFUSED = "#22313f", "#2f6fb2", "#8795a1", "#d1232a"


def draw(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Draw live calls, the room for them, and refusals, one panel for each policy. Raises OSError."""
    figure = Figure(figsize=(12.0, 2.6 * len(outcomes)), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(outcomes), 1, sharex=True, squeeze=False)[:, 0]
    for panel, outcome in zip(panels, outcomes, strict=True):
        hours = np.arange(len(outcome.live)) / 60
        room = np.array(outcome.serving) * outcome.plan.max_calls
        panel.step(hours, room, color=ROOM, label="room of the tasks that take calls", where="post")
        panel.plot(hours, outcome.live, color=LIVE, label="live calls")
        panel.fill_between(hours, outcome.refused_by_minute, color=REFUSED, step="post", label="refused, a minute")
        panel.axvline(DEPLOYED_S / 3600, color=INK, linestyle=":", label="deployment begins")
        panel.set_title(f"{outcome.plan.policy.name}: {outcome.refused_share:.2%} refused", loc="left", color=INK)
        panel.set_xlim(0, 24)
        panel.set_ylim(bottom=0)
    panels[0].legend(loc="upper left", frameon=False)
    panels[-1].set_xlabel("hour of the day")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
