"""How long the caller may pause before their utterance is over: what was asked and how they speak decide.

One length for all is too long after "yes" and too short in a number that is read out. Between the shortest and the
longest that are allowed:

    a word was asked for       the shortest, for as long as it may be just a word; then the usual
    a number was asked for     the longest: it is read out in groups
    a phrase was asked for     the usual
    a sentence was asked for   the longest while it is hardly more than a beginning; then the usual
    whoever has paused before may do so again, as long and a little longer
"""

from dataclasses import dataclass
from enum import Enum

LONGEST_WORD_MS = 1000
"""A closed question's answer that is longer is more than a word."""

BEGINNING_MS = 1500
"""The beginning of a sentence: people hesitate more there than later."""

PAUSE_MS = 200
"""Unvoiced for so long is a pause of the speaker's; less is part of a word, such as a "t"."""

AGAIN_SHARE, AGAIN_MS = 1.3, 200
"""A pause may come again as so much of its length, and so much more."""


class Expected(Enum):
    """What the caller was asked for, which tells how they pause."""

    OPEN = "open"  # a sentence
    PHRASE = "phrase"  # a few words: a date, a kind of flower
    CLOSED = "closed"  # a word: yes or no, one of a few
    DIGITS = "digits"  # a number, read out in groups


@dataclass(frozen=True, slots=True)
class Hangover:
    """The lengths, whole frames, `min_ms` <= `usual_ms` <= `max_ms`. All the same: it is fixed."""

    usual_ms: int
    min_ms: int
    max_ms: int

    def length_ms(self, expected: Expected, spoken_ms: int, longest_pause_ms: int) -> int:
        """How long the line must be unvoiced now. `spoken_ms`: from the first voiced frame to the last.
        `longest_pause_ms`: within that."""
        if expected is Expected.CLOSED:
            length_ms = self.min_ms if spoken_ms <= LONGEST_WORD_MS else self.usual_ms
        elif expected is Expected.DIGITS or (expected is Expected.OPEN and spoken_ms < BEGINNING_MS):
            length_ms = self.max_ms
        else:
            length_ms = self.usual_ms
        if longest_pause_ms >= PAUSE_MS:
            again_ms = round(longest_pause_ms * AGAIN_SHARE) + AGAIN_MS
            length_ms = max(length_ms, min(self.max_ms, again_ms))
        return length_ms
