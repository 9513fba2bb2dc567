"""Messages of a WebSocket that wait for a greenlet which calls `receive`, as gevent-websocket's applications do."""

from collections import deque
from collections.abc import Callable

import gevent
from gevent.event import Event

from lexbridge.net.receiver import Message

FAIR_SHARE = 5
"""Messages that one greenlet takes before every other socket has its turn."""

WAITING_MESSAGES = 100
"""Messages that are read ahead of the greenlet. While there are more, the socket is not read, and the peer waits."""


class MessageQueue:
    """The receiver of a socket whose messages are taken by a greenlet."""

    def __init__(self, pause_reading: Callable[[], object], resume_reading: Callable[[], object]) -> None:
        """`pause_reading`, `resume_reading`: those of the socket."""
        self._pause_reading = pause_reading
        self._resume_reading = resume_reading
        self._messages: deque[Message] = deque()
        self._changed = Event()  # a message has come, or none will come any more
        self._has_ended = False
        self._is_paused = False
        self._taken = 0

    def take(self) -> Message | None:
        """Return the next message as soon as there is one, or None at the end."""
        if self._messages:
            self._taken += 1
            if self._taken % FAIR_SHARE == 0:
                gevent.sleep(0)
        while not self._messages:
            if self._has_ended:
                return None
            self._changed.clear()
            self._changed.wait()
        message = self._messages.popleft()
        if self._is_paused and not self._messages:
            self._is_paused = False
            self._resume_reading()
        return message

    # What the socket calls

    def received(self, messages: list[Message], now_s: float) -> bool:  # noqa: ARG002
        """Keep `messages`. A line whose receiver is unknown is not quiet."""
        self._messages += messages
        if len(self._messages) > WAITING_MESSAGES:
            self._is_paused = True
            self._pause_reading()
        self._changed.set()
        return False

    def ended(self) -> None:
        """Note that no message will follow."""
        self._has_ended = True
        self._changed.set()
