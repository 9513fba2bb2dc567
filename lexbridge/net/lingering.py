"""The last moments of connections on which an answer or a close is still on its way to the peer.

Closing a socket with unread input sends a reset, which destroys what is on its way (RFC 6455, section 7.1.1). So only
the sending direction is ended, and input is read and dropped until the peer has ended its own.
"""

import os
from socket import SHUT_WR
from typing import Any

import gevent

from lexbridge.net.connection_table import EPOLLIN, ConnectionTable
from lexbridge.net.http_connection import Connection, State

DISCARDED_BYTES = 64 * 1024
"""Bytes read at once of input that nothing looks at."""

MAX_LINGER_BYTES = 256 * 1024
"""Bytes that are read and dropped after the end, while the server waits for the peer to end the connection."""


def linger(connection: Any) -> None:
    """End the sending direction of `connection`, a socket, and wait until the peer has ended its own.

    Read MAX_LINGER_BYTES at most. Raise OSError if the connection breaks. The caller sets the deadline.
    """
    connection.shutdown(SHUT_WR)
    left = MAX_LINGER_BYTES
    while left > 0 and (received := connection.recv(DISCARDED_BYTES)):
        left -= len(received)
        gevent.sleep(0)


class LingeringConnections:
    """The connections of a table that linger. The hub reads them, so nothing here waits."""

    def __init__(self, table: ConnectionTable) -> None:
        self._table = table

    def add(self, connection: Connection) -> None:
        """End the sending direction of a connection, which is closed when the peer has ended its own, or soon after."""
        if connection.socket is not None:
            connection.descriptor = connection.socket.fileno()
        if connection.descriptor < 0:
            return
        self._table.enter(connection, State.LINGERING)
        try:
            connection.end_sending()
        except OSError:
            self._table.drop(connection)
        else:
            self._table.wait(connection, EPOLLIN)

    def discard(self, connection: Connection) -> None:
        """Drop what has arrived on a connection. Close it at its end, or when it has brought too much."""
        try:
            received = os.read(connection.descriptor, DISCARDED_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        connection.lingered_bytes += len(received)
        if not received or connection.lingered_bytes > MAX_LINGER_BYTES:
            self._table.drop(connection)
