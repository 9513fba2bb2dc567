"""Ports for programs that are about to be started: nobody else gets them."""

import socket
import sys

import pytest

from lexbridge.offline.ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reserves a port beside a server")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "0.0.0.0"])
def test_nobody_else_gets_a_reserved_port(address: str) -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((address, port))


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
)
def test_a_server_listens_on_a_reserved_port(family: socket.AddressFamily, address: str) -> None:
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6")
    port = free_port()
    with socket.create_server((address, port), family=family, dualstack_ipv6=family == socket.AF_INET6):
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
