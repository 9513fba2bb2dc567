"""A flood of strangers, as a process of its own: `python tests/support/flood.py PORT`.

It opens connections to 127.0.0.1 without end, from many addresses. Some send nothing, some half a request, some a
thousand requests at once whose answers they read, and some a long body. It prints a line once it has opened OPEN.
"""

import os
import selectors
import socket
import sys
from contextlib import suppress
from itertools import count

OPEN = 400
"""Connections that are open at the same time, twice as many as the server takes."""

PAUSE_EVERY, PAUSE_S = 20, 0.01
"""Connections after which the flood pauses, and for how long in seconds, because it shares the test's processors."""

SENT = (
    b"",
    b"GET /ping HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /ping HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YW55Ondyb25n\r\n\r\n" * 1000,
    b"POST /console/api/open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40000000\r\n\r\n{",
)


def open_one(number: int, port: int) -> socket.socket:
    """Begin to open a connection, every second one from the operator's own address."""
    opened = socket.socket()
    opened.setblocking(False)
    opened.bind((f"127.0.{number % 200}.{2 + number % 50}" if number % 2 else "127.0.0.1", 0))
    opened.connect_ex(("127.0.0.1", port))
    return opened


def serve(selector: selectors.BaseSelector, timeout_s: float) -> int:
    """Read and write what is due. Return how many connections have ended."""
    ended = 0
    for key, events in selector.select(timeout_s):
        connection: socket.socket = key.fileobj  # type: ignore[assignment]
        try:
            if events & selectors.EVENT_WRITE:
                connection.send(key.data)
                selector.modify(connection, selectors.EVENT_READ)
            elif not connection.recv(65536):
                raise ConnectionError
        except BlockingIOError:
            pass
        except OSError:
            selector.unregister(connection)
            connection.close()
            ended += 1
    return ended


def main(port: int) -> None:
    """Flood until this process is ended."""
    selector = selectors.DefaultSelector()
    are_open = 0
    for number in count():
        with suppress(OSError):
            selector.register(
                open_one(number, port), selectors.EVENT_READ | selectors.EVENT_WRITE, SENT[number % len(SENT)]
            )
            are_open += 1
        if number == OPEN:
            os.write(1, b"flooding\n")
        if number % PAUSE_EVERY == 0:
            are_open -= serve(selector, PAUSE_S)
        while are_open >= OPEN:
            are_open -= serve(selector, 1.0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
