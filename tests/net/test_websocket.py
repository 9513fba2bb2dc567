"""The media socket and its handler on real connections: what it refuses, how it waits, how it ends."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent.event import Event
from geventwebsocket.exceptions import WebSocketError

from bench.harness.raw_client import Ended, RudeClient, client_close, client_message, upgrade_request
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_connections import SLICE_S, State
from lexbridge.net.http_request import Head, Request
from lexbridge.net.http_server import MediaServer, MediaSocketHandler
from lexbridge.net.policies import AdmitAll, Admitted, DirectAnswer, Oddity, Refusal, RequestPolicy
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import PING, PONG, TEXT, Limits
from lexbridge.net.timeouts import Timeouts
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.net.websocket import MediaSocket
from lexbridge.offline.commands.bridge_process import ROOT
from tests.support.fixtures import Logged

DEADLINE_S = 30
SHORT = Timeouts(header_s=0.3, keep_alive_s=0.3, idle_s=0.3, stall_s=0.3, linger_s=0.3)
ROOMY = Limits(output_bytes=4_000_000)

View = Callable[[MediaSocket], None]
Address = tuple[str, int]


class Refusing(AdmitAll):
    """Refuses every handshake with `refusal`, and keeps the signatures that it was shown."""

    def __init__(self, refusal: Refusal) -> None:
        self.seen: list[str] = []
        self._refusal = refusal

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        if not request.head.asks_for_websocket:
            return super().check_request(request, open_sockets)
        self.seen.append(request.head.headers.get("x-twilio-signature", ""))
        return self._refusal


@contextmanager
def served(view: View, policy: RequestPolicy | None = None, **options: Any) -> Iterator[Address]:
    """The address of a server whose socket at / is served by `view`. `options`: of the handler."""
    app = Flask("test")

    @app.get("/page")
    def page() -> str:
        return "a page"

    Sockets(app).route("/")(view)
    server = MediaServer(("127.0.0.1", 0), app, policy)
    server.handler_class = type("Handler", (MediaSocketHandler,), {"limits": ROOMY, **options})
    server.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.stop(timeout=1)


def echo(websocket: MediaSocket) -> None:
    while (message := websocket.receive()) is not None:
        websocket.send(message)


def end_of(address: Address, output: bytes = b"") -> Ended:
    """How a socket that sends `output` ends."""
    with RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(output)
        return client.end()


def test_messages_come_in_order_and_pings_are_answered() -> None:
    with served(echo) as address:
        ended = end_of(address, client_message("a") + client_message(b"p", PING) + client_message("b") + client_close())
    assert [message for message in ended.messages if message[0] == PONG] == [(PONG, b"p")]
    assert ended.code == 1000


def test_what_is_received_can_be_sent_back() -> None:
    def first_then_close(websocket: MediaSocket) -> None:
        websocket.send(websocket.receive() or "")
        websocket.close(4000, "enough")
        websocket.close(4001, "twice")
        assert websocket.receive() is None

    with served(first_then_close) as address:
        ended = end_of(address, client_message("\u20ac" * 1000))
    assert ended.messages == ((TEXT, ("\u20ac" * 1000).encode()),)
    assert (ended.code, ended.reason) == (4000, b"enough")


def test_a_view_that_returns_closes_normally() -> None:
    with served(lambda _: None) as address:
        assert end_of(address).code == 1000


def test_a_view_that_breaks_closes_with_1011_and_is_a_bug_in_the_log(logged: Logged) -> None:
    def broken(websocket: MediaSocket) -> None:
        raise RuntimeError("a bug")

    with served(broken) as address:
        assert end_of(address).code == 1011
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["socket-broken"]


def test_silence_is_closed_with_1001() -> None:
    with served(echo, timeouts=SHORT) as address:
        ended = end_of(address)
        assert (ended.code, ended.reason) == (1001, b"silent")


@pytest.mark.parametrize(
    "output", [client_message("half")[:7], client_message("x", final=False)], ids=["bytes", "part"]
)
def test_half_a_message_is_silence(output: bytes) -> None:
    with served(echo, timeouts=SHORT) as address:
        assert end_of(address, output).code == 1001


def test_whoever_pings_is_not_silent() -> None:
    with served(echo, timeouts=replace(SHORT, idle_s=1)) as address, RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        for _ in range(20):
            client.send(client_message(b"", PING))
            gevent.sleep(0.1)  # longer than the silence in all; it is the time itself that is tested
        client.send(client_close(4321))
        assert client.end().code == 4321


def test_a_socket_that_nobody_takes_from_is_not_silent_but_waits() -> None:
    taken = Event()

    def late(websocket: MediaSocket) -> None:
        taken.wait(DEADLINE_S)
        echo(websocket)

    with served(late, timeouts=SHORT) as address, RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(client_message("x") * 400)
        gevent.sleep(1)  # three silences
        taken.set()
        client.send(client_close(4321))
        ended = client.end()
        assert (ended.code, len(ended.messages)) == (4321, 400)


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    ended = Event()
    before = refused.totals["output queue full"]

    def flood(websocket: MediaSocket) -> None:
        with suppress(WebSocketError):
            while True:
                websocket.send("x" * 100_000)
        assert websocket.receive() is None
        ended.set()

    with served(flood, timeouts=SHORT) as address, RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        assert ended.wait(DEADLINE_S)
    assert refused.totals["output queue full"] == before + 1


def test_a_peer_that_takes_nothing_for_too_long_is_cut_off() -> None:
    ended = Event()
    before = refused.totals["output stalled"]

    def one_speech(websocket: MediaSocket) -> None:
        for _ in range(30):
            websocket.send("x" * 100_000)
        while websocket.receive() is not None:
            pass
        ended.set()

    options = {"timeouts": replace(SHORT, idle_s=60), "limits": Limits(output_bytes=100_000_000)}
    with served(one_speech, **options) as address, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        client.sendall(upgrade_request())
        assert ended.wait(DEADLINE_S)
    assert refused.totals["output stalled"] == before + 1


def test_what_the_peer_takes_slowly_arrives_whole() -> None:
    def one_speech(websocket: MediaSocket) -> None:
        for _ in range(100):
            websocket.send("x" * 30_000)

    with served(one_speech, timeouts=replace(SHORT, linger_s=DEADLINE_S)) as address:
        ended = end_of(address)
    assert (ended.code, len(ended.messages)) == (1000, 100)


def test_sending_on_a_closed_socket_raises() -> None:
    outcome: list[str] = []

    def after_the_end(websocket: MediaSocket) -> None:
        while websocket.receive() is not None:
            pass
        try:
            websocket.send("late")
        except WebSocketError as error:
            outcome.append(str(error))

    with served(after_the_end) as address:
        end_of(address, client_close())
        assert outcome == ["the socket is closed"]


def test_binary_goes_both_ways_where_it_is_wanted() -> None:
    with served(echo, limits=Limits(binary=True)) as address, RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 101
        client.send(client_message(b"\xff", 2) + client_message(b"", 9))
        gevent.sleep(0)
        client.half_close()
        assert (2, b"\xff") in client.end().messages


def test_a_flood_does_not_hold_the_others() -> None:
    turns: list[str] = []

    def noting(websocket: MediaSocket) -> None:
        while (message := websocket.receive()) is not None:
            turns.append(str(message)[:1])

    limits = Limits(rate_hz=1e9, burst=10**9)
    with served(noting, limits=limits) as address, RudeClient(address) as flood, RudeClient(address) as other:
        for client in (flood, other):
            assert client.upgrade() == 101
        both = (
            gevent.spawn(flood.send, client_message("f" * 100) * 5000),
            gevent.spawn(other.send, client_message("o" * 100) * 50),
        )
        gevent.joinall(both, timeout=DEADLINE_S, raise_error=True)
        with gevent.Timeout(DEADLINE_S):
            while turns.count("o") < 50:
                gevent.sleep(0.01)
    assert turns.index("o") < 2000  # it came long before the flood was through


# Before the 101


@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
def test_a_refused_upgrade_never_gets_a_101(status: str, logged: Logged) -> None:
    policy = Refusing(Refusal(status, f"refused by the test {status}"))
    with served(echo, policy) as address, RudeClient(address, DEADLINE_S) as client:
        # Refused even if it is a bad handshake: strangers learn nothing.
        client.send(upgrade_request(headers={"X-Twilio-Signature": "no", "Sec-WebSocket-Key": "bad"}))
        client.send(client_message("early"))
        ended = client.end(upgraded=False)
    assert (ended.status, ended.messages) == (int(status[:3]), ())
    assert policy.seen == ["no"]
    assert f"refused by the test {status}" in [line.get("reason") for line in logged()]


def test_an_upgrade_is_admitted_and_pages_are_not_asked_about() -> None:
    with served(echo) as address:
        assert end_of(address, client_close(4000)).code == 4000
    with served(echo, Refusing(Refusal("403 Forbidden", "all"))) as address, RudeClient(address) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_header_block() == 200


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.ENOSPC, "no more watches")])
def test_what_breaks_on_one_connection_ends_no_other(error: Exception, logged: Logged) -> None:
    class Broken(ByPath):
        def check_head(self, head: Head) -> Refusal | None:
            if head.path == "/broken":
                raise error
            return None

    with limited(Broken(), TokenBucket(0, 9)) as (address, server), RudeClient(address, DEADLINE_S) as kept:
        assert statuses(address, "/broken", "/probe", "/broken", "/probe") == [None, 200, None, 200]
        kept.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.read_header_block() == 200
        kept.send(request_of("/broken"))
        kept.read_to_end()
        with RudeClient(address, DEADLINE_S) as another:
            another.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
            assert another.read_header_block() == 200
            another.send(request_of("/probe"))
            assert b"200 OK" in another.read_to_end()
        with gevent.Timeout(DEADLINE_S):
            while server._connections and server._connections.waiting:
                gevent.sleep(0.01)
    broken = [line["event"] for line in logged() if line["level"] == "error"]
    assert broken == ["connection-broken"] * (3 * isinstance(error, RuntimeError))


def test_a_gate_that_breaks_is_a_refusal(logged: Logged) -> None:
    class Broken(AdmitAll):
        def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
            raise ValueError("the caller's number")

    with served(echo, Broken()) as address, RudeClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 403
    (line,) = [line for line in logged() if line["event"] == "admit-broken"]
    assert "number" not in str(line)


@pytest.mark.parametrize(
    "output",
    [b"", b"GET", b"GET /page HTTP/1.1\r\nHost:", b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"],
    ids=["silent", "half a line", "half a header block", "half a body"],
)
def test_a_slow_request_is_cut_off(output: bytes) -> None:
    with served(echo, timeouts=SHORT) as address, RudeClient(address, DEADLINE_S) as client:
        client.send(output)
        assert client.end(upgraded=False).status is None


@contextmanager
def limited(policy: RequestPolicy, strangers: TokenBucket, **options: Any) -> Iterator[tuple[Address, MediaServer]]:
    """A server whose strangers are metered, and its address. `options`: of the handler."""

    def page(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    server = MediaServer(("127.0.0.1", 0), page, policy, strangers)
    server.handler_class = type("Handler", (MediaSocketHandler,), options)
    server.start()
    try:
        yield ("127.0.0.1", server.server_port), server
    finally:
        server.stop(timeout=1)


class ByPath(AdmitAll):
    """Takes /signed for Twilio's, answers /probe at once, refuses /refused, and lets the rest go on unsigned."""

    def check_head(self, head: Head) -> Refusal | None:
        return Refusal("403 Forbidden", "refused by its head") if head.path == "/head" else None

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        match request.head.path:
            case "/refused":
                return Refusal("403 Forbidden", "refused by the test")
            case "/probe":
                return DirectAnswer("200 OK", b"{}\n")
        return Admitted(is_trusted=request.head.path == "/signed")


