"""Who makes room for a new connection of ADMIN_PORT."""

from typing import Any

import pytest

from lexbridge.observer.admin.open_connections import (
    KEPT_FOR_STRANGERS,
    MAX_CONNECTIONS,
    MAX_STRANGERS,
    OpenConnection,
    OpenConnections,
    network_of,
)


class Opened:
    """Connections, of which those that were cut off are known by their number."""

    def __init__(self) -> None:
        self.all = OpenConnections()
        self.cut_off: list[int] = []
        self._count = 0

    def one(self, network: str = "", **state: Any) -> OpenConnection:
        """Open one more. Without a network it comes from one of its own."""
        number = self._count
        self._count += 1
        connection = OpenConnection(network or f"net {number}", lambda: self.cut_off.append(number))
        self.all.add(connection)
        for name, value in state.items():
            setattr(connection, name, value)
        return connection

    def many(self, count: int, network: str = "", **state: Any) -> list[OpenConnection]:
        """Open several."""
        return [self.one(network, **state) for _ in range(count)]


def test_strangers_of_one_network_make_room_for_each_other() -> None:
    opened = Opened()
    opened.one("other")
    opened.many(MAX_STRANGERS, "net")
    assert opened.cut_off == []
    assert not opened.all.is_crowded
    opened.many(2, "net")
    assert opened.cut_off == [1, 2]
    assert opened.all.is_crowded
    assert len(opened.all) == MAX_STRANGERS + 1
    opened.one("other")
    assert not opened.all.is_crowded


def test_the_known_do_not_count_as_strangers() -> None:
    opened = Opened()
    opened.many(MAX_STRANGERS, "net", is_known=True)
    opened.many(MAX_CONNECTIONS - MAX_STRANGERS, "net")
    assert opened.cut_off == []


def test_strangers_of_many_networks_make_room_first() -> None:
    opened = Opened()
    opened.many(3, is_known=True)
    opened.many(MAX_CONNECTIONS)
    assert opened.cut_off == [3, 4, 5]
    assert len(opened.all) == MAX_CONNECTIONS


def test_among_the_known_the_longest_idle_makes_room() -> None:
    opened = Opened()
    first, second, third, *_ = opened.many(MAX_CONNECTIONS, is_known=True)
    first.is_answering = True
    opened.all.used(second)
    opened.one()
    assert opened.cut_off == [2]
    opened.all.used(third)  # it is cut off, and stays so
    assert len(opened.all) == MAX_CONNECTIONS


def test_if_all_are_answered_the_oldest_makes_room() -> None:
    opened = Opened()
    opened.many(MAX_CONNECTIONS, is_known=True, is_answering=True)
    opened.one()
    assert opened.cut_off == [0]


def test_the_known_leave_places_to_strangers() -> None:
    opened = Opened()
    opened.many(MAX_CONNECTIONS, is_known=True)
    opened.many(KEPT_FOR_STRANGERS)
    assert opened.cut_off == list(range(KEPT_FOR_STRANGERS))
    opened.one()
    assert opened.cut_off[-1] == MAX_CONNECTIONS  # the first of the strangers


def test_without_descriptors_strangers_make_room() -> None:
    opened = Opened()
    opened.one(is_known=True)
    opened.many(2)
    for _ in range(3):
        opened.all.make_room()
    assert opened.cut_off == [1, 2]


def test_a_stranger_gains_nothing_by_asking_again() -> None:
    opened = Opened()
    first, *_ = opened.many(MAX_STRANGERS, "net")
    opened.all.used(first)
    opened.one("net")
    assert opened.cut_off == [0]


def test_what_has_ended_needs_no_room() -> None:
    opened = Opened()
    for connection in opened.many(MAX_CONNECTIONS):
        opened.all.remove(connection)
        opened.all.remove(connection)
    opened.many(MAX_CONNECTIONS)
    assert opened.cut_off == []


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_neighbours_are_of_one_network(address: str, network: str) -> None:
    assert network_of(address) == network
