"""Playback of a bidirectional stream by the lightweight Twilio: tells when the words in marked audio are heard.

Twilio plays what it is sent in order and without a gap. It sends a mark back when all audio before the mark has been
played. A `clear` drops the audio that has not been played, and the marks in it are sent back at once.
"""

import base64
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bench.harness.marked_audio import FRAME_BYTES, FRAME_MS, words_in


class Listener(Protocol):
    """Party that hears what is played."""

    def bot_begins(self, text: str) -> None:
        """Take note that the bot begins to say these words."""
        ...

    def bot_ends(self, *, whole: bool) -> None:
        """Take note that the bot has stopped. Not `whole`: it was cut off. Nothing happens if the bot was silent."""
        ...


class Timer(Protocol):
    """Callback that an event loop is going to make."""

    def cancel(self) -> object:
        """Prevent the callback."""
        ...


class Loop(Protocol):
    """Part of an asyncio event loop that a playback uses."""

    def time(self) -> float:
        """Return the loop's time, seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Make the callback at that time of the loop."""
        ...


class Playback:
    """Audio of one stream that is played. `send_back` sends a mark; `complain` counts what Twilio would not accept."""

    def __init__(
        self, loop: Loop, listener: Listener, send_back: Callable[[str], None], complain: Callable[[int, str], None]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._send_back = send_back
        self._complain = complain
        self._until_s = 0.0  # time of the loop at which all audio so far has been played
        self._text: str | None = None  # words of the last frame, unless they end with it
        self._due: deque[tuple[float, Callable[[], None]]] = deque()
        self._marks: deque[str] = deque()  # marks that are not sent back yet
        self._timer: Timer | None = None

    def take(self, message: Mapping[str, Any]) -> None:
        """Take a message of the server."""
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
        """Stop playing: the stream is over. No marks are sent back."""
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
                self._when(at_s, lambda text=words.text: self._listener.bot_begins(text))  # type: ignore[misc]
            at_s += FRAME_MS / 1000
            self._text = words.text if words is not None and not words.is_last else None
            if words is not None and words.is_last:
                self._when(at_s, lambda: self._listener.bot_ends(whole=True))
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
        self._listener.bot_ends(whole=False)

    def _when(self, at_s: float, callback: Callable[[], None]) -> None:
        """Schedule a callback. Callbacks are scheduled in the order of their times."""
        self._due.append((at_s, callback))
        if self._timer is None:
            self._timer = self._loop.call_at(at_s, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        while self._due and self._due[0][0] <= self._loop.time():
            self._due.popleft()[1]()
        if self._due and self._timer is None:
            self._timer = self._loop.call_at(self._due[0][0], self._go_on)
