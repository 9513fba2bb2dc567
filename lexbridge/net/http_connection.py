"""One HTTP connection before, between and after its requests: a descriptor, what has come of a request, and how long
it is waited for. Nothing here waits."""

import os
from enum import Enum
from socket import AF_INET, SHUT_WR, SOCK_STREAM
from typing import Any

from gevent.monkey import get_original

from lexbridge.net.http_request import RequestParser

_plain_socket = get_original("_socket", "socket")  # without a hub, whose watchers cost more than the call itself


class State(Enum):
    """The reason for which a connection is waited for."""

    READING = "the rest of a request, or a first one"
    IDLE = "another request"
    LINGERING = "the end, after our last answer"


class Connection:
    """One connection. `socket`: gevent's, made when a request is admitted; before, there is a descriptor only."""

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
        self.state: State | None = None  # None: it is being served, or gone
        self.since_s = 0.0  # of the state, by time.monotonic()
        self.due_s = 0.0  # when it is cut off
        self.is_checked = False  # the head of the request that is being read
        self.events = 0  # of epoll, that are waited for
        self.served = 0
        """Requests that were answered."""
        self.lingered_bytes = 0  # read after our last answer
        self.socket: Any = None

    def close(self) -> None:
        """Closes it, whoever has it."""
        if self.socket is not None:
            self.socket.close()
        else:
            os.close(self.descriptor)

    def write(self, output: bytes) -> bool:
        """Sends a few bytes. False if the peer has not taken what it was sent before: what it is told next would be
        lost, and it would take the answer to another request for this one's. Raises OSError."""
        try:
            return os.write(self.descriptor, output) == len(output)
        except BlockingIOError:
            return False

    def end_sending(self) -> None:
        """Ends our direction of the connection. Raises OSError."""
        plain = _plain_socket(AF_INET, SOCK_STREAM, 0, self.descriptor)  # whatever its family: this call does not ask
        try:
            plain.shutdown(SHUT_WR)
        finally:
            plain.detach()
