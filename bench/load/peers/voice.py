"""Decoding and voice detection of the Python peers: the least that any bridge has to do with a media message."""

import audioop
from collections import deque

THRESHOLD = 500
SILENCE_FRAMES = 100
"""Number of unvoiced frames after which an utterance is over."""
MOST_FRAMES = 4096
"""Number of frames of an utterance that are kept at most."""


class Voice:
    """Voice of one caller: it keeps the frames from the first voiced one on, until the caller is silent."""

    __slots__ = ("_frames", "_is_speaking", "_silent_frames")

    def __init__(self) -> None:
        self._is_speaking = False
        self._silent_frames = 0
        self._frames: deque[bytes] = deque(maxlen=MOST_FRAMES)

    def take(self, mulaw: bytes) -> None:
        """Take one frame of mu-law."""
        pcm = audioop.ulaw2lin(mulaw, 2)
        if audioop.rms(pcm, 2) > THRESHOLD:
            self._is_speaking = True
            self._silent_frames = 0
            self._frames.append(pcm)
        elif self._is_speaking:
            self._frames.append(pcm)
            self._silent_frames += 1
            if self._silent_frames >= SILENCE_FRAMES:
                self._is_speaking = False
                self._silent_frames = 0
                self._frames.clear()
