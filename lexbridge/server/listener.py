"""The socket that the server listens on: opened by the supervisor, and shared by its workers."""

import errno
import socket
from socket import AF_INET, AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET
from typing import Any

from gevent import monkey

_Socket = monkey.get_original("socket", "socket")  # gevent's socket would make a hub, and a hub does not survive fork()
_getaddrinfo = monkey.get_original("socket", "getaddrinfo")

BACKLOG = 4096
"""Limits the connections that wait to be accepted; the system's own limit applies too."""

_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors by which a system without IPv6 answers. A port that is in use has another error, in either family."""


class Listener:
    """A socket that listens on `port` of every address: IPv6 and IPv4, or IPv4 alone on a system without IPv6.

    Raises OSError.
    """

    def __init__(self, port: int) -> None:
        try:
            self._socket = _listen(AF_INET6, "::", port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            self._socket = _listen(AF_INET, "0.0.0.0", port)  # noqa: S104 - a container's port is published by its operator

    def close(self) -> None:
        """Close the socket in this process only; each worker has its own descriptor."""
        self._socket.close()

    def for_gevent(self) -> socket.socket:
        """Return the same socket as one of gevent's, in a worker, because it makes a hub."""
        return socket.socket(fileno=self._socket.detach())


def listen_on(host: str, port: int) -> Any:
    """Return a socket that listens on one address alone, not one of gevent's. Raises OSError."""
    family, *_, address = _getaddrinfo(host, port, type=SOCK_STREAM)[0]
    return _listen(family, address[0], port)


def _listen(family: int, host: str, port: int) -> Any:
    listening = _Socket(family, SOCK_STREAM)
    try:
        listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        if family == AF_INET6:
            listening.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)  # on some systems a socket is IPv6-only by default
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
