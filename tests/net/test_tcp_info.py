"""The bytes of a connection, as the system counts them."""

import socket
import sys
import time

import pytest

from lexbridge.net.tcp_info import bytes_of


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them")
def test_the_system_counts_the_bytes_of_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.sendall(b"x" * 5000)
    far.sendall(b"y" * 300)
    deadline_s = time.monotonic() + 10
    # The system acknowledges what arrives a moment later. The SYN counts as a byte of its own.
    while bytes_of(near) not in ((300, 5000), (300, 5001)) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert bytes_of(near) in ((300, 5000), (300, 5001))
    near.close()
    far.close()
    assert bytes_of(near) == (0, 0)


def test_a_connection_that_is_no_tcp_has_no_count() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert bytes_of(one) == (0, 0)
