"""The audio of a media stream that is kept for looking and listening: runs of mu-law on the stream's time line."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lexbridge.audio.pcm import FRAME_MS, MULAW_BYTES_PER_MS, MULAW_SILENCE
from lexbridge.call.inbound_audio import MAX_FILL_MS

MAX_RUNS = 2000
"""Most runs of one track, because audio in pieces apart costs more memory than its bytes."""

MAX_MEDIA_MS = 24 * 3600 * 1000
"""Latest place on the time line, milliseconds, because no call lasts longer than a day."""


@dataclass(slots=True)
class Run:
    """Audio without a hole: it starts at `start_ms` of the stream."""

    start_ms: int
    mulaw: bytearray = field(repr=False)

    @property
    def end_ms(self) -> int:
        """Place on the time line behind the last whole millisecond."""
        return self.start_ms + len(self.mulaw) // MULAW_BYTES_PER_MS


class Track:
    """The audio of one side of a stream, in the order of time."""

    __slots__ = ("runs", "unheard")

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.unheard: list[tuple[int, int]] = []
        """Spans (start and length in ms) of the bot's audio that was sent, and dropped before the caller heard it."""

    def copy(self) -> "Track":
        """Return the audio as it is now."""
        other = Track()
        other.runs = [Run(run.start_ms, run.mulaw[:]) for run in self.runs]
        other.unheard = self.unheard[:]
        return other

    @property
    def end_ms(self) -> int:
        """Place on the time line behind all audio; 0 if there is none."""
        return self.runs[-1].end_ms if self.runs else 0

    @property
    def size_bytes(self) -> int:
        """Bytes of audio."""
        return sum(len(run.mulaw) for run in self.runs)

    def put(self, at_ms: int, mulaw: bytes) -> int:
        """Keep audio of the caller at its media time, and return how many bytes more are kept now.

        Audio that overlaps with what is there was told twice, and is left out. A short hole becomes silence, as it did
        for the call. A difference of less than a frame is the carrier's rounding.
        """
        ahead_ms = at_ms - self.end_ms if self.runs else 0
        if ahead_ms <= -FRAME_MS:
            mulaw = mulaw[-ahead_ms * MULAW_BYTES_PER_MS :]
        if not self.runs or ahead_ms > MAX_FILL_MS:
            return self._add(at_ms, mulaw)
        return self._add(self.end_ms, MULAW_SILENCE * self.hole_bytes(at_ms) + mulaw if mulaw else b"")

    def hole_bytes(self, at_ms: int) -> int:
        """Return how many bytes of silence would go before audio of this place."""
        ahead_ms = at_ms - self.end_ms if self.runs else 0
        return ahead_ms * MULAW_BYTES_PER_MS if FRAME_MS <= ahead_ms <= MAX_FILL_MS else 0

    def play(self, at_ms: int, mulaw: bytes) -> int:
        """Keep audio of the bot, which is played from `at_ms` on, or after what is still being played.

        Return how many bytes were kept.
        """
        return self._add(max(at_ms, self.end_ms), mulaw)

    def clear(self, at_ms: int) -> int:
        """Drop the bot's audio from `at_ms` on, because the caller never hears it. Return how many bytes went."""
        dropped, end_ms = 0, self.end_ms
        while self.runs and self.runs[-1].end_ms > at_ms:
            run = self.runs[-1]
            kept_bytes = max(0, at_ms - run.start_ms) * MULAW_BYTES_PER_MS
            dropped += len(run.mulaw) - kept_bytes
            del run.mulaw[kept_bytes:]
            if run.mulaw:
                break
            self.runs.pop()
        if dropped and len(self.unheard) < MAX_RUNS:
            start_ms = max(at_ms, end_ms - dropped // MULAW_BYTES_PER_MS)
            self.unheard.append((start_ms, end_ms - start_ms))
        return dropped

    def forget(self) -> int:
        """Drop all audio, and return how many bytes that were."""
        dropped, self.runs = self.size_bytes, []
        return dropped

    def between(self, start_ms: int, end_ms: int) -> Iterator[tuple[int, bytes]]:
        """Yield what is kept between two places: where each piece starts, and its mu-law."""
        for run in self.runs:
            if run.end_ms > start_ms and run.start_ms < end_ms:
                first_ms, last_ms = max(start_ms, run.start_ms), min(end_ms, run.end_ms)
                first = (first_ms - run.start_ms) * MULAW_BYTES_PER_MS
                yield first_ms, bytes(run.mulaw[first : first + (last_ms - first_ms) * MULAW_BYTES_PER_MS])

    def _add(self, at_ms: int, mulaw: bytes) -> int:
        if not mulaw or not 0 <= at_ms <= MAX_MEDIA_MS:
            return 0
        if self.runs and self.runs[-1].end_ms == at_ms:
            self.runs[-1].mulaw += mulaw
        elif len(self.runs) < MAX_RUNS:
            self.runs.append(Run(at_ms, bytearray(mulaw)))
        else:
            return 0
        return len(mulaw)