def request_of(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""]).encode()


def statuses(address: Address, *paths: str) -> list[int | None]:
    """What each request is answered with, each on a connection of its own."""
    found = []
    for path in paths:
        with RudeClient(address, DEADLINE_S) as client:
            client.send(request_of(path))
            found.append(client.end(upgraded=False).status)
    return found


def test_strangers_are_metered_and_nobody_else_is() -> None:
    before = refused.totals.copy()
    with limited(ByPath(), TokenBucket(0, 4)) as (address, server):
        assert statuses(address, "/refused", "/head", "/page", "/refused") == [403, 403, 200, 403]
        assert statuses(address, "/refused", "/head", "/page") == [None] * 3  # cut off without a word
        assert statuses(address, "/signed", "/probe", "/signed") == [200] * 3
        assert server.spent_s > 0
    met = refused.totals - before
    assert met == {"refused by the test": 3, "refused by its head": 2, "too many strangers": 1}


def test_what_is_not_served_is_counted_with_its_cause_while_strangers_are_answered() -> None:
    class Knowing(ByPath):
        def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
            return Admitted(is_trusted=False, oddity=Oddity("known of the test", {"remedy": "go elsewhere"}))

    before = refused.totals.copy()
    with limited(Knowing(), TokenBucket(0, 2)) as (address, _):
        assert statuses(address, "/page", "/page", "/page") == [200, 200, None]
    assert refused.totals - before == {"known of the test": 2, "too many strangers": 1}


