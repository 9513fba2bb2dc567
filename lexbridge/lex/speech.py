"""Lex's voice for a reply, read while it arrives."""

import math
import time
from typing import Any

import gevent
from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from lexbridge.audio.pcm import RATE_HZ
from lexbridge.errors import LexUnavailable
from lexbridge.lex.model import LONGEST_SPEECH_MS
from lexbridge.lex.voice import ReplyAudio

# What one read waits for, because botocore returns only when so many bytes are there. The first read is one frame of
# audio at 16 kHz, so that the caller hears the beginning soon.
_FIRST_READ_BYTES, _READ_BYTES = 640, 1600

_AHEAD_READ_BYTES = 8000
"""What one read waits for while the caller has `_AHEAD_S` to hear, in bytes.

It is 250 ms at 16 kHz, because each read, and each event that it makes, costs as much as 50 ms of resampling.
"""

_AHEAD_S = 1.0
"""The audio that has to lie ahead of the caller for longer reads, in seconds, because they may have to wait."""


class Speech:
    """Lex's voice for one reply, as mu-law frames.

    A peer that sends the audio more slowly than it plays is cut off: its pauses may add up to `answer_s`. After
    LONGEST_SPEECH_MS the speech ends; `is_cut` tells that there was more.
    """

    def __init__(self, body: Any, content_type: str, answer_s: float, asked_s: float = math.inf) -> None:
        """Take over `body`, boto3's StreamingBody.

        `asked_s`: when the speech was asked for, in monotonic seconds, if that was before now. Raise LexUnavailable if
        `content_type` is no PCM.
        """
        self.audio = ReplyAudio(content_type)
        self.is_cut = False
        self._body = body
        self._answer_s = answer_s
        self._since_s = min(asked_s, time.monotonic())  # when it was asked for, later when it began to play
        self._played_s = 0.0
        self._is_over = False
        self._peeked = b""  # read by `has_audio`, not yet returned by `read`

    def has_audio(self) -> bool:
        """Return whether there is any audio. Wait for its beginning as `read` does, and leave it to `read`."""
        try:
            self._peeked = self.read()
        except LexUnavailable:
            return False
        return bool(self._peeked)

    def read(self) -> bytes:
        """Return the next whole mu-law frames, or b"" at the end. Block the calling greenlet only.

        Raise LexUnavailable if the audio breaks off, does not begin within `answer_s`, or comes so slowly that the
        caller would have heard silence for `answer_s` in all.
        """
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        mulaw = b""
        self.is_cut = not self._is_over and self._played_s * 1000 >= LONGEST_SPEECH_MS
        while not mulaw and not self._is_over and not self.is_cut:
            late_s = time.monotonic() - self._since_s - self._played_s
            received = self._read(late_s)
            self._is_over = not received
            mulaw = self.audio.push(received) if received else self.audio.flush()
        if not self._played_s:
            self._since_s = time.monotonic()
        self._played_s += len(mulaw) / RATE_HZ
        return mulaw

    def close(self) -> None:
        """Discard what was not read."""
        self._body.close()

    def _wanted_bytes(self, late_s: float) -> int:
        """Return what the next read waits for. `late_s`: how late the audio is; below 0, how far ahead."""
        if not self._played_s:
            return _FIRST_READ_BYTES
        return _AHEAD_READ_BYTES if late_s < -_AHEAD_S else _READ_BYTES

    def _read(self, late_s: float) -> bytes:
        """Return more of the body, or b"" at its end. `late_s`: how late the audio is."""
        late = LexUnavailable("its audio does not come")
        try:
            with gevent.Timeout(max(0.001, self._answer_s - late_s), late):
                return bytes(self._body.read(self._wanted_bytes(late_s)))
        except (BotoCoreError, HTTPError, OSError) as error:
            raise LexUnavailable(f"its audio breaks off: {type(error).__name__}") from error
