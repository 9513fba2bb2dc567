"""CPU of each detector a frame, one core, and how many calls a core serves with each."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from bench.endpointing.detectors import DETECTORS, SERVICE
from bench.endpointing.limits import Limit
from bench.endpointing.line import SPEECH_DBOV, Condition, Line, Lines, line_of
from bench.endpointing.plan import KINDS, QUIET
from bench.endpointing.run import decisions
from bench.endpointing.tables import number
from bench.harness.report import markdown_table
from bench.load.case import OURS, Case
from bench.load.measure import Times, measure
from bench.load.programs import CALLERS, Place, compiled
from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.pcm import FRAME_MS, PCM_FRAME_BYTES, RATE_HZ
from lexbridge.audio.vad import SileroModel

ROUNDS = 5
SECONDS = 40.0
CALLS, CALL_ROUNDS = 200, 3
"""Silent calls of which the CPU of the whole service is told, and the rounds of which the cheapest counts."""
LIMITS_US = {"amplitude": 1.0, "adaptive": 2.0, "hybrid": 60.0}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of a detector, microseconds a frame, on each of three lines."""

    call_us: float
    noise_us: float
    speech_us: float
    endpointer_us: float
    """CPU of the endpointer behind the detector, on the line of a call."""


def costs(lines: Lines, seed: int) -> Mapping[str, Cost]:
    """Return the cost of each detector: the median of some rounds, in which the detectors take turns, on one core."""
    heard, model = _heard(lines, np.random.default_rng(seed)), SileroModel()
    rounds: dict[str, list[Cost]] = {name: [] for name in DETECTORS}
    for _ in range(ROUNDS):
        for name, found in rounds.items():
            call_us, noise_us, speech_us = (_us_a_frame(line, DETECTORS[name](model).is_voiced) for line in heard)
            flags = decisions(heard[0], DETECTORS[name](model))
            endpointer_us = _endpointer_us_a_frame(heard[0], flags)
            found.append(Cost(call_us, noise_us, speech_us, endpointer_us))
    return {name: _median(found) for name, found in rounds.items()}


def _heard(lines: Lines, rng: np.random.Generator) -> tuple[Line, Line, Line]:
    """Return three lines: a call in which somebody speaks and is silent, a car's noise alone, and speech alone."""
    talk = lines.voice(rng).talk(SECONDS, rng) * 10 ** (SPEECH_DBOV / 20)
    noise = lines.without_speech(Condition("car", "car", 10), SECONDS, rng)
    return lines.spoken_on(QUIET, KINDS, rng), noise, line_of(talk, QUIET)


def _us_a_frame(line: Line, each: Callable[[bytes], object]) -> float:
    frames = [line.pcm[at : at + PCM_FRAME_BYTES] for at in range(0, len(line.pcm), PCM_FRAME_BYTES)]
    began_s = time.process_time()
    for frame in frames:
        each(frame)
    return (time.process_time() - began_s) / len(frames) * 1e6


def _endpointer_us_a_frame(line: Line, flags: Sequence[bool]) -> float:
    frames, push = list(zip(line.mulaw_frames(), flags, strict=True)), Endpointer(SERVICE).push
    began_s = time.process_time()
    for frame, voiced in frames:
        push(frame, voiced)
    return (time.process_time() - began_s) / len(frames) * 1e6


def _median(found: Sequence[Cost]) -> Cost:
    return Cost(
        median(one.call_us for one in found),
        median(one.noise_us for one in found),
        median(one.speech_us for one in found),
        median(one.endpointer_us for one in found),
    )


def bridge_us() -> float:
    """Return the CPU of the whole service for a frame of silence, with the amplitude detector, microseconds.

    Raises NoCompiler.
    """
    with tempfile.TemporaryDirectory(prefix="lexbridge-cost-") as folder:
        place = Place(Path(folder), compiled(CALLERS, Path(folder)))
        rounds = [asyncio.run(measure(Case(OURS, CALLS), place, Times(), {})) for _ in range(CALL_ROUNDS)]
    return min(figures.us_a_message for figures in rounds)


def silent_us() -> float:
    """Return the part of `bridge_us` that the detector and the endpointer take, microseconds."""
    silence = line_of(np.zeros(round(SECONDS * RATE_HZ)), QUIET)
    detector = DETECTORS["amplitude"](SileroModel())
    flags = decisions(silence, detector)
    return median(
        _us_a_frame(silence, detector.is_voiced) + _endpointer_us_a_frame(silence, flags) for _ in range(ROUNDS)
    )


def cost_limits(found: Mapping[str, Cost]) -> Iterator[Limit]:
    """Yield the limits of what detectors may cost in a call."""
    for name, most_us in LIMITS_US.items():
        yield Limit(f"{name}: CPU a frame, us", found[name].call_us, most_us)


def cost_table(found: Mapping[str, Cost], rest_us: float) -> str:
    """Return the table. `rest_us`: CPU of a frame in the service without detector and endpointer."""
    blogs_us = found["blog"].call_us
    rows = []
    for name, cost in found.items():
        calls = FRAME_MS * 1000 / (cost.call_us + cost.endpointer_us + rest_us)
        spent = [number(us, 2) for us in (cost.call_us, cost.noise_us, cost.speech_us, cost.endpointer_us)]
        rows.append((name, spent[0], number(cost.call_us / blogs_us), *spent[1:], number(calls, 0)))
    heading = ("detector", "us a frame, in a call", "times the blog's", "noise only", "speech only")
    return markdown_table((*heading, "the endpointer besides", "calls a core"), rows)
