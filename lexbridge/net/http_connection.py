"""One HTTP connection, while the hub reads it: before, between and after its requests. Nothing here waits."""

import os
from enum import Enum
from socket import AF_INET, SHUT_WR, SOCK_STREAM
from typing import Any

from gevent.monkey import get_original

from lexbridge.net.http_request import RequestParser

# A socket object without a hub: gevent's makes watchers, which cost more than the system call.
_plain_socket = get_original("_socket", "socket")


class State(Enum):
    """State of a connection: what it waits for."""

    READING = "the rest of a request, or the first request"
    KEPT_ALIVE = "another request"
    LINGERING = "the peer's end, after the last answer"


class Connection:
    """One connection. It has a descriptor alone until a request is admitted, and then gevent's `socket`, too."""

    __slots__ = (
        "address",
        "descriptor",
        "due_s",
        "events",
        "is_checked",
        "lingered_bytes",
        "parser",
        "served",
        "since_s",
        "socket",
        "state",
    )

    def __init__(self, descriptor: int, address: Any) -> None:
        self.descriptor = descriptor
        self.address = address
        self.parser = RequestParser()
        self.state: State | None = None  # None while a request is answered, and after the end
        self.since_s = 0.0  # when the state began, by time.monotonic()
        self.due_s = 0.0  # when the connection is cut off
        self.is_checked = False  # whether the head of the current request has been checked
        self.events = 0  # epoll events that are waited for
        self.served = 0
        """Number of requests that were answered."""
        self.lingered_bytes = 0  # input that was dropped after the last answer
        self.socket: Any = None

    def close(self) -> None:
        """Close the connection."""
        if self.socket is not None:
            self.socket.close()
        else:
            os.close(self.descriptor)

    def write(self, output: bytes) -> bool:
        """Send a few bytes, and return whether the system took all of them. Raise OSError.

        If not, the connection has to end: the peer does not read, and what follows would be taken for a part of this.
        """
        try:
            return os.write(self.descriptor, output) == len(output)
        except BlockingIOError:
            return False

    def end_sending(self) -> None:
        """End the sending direction of the connection. Raise OSError."""
        plain = _plain_socket(AF_INET, SOCK_STREAM, 0, self.descriptor)  # shutdown() ignores the family
        try:
            plain.shutdown(SHUT_WR)
        finally:
            plain.detach()
