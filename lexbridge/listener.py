"""The socket that the server listens on, opened by the parent and shared by its workers."""

import socket
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET

from gevent import monkey

_Socket = monkey.get_original("socket", "socket")  # one of gevent's would make a hub, which no fork survives

BACKLOG = 4096
"""Connections that may wait to be accepted; the system's own limit counts too."""


class Listener:
    """Listens on `port`, on every address. Raises OSError."""

    def __init__(self, port: int) -> None:
        self._socket = _Socket(AF_INET, SOCK_STREAM)
        try:
            self._socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            self._socket.bind(("0.0.0.0", port))  # noqa: S104 - a container's port is published by whoever runs it
            self._socket.listen(BACKLOG)
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """For this process; the others have theirs."""
        self._socket.close()

    def for_gevent(self) -> socket.socket:
        """In a worker: the same as a socket of gevent's, which makes a hub."""
        return socket.socket(fileno=self._socket.detach())
