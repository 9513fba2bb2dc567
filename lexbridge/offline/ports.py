"""Ports for programs that are about to be started."""

import socket
import sys

_reserving: list[socket.socket] = []


def free_port() -> int:
    """Return a port on which nothing listens. A program that is started later can listen on it.

    On Linux the system gives the port to nobody else while this process lives: a socket is bound to it that does not
    listen, and a server that sets SO_REUSEADDR may listen beside it.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _reserving.append(probe)
    else:
        probe.close()
    return port
