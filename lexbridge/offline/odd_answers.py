"""Odd answers, which a server in the place of Lex or Twilio may send: answers without end, and compressed bombs.

The local Lex and the simulated Twilio send them on demand, on greenlets of their own that pause between pieces.
"""

import gzip
import socket
import time
from collections.abc import Iterator, Mapping
from functools import cache

import gevent

PIECE_BYTES = 32_768
LONGEST_S = 30.0
"""Longest answer "without end", in seconds, because a client that never closes would keep its greenlet for ever."""

_BOMB_PARTS = 100


@cache
def bomb(filler: bytes = b"\0") -> bytes:
    """Return 100 MB of `filler` as 100 KB of gzip."""
    # A gzip file may have many members: one of them is soon made.
    return gzip.compress(filler * (1 << 20)) * _BOMB_PARTS


def send_endless(connection: socket.socket, status_line: str, headers: Mapping[str, str], piece: bytes) -> None:
    """Answers with a body of pieces, in chunks, until the client closes the connection. Raises OSError then."""
    head = [f"HTTP/1.1 {status_line}", *(f"{name}: {value}" for name, value in headers.items())]
    connection.sendall("\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode())
    for _ in _until_late():
        connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))


def send_infos(connection: socket.socket) -> None:
    """Answers `100 Continue`, again and again, until the client closes the connection. Raises OSError then."""
    for _ in _until_late():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def _until_late() -> Iterator[None]:
    end_s = time.monotonic() + LONGEST_S
    while time.monotonic() < end_s:
        yield
        gevent.sleep(0.001)
