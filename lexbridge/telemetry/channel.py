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

from lexbridge.telemetry.facts import Audio, Event, Fact, Follow
from lexbridge.telemetry.plain_values import plain

# gevent's sockets would make a hub, and a hub does not survive fork(). The module's own `socketpair` makes gevent's.
_Socket = monkey.get_original("socket", "socket")

MAX_MESSAGE_BYTES = 32_768
"""The size of a message at which it is sent, in bytes, because the system's buffer of a socket has room for 200 kB."""

MAX_FACT_BYTES = 131_072
"""The size of the largest event with its words, in bytes, because systems send no message of more than 200 kB."""

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
        self._unsent_facts = 0
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
                self._unsent, self._unsent_facts = self._next_message()
            try:
                self._end.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:  # such as ENOBUFS; a message that cannot be sent must not stop those after it
                self.dropped += self._unsent_facts
            self._unsent = None

    def _next_message(self) -> tuple[bytes, int]:
        """Return the next facts as one message, and how many they are."""
        facts: list[msgspec.Raw] = []
        size = 0
        while self._waiting and size < MAX_MESSAGE_BYTES:
            fact = self._waiting.popleft()
            if isinstance(fact, Audio):
                self._audio_bytes -= len(fact.mulaw)
            try:
                encoded = _encoded(fact)
            except Exception:  # such as a media time of more than 64 bits
                self.dropped += 1
                continue
            size += len(encoded)
            facts.append(msgspec.Raw(encoded))
        return _encode(facts), len(facts)

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


def _encoded(fact: Fact) -> bytes:
    """Return a fact as it is sent. An event that cannot be sent as it is loses what is odd in it, or its words."""
    try:
        encoded = _encode(fact)
    except Exception:  # Lex may send half of a surrogate pair, or a number of any size, and nest as deep as it likes
        if isinstance(fact, Audio):
            raise
        encoded = _encode(_mended(fact, plain(fact.words)))
    if len(encoded) > MAX_FACT_BYTES and isinstance(fact, Event):
        encoded = _encode(_mended(fact, {}))
    return encoded


def _mended(event: Event, words: Any) -> Event:
    parts = {name: plain(getattr(event, name)) for name in Event.__struct_fields__}
    return Event(**{**parts, "words": words})


def read_facts(message: bytes | memoryview) -> list[Fact]:
    """Return the facts of one message. Raises msgspec.MsgspecError if it is none."""
    return _decode_facts(message)


def write_request(follow: Follow) -> bytes:
    """Return the message that asks a worker to follow calls."""
    return _encode(follow)
