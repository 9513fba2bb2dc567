"""Endpointing of audio that was heard before: what a detector and its rules make of it."""

from dataclasses import dataclass

from lexbridge.audio.endpointing import Endpointer, EndpointingRules, Listening
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import decode_mulaw
from lexbridge.audio.speech_events import EndReason, SpeechEnded, SpeechStarted
from lexbridge.audio.vad.base import Detector


@dataclass(frozen=True, slots=True)
class FoundUtterance:
    """One utterance: from its first voiced frame to the place where its end was found, in media time.

    silent_ms: the unvoiced time at its end. reason: None if the audio ended before the utterance.
    """

    started_ms: int
    ended_ms: int
    silent_ms: int
    reason: EndReason | None


class Replay:
    """A detector and an endpointer that hear a caller's audio once more, frame by frame."""

    def __init__(self, detector: Detector, rules: EndpointingRules) -> None:
        self._detector = detector
        self._endpointer = Endpointer(rules)
        self._found: list[FoundUtterance] = []
        self._started_ms: int | None = None

    @property
    def now_ms(self) -> int:
        """Length of the audio so far, milliseconds."""
        return self._endpointer.now_ms

    def push(self, mulaw: bytes, listening: Listening | None = None) -> bool:
        """Hear the next frame (160 bytes of mu-law), and return whether it is voiced.

        `listening`: the conditions while a prompt plays, or None for those of the rules.
        """
        is_voiced = self._detector.is_voiced(decode_mulaw(mulaw))
        for event in self._endpointer.push(mulaw, is_voiced, listening):
            if isinstance(event, SpeechStarted):
                self._started_ms = event.at_ms
            elif isinstance(event, SpeechEnded) and self._started_ms is not None:
                self._found.append(FoundUtterance(self._started_ms, event.at_ms, event.silent_ms, event.reason))
                self._started_ms = None
        return is_voiced

    def expect(self, expected: Expected) -> None:
        """Set what the caller is asked for from now on, which decides how long they may pause."""
        self._endpointer.expect(expected)

    def utterances(self) -> list[FoundUtterance]:
        """Return the utterances so far. The last one has no reason if it is still open."""
        still_open = [] if self._started_ms is None else [FoundUtterance(self._started_ms, self.now_ms, 0, None)]
        return [*self._found, *still_open]
