"""The caller's utterance on its way to Lex: it grows in the call's greenlet, while another sends it.

boto3 takes any object with `read()` as the body of a request. It sends what `read()` returns as HTTP chunks with an
unsigned payload, to both generations of Lex: `UtteranceStream` is such an object. The audio itself is the turn's
(`UtteranceAudio`), which keeps all of it, so that a second request can send it again.
"""

import math
import time
from collections.abc import Callable

from gevent.event import Event

from lexbridge.audio.utterance_audio import UtteranceAudio
from lexbridge.lex.content_types import SPEECH, TEXT


class Utterance:
    """One turn of the caller for Lex: their speech, as PCM, or the keys that they pressed, as text.

    Audio is read live by a request, and keys are complete from the start. One greenlet flushes and closes, and others
    read. Only readers are ever blocked.
    """

    def __init__(self, content: UtteranceAudio | str) -> None:
        """`content`: the audio of the turn, which grows until `close`; or keys."""
        self._content: UtteranceAudio | bytes = content.encode() if isinstance(content, str) else content
        self._is_complete = isinstance(content, str)
        self.ended_s = time.monotonic() if self._is_complete else math.inf
        """When the utterance became complete, in monotonic seconds; infinite before."""
        self.content_type = TEXT if self._is_complete else SPEECH
        self._more = Event()
        self._on_close: Callable[[], object] = _do_nothing

    def flush(self) -> None:
        """Wake the readers, because the audio has grown enough to be sent."""
        self._more.set()

    def close(self) -> None:
        """Mark the utterance as complete. Readers get what is left."""
        self._is_complete = True
        self.ended_s = time.monotonic()
        self._more.set()
        self._on_close()

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call `callback` when the utterance is complete, at once if it already is. It must not block.

        It replaces the callback that was given before.
        """
        self._on_close = callback
        if self._is_complete:
            callback()

    @property
    def is_complete(self) -> bool:
        """Whether the audio grows no more."""
        return self._is_complete

    def read_all(self) -> bytes:
        """Return the whole utterance. Wait until it is complete."""
        while not self._is_complete:
            self._wait()
        return self._read(0, None)

    def read_from(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes from `start` on, or b"" at the end of the utterance. Wait until there are any."""
        while not (content := self._read(start, size)) and not self._is_complete:
            self._wait()
        return content

    def _read(self, start: int, size: int | None) -> bytes:
        if isinstance(self._content, UtteranceAudio):
            return self._content.pcm(start, size)
        return self._content[start : None if size is None else start + size]

    def _wait(self) -> None:
        self._more.clear()
        self._more.wait()


class UtteranceStream:
    """An utterance as the body of one HTTP request."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes (any number if negative), or b"" at the end. Wait until there are any."""
        content = self._utterance.read_from(self._position, size if size >= 0 else 1 << 30)
        self._position += len(content)
        return content


def _do_nothing() -> None:
    pass
