"""The connections of ADMIN_PORT, and which of them make room for a new one: strangers first, the oldest first.

A connection belongs to a stranger until a request of it has passed the guard: until the password came, if there is one.
So whoever does not know it takes no place from those who do, however many connections they open.
"""

import ipaddress
from collections.abc import Callable

MAX_CONNECTIONS = 200
"""The most connections to ADMIN_PORT at the same time, because a page has three, and each takes memory."""

MAX_STRANGERS = 100
"""The most connections of strangers from one network, because others need places, too, until they are known."""

KEPT_FOR_STRANGERS = 50
"""Connections that the known leave to strangers, because everybody is a stranger first, for a moment."""

IPV6_NETWORK_BITS = 64
"""Length of the part of an IPv6 address that tells networks apart, because each network has 2**64 addresses."""


class OpenConnection:
    """One connection. `network`: where it comes from. `cut_off`: ends it soon, without waiting for it."""

    def __init__(self, network: str, cut_off: Callable[[], object]) -> None:
        self.network = network
        self.cut_off = cut_off
        self.is_known = False
        """Whether a request of it has passed the guard."""
        self.is_answering = False
        """Whether a request of it is being answered."""


class OpenConnections:
    """All connections, in the order in which they were opened, or were used last by somebody known."""

    def __init__(self) -> None:
        self._open: dict[OpenConnection, None] = {}  # the dict serves as an ordered set
        self.is_crowded = False
        """Whether the newest connection took the place of another one."""

    def __len__(self) -> int:
        """Number of connections."""
        return len(self._open)

    def add(self, connection: OpenConnection) -> None:
        """Add a new connection. If there are too many, another one is cut off."""
        goes = self._next_to_go(connection.network)
        self._open[connection] = None
        self.is_crowded = goes is not None
        if goes is not None:
            self._cut_off(goes)

    def make_room(self) -> None:
        """Cut a stranger off, if there is one, because the system has no room for another connection."""
        oldest = next((one for one in self._open if not one.is_known), None)
        if oldest is not None:
            self._cut_off(oldest)

    def _next_to_go(self, network: str) -> OpenConnection | None:
        """Return the connection whose place another one of `network` takes, or None if there is room."""
        strangers = [one for one in self._open if not one.is_known]
        neighbours = [one for one in strangers if one.network == network]
        if len(neighbours) >= MAX_STRANGERS:
            return neighbours[0]
        if len(self._open) < MAX_CONNECTIONS:
            return None
        if len(strangers) >= KEPT_FOR_STRANGERS:
            return strangers[0]
        return min((one for one in self._open if one.is_known), key=lambda one: one.is_answering)

    def used(self, connection: OpenConnection) -> None:
        """Note that a connection was used. Only that of somebody known becomes the newest so."""
        if connection.is_known and connection in self._open:
            del self._open[connection]
            self._open[connection] = None

    def remove(self, connection: OpenConnection) -> None:
        """Forget a connection that has ended."""
        self._open.pop(connection, None)

    def _cut_off(self, connection: OpenConnection) -> None:
        del self._open[connection]
        connection.cut_off()


def network_of(address: str) -> str:
    """Return the network of an address: of IPv6 its first half, and else the address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), IPV6_NETWORK_BITS), strict=False))
