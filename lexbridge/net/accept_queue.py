"""Length of a listening socket's queue of connections that wait to be accepted."""

import struct
from socket import IPPROTO_TCP, TCP_INFO, socket

_TCP_INFO = struct.Struct("24x I")
"""The field tcpi_unacked of struct tcp_info (linux/tcp.h): for a listener Linux keeps the queue's length in it."""


def count_waiting(listener: socket) -> int:
    """Return how many connections wait to be accepted, or 0 if the system does not tell."""
    try:
        info = listener.getsockopt(IPPROTO_TCP, TCP_INFO, _TCP_INFO.size)
        return int(_TCP_INFO.unpack(info)[0])
    except (OSError, struct.error):
        return 0
