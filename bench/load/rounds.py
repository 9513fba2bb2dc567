"""Rounds of the load measurement: which of them counts, and what a turn costs by all of them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.load.case import Case, Figures

Rounds = Mapping[Case, Sequence[Figures]]
"""All rounds of each case, in order."""


def best_of(rounds: Sequence[Figures]) -> Figures:
    """Return the round with the least CPU a message, of those in which the workers had their cores if there are any.

    Other work on the machine only adds to it. A worker that waits finds more messages at each visit, which costs less.
    """
    clean = [figures for figures in rounds if figures.had_core]
    return min(clean or rounds, key=lambda figures: figures.us_a_message)


def chosen(rounds: Rounds) -> list[Figures]:
    """Return the round of each case that counts, with the CPU of a turn by all its rounds."""
    return [_with_turn(best_of(of_case), rounds) for of_case in rounds.values() if of_case]


def _with_turn(figures: Figures, rounds: Rounds) -> Figures:
    """Return the figures with the CPU of a turn, if silent calls were measured beside them.

    It is the median over the rounds, each with its own silent calls, because a machine is slower in one round than in
    another. Rounds in which a worker waited for its core count only if there are no others.
    """
    case = figures.case
    silent = rounds.get(replace(case, talks=False, tls=False))
    if not case.talks or not silent:
        return figures
    pairs = [pair for pair in zip(rounds[case], silent, strict=False) if pair[0].turns]
    clean = [pair for pair in pairs if all(each.had_core for each in pair)]
    turns = [
        (1000 * (talks.cpu_s - quiet.us_a_message * talks.messages / 1e6) / talks.turns, _frames_ms(talks, quiet))
        for talks, quiet in clean or pairs
    ]
    if not turns:
        return figures
    frames = [ms for _, ms in turns if ms is not None]
    return replace(
        figures,
        turn_ms=statistics.median(ms for ms, _ in turns),
        turn_frames_ms=statistics.median(frames) if frames else None,
    )


def _frames_ms(talks: Figures, quiet: Figures) -> float | None:
    """Return the CPU that reading and hearing media take for a turn, ms."""
    if talks.reading_s is None or quiet.reading_s is None:
        return None
    return 1000 * (talks.reading_s - quiet.reading_s * talks.messages / quiet.messages) / talks.turns
