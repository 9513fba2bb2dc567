"""The hangover: the silence that ends an utterance. It depends on what was asked, and on how the caller speaks.

One length for every answer would be too long after "yes" and too short within a number that is read out:

    the bot asked for a word       the shortest length, while the answer may be just a word; then the usual one
    the bot asked for a number     the longest length, because numbers are read out in groups
    the bot asked for a phrase     the usual length
    the bot asked for a sentence   the longest length, while the caller has only just begun; then the usual one

A caller who has paused once may pause again, as long as before and a little longer.
"""

from dataclasses import dataclass
from enum import Enum

LONGEST_WORD_MS = 1000
"""Longest answer to a closed question that may still be just a word."""

BEGINNING_MS = 1500
"""Length of a sentence's beginning, where people hesitate more than later."""

PAUSE_MS = 200
"""Shortest silence that counts as a pause of the caller. Shorter ones are part of a word, such as a "t"."""

AGAIN_SHARE, AGAIN_MS = 1.3, 200
"""Longest second pause: this multiple of the first one, and these milliseconds more."""


class Expected(Enum):
    """Kind of answer that the caller is asked for. It decides how long the caller may pause."""

    OPEN = "open"  # a sentence
    PHRASE = "phrase"  # a few words: a date, a kind of flower
    CLOSED = "closed"  # a word: yes or no, one of a few
    DIGITS = "digits"  # a number, read out in groups


@dataclass(frozen=True, slots=True)
class Hangover:
    """The hangover's lengths in whole frames: `min_ms` <= `usual_ms` <= `max_ms`. If all are equal, it is fixed."""

    usual_ms: int
    min_ms: int
    max_ms: int

    def length_ms(self, expected: Expected, spoken_ms: int, longest_pause_ms: int) -> int:
        """Return how long the line has to be unvoiced now for the utterance to end.

        `spoken_ms`: from the first voiced frame to the last. `longest_pause_ms`: longest pause within that.
        """
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
