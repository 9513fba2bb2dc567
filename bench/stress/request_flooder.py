"""A stranger who floods the bridge's port with HTTP requests at full speed: not a measurement itself.

A process of its own, at the lowest priority, as if it were on another machine. Plain sockets, no library: it shares no
code with the server, and needs little of the CPU that it measures against.
"""

import argparse
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

AT_ONCE = 16
"""Connections that one stranger has open together."""

SLOW_CONNECTIONS = 1000
SHAPED = b"X-Twilio-Signature: " + b"A" * 27 + b"=\r\n"
"""A signature that has the shape of one, and so has to be checked."""

_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def post(body: bytes, *headers: bytes) -> bytes:
    """A webhook with its length told."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /twiml HTTP/1.1\r\nHost: x\r\n" + _FORM + length + b"".join(headers) + b"\r\n" + body


def fields(count: int, value: bytes) -> bytes:
    """A form of short fields."""
    return b"&".join(b"%x=%b" % (number, value) for number in range(count))


def chunks(count: int, extension: bytes) -> bytes:
    """A request whose body comes a byte at a time."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + (b"1" + extension + b"\r\na\r\n") * count + b"0\r\n\r\n"


ONE_AT_A_TIME = {
    "64 KiB forms": post(fields(11650, b"")),
    "8 KiB forms, signature shaped": post(fields(199, b"v" * 33), SHAPED),
    "chunks": chunks(65000, b""),
    "chunks with extensions": chunks(2000, b";" + b"x" * 1000),
    "handshakes": _UPGRADE + b"\r\n",
    "handshakes, signature shaped": _UPGRADE + SHAPED + b"\r\n",
    "connects": b"",
}
PIPELINED = {
    "pipelined webhooks": post(b"") * 100,
    "pipelined webhooks, signature shaped": post(b"a=b", SHAPED) * 100,
    "pipelined pings": b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
    "pipelined unknown paths": b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
}
SLOW_BODIES = "slow bodies"
KINDS = (*ONE_AT_A_TIME, *PIPELINED, SLOW_BODIES)


def connect(port: int) -> socket.socket | None:
    """A connection; None if there is none to be had now."""
    connection = socket.socket()
    # On the loopback a reset has the server's process free what is in our buffer: 4 MB, left to itself.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    connection.settimeout(10)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        return None
    return connection


def requests_one_at_a_time(port: int, output: bytes) -> Iterator[int]:
    """Each request on a connection of its own; yields how many were made."""
    while True:
        connections = [connection for _ in range(AT_ONCE) if (connection := connect(port)) is not None]
        for connection in connections:
            with suppress(OSError):
                connection.sendall(output)
        for connection in connections:
            with suppress(OSError):
                while output and connection.recv(65536):
                    pass
            connection.close()
        yield len(connections)


def top_up(connections: list[socket.socket], port: int, most: int, first: bytes = b"") -> None:
    """One more connection, if there are not `most`; `first` is sent on it."""
    if len(connections) < most and (new := connect(port)) is not None:
        new.setblocking(False)
        connections.append(new)
        with suppress(OSError):
            new.send(first)


def send(connections: list[socket.socket], connection: socket.socket, output: bytes) -> int:
    """Sends what there is room for, reads what was answered, and forgets a connection that has ended."""
    sent = 0
    try:
        sent = connection.send(output)
        while connection.recv(1 << 20):
            pass
    except BlockingIOError:
        return sent
    except OSError:
        pass
    connection.close()
    connections.remove(connection)
    return sent


def requests_pipelined(port: int, output: bytes) -> Iterator[int]:
    """A hundred requests at a time, without waiting for answers; yields how many were made."""
    connections: list[socket.socket] = []
    while True:
        for _ in range(AT_ONCE):
            top_up(connections, port, AT_ONCE)
        yield sum(send(connections, connection, output) for connection in list(connections)) * 100 // len(output)


def slow_bodies(port: int) -> Iterator[int]:
    """Many connections that owe 8 KB and send a byte now and then; yields how many bytes were sent."""
    head = post(b"x" * 8000, SHAPED)[:-8000]
    connections: list[socket.socket] = []
    while True:
        top_up(connections, port, SLOW_CONNECTIONS, head)
        few = connections[:: max(1, len(connections) // 20)]
        yield sum(send(connections, connection, b"x") for connection in few)


def flood(port: int, kind: str, seconds: float) -> int:
    """Floods until the time is over. Returns how many requests were made."""
    if kind == SLOW_BODIES:
        making: Iterator[int] = slow_bodies(port)
    else:
        make: Callable[[int, bytes], Iterator[int]] = (
            requests_pipelined if kind in PIPELINED else requests_one_at_a_time
        )
        making = make(port, {**ONE_AT_A_TIME, **PIPELINED}[kind])
    end_s = time.monotonic() + seconds
    made = 0
    while time.monotonic() < end_s:
        made += next(making)
    return made


def give_way() -> None:
    """Has the machine run everything else first. A niceness counts within a session alone where Linux groups processes
    by sessions (sched(7), autogroup), so this one gets a session, and that a niceness, of its own."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    with suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def main() -> None:
    """The program; prints how many requests were made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    give_way()
    print(flood(options.port, options.kind, options.seconds))


if __name__ == "__main__":
    main()
