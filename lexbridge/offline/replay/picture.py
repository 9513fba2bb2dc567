"""A picture of a recorded call: the caller's level, and the utterances of then and of now below it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lexbridge.audio.pcm import FRAME_MS, PCM_FRAME_BYTES, decode_mulaw, frame_levels_dbfs
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.offline.hearing.picture import (
    FAINT,
    INCHES_A_SECOND,
    INK,
    LEAST_INCHES,
    LOWEST_DBOV,
    MOST_INCHES,
    TOO_LONG,
    VOICED,
)
from lexbridge.offline.replay.comparison import Row


def draw(path: Path, title: str, record: CallRecord, rows: Sequence[Row]) -> None:
    """Write a PNG picture: what differs is red. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    began_s = min(stream.began_s for stream in record.streams.values())
    levels = list(_levels(record, began_s))
    length_s = max((times_s[-1] for times_s, _ in levels), default=1.0)
    width = min(MOST_INCHES, max(LEAST_INCHES, length_s * INCHES_A_SECOND))
    figure = Figure(figsize=(width, 4.0), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1.2])
    for times_s, dbov in levels:
        above.fill_between(times_s, LOWEST_DBOV, np.maximum(dbov, LOWEST_DBOV), color=FAINT, alpha=0.6, linewidth=0)
    above.set_ylim(LOWEST_DBOV, 0)
    above.set_ylabel("dBov")
    above.set_title(title, color=INK, fontsize=11, loc="left")
    for row in rows:
        for place, found in ((0, row.then), (1, row.now)):
            spans = [
                (
                    record.streams[one.stream_sid].began_s - began_s + one.started_ms / 1000,
                    (one.ended_ms - one.started_ms) / 1000,
                )
                for one in found
                if one.stream_sid in record.streams
            ]
            below.broken_barh(spans, (place + 0.15, 0.7), color=TOO_LONG if row.difference else VOICED, alpha=0.7)
    below.set_yticks([0.5, 1.5], ["then", "now"])
    below.set_ylim(2, 0)
    below.set_xlim(0, length_s)
    below.set_xlabel("seconds; a bar is an utterance, up to where its end was found; red: it differs")
    for axes in (above, below):
        axes.grid(visible=True, axis="x", color=FAINT, alpha=0.25)
        axes.set_axisbelow(True)
    figure.savefig(path)


def _levels(record: CallRecord, began_s: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield times in seconds and levels in dBov of each run of the caller's audio."""
    for stream_sid, stream in record.streams.items():
        for run in record.track(stream_sid, "caller").runs:
            pcm = decode_mulaw(run.mulaw)
            if len(pcm) >= PCM_FRAME_BYTES:
                dbov = frame_levels_dbfs(pcm)
                first_s = stream.began_s - began_s + run.start_ms / 1000
                yield first_s + np.arange(len(dbov)) * FRAME_MS / 1000, dbov
