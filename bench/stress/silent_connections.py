"""Process of the connects measurement that opens many connections which say nothing, or very little.

    python -m bench.stress.silent_connections PORT SILENT SLOW

It prints two lines: how many connections were opened and in how many seconds; how many of them the server has not
closed at the end, and the seconds that the longest one lasted.
"""

import argparse
import select
import socket
import time
from contextlib import suppress

from bench.harness.proc import raise_descriptor_limit

POLLRDHUP = 0x2000
GIVE_UP_S = 60.0
"""Longest wait for the server to close them, seconds: four times what the measurement allows."""


def connect_all(port: int, silent: int, slow: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Return all connections, and those of them that have sent the beginning of a request's head."""
    connections: list[socket.socket] = []
    slow_ones: list[socket.socket] = []
    spacing = max(1, (silent + slow) // max(1, slow))
    for number in range(silent + slow):
        connection = socket.create_connection(("127.0.0.1", port))
        connections.append(connection)
        if number % spacing == 0 and len(slow_ones) < slow:
            connection.sendall(b"GET / HTTP/1.1\r\nX: ")
            slow_ones.append(connection)
    return connections, slow_ones


def run(port: int, silent: int, slow: int) -> None:
    """Open the connections, send a byte on each slow one twice a second, and wait until the server has closed all."""
    poll, opened_s = select.poll(), dict[int, float]()
    began_s = time.monotonic()
    connections, slow_ones = connect_all(port, silent, slow)
    now_s = time.monotonic()
    for number, connection in enumerate(connections):
        # Connecting takes seconds: each connection's life begins with its own share of them.
        opened_s[connection.fileno()] = began_s + (now_s - began_s) * number / len(connections)
        poll.register(connection.fileno(), select.POLLIN | POLLRDHUP)
    print(f"{len(connections)} {now_s - began_s:.1f}", flush=True)
    longest_s = 0.0
    while opened_s and time.monotonic() < now_s + GIVE_UP_S:
        for descriptor, _ in poll.poll(500):
            poll.unregister(descriptor)
            longest_s = max(longest_s, time.monotonic() - opened_s.pop(descriptor))
        for connection in slow_ones:
            if connection.fileno() in opened_s:
                with suppress(OSError):
                    connection.send(b"x")
    print(f"{len(opened_s)} {longest_s:.1f}", flush=True)


def main() -> None:
    """Run the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("silent", type=int, help="connections that say nothing")
    parser.add_argument("slow", type=int, help="connections that send a byte of a head twice a second")
    options = parser.parse_args()
    raise_descriptor_limit()
    run(options.port, options.silent, options.slow)


if __name__ == "__main__":
    main()
