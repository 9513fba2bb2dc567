"""Answering machine detection: what Twilio finds that a called party is, and when.

Source: https://www.twilio.com/docs/voice/answering-machine-detection . Nothing is recognised here: each party says
itself what it would be taken for, by Twilio's thresholds.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

AnsweredBy = Literal[
    "human", "machine_start", "machine_end_beep", "machine_end_silence", "machine_end_other", "fax", "unknown"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRules:
    """Demands that a request for a call makes on the detection. Milliseconds; the defaults are Twilio's.

    waits_for_end: MachineDetection is DetectMessageEnd: of a machine, the end of its greeting is told.
    """

    waits_for_end: bool = False
    timeout_ms: int = 30_000
    speech_threshold_ms: int = 2_400
    speech_end_threshold_ms: int = 1_200
    silence_timeout_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Detection:
    """A result of the detection, `after_ms` of the line from the answer."""

    answered_by: AnsweredBy
    after_ms: int

    def within(self, rules: DetectionRules) -> "Detection":
        """Return what is told by the timeout at the latest."""
        return self if self.after_ms <= rules.timeout_ms else Detection("unknown", rules.timeout_ms)


@runtime_checkable
class Detectable(Protocol):
    """A called party that knows what it is taken for."""

    def detection(self, rules: DetectionRules) -> Detection:
        """Return what Twilio takes this party for."""
        ...


def of_speech(first_words_ms: int, length_ms: int, rules: DetectionRules) -> Detection:
    """Return the detection of a person whose first words begin after `first_words_ms`. A length of 0: who says nothing.

    Who speaks longer than a person does when they answer is taken for a machine.
    """
    if not length_ms or first_words_ms > rules.silence_timeout_ms:
        return Detection("unknown", rules.silence_timeout_ms)
    if length_ms > rules.speech_threshold_ms:
        return Detection("machine_start", first_words_ms + rules.speech_threshold_ms)
    return Detection("human", first_words_ms + length_ms + rules.speech_end_threshold_ms)
