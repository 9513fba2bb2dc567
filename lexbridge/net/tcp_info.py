"""The bytes of a connection, as the system counts them: nothing has to be counted where the bytes are read."""

import struct
import sys
from socket import IPPROTO_TCP
from typing import Any

TCP_INFO = 11
"""The socket option of Linux that returns `struct tcp_info`. Python's socket module has it on Linux alone."""

_BYTES = struct.Struct("=120xQQ")
"""The two counts in that structure: tcpi_bytes_acked and tcpi_bytes_received (include/uapi/linux/tcp.h)."""


def bytes_of(connection: Any) -> tuple[int, int]:
    """Return the bytes received over `connection`, a TCP socket, and those sent and taken by the peer.

    Both include the handshake. They are 0 once the socket is closed, and on systems that do not tell.
    """
    if sys.platform != "linux":  # the option has another meaning there
        return 0, 0
    try:
        told = connection.getsockopt(IPPROTO_TCP, TCP_INFO, _BYTES.size)
        sent, received = _BYTES.unpack(told)
    except (OSError, struct.error):
        return 0, 0
    return received, sent
