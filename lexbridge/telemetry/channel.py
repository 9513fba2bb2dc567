"""The channel from the workers to the observer process: bounded, and never waited for.

The supervisor makes it before it forks, with a pair of sockets for each worker slot and one for itself. Both ends
outlive the processes that use them: a new worker, or a new observer, goes on with the same pair. The sockets keep the
messages' bounds, so a message is never torn apart.
"""

import _socket
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from gevent import monkey

from lexbridge.telemetry.facts import Audio, Fact, Follow

# gevent's sockets would make a hub, and a hub does not survive fork(). The module's own `socketpair` makes gevent's.
_Socket = monkey.get_original("socket", "socket")

MAX_MESSAGE_BYTES = 32_768
"""The size of a message at which it is sent, in bytes, because the system's buffer of a socket has room for 200 kB."""

MAX_WAITING_FACTS = 20_000
"""The most events and pieces of audio that wait in a worker, because 500 calls tell about 1,000 a second."""

MAX_WAITING_AUDIO_BYTES = 4 << 20
"""The most audio that waits in a worker, in bytes: with all of 250 calls followed it is one second of both tracks."""

MAX_REQUEST_BYTES = 1 << 20
"""The size of the largest request of the observer, in bytes. A request names at most some hundred calls."""

_encode = msgspec.msgpack.Encoder().encode
_decode_facts = msgspec.msgpack.Decoder(list[Fact]).decode
_decode_follow = msgspec.msgpack.Decoder(Follow).decode


class Channel:
    """All pairs of sockets. Make it in the supervisor, before any fork. Raises OSError."""

    def __init__(self, worker_slots: int) -> None:
        pairs = [_make_pair() for _ in range(worker_slots + 1)]
        self._tellers = [one for one, _ in pairs]
        self.observer_ends: Sequence[socket.socket] = [other for _, other in pairs]
        """The observer's end of each slot, and of the supervisor last. They are not gevent's."""

    def sender(self, slot: int) -> "FactSender":
        """Return the sender of the worker in `slot`."""
        return FactSender(self._tellers[slot])

    def supervisors_sender(self) -> "FactSender":
        """Return the sender of the supervisor."""
        return FactSender(self._tellers[-1])

    def close(self) -> None:
        """Close all sockets in this process."""
        for end in (*self._tellers, *self.observer_ends):
            end.close()


def _make_pair() -> Any:
    # The system of Macs has no SOCK_SEQPACKET here. Datagrams between two such sockets keep their order, too, and none
    # is lost.
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    try:
        ends = _socket.socketpair(socket.AF_UNIX, kind)
    except OSError:
        ends = _socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    pair = [_Socket(fileno=end.detach()) for end in ends]
    for end in pair:
        end.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
    return pair


class FactSender:
    """A worker's end: facts are added at once, and sent when `flush` is called. No method blocks or raises.

    `add` may be called by any thread. The other methods are for one thread alone.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._waiting: deque[Fact] = deque()
        self._audio_bytes = 0
        self._unsent: bytes | None = None
        self.dropped = 0
        """The number of facts that were dropped so far, because the observer was too slow, or absent."""

    def add(self, fact: Fact) -> None:
        """Add a fact. If too many wait, it is dropped, and counted."""
        if isinstance(fact, Audio):
            if self._audio_bytes + len(fact.mulaw) > MAX_WAITING_AUDIO_BYTES:
                self.dropped += 1
                return
            self._audio_bytes += len(fact.mulaw)
        if len(self._waiting) >= MAX_WAITING_FACTS:
            self.dropped += 1
            return
        self._waiting.append(fact)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it now. The rest is kept for the next time."""
        while self._unsent is not None or self._waiting:
            if self._unsent is None:
                self._unsent = self._next_message()
            try:
                self._end.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:  # such as ENOBUFS; a message that cannot be sent must not stop those after it
                self.dropped += 1
            self._unsent = None

    def _next_message(self) -> bytes:
        """Return the next facts as one message."""
        facts: list[Fact] = []
        size = 0
        while self._waiting and size < MAX_MESSAGE_BYTES:
            fact = self._waiting.popleft()
            if isinstance(fact, Audio):
                self._audio_bytes -= len(fact.mulaw)
                size += len(fact.mulaw) + 100
            else:
                size += 300 + (sum(map(_size_of, fact.words.values())) if fact.words else 0)
            facts.append(fact)
        try:
            return _encode(facts)
        except Exception:  # a field of a log line that is no JSON
            return _encode([fact for fact in facts if _is_encodable(fact)])

    def asked(self) -> Follow | None:
        """Return what the observer has asked for since the last time, the newest alone, or None."""
        newest = None
        while True:
            try:
                newest = self._end.recv(MAX_REQUEST_BYTES)
            except OSError:
                break
        with suppress(msgspec.MsgspecError):
            return None if newest is None else _decode_follow(newest)
        return None


def _size_of(words: Any) -> int:
    """Return about how many bytes a value of `words` takes."""
    return len(words) if isinstance(words, str | bytes) else len(str(words))


def _is_encodable(fact: Fact) -> bool:
    try:
        _encode(fact)
    except Exception:
        return False
    return True


def read_facts(message: bytes | memoryview) -> list[Fact]:
    """Return the facts of one message. Raises msgspec.MsgspecError if it is none."""
    return _decode_facts(message)


def write_request(follow: Follow) -> bytes:
    """Return the message that asks a worker to follow calls."""
    return _encode(follow)