def test_a_probe_by_head_is_answered_without_a_body() -> None:
    with limited(ByPath(), TokenBucket(0, 0)) as (address, _), RudeClient(address, DEADLINE_S) as client:
        client.send(b"HEAD /probe HTTP/1.1\r\nHost: x\r\n\r\n" + request_of("/probe"))
        answers = client.read_to_end().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [b"Content-Length: 3" in answer for answer in answers] == [True] * 2
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"", b"{}\n"]


def test_a_strangers_upgrade_counts_as_no_socket() -> None:
    counted = []

    class Counting(ByPath):
        def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
            counted.append(open_sockets)
            return super().check_request(request, open_sockets)

    # The second one is read before the greenlet of the first has its turn.
    with limited(Counting(), TokenBucket(0, 9)) as (address, server):
        clients = [RudeClient(address, DEADLINE_S) for _ in range(2)]
        with gevent.Timeout(DEADLINE_S):
            while server.silent < 2:
                gevent.sleep(0.01)
        for client in clients:
            client.send(upgrade_request("/page", {"Connection": "Upgrade, close"}))
        assert [client.end(upgraded=False).status for client in clients] == [200, 200]
    assert counted == [0, 0]


def test_what_is_no_request_counts_as_a_strangers() -> None:
    with limited(ByPath(), TokenBucket(0, 1)) as (address, _):
        assert statuses(address, "//", "//") == [400, None]


