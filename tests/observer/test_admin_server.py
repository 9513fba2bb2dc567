"""The server of ADMIN_PORT against strangers: none of them holds a connection, or writes into the log."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gevent
import pytest
from flask import Flask, request
from gevent import socket as gevent_socket

from lexbridge.observer.admin import admin_server, open_connections
from lexbridge.observer.admin.admin_server import AdminServer, serve_admin
from lexbridge.observer.admin.guard import KNOWN
from tests.support.descriptors import descriptors_left
from tests.support.rehearsal import wait_until

PATIENCE_S = 30


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AdminServer]:
    """Serve an app with short limits."""
    monkeypatch.setattr(admin_server, "HEAD_S", 0.3)
    monkeypatch.setattr(admin_server, "STRANGER_S", 0.3)
    monkeypatch.setattr(admin_server, "LONG_BODY_S", 0.5)
    monkeypatch.setattr(admin_server, "UNREAD_S", 0.5)
    monkeypatch.setattr(open_connections, "MAX_CONNECTIONS", 3)
    app = Flask("strangers", static_folder=None)
    app.before_request(lambda: request.environ[KNOWN]() if "refused" not in request.path else None)
    app.post("/echo", endpoint="echo")(lambda: request.get_data())
    app.post("/ignored", endpoint="ignored")(lambda: "ignored")
    app.get("/ping", endpoint="ping")(lambda: "pong")
    app.post("/refused", endpoint="refused")(lambda: "refused")
    app.get("/long", endpoint="long")(lambda: b"x" * 64_000_000)
    listener = socket.create_server(("127.0.0.1", 0))
    server = serve_admin(listener, app)
    yield server
    server.stop(timeout=1)


@pytest.fixture
def address(server: AdminServer) -> tuple[str, int]:
    """Return the address of the server."""
    host, port = server.address
    return host, port


def connected(address: tuple[str, int]) -> Any:
    connection = gevent_socket.create_connection(address)
    connection.settimeout(PATIENCE_S)
    return connection


def all_of(connection: Any) -> bytes:
    """Return all that comes until the server closes. A server that holds on to the connection fails the test."""
    got = bytearray()
    try:
        while piece := connection.recv(65536):
            got += piece
    except ConnectionError:
        pass
    return bytes(got)


def asked(address: tuple[str, int], sent: bytes) -> bytes:
    connection = connected(address)
    connection.sendall(sent)
    try:
        return all_of(connection)
    finally:
        connection.close()


SLOW = {
    "nothing": b"",
    "half a line": b"GET /pi",
    "half a head": b"GET /ping HTTP/1.1\r\nHost: a\r\n",
    "a short body": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab",
    "a long body": b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nab",
    "a long body that is refused": b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nab",
    "a long body that nobody reads": b"POST /ignored HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nab",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_who_sends_too_slowly_is_closed(address: tuple[str, int], sent: bytes) -> None:
    assert b"pong" not in asked(address, sent)


def test_strangers_have_less_time(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for deadline in ("UNREAD_S", "HEAD_S"):
        monkeypatch.setattr(admin_server, deadline, 10.0 * PATIENCE_S)
    assert asked(address, b"") == b""


def test_drops_of_a_head_gain_no_time(address: tuple[str, int]) -> None:
    connection = connected(address)
    end_s = time.monotonic() + PATIENCE_S
    with suppress(ConnectionError):
        while time.monotonic() < end_s:
            connection.sendall(b"G")
            gevent.sleep(0.02)
    connection.close()
    assert time.monotonic() < end_s


def test_an_idle_connection_is_closed_after_its_answer(address: tuple[str, int]) -> None:
    assert b"pong" in asked(address, b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")


def test_who_reads_nothing_is_closed(server: AdminServer, address: tuple[str, int]) -> None:
    stuck = connected(address)
    stuck.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
    assert stuck.recv(8) == b"HTTP/1.1"
    wait_until(lambda: len(server.connections) == 0)
    assert len(all_of(stuck)) < 64_000_000
    stuck.close()


def test_who_reads_nothing_leaves_room_for_others(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for deadline in ("UNREAD_S", "HEAD_S", "STRANGER_S"):
        monkeypatch.setattr(admin_server, deadline, 10.0 * PATIENCE_S)
    stuck = [connected(address) for _ in range(3)]
    for connection in stuck:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(8) == b"HTTP/1.1"
    assert b"pong" in asked(address, b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for connection in stuck:
        connection.close()


def test_who_is_gone_writes_no_line(address: tuple[str, int], capfd: pytest.CaptureFixture[str]) -> None:
    for sent in (b"GET /" + b"x" * 100_000, b"nothing of HTTP\r\n\r\n", b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"):
        for _ in range(20):
            connection = connected(address)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
            connection.close()  # sends a reset
    assert b"pong" in asked(address, b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert capfd.readouterr() == ("", "")


def test_a_long_answer_comes_whole(address: tuple[str, int]) -> None:
    assert len(asked(address, b"GET /long HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) > 64_000_000


def test_two_requests_come_over_one_connection(address: tuple[str, int]) -> None:
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    got = asked(address, post + b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert b"abc" in got
    assert got.endswith(b"pong")


ODD = {
    "no HTTP": b"secret-word\r\n\r\n",
    "another version": b"GET /secret-word HTTP/7.0\r\n\r\n",
    "two lengths": b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 11\r\n\r\nsecret-word",
    "chunks": b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nsecret-word\r\n0\r\n\r\n",
    "chunks and a length": b"POST /echo HTTP/1.1\r\nTransfer-Encoding: , chunked\r\nContent-Length: 3\r\n\r\nabc",
    "an odd length": b"POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
    "a negative length": b"POST /echo HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc",
    "an endless length": b"POST /echo HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a long field": b"GET /ping HTTP/1.1\r\nX: " + b"secret-word" * 10_000 + b"\r\n\r\n",
    "many fields": b"GET /ping HTTP/1.1\r\n" + b"X: secret-word\r\n" * 5_000 + b"\r\n",
    "a long line": b"GET /" + b"secret-word" * 10_000 + b" HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", ODD.values(), ids=ODD.keys())
def test_an_odd_request_is_refused_without_a_line(
    address: tuple[str, int], sent: bytes, logged: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    got = asked(address, sent)
    assert got == b"" or b" 4" in got.splitlines()[0]
    assert "secret-word" not in json.dumps(logged()) + "".join(capfd.readouterr())
    assert logged() == []


@pytest.mark.parametrize("length", [b"50331649", b"9" * 5000])
def test_a_body_that_is_too_long_is_told_so(address: tuple[str, int], length: bytes) -> None:
    got = asked(address, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + b"\r\n\r\nabc")
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body) == {"error": "the body is too long"}


def test_without_descriptors_strangers_make_room(
    server: AdminServer,
    address: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for deadline in ("UNREAD_S", "HEAD_S", "STRANGER_S"):
        monkeypatch.setattr(admin_server, deadline, 10.0 * PATIENCE_S)
    stranger, last = connected(address), gevent_socket.socket()
    wait_until(lambda: len(server.connections) == 1)
    with descriptors_left(0):
        last.settimeout(PATIENCE_S)
        last.connect(address)
        assert stranger.recv(1) == b""
        last.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"pong" in all_of(last)
    stranger.close()
    last.close()
    assert capfd.readouterr() == ("", "")
