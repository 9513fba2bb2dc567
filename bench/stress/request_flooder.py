"""Flood of unsigned HTTP requests at the service's port, at full speed, by a process of its own.

    python -m bench.stress.request_flooder PORT KIND SECONDS

It has the lowest priority, as if it were on another machine, and prints how many requests it has made. It uses plain
sockets and no library, so it shares no code with the server and takes little of the CPU that is measured.
"""

import argparse
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

AT_ONCE = 16
"""Connections that the process has open at the same time."""

SLOW_CONNECTIONS = 1000
SHAPED = b"X-Twilio-Signature: " + b"A" * 27 + b"=\r\n"
"""Signature that has the form of one, and so has to be checked."""

_FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def post(body: bytes, *headers: bytes) -> bytes:
    """Return a webhook request with its Content-Length."""
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /twiml HTTP/1.1\r\nHost: x\r\n" + _FORM + length + b"".join(headers) + b"\r\n" + body


def fields(count: int, value: bytes) -> bytes:
    """Return a form of `count` short fields."""
    return b"&".join(b"%x=%b" % (number, value) for number in range(count))


def chunks(count: int, extension: bytes) -> bytes:
    """Return a request whose body comes in chunks of one byte."""
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
    """Return a connection, or None if there is none to be had now."""
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
    """Make each request on a connection of its own. Yield how many were made."""
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
    """Open one more connection, if there are fewer than `most`, and send `first` on it."""
    if len(connections) < most and (new := connect(port)) is not None:
        new.setblocking(False)
        connections.append(new)
        with suppress(OSError):
            new.send(first)


def send(connections: list[socket.socket], connection: socket.socket, output: bytes) -> int:
    """Send what there is room for, and read the answers. Remove a connection that has ended. Return the bytes sent."""
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
    """Send a hundred requests at a time, without waiting for answers. Yield how many were made."""
    connections: list[socket.socket] = []
    while True:
        for _ in range(AT_ONCE):
            top_up(connections, port, AT_ONCE)
        yield sum(send(connections, connection, output) for connection in list(connections)) * 100 // len(output)


def slow_bodies(port: int) -> Iterator[int]:
    """Keep many connections whose 8 KB bodies come byte by byte. Yield how many bytes were sent."""
    head = post(b"x" * 8000, SHAPED)[:-8000]
    connections: list[socket.socket] = []
    while True:
        top_up(connections, port, SLOW_CONNECTIONS, head)
        few = connections[:: max(1, len(connections) // 20)]
        yield sum(send(connections, connection, b"x") for connection in few)


def flood(port: int, kind: str, seconds: float) -> int:
    """Make requests of one kind until the time is over. Return how many were made."""
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
    """Give this process the lowest priority.

    Where Linux groups processes by sessions (sched(7), autogroup), a niceness counts only within a session. So the
    process gets a session of its own, and the session the lowest niceness too.
    """
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    with suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    give_way()
    print(flood(options.port, options.kind, options.seconds))


if __name__ == "__main__":
    main()
