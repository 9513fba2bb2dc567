"""A kept connection is used again while it is open, and only then."""

import socket

from urllib3.connection import HTTPConnection

from lexbridge.net.probed_connection import ProbedConnection


class _Connection(ProbedConnection, HTTPConnection):
    pass


def test_a_connection_is_open_until_something_arrives_or_ends() -> None:
    connection = _Connection("127.0.0.1", 9)
    assert not connection.is_connected
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection.sock = ours
        assert connection.is_connected
        theirs.send(b"x")
        assert not connection.is_connected
        ours.recv(1)
        assert connection.is_connected
        theirs.close()
        assert not connection.is_connected
