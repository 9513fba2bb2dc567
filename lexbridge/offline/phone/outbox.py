"""Messages on their way to a browser. A slow browser loses audio, never a call."""

from collections import deque
from typing import Protocol

import gevent
from gevent.event import Event

MOST_FRAMES = 50
"""Frames of audio that wait for a browser at most: 1 s, because older audio would only be heard late."""

MOST_TEXTS = 2000
"""Texts that wait for a browser at most, because one that reads none for so long is gone."""


class Socket(Protocol):
    """The part of a WebSocket that sends."""

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises OSError if the connection is gone."""
        ...


class Outbox:
    """The messages to one browser, sent by a greenlet of its own: nobody who adds one waits."""

    def __init__(self, socket: Socket) -> None:
        self.dropped_frames = 0
        self._socket = socket
        self._texts: deque[str] = deque()
        self._frames: deque[bytes] = deque()
        self._wake = Event()
        self._writer = gevent.spawn(self._write)

    def add_text(self, text: str) -> None:
        """Add a text, which is sent before any audio that waits."""
        if len(self._texts) < MOST_TEXTS:
            self._texts.append(text)
        self._wake.set()

    def add_frame(self, mulaw: bytes) -> None:
        """Add 20 ms of audio. The oldest is dropped where too much waits."""
        if len(self._frames) == MOST_FRAMES:
            self._frames.popleft()
            self.dropped_frames += 1
        self._frames.append(mulaw)
        self._wake.set()

    def close(self) -> None:
        """Send no more."""
        self._writer.kill()

    def _write(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._texts or self._frames:
                message = self._texts.popleft() if self._texts else self._frames.popleft()
                try:
                    self._socket.send(message)
                except OSError:  # the reader notices as well, and ends the call
                    return
