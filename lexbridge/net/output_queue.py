"""Output of a socket that its peer has not taken yet. Nothing here waits, except `wait_until_sent`."""

import os
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Any

from gevent import get_hub
from gevent.hub import Waiter

from lexbridge.net.read_tick import WRITABLE

_WRITE_BYTES = 32 * 1024
"""Bytes of waiting output that are offered to the system at once."""


class OutputQueue:
    """Writer of one socket: it sends at once what the system takes, and the rest when the peer has read more.

    A peer that does not read is cut off. Most peers always read, so the watchers are made when output waits.
    """

    __slots__ = ("_drained", "_has_failed", "_most_bytes", "_on_failure", "_output", "_socket", "_stall_s", "_watchers")

    def __init__(
        self, connection: Any, most_bytes: int, stall_s: float, on_failure: Callable[[str | None], None]
    ) -> None:
        """Prepare to write to `connection`, a socket that does not block when `put` is called.

        `most_bytes`: how much may wait. `stall_s`: how long the peer may take nothing of it. `on_failure`: called with
        the reason for which the peer is cut off, or with None if the connection is lost.
        """
        self._socket = connection
        self._most_bytes = most_bytes
        self._stall_s = stall_s
        self._on_failure = on_failure
        self._output: bytearray | None = None  # what waits
        self._has_failed = False
        self._drained: Waiter[None] | None = None
        self._watchers: tuple[Any, Any] | None = None  # of room in the socket, and of a peer that makes none

    def put(self, output: bytes) -> None:
        """Send `output` now, or keep what the peer does not take yet."""
        if self._output is None:
            sent = self._send(output)
            if sent == len(output) or self._has_failed:
                return
            output = output[sent:]
            self._output = bytearray()
            self._watch()
        self._output += output
        if len(self._output) > self._most_bytes:
            self._cut_off("output queue full")

    def wait_until_sent(self) -> None:
        """Wait until nothing is left to send. The caller sets the deadline."""
        if self._output is not None:
            self._drained = Waiter()
            self._drained.get()

    def close(self) -> None:
        """Release the watchers, and forget the callback, which refers back to the owner of this queue."""
        self._on_failure = _ignore
        self._has_failed = True
        self._stop()

    def _watch(self) -> None:
        loop = get_hub().loop
        writable, stall = loop.io(self._socket.fileno(), WRITABLE), loop.timer(self._stall_s, self._stall_s)
        self._watchers = writable, stall
        writable.start(self._write, stall)
        stall.start(self._cut_off, "output stalled")

    def _write(self, stall: Any) -> None:
        if self._output is None:
            return
        sent = self._send(bytes(self._output[:_WRITE_BYTES]))
        if self._has_failed:
            return
        del self._output[:sent]
        if sent:
            stall.again(self._cut_off, "output stalled")
        if not self._output:
            self._stop()

    def _send(self, output: bytes) -> int:
        try:
            return os.write(self._socket.fileno(), output)
        except BlockingIOError:
            return 0
        except OSError:
            self._fail(None)
            return 0

    def _cut_off(self, reason: str) -> None:
        """End the connection without a close, which could not reach this peer any more."""
        self._fail(reason)
        with suppress(OSError):  # the connection is gone already
            self._socket.shutdown(SHUT_RDWR)

    def _fail(self, reason: str | None) -> None:
        self._has_failed = True
        self._on_failure(reason)
        self._stop()

    def _stop(self) -> None:
        self._output = None
        for watcher in self._watchers or ():
            watcher.stop()
            watcher.close()
        self._watchers = None
        if self._drained:
            self._drained.switch(None)
            self._drained = None


def _ignore(_: str | None) -> None:
    """Do nothing: the queue is closed."""
