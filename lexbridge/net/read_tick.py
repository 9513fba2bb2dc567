"""One timer that reads all WebSockets of a process together."""

import time
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from gevent import get_hub
from gevent.monkey import get_original

READ_TICK_S = 0.012
"""Interval at which all WebSockets are read. It delays a frame by at most this much, and by half of it on average.
Reading each socket as soon as it has data costs the process about twice the CPU."""

READABLE, WRITABLE = 1, 2
"""Event bits, which libev and epoll number alike."""


class Readable(Protocol):
    """A socket that the tick reads."""

    def read(self, now_s: float) -> None:
        """Read what has arrived, without waiting. `now_s`: time.monotonic()."""
        ...


class ReadTick:
    """Reader of the WebSockets of one gevent hub. Its timer runs only while there are any."""

    def __init__(self) -> None:
        # An epoll object of its own, polled without waiting: one system call names all sockets that have data. gevent
        # hides the class when it patches `select`.
        self._epoll = get_original("select", "epoll")()
        self._sockets: dict[int, Readable] = {}
        self._timer = get_hub().loop.timer(READ_TICK_S, READ_TICK_S)

    def add(self, descriptor: int, websocket: Readable) -> None:
        """Read `websocket` from now on."""
        if not self._sockets:
            self._timer.start(self._read_all)
        self._sockets[descriptor] = websocket
        self._epoll.register(descriptor, READABLE)

    def remove(self, descriptor: int) -> None:
        """Stop reading the socket of `descriptor`. Do nothing if it is not being read."""
        if self._sockets.pop(descriptor, None):
            self._epoll.unregister(descriptor)
            if not self._sockets:
                self._timer.stop()

    def _read_all(self) -> None:
        now_s = time.monotonic()
        for descriptor, _ in self._epoll.poll(0):
            if websocket := self._sockets.get(descriptor):  # a socket that was read before may have removed this one
                websocket.read(now_s)


_ticks: WeakKeyDictionary[Any, ReadTick] = WeakKeyDictionary()


def get_read_tick(hub: Any) -> ReadTick:
    """Return the read tick of a gevent hub. It is made at the first call."""
    if hub not in _ticks:
        _ticks[hub] = ReadTick()
    return _ticks[hub]
