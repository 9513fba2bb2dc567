"""Reports of a speaker: what its doing means for the call. `CallContext.take_reports` moves the call by them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeaksUntil:
    """The bot speaks until the media time `at_ms`, whatever it was going to say before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class CallersTurn:
    """Report that the caller's turn begins `after_ms` from now, when the prompt is over.

    `longest_silence_ms`: how long they may be silent then; None means as long as the bot or the rules say.
    """

    after_ms: int = 0
    longest_silence_ms: int | None = None


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A document is on its way that hands the call over to another stream."""


Report = SpeaksUntil | CallersTurn | HandedOver
Reports = Sequence[Report]

NO_REPORTS: Reports = ()