def test_a_stranger_that_sends_a_body_without_end_is_answered_and_cut_off() -> None:
    with (
        limited(ByPath(), TokenBucket(0, 1), timeouts=SHORT) as (address, _),
        RudeClient(address, DEADLINE_S) as client,
    ):
        client.send(request_of("/head", "Content-Length: 8000"))
        assert client.read_header_block() == 403
        with gevent.Timeout(DEADLINE_S):
            while client.send(b"x" * 100_000):
                gevent.sleep(0)


def test_a_body_is_awaited_with_a_100_if_the_client_asks_for_it() -> None:
    with limited(ByPath(), TokenBucket(0, 9)) as (address, _), RudeClient(address, DEADLINE_S) as client:
        client.send(request_of("/signed", "Expect: 100-continue", "Content-Length: 5"))
        assert client.read_header_block() == 100
        client.send(b"he")
        gevent.sleep(0.05)
        client.send(b"llo")
        assert client.read_to_end().endswith(b"\r\n\r\nhello")


def test_requests_in_one_packet_are_answered_in_order_whoever_answers_them() -> None:
    paths = ["/signed", "/probe", "/probe", "/page", "/signed"]
    output = b"".join(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{number}".encode()
        for number, path in enumerate(paths)
    )
    with limited(ByPath(), TokenBucket(0, 9)) as (address, _), RudeClient(address, DEADLINE_S) as client:
        client.send(output)
        client.half_close()
        answers = client.read_to_end().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"0", b"{}\n", b"{}\n", b"3", b"4"]


class SlowProbes(ByPath):
    """Takes longer for /slow than a slice, and counts how often it did."""

    slow = 0

    def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
        if request.head.path != "/slow":
            return super().check_request(request, open_sockets)
        self.slow += 1
        until_s = time.monotonic() + 2 * SLICE_S
        while time.monotonic() < until_s:
            pass
        return DirectAnswer("200 OK", b"{}\n")


def test_connections_that_always_have_something_starve_no_other() -> None:
    probe = b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n"
    policy = SlowProbes()
    with limited(policy, TokenBucket(0, 9)) as (address, _), RudeClient(address, DEADLINE_S) as kept:
        kept.send(probe)
        assert kept.read_header_block() == 200
        with RudeClient(address, DEADLINE_S) as greedy:
            greedy.send(probe.replace(b"/probe", b"/slow") * 500)
            with gevent.Timeout(DEADLINE_S):
                while policy.slow < 3:
                    gevent.sleep(0)
            kept.send(probe)
            kept.half_close()
            assert kept.read_to_end().count(b"200 OK") == 1
            assert policy.slow < 50  # of 500; it had its turn in between


def test_an_idle_connection_is_closed_and_one_in_the_middle_of_a_request_sooner() -> None:
    timeouts = replace(SHORT, keep_alive_s=60)
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=timeouts) as (address, _),
        RudeClient(address, DEADLINE_S) as client,
    ):
        client.send(b"GET /signed HTTP/1.1\r\nHost: x\r\n\r\n")
        gevent.sleep(1)  # three times what a request may take
        client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\nGET /half")
        assert client.read_to_end().count(b"200 OK") == 2


