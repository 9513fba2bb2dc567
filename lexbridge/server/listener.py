"""The socket that the server listens on, opened by the parent and shared by its workers."""

import errno
import socket
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET
from typing import Any

from gevent import monkey

_Socket = monkey.get_original("socket", "socket")  # one of gevent's would make a hub, which no fork survives

BACKLOG = 4096
"""Connections that may wait to be accepted; the system's own limit counts too."""

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""What a system says that has none. A port that is taken, in either family, is something else."""


class Listener:
    """Listens on `port`, on every address: of IPv6 and IPv4, or of IPv4 where there is no IPv6. Raises OSError."""

    def __init__(self, port: int) -> None:
        try:
            self._socket = _listen(AF_INET6, "::", port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            self._socket = _listen(AF_INET, "0.0.0.0", port)  # noqa: S104 - a container's port is published by whoever runs it

    def close(self) -> None:
        """For this process; the others have theirs."""
        self._socket.close()

    def for_gevent(self) -> socket.socket:
        """In a worker: the same as a socket of gevent's, which makes a hub."""
        return socket.socket(fileno=self._socket.detach())


def _listen(family: int, host: str, port: int) -> Any:
    listening = _Socket(family, SOCK_STREAM)
    try:
        listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if family == AF_INET6:
            listening.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)  # some systems have it on by default
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
