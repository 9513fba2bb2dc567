"""What Twilio plays of a bidirectional stream: words in marked audio, each at its time. Not a measurement itself.

What it is sent it plays in order and without a gap. A mark comes back when all before it has been played; a `clear`
drops what has not been, and its marks come back at once.
"""

import base64
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.harness.marked_audio import FRAME_BYTES, FRAME_MS, words_in


class Ear(Protocol):
    """Whoever hears it."""

    def bot_begins(self, text: str) -> None:
        """These words begin."""
        ...

    def bot_ends(self, *, whole: bool) -> None:
        """They are over. Not `whole`: they were cut. Nothing happens where none are heard."""
        ...


class Timer(Protocol):
    """What is to happen."""

    def cancel(self) -> object:
        """It does not."""
        ...


class Loop(Protocol):
    """What is used of an asyncio loop."""

    def time(self) -> float:
        """Now, seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Calls it then."""
        ...


class Playback:
    """The audio of one stream. Times are those of the loop, seconds."""

    def __init__(
        self, loop: Loop, ear: Ear, send_back: Callable[[str], None], complain: Callable[[int, str], None]
    ) -> None:
        """`send_back`: tells the server that a mark was reached. `complain`: of what Twilio, or an ear, would mind."""
        self._loop = loop
        self._ear = ear
        self._send_back = send_back
        self._complain = complain
        self._until_s = 0.0  # all that is here has been played then
        self._text: str | None = None  # the words of the last frame, if they go on after it
        self._due: deque[tuple[float, Callable[[], None]]] = deque()
        self._marks: deque[str] = deque()  # that are among those
        self._timer: Timer | None = None

    def take(self, message: Mapping[str, Any]) -> None:
        """A message of the server."""
        match message.get("event"):
            case "media":
                self._play(base64.b64decode(message["media"]["payload"], validate=True))
            case "mark":
                self._marks.append(message["mark"]["name"])
                self._when(max(self._until_s, self._loop.time()), self._mark)
            case "clear":
                self._clear()
            case event:
                self._complain(31951, f"Stream: no message of Twilio's: {event!r}")

    def stop(self) -> None:
        """The stream is over, and what was still to be heard with it."""
        self._drop()
        self._marks.clear()

    def _play(self, mulaw: bytes) -> None:
        at_s = max(self._until_s, self._loop.time())
        if len(mulaw) % FRAME_BYTES:
            self._complain(0, "a piece of audio is no whole number of frames")
        for at in range(0, len(mulaw), FRAME_BYTES):
            words = words_in(mulaw[at : at + FRAME_BYTES])
            if words is None:
                self._complain(0, "the caller heard something that nobody said")
            elif words.is_first or words.text != self._text:
                self._when(at_s, lambda text=words.text: self._ear.bot_begins(text))  # type: ignore[misc]
            at_s += FRAME_MS / 1000
            self._text = words.text if words is not None and not words.is_last else None
            if words is not None and words.is_last:
                self._when(at_s, lambda: self._ear.bot_ends(whole=True))
        self._until_s = at_s

    def _mark(self) -> None:
        self._send_back(self._marks.popleft())

    def _clear(self) -> None:
        self._drop()
        while self._marks:
            self._mark()

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due.clear()
        self._until_s, self._text = 0.0, None
        self._ear.bot_ends(whole=False)

    def _when(self, at_s: float, does: Callable[[], None]) -> None:
        """Does it then, and after what is to be done before: they come in the order of their times."""
        self._due.append((at_s, does))
        if self._timer is None:
            self._timer = self._loop.call_at(at_s, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        while self._due and self._due[0][0] <= self._loop.time():
            self._due.popleft()[1]()
        if self._due and self._timer is None:
            self._timer = self._loop.call_at(self._due[0][0], self._go_on)
