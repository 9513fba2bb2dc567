"""Lines that are measured: how many of each condition, and the seed of each line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.endpointing.background import BACKGROUNDS
from bench.endpointing.line import Condition, Kind, Line, Lines
from bench.endpointing.troubles import ECHO, LEVELS, LINES, SOUNDS, sounding

KINDS: Sequence[Kind] = ("short", "short", "fluent", "fluent", "fluent", "hesitant", "hesitant", "digits")
"""Kinds of utterances on one line, which come in random order."""

QUIET = Condition("quiet")
USUAL = (QUIET, *(Condition(name, name, snr_db) for name in BACKGROUNDS for snr_db in (20, 10)))
LOUD = tuple(Condition(name, name, snr_db) for name in BACKGROUNDS for snr_db in (5, 0))


@dataclass(frozen=True, slots=True)
class Planned:
    """Line to be made. `part`: of the set. `seconds`: length of a line without speech, 0 for a line with speech."""

    part: str
    condition: Condition
    seconds: float
    seed: tuple[int, ...]

    def make(self, lines: Lines) -> Line:
        """Return the line."""
        rng = np.random.default_rng(self.seed)
        if not self.seconds:
            kinds = [KINDS[int(n)] for n in rng.permutation(len(KINDS))]
            return lines.spoken_on(self.condition, kinds, rng)
        if self.condition.name in (*SOUNDS, ECHO):
            return sounding(self.condition.name, lines, self.seconds, rng)
        return lines.without_speech(self.condition, self.seconds, rng)


@dataclass(frozen=True, slots=True)
class Amount:
    """Amount of a condition: lines of 8 utterances, and lines without speech of `seconds` each.

    The quiet condition has 3 times as many lines with speech, and twice as many without.
    """

    spoken: int
    silent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of each part of the set."""

    usual: Amount
    loud: Amount
    troubles: Amount


WHOLE = Amounts(usual=Amount(10, 9, 180.0), loud=Amount(5, 2, 180.0), troubles=Amount(13, 3, 200.0))
"""Whole set: 1,200 utterances and 6.3 h without speech as usual, 480 and 1.2 h in loud noise; the troubles."""

QUICK = Amounts(usual=Amount(1, 1, 20.0), loud=Amount(1, 1, 20.0), troubles=Amount(1, 1, 40.0))
"""Smallest set that fills every table."""


def planned(amounts: Amounts, seed: int) -> list[Planned]:
    """Return the lines of the whole set."""
    return [
        *_lines("usual", USUAL, amounts.usual, seed),
        *_lines("loud", LOUD, amounts.loud, seed),
        *_troubles(amounts.troubles, seed),
    ]


def _lines(part: str, conditions: Sequence[Condition], amount: Amount, seed: int) -> Iterator[Planned]:
    for n, condition in enumerate(conditions):
        is_quiet = condition is QUIET
        lengths_s = [0.0] * (amount.spoken * (3 if is_quiet else 1))
        lengths_s += [amount.seconds] * (amount.silent * (2 if is_quiet else 1))
        for number, seconds in enumerate(lengths_s):
            yield Planned(part, condition, seconds, (seed, *part.encode(), n, number))


def _troubles(amount: Amount, seed: int) -> Iterator[Planned]:
    yield from _lines("levels", LEVELS, Amount(amount.spoken, 0, 0.0), seed)
    yield from _lines("lines", LINES, amount, seed)
    yield from _lines(
        "sounds", [Condition(name) for name in (*SOUNDS, ECHO)], Amount(0, amount.silent, amount.seconds), seed
    )
