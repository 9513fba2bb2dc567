"""The caller's utterance: appended to by one greenlet while another sends it to Lex.

boto3 takes any object with `read()` as the body of a request. It sends what `read()` returns as HTTP chunks with an
unsigned payload, to both generations of Lex: `UtteranceStream` is such an object. `Utterance` keeps all bytes, so that
a second request can send them again.
"""

from collections.abc import Callable

from gevent.event import Event

from lexbridge.lex.content_types import SPEECH, TEXT


class Utterance:
    """The PCM audio that the caller speaks in one turn, or the keys that they pressed, as text.

    Audio is appended while the caller speaks, read live by a request, and kept. Keys are complete from the start. One
    greenlet appends and others read. Only readers are ever blocked.
    """

    def __init__(self, keys: str | None = None) -> None:
        self.content_type = SPEECH if keys is None else TEXT
        self._content = bytearray((keys or "").encode())
        self._is_complete = keys is not None
        self._more = Event()
        self._on_close: Callable[[], object] = _do_nothing

    def append(self, pcm: bytes) -> None:
        """Append audio."""
        self._content += pcm
        self._more.set()

    def close(self) -> None:
        """Mark the utterance as complete."""
        self._is_complete = True
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
        """Whether nothing more will be appended."""
        return self._is_complete

    def read_all(self) -> bytes:
        """Return the whole utterance. Wait until it is complete."""
        while not self._is_complete:
            self._wait()
        return bytes(self._content)

    def read_from(self, start: int, size: int) -> bytes:
        """Return at most `size` bytes from `start` on, or b"" at the end of the utterance. Wait until there are any."""
        while len(self._content) <= start and not self._is_complete:
            self._wait()
        return bytes(self._content[start : start + size])

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
