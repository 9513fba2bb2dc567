"""Hearing of the caller's audio, slice by slice, so that no call makes the others wait for long.

One message may bring much media, or skip much time. What it brings is heard in slices of SLICE_MS, and the actions of
the call are carried out after each slice.
"""

from collections import deque
from collections.abc import Callable, Iterator

from lexbridge.audio.endpointing import Endpointer, Listening, SpeechEvent
from lexbridge.audio.pcm import FRAME_MS, decode_mulaw
from lexbridge.audio.vad.base import Detector
from lexbridge.call.events import Media
from lexbridge.call.inbound_audio import InboundAudio

SLICE_MS = 500
"""Media that is heard in one go, milliseconds.

With VAD=silero a slice costs 2 to 5 ms of CPU, and a minute of media 0.2 to 0.6 s."""

JUMP_MS = 1000
"""Least missing audio that is no sign of a silent caller, milliseconds.

The caller may have spoken in so long a gap, or the timestamps are wrong."""


class Hearing:
    """The caller's audio on its way through the detector to the endpointer."""

    def __init__(self, detector: Detector, endpointer: Endpointer) -> None:
        self._detector = detector
        self._endpointer = endpointer
        self._unheard: deque[bytes] = deque()  # frames, mu-law
        self.audio = InboundAudio()

    @property
    def heard_ms(self) -> int:
        """Media time that was heard, milliseconds; skipped time was heard as silence."""
        return self._endpointer.now_ms

    @property
    def arrived_ms(self) -> int:
        """Media time that has come, heard or not, milliseconds."""
        return self._endpointer.now_ms + len(self._unheard) * FRAME_MS

    @property
    def is_behind(self) -> bool:
        """Whether media has come that was not heard yet."""
        return bool(self._unheard)

    def push(self, media: Media) -> None:
        """Take media. It is heard by `next_slice`."""
        filled_ms = self.audio.filled_ms
        self._unheard.extend(self.audio.push(media))
        missing_ms = self.audio.filled_ms - filled_ms
        if missing_ms >= JUMP_MS:
            self._endpointer.extend_wait(missing_ms)

    def push_silence(self, ms: int) -> None:
        """Take `ms` in which no media came, as silence."""
        self._unheard.extend(self.audio.silence(ms))

    def next_slice(self, listening: Callable[[], Listening | None]) -> Iterator[SpeechEvent]:
        """Hear the next SLICE_MS, and yield what the caller does in them.

        `listening` tells before each frame how it is to be listened to. What the caller did before has to be dealt with
        by then, so take each event before the next.
        """
        for _ in range(min(len(self._unheard), SLICE_MS // FRAME_MS)):
            frame = self._unheard.popleft()
            voiced = self._detector.is_voiced(decode_mulaw(frame))
            yield from self._endpointer.push(frame, voiced, listening())

    def drop(self) -> None:
        """Drop what was not heard yet."""
        self._unheard.clear()
