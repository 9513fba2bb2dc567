"""Events of endpointing: the start, the audio and the end of an utterance, and a caller who says nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum


class EndReason(Enum):
    """Reasons for the end of an utterance."""

    HANGOVER = "hangover"
    MAX_LENGTH = "max-length"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The start of an utterance.

    `at_ms`: media time of its first voiced frame. `pre_roll`: mu-law from before that frame, and of the onset so far.
    """

    at_ms: int
    pre_roll: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechContinued:
    """One more frame of the open utterance, as mu-law."""

    mulaw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The end of the open utterance. `at_ms`: media time of the end of its audio. `silent_ms`: unvoiced time in it."""

    at_ms: int
    reason: EndReason
    silent_ms: int


@dataclass(frozen=True, slots=True)
class NoInput:
    """The end of a time in which the caller was expected to speak, and did not."""

    at_ms: int


SpeechEvent = SpeechStarted | SpeechContinued | SpeechEnded | NoInput

NOTHING: Sequence[SpeechEvent] = ()
"""The events of nearly all frames: none."""
