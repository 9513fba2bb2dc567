"""Run of the measurement: makes the lines and has every row hear each of them, on all cores."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.endpointing.detectors import (
    BARE_ROWS,
    FIXED_ROWS,
    LISTENING_ROWS,
    SERVICE_ROWS,
    SWEPT_ROWS,
    RememberedModel,
    Row,
)
from bench.endpointing.line import Line, Lines, Truth, Voice
from bench.endpointing.plan import Amounts, Planned, planned
from bench.endpointing.recordings import DEVELOPMENT, HELD_OUT, music, voice
from bench.endpointing.scoring import FoundUtterance, Score, find_utterances
from lexbridge.audio.pcm import FRAME_MS, PCM_FRAME_BYTES
from lexbridge.audio.vad import Detector

SWEPT_SHARE = 5
"""Number of lines of which the swept detectors hear one."""

SIDES: Mapping[str, Sequence[str]] = {"held-out": HELD_OUT, "development": DEVELOPMENT}


@dataclass(frozen=True, slots=True)
class FramesVoiced:
    """Frames with speech and without, and how many of each were voiced."""

    speech: int
    speech_voiced: int
    other: int
    other_voiced: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Findings of each row, by name, on one line of the set's `part`. `frames`: of the swept rows."""

    part: str
    truth: Truth
    heard: Mapping[str, list[FoundUtterance]]
    frames: Mapping[str, FramesVoiced]


def decisions(line: Line, detector: Detector) -> list[bool]:
    """Return the detector's decision on each frame of the line."""
    frames = range(0, len(line.pcm), PCM_FRAME_BYTES)
    return [detector.is_voiced(line.pcm[at : at + PCM_FRAME_BYTES]) for at in frames]


def rows_for(number: int, plan: Planned) -> list[Row]:
    """Return the rows that hear line `number` of the set."""
    rows = [*BARE_ROWS, *SERVICE_ROWS, LISTENING_ROWS[0]]
    if plan.part != "usual":
        return rows
    if not plan.seconds:
        rows += [*FIXED_ROWS, *LISTENING_ROWS[1:]]
    if number % SWEPT_SHARE == 0:
        rows += SWEPT_ROWS
    return rows


def measure_line(line: Line, rows: Iterable[Row], part: str, model: RememberedModel) -> Measured:
    """Return what the rows heard. Each detector hears the line once, however many rows it has."""
    model.forget()
    known: dict[tuple[str, float | None], list[bool]] = {}
    heard: dict[str, list[FoundUtterance]] = {}
    frames: dict[str, FramesVoiced] = {}
    for row in rows:
        if row.detector_key not in known:
            known[row.detector_key] = decisions(line, row.detect(model))
        heard[row.name] = find_utterances(line, known[row.detector_key], row.rules)
        if row.value is not None:
            frames[row.name] = _frames(line.truth, known[row.detector_key])
    return Measured(part, line.truth, heard, frames)


def _frames(truth: Truth, voiced: Sequence[bool]) -> FramesVoiced:
    """Count frames. Speech without a pause counts as speech; speech with a pause counts as neither."""
    flags, what = np.array(voiced), np.zeros(len(voiced))
    for spoken in truth.spoken:
        what[spoken.start_ms // FRAME_MS : spoken.end_ms // FRAME_MS] = 1 if spoken.kind in ("short", "fluent") else -1
    speech, other = flags[what == 1], flags[what == 0]
    return FramesVoiced(len(speech), int(speech.sum()), len(other), int(other.sum()))


def recorded_lines(side: str) -> Lines:
    """Return the maker of lines for one of the SIDES, with the recordings."""
    return Lines([Voice(voice(name)) for name in SIDES[side]], music())


class _Worker:
    """State of a worker process."""

    def __init__(self, side: str, amounts: Amounts, seed: int) -> None:
        self._lines = recorded_lines(side)
        self._plans = planned(amounts, seed)
        self._model = RememberedModel()

    def measure(self, number: int) -> Measured:
        """Measure line `number` of the set."""
        plan = self._plans[number]
        return measure_line(plan.make(self._lines), rows_for(number, plan), plan.part, self._model)


_worker: _Worker


def _start(side: str, amounts: Amounts, seed: int) -> None:
    global _worker
    _worker = _Worker(side, amounts, seed)


def _measure(number: int) -> Measured:
    return _worker.measure(number)


def measure(side: str, amounts: Amounts, seed: int, processes: int) -> list[Measured]:
    """Measure the whole set, in its order, with progress on standard error."""
    count, began_s = len(planned(amounts, seed)), time.monotonic()
    measured: list[Measured] = []
    context = multiprocessing.get_context("spawn")  # onnxruntime does not survive a fork
    with context.Pool(processes, _start, (side, amounts, seed)) as pool:
        for one in pool.imap(_measure, range(count)):
            measured.append(one)
            passed_s = time.monotonic() - began_s
            print(f"\r{len(measured)} of {count} lines, {passed_s:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return measured


Keep = Callable[[Measured], bool]


def score(measured: Iterable[Measured], row: str, keep: Keep) -> Score:
    """Return the score of one row over the lines that it heard and that `keep` chooses."""
    result = Score()
    for one in _of(measured, row, keep):
        result.add(one.truth, one.heard[row])
    return result


def _of(measured: Iterable[Measured], row: str, keep: Keep) -> Iterator[Measured]:
    return (one for one in measured if row in one.heard and keep(one))
