"""Strangers who fill the admin port, against an operator who knows the password: who gets a place, and who is asked.

No deadline helps here: they are all far away.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
import requests
from gevent import socket

from lexbridge.observer.admin import admin_server
from lexbridge.observer.admin.admin_server import AdminServer, serve_admin
from lexbridge.observer.admin.app import build_admin
from lexbridge.observer.admin.open_connections import MAX_CONNECTIONS, MAX_STRANGERS
from lexbridge.observer.calls.call_book import CallBook
from tests.support.admin_server import PASSWORD
from tests.support.rig import PATIENCE_S
from tests.support.settings import make_settings

FAR_S = 10.0 * PATIENCE_S


@contextmanager
def serving(**variables: str) -> Iterator[AdminServer]:
    app = build_admin(make_settings(ADMIN_PORT="9", **variables), CallBook(), lambda _: None)
    server = serve_admin(socket.create_server(("127.0.0.1", 0)), app)
    try:
        yield server
    finally:
        server.stop(timeout=0)


@pytest.fixture(params=["with a password", "without one"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminServer]:
    for deadline in ("HEAD_S", "STRANGER_S", "LONG_BODY_S", "UNREAD_S"):
        monkeypatch.setattr(admin_server, deadline, FAR_S)
    with serving(**({"CONSOLE_PASSWORD": PASSWORD} if request.param == "with a password" else {})) as started:
        yield started


class Operator(requests.Session):
    """An operator who knows the password."""

    def __init__(self, server: AdminServer) -> None:
        super().__init__()
        self.trust_env = False
        self.auth = ("any", PASSWORD)
        self._url = f"http://127.0.0.1:{server.server_port}"

    def status(self, path: str) -> int:
        return self.get(self._url + path, timeout=PATIENCE_S).status_code

    def events(self) -> Iterator[bytes]:
        """Yield the lines of the event stream."""
        response = self.get(f"{self._url}/console/api/stream", timeout=PATIENCE_S, stream=True)
        yield from response.iter_lines()


@contextmanager
def strangers(server: AdminServer, count: int, sent: bytes = b"", networks: int = 1) -> Iterator[list[Any]]:
    """Hold connections of strangers from so many addresses."""
    held = []
    try:
        for number in range(count):
            source = f"127.0.{2 + number % networks // 200}.{1 + number % networks % 200}"
            held.append(socket.create_connection(server.address, source_address=(source, 0)))
            held[-1].sendall(sent)
        yield held
    finally:
        for connection in held:
            connection.close()


ASKED = (
    b"GET /ping HTTP/1.1\r\nHost: localhost\r\n"
    b"Authorization: Basic " + base64.b64encode(f"any:{PASSWORD}".encode()) + b"\r\n\r\n"
)


def operators_connection(server: AdminServer) -> Any:
    connection = socket.create_connection(server.address)
    connection.settimeout(PATIENCE_S)
    return connection


def ask(connection: Any) -> bytes:
    """Ask over a connection of an operator. Return the beginning of the answer, of which all is read."""
    connection.sendall(ASKED)
    answer = b""
    while not answer.endswith(b"pong"):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    return answer[:12]


HELD = {
    "nothing": b"",
    "half a head": b"GET /ping HTTP/1.1\r\nHost: localhost\r\n",
    "half a body": b"POST /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
    "half a long body": b"POST /ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\nx",
    "a wrong host": b"GET /ping HTTP/1.1\r\nHost: evil.example\r\n\r\n",
}


@pytest.mark.parametrize("networks", [1, 400], ids=["one", "many"])
@pytest.mark.parametrize("sent", HELD.values(), ids=HELD.keys())
def test_strangers_take_no_place_of_operators(server: AdminServer, sent: bytes, networks: int) -> None:
    with strangers(server, MAX_CONNECTIONS + 50, sent, networks):
        for path in ("/ping", "/calls", "/console/"):
            assert Operator(server).status(path) == 200
        assert len(server.connections) <= MAX_CONNECTIONS


def test_an_operator_keeps_connections_and_event_streams(server: AdminServer) -> None:
    lines = Operator(server).events()
    assert next(lines) == b"event: workers"
    with operators_connection(server) as kept:
        assert ask(kept) == b"HTTP/1.1 200"
        with strangers(server, 2 * MAX_CONNECTIONS, networks=400) as held, gevent.Timeout(PATIENCE_S):
            assert held[0].recv(1) == b""  # so they were too many
            assert ask(kept) == b"HTTP/1.1 200"
            for _ in range(6):
                next(lines)


def test_strangers_of_one_network_leave_room_for_others(server: AdminServer) -> None:
    with strangers(server, MAX_CONNECTIONS) as held, gevent.Timeout(PATIENCE_S):
        for connection in held[: MAX_CONNECTIONS - MAX_STRANGERS]:
            assert connection.recv(1) == b""
        assert len(server.connections) == MAX_STRANGERS


def test_operators_without_a_place_get_that_of_an_idle_one(server: AdminServer) -> None:
    with strangers(server, MAX_CONNECTIONS, ASKED, networks=400) as held, gevent.Timeout(PATIENCE_S):
        for connection in held:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert Operator(server).status("/ping") == 200


def test_who_asks_much_at_once_keeps_nobody_waiting(server: AdminServer) -> None:
    with operators_connection(server) as greedy, operators_connection(server) as other:
        assert ask(greedy) == ask(other) == b"HTTP/1.1 200"
        ports: list[str] = []
        app = server.application
        server.application = lambda environ, start: (ports.append(environ["REMOTE_PORT"]), app(environ, start))[1]
        count = 60_000 // len(ASKED)  # they fit into the system's buffer
        greedy.sendall(ASKED * count)
        assert ask(other) == b"HTTP/1.1 200"
        assert len(ports) < count