def test_answers_that_are_not_taken_do_not_pile_up() -> None:
    def unsent(descriptor: int) -> int:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    probes = b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n" * 500
    timeouts = replace(SHORT, header_s=1000, keep_alive_s=1000)
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=timeouts) as (address, server),
        socket.create_connection(address, DEADLINE_S) as client,
    ):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(1)  # it is full, or takes longer than that for 500
        most = 0
        with suppress(OSError):
            for _ in range(100):
                client.sendall(probes)
                gevent.sleep(0.01)
                assert server._connections
                for connections in server._connections._connections.values():
                    most = max([most, *(unsent(connection.descriptor) for connection in connections.values())])
    assert 0 < most < 512 * 1024


@contextmanager
def kept_and_full(server: MediaServer, address: Address) -> Iterator[RudeClient]:
    """A connection that is kept for another request, and whose peer has not taken what it was sent."""
    with RudeClient(address, DEADLINE_S) as client:
        client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_header_block() == 200
        assert server._connections
        (kept,) = server._connections._connections[State.IDLE].values()
        client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sending = socket.socket(fileno=os.dup(kept.descriptor))
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sending.close()
        quiet = 0
        while quiet < 10:  # what was sent last has yet to reach the peer's own buffer, and makes room here
            quiet += 1
            with suppress(BlockingIOError):
                while os.write(kept.descriptor, b"." * 1000):
                    quiet = 0
            gevent.sleep(0.02)
        yield client


@pytest.mark.parametrize("lines", ["", "Expect: 100-continue\r\nContent-Length: 1\r\n"])
def test_whoever_does_not_take_its_answers_gets_no_others(lines: str) -> None:
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=replace(SHORT, header_s=1000, keep_alive_s=1000)) as (
            address,
            server,
        ),
        kept_and_full(server, address) as client,
    ):
        client.send(f"GET /probe HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        with gevent.Timeout(DEADLINE_S):
            while server._connections and server._connections.waiting:
                gevent.sleep(0.01)


def test_a_peer_that_does_not_take_its_101_is_cut_off() -> None:
    before = refused.totals["request too slow"]
    with (
        limited(AdmitAll(), TokenBucket(0, 9), timeouts=replace(SHORT, keep_alive_s=1000)) as (address, server),
        kept_and_full(server, address) as client,
    ):
        client.send(upgrade_request())
        with gevent.Timeout(DEADLINE_S):
            while refused.totals["request too slow"] == before:
                gevent.sleep(0.01)
        assert server._connections
        with gevent.Timeout(DEADLINE_S):
            while server._connections.open_sockets:
                gevent.sleep(0.01)


def test_without_room_the_oldest_silent_connection_gives_way() -> None:
    with limited(ByPath(), TokenBucket(0, 9)) as (address, server):
        server._most_waiting = 3
        silent = [RudeClient(address, DEADLINE_S) for _ in range(5)]
        with gevent.Timeout(DEADLINE_S):
            while server.silent < 3:
                gevent.sleep(0.01)
        assert statuses(address, "/signed") == [200]
        assert [client.end(upgraded=False).status for client in silent[:2]] == [None, None]
        silent[-1].send(request_of("/signed"))
        assert silent[-1].end(upgraded=False).status == 200
        for client in silent:
            client.drop()


def test_without_room_connections_that_are_kept_for_another_request_give_way_too() -> None:
    with limited(ByPath(), TokenBucket(0, 9)) as (address, server):
        server._most_waiting = 3
        kept: list[RudeClient] = []
        for _ in range(6):
            kept.append(client := RudeClient(address, DEADLINE_S))
            client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read_header_block() == 200
        assert [client.read_to_end() for client in kept[:3]] == [b"{}\n"] * 3
        kept[-1].send(request_of("/signed"))
        assert b"200 OK" in kept[-1].read_to_end()
        for client in kept:
            client.drop()


def test_a_connection_is_kept_for_the_next_request_but_not_for_ever() -> None:
    with served(echo, timeouts=SHORT) as address, RudeClient(address, DEADLINE_S) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert client.read_to_end().count(b"200 OK") == 2


def test_a_page_that_breaks_is_a_500_and_a_bug_in_the_log(logged: Logged) -> None:
    def broken(environ: Any, start_response: Any) -> list[bytes]:
        raise RuntimeError("a bug")

    server = MediaServer(("127.0.0.1", 0), broken)
    server.start()
    with RudeClient(("127.0.0.1", server.server_port), DEADLINE_S) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.end(upgraded=False).status == 500
    server.stop(timeout=1)
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["request-broken"]


def test_a_short_fuzz_finds_nothing() -> None:
    """The long one: `python -m bench fuzz`."""
    command = [sys.executable, "-m", "bench", "fuzz", "--connections", "1000"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
