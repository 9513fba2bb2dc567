"""The pictures of the docs page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.endpointing.detectors import BARE_ROWS, FIXED_ROWS, LISTENING_ROWS, SERVICE_ROWS, SWEEPS, SWEPT_ROWS
from bench.endpointing.limits import DELAY_LIMIT_MS, SPLIT_LIMIT
from bench.endpointing.line import Kind
from bench.endpointing.run import FramesVoiced, Measured, score
from bench.endpointing.tables import SENTENCES, usual, without_babble
from lexbridge.audio.hangover import Expected

INK, FAINT = "#22313f", "#8795a1"
COLOURS = {
    "blog": "#8795a1",
    "amplitude": "#2f6fb2",
    "adaptive": "#2e8b6f",
    "webrtc": "#e08e0b",
    "webrtc 2": "#f0b95c",
    "webrtc 3": "#e08e0b",
    "silero": "#6b3fa0",
    "hybrid": "#d1232a",
}
NEVER_AN_HOUR = 0.1
"""Value at which a logarithmic axis shows zero."""


def draw(folder: Path, measured: Sequence[Measured]) -> None:
    """Write all pictures. Raises OSError."""
    for name, width, panels in (
        ("operating", 12.0, (operating_curves, roc)),
        ("delays", 12.0, (onsets_lost, end_delays)),
        ("tradeoff", 7.5, (trade_off,)),
    ):
        figure = Figure(figsize=(width, 5.0), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        for axes, panel in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
            panel(axes, measured)
            _dress(axes)
        figure.savefig(folder / f"endpointing-{name}.png")


def _dress(axes: Any) -> None:
    axes.grid(visible=True, color=FAINT, alpha=0.2, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)


def operating_curves(axes: Any, measured: Sequence[Measured]) -> None:
    """Plot missed, cut, split and run-on utterances over false triggers, for each detector over its own threshold."""
    for name, sweep in SWEEPS.items():
        rows = [row.name for row in SWEPT_ROWS if row.detector == name]
        scores = [score(measured, row, usual) for row in rows]
        false = [max(of.false_triggers_an_hour, NEVER_AN_HOUR) for of in scores]
        troubled = [of.share_not_whole for of in scores]
        axes.plot(false, troubled, "o-", color=COLOURS[name], label=f"{name} ({sweep.of})", markersize=4)
        for x, y, value in zip(false, troubled, sweep.values, strict=True):
            axes.annotate(
                f"{value:g}", (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7, color=COLOURS[name]
            )
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=-0.05)
    axes.set_xlabel(f"false triggers an hour ({NEVER_AN_HOUR:g}: none)")
    axes.set_ylabel("not heard whole, of the utterances without a pause, %")
    axes.set_title("Operating curves: quiet, and all backgrounds at 20 and 10 dB", fontsize=10, color=INK)


def roc(axes: Any, measured: Sequence[Measured]) -> None:
    """Plot frames, not utterances."""
    for name in SWEEPS:
        rows = [row.name for row in SWEPT_ROWS if row.detector == name]
        sums = [_sum([one.frames[row] for one in measured if row in one.frames]) for row in rows]
        points = sorted((100 * of.other_voiced / of.other, 100 * of.speech_voiced / of.speech) for of in sums)
        axes.plot(*zip(*points, strict=True), "o-", color=COLOURS[name], label=name, markersize=4)
    axes.set_xlabel("of the frames without speech, voiced, %")
    axes.set_ylabel("of the frames of fluent speech, voiced, %")
    axes.set_title("ROC of the frames", fontsize=10, color=INK)


def _sum(found: Sequence[FramesVoiced]) -> FramesVoiced:
    return FramesVoiced(
        sum(one.speech for one in found),
        sum(one.speech_voiced for one in found),
        sum(one.other for one in found),
        sum(one.other_voiced for one in found),
    )


def onsets_lost(axes: Any, measured: Sequence[Measured]) -> None:
    """Plot how late each detector is, without pre-roll."""
    for row in (row for row in BARE_ROWS if row.rules.hangover_ms == BARE_ROWS[0].rules.hangover_ms):
        of = score(measured, row.name, usual)
        axes.plot(*_cumulative(of.onsets_lost_ms, of.utterances), color=COLOURS[row.detector], label=row.name)
    axes.set_xlim(-50, 500)
    axes.set_xlabel("onset lost without pre-roll, ms")
    axes.set_ylabel("of all utterances, %")
    axes.set_title("How late a detector is: PRE_ROLL_MS makes up for it", fontsize=10, color=INK)


def end_delays(axes: Any, measured: Sequence[Measured]) -> None:
    """Plot the time from the end of the speech to the end that was found."""
    for row in SERVICE_ROWS:
        of = score(measured, row.name, usual)
        delays_ms = [ms for after in of.delays_ms.values() for ms in after]
        axes.plot(*_cumulative(delays_ms, of.utterances), color=COLOURS[row.detector], label=row.name)
    name = LISTENING_ROWS[0].name
    listening = score(measured, name, usual)
    shown: tuple[tuple[Expected, Kind, str], ...] = ((Expected.CLOSED, "short", ":"), (Expected.DIGITS, "digits", "--"))
    for asked, kind, style in shown:
        points = _cumulative(listening.delays_ms[asked], len(listening.split[kind]))
        axes.plot(*points, style, color=COLOURS["hybrid"], label=f"{name}: {asked.value}")
    axes.set_xlim(0, 2500)
    axes.set_xlabel("end delay, ms")
    axes.set_ylabel("of all utterances, %")
    axes.set_title("How soon the end is found", fontsize=10, color=INK)


def _cumulative(found_ms: Sequence[int], count: int) -> tuple[Any, Any]:
    """Return the points of a curve, which ends below 100 % if not all of the `count` have a figure."""
    return np.sort(found_ms), np.arange(1, len(found_ms) + 1) / count * 100


def trade_off(axes: Any, measured: Sequence[Measured]) -> None:
    """Plot cutting in against waiting."""
    for rows, style, what in ((FIXED_ROWS, "o-", "one hangover"), (LISTENING_ROWS, "s--", "hangover that listens")):
        by_hangover = sorted(rows, key=lambda row: row.rules.hangover_ms)
        scores = [score(measured, row.name, without_babble) for row in by_hangover]
        delays_ms = [of.delay_ms(0.5, SENTENCES) for of in scores]
        for joined, colour in ((False, COLOURS["hybrid"]), (True, COLOURS["amplitude"])):
            split = [of.share_split(["hesitant"], joined) for of in scores]
            label = what + (", pieces joined" if joined else "")
            axes.plot(delays_ms, split, style, color=colour, label=label, markersize=5)
            for x, y, row in zip(delays_ms, split, by_hangover, strict=True):
                axes.annotate(
                    f"{row.rules.hangover_ms}",
                    (x, y),
                    xytext=(5, -11 if joined else 5),
                    textcoords="offset points",
                    fontsize=7,
                    color=colour,
                )
    axes.plot(
        [0, DELAY_LIMIT_MS, DELAY_LIMIT_MS],
        [SPLIT_LIMIT, SPLIT_LIMIT, 0],
        color=FAINT,
        linewidth=1,
        label="wanted: in here",
    )
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("end delay of sentences, p50, ms")
    axes.set_ylabel("hesitant utterances split, %")
    axes.set_title("Cutting in against waiting: hybrid by HANGOVER_MS, without babble", fontsize=10, color=INK)
