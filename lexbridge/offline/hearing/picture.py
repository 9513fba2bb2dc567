"""A picture of a recording: its level, and what each detector took for speech."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.speech_events import EndReason
from lexbridge.offline.hearing.analysis import Heard

INK, FAINT, VOICED, UTTERANCE, TOO_LONG = "#22313f", "#8795a1", "#2f6fb2", "#9fc3e8", "#d1232a"
INCHES_A_SECOND, LEAST_INCHES, MOST_INCHES = 0.25, 10.0, 60.0
LOWEST_DBOV = -70.0


def draw(path: Path, title: str, heard: Sequence[Heard]) -> None:
    """Write a PNG picture: the level at the top, and a bar for each detector below. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    levels = heard[0].levels
    length_s = len(levels) * FRAME_MS / 1000
    width = min(MOST_INCHES, max(LEAST_INCHES, length_s * INCHES_A_SECOND))
    figure = Figure(figsize=(width, 3.0 + 0.45 * len(heard)), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 0.5 * len(heard)])
    times_s = np.arange(len(levels)) * FRAME_MS / 1000
    above.fill_between(times_s, LOWEST_DBOV, np.maximum(levels, LOWEST_DBOV), color=FAINT, alpha=0.6, linewidth=0)
    above.set_ylim(LOWEST_DBOV, 0)
    above.set_ylabel("dBov")
    above.set_title(title, color=INK, fontsize=11, loc="left")
    for row, one in enumerate(heard):
        for found in one.utterances:
            span = [(found.started_ms / 1000, (found.ended_ms - found.started_ms) / 1000)]
            colour = TOO_LONG if found.reason is EndReason.MAX_LENGTH else UTTERANCE
            below.broken_barh(span, (row + 0.1, 0.8), color=colour, alpha=0.6, linewidth=0)
        below.broken_barh(_runs_s(one.voiced), (row + 0.3, 0.4), color=VOICED, linewidth=0)
    below.set_yticks([row + 0.5 for row in range(len(heard))], [one.detector for one in heard])
    below.set_ylim(len(heard), 0)
    below.set_xlim(0, length_s)
    below.set_xlabel(
        "seconds; light: an utterance, up to where its end was found (red: it ran into MAX_UTTERANCE_MS), dark: voiced"
    )
    for axes in (above, below):
        axes.grid(visible=True, axis="x", color=FAINT, alpha=0.25)
        axes.set_axisbelow(True)
    figure.savefig(path)


def _runs_s(voiced: "np.typing.NDArray[np.bool_]") -> list[tuple[float, float]]:
    """Return the runs of voiced frames as (start, length), in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], voiced.astype(np.int8), [0])))) * FRAME_MS / 1000
    return [(float(start), float(end - start)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
