"""Ports for programs that are about to be started."""

import socket
import sys

_reserving: list[socket.socket] = []


def free_port() -> int:
    """Return a port on which nothing listens. A program that is started later can listen on it.

    On Linux the system gives the port to nobody else while this process lives: a socket is bound to it that does not
    listen, and a server that sets SO_REUSEADDR may listen beside it.
    """
    # Of all addresses: another program's socket with the same port of 127.0.0.2 would be in the way of a server that
    # listens on all of them.
    has_ipv6 = socket.has_dualstack_ipv6()
    probe = socket.socket(socket.AF_INET6 if has_ipv6 else socket.AF_INET)
    if has_ipv6:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("", 0))
    port: int = probe.getsockname()[1]
    if sys.platform == "linux":
        _reserving.append(probe)
    else:
        probe.close()
    return port
