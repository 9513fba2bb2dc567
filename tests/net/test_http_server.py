"""HTTP connections on the real server: refusals, pages, slow, silent and greedy clients."""

import errno
import fcntl
import os
import socket
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import gevent
import pytest

from bench.harness.raw_client import RawClient, client_close, client_message, upgrade_request
from lexbridge.net.http_connection import State
from lexbridge.net.http_connections import SLICE_S
from lexbridge.net.http_request import Head, Request
from lexbridge.net.http_server import MediaServer
from lexbridge.net.policies import AdmitAll, Admitted, DirectAnswer, Oddity, Refusal
from lexbridge.net.refused import refused
from lexbridge.net.token_bucket import TokenBucket
from tests.support.descriptors import descriptors_left
from tests.support.fixtures import Logged
from tests.support.socket_server import (
    DEADLINE_S,
    SHORT,
    Address,
    ByPath,
    Refusing,
    echo,
    end_of,
    limited,
    request_of,
    served,
    statuses,
)


@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
def test_a_refused_upgrade_never_gets_a_101(status: str, logged: Logged) -> None:
    policy = Refusing(Refusal(status, f"refused by the test {status}"))
    with served(echo, policy) as address, RawClient(address, DEADLINE_S) as client:
        # The refusal is the same for a bad handshake, so that strangers learn nothing.
        client.send(upgrade_request(headers={"X-Twilio-Signature": "no", "Sec-WebSocket-Key": "bad"}))
        client.send(client_message("early"))
        ended = client.end(upgraded=False)
    assert (ended.status, ended.messages) == (int(status[:3]), ())
    assert policy.seen == ["no"]
    assert f"refused by the test {status}" in [line.get("reason") for line in logged()]


def test_an_upgrade_is_admitted_and_pages_are_not_asked_about() -> None:
    with served(echo) as address:
        assert end_of(address, client_close(4000)).code == 4000
    with served(echo, Refusing(Refusal("403 Forbidden", "all"))) as address, RawClient(address) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_header_block() == 200


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.ENOSPC, "no more watches")])
def test_what_breaks_on_one_connection_ends_no_other(error: Exception, logged: Logged) -> None:
    class Broken(ByPath):
        def check_head(self, head: Head) -> Refusal | None:
            if head.path == "/broken":
                raise error
            return None

    with limited(Broken(), TokenBucket(0, 9)) as (address, server), RawClient(address, DEADLINE_S) as kept:
        assert statuses(address, "/broken", "/probe", "/broken", "/probe") == [None, 200, None, 200]
        kept.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.read_header_block() == 200
        kept.send(request_of("/broken"))
        kept.read_to_end()
        with RawClient(address, DEADLINE_S) as another:
            another.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
            assert another.read_header_block() == 200
            another.send(request_of("/probe"))
            assert b"200 OK" in another.read_to_end()
        with gevent.Timeout(DEADLINE_S):
            while server._connections and len(server._connections.table):
                gevent.sleep(0.01)
    broken = [line["event"] for line in logged() if line["level"] == "error"]
    assert broken == ["connection-broken"] * (3 * isinstance(error, RuntimeError))


def test_a_gate_that_breaks_is_a_refusal(logged: Logged) -> None:
    class Broken(AdmitAll):
        def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
            raise ValueError("the caller's number")

    with served(echo, Broken()) as address, RawClient(address, DEADLINE_S) as client:
        assert client.upgrade() == 403
    (line,) = [line for line in logged() if line["event"] == "admit-broken"]
    assert "number" not in str(line)


@pytest.mark.parametrize(
    "output",
    [b"", b"GET", b"GET /page HTTP/1.1\r\nHost:", b"POST /page HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"],
    ids=["silent", "half a line", "half a header block", "half a body"],
)
def test_a_slow_request_is_cut_off(output: bytes) -> None:
    with served(echo, timeouts=SHORT) as address, RawClient(address, DEADLINE_S) as client:
        client.send(output)
        assert client.end(upgraded=False).status is None


def test_only_strangers_are_metered() -> None:
    before = refused.totals.copy()
    with limited(ByPath(), TokenBucket(0, 4)) as (address, server):
        assert statuses(address, "/refused", "/head", "/page", "/refused") == [403, 403, 200, 403]
        assert statuses(address, "/refused", "/head", "/page") == [None] * 3  # closed without an answer
        assert statuses(address, "/signed", "/probe", "/signed") == [200] * 3
        assert server.busy_s > 0
    met = refused.totals - before
    assert met == {"refused by the test": 3, "refused by its head": 2, "too many strangers": 1}


def test_what_is_not_served_is_counted_with_its_cause() -> None:
    """A request that is not served is counted with its cause while strangers get answers."""

    class Knowing(ByPath):
        def check_request(self, request: Request, open_sockets: int) -> Refusal | DirectAnswer | Admitted:
            return Admitted(is_trusted=False, oddity=Oddity("known of the test", {"remedy": "go elsewhere"}))

    before = refused.totals.copy()
    with limited(Knowing(), TokenBucket(0, 2)) as (address, _):
        assert statuses(address, "/page", "/page", "/page") == [200, 200, None]
    assert refused.totals - before == {"known of the test": 2, "too many strangers": 1}


def test_a_probe_by_head_is_answered_without_a_body() -> None:
    with limited(ByPath(), TokenBucket(0, 0)) as (address, _), RawClient(address, DEADLINE_S) as client:
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
        clients = [RawClient(address, DEADLINE_S) for _ in range(2)]
        with gevent.Timeout(DEADLINE_S):
            while server.idle_connections < 2:
                gevent.sleep(0.01)
        for client in clients:
            client.send(upgrade_request("/page", {"Connection": "Upgrade, close"}))
        assert [client.end(upgraded=False).status for client in clients] == [200, 200]
    assert counted == [0, 0]


def test_what_is_no_request_counts_as_a_strangers() -> None:
    with limited(ByPath(), TokenBucket(0, 1)) as (address, _):
        assert statuses(address, "*", "*") == [400, None]


def test_a_strangers_body_without_end_is_answered_and_cut_off() -> None:
    with (
        limited(ByPath(), TokenBucket(0, 1), timeouts=SHORT) as (address, _),
        RawClient(address, DEADLINE_S) as client,
    ):
        client.send(request_of("/head", "Content-Length: 8000"))
        assert client.read_header_block() == 403
        with gevent.Timeout(DEADLINE_S):
            while client.send(b"x" * 100_000):
                gevent.sleep(0)


def test_a_body_is_awaited_with_a_100_if_the_client_asks_for_it() -> None:
    with limited(ByPath(), TokenBucket(0, 9)) as (address, _), RawClient(address, DEADLINE_S) as client:
        client.send(request_of("/signed", "Expect: 100-continue", "Content-Length: 5"))
        assert client.read_header_block() == 100
        client.send(b"he")
        gevent.sleep(0.05)
        client.send(b"llo")
        assert client.read_to_end().endswith(b"\r\n\r\nhello")


def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests in one packet are answered in order, whether the server or the app answers."""
    paths = ["/signed", "/probe", "/probe", "/page", "/signed"]
    output = b"".join(
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{number}".encode()
        for number, path in enumerate(paths)
    )
    with limited(ByPath(), TokenBucket(0, 9)) as (address, _), RawClient(address, DEADLINE_S) as client:
        client.send(output)
        client.half_close()
        answers = client.read_to_end().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"0", b"{}\n", b"{}\n", b"3", b"4"]


class SlowProbes(ByPath):
    """Policy that takes longer than a slice for /slow, and counts how often it did."""

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
    with limited(policy, TokenBucket(0, 9)) as (address, _), RawClient(address, DEADLINE_S) as kept:
        kept.send(probe)
        assert kept.read_header_block() == 200
        with RawClient(address, DEADLINE_S) as greedy:
            greedy.send(probe.replace(b"/probe", b"/slow") * 500)
            with gevent.Timeout(DEADLINE_S):
                while policy.slow < 3:
                    gevent.sleep(0)
            kept.send(probe)
            kept.half_close()
            assert kept.read_to_end().count(b"200 OK") == 1
            assert policy.slow < 50  # of 500: the other connection had its turn in between


def test_an_idle_connection_is_closed() -> None:
    """An idle connection is closed, and one in the middle of a request sooner."""
    timeouts = replace(SHORT, keep_alive_s=60)
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=timeouts) as (address, _),
        RawClient(address, DEADLINE_S) as client,
    ):
        client.send(b"GET /signed HTTP/1.1\r\nHost: x\r\n\r\n")
        gevent.sleep(1)  # three times as long as a request may take
        client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\nGET /half")
        assert client.read_to_end().count(b"200 OK") == 2


def test_the_end_of_an_idle_connection_is_no_fault_of_the_peer() -> None:
    before = refused.totals["request too slow"]
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=SHORT) as (address, _),
        RawClient(address, DEADLINE_S) as client,
    ):
        client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_to_end().count(b"200 OK") == 1
    assert refused.totals["request too slow"] == before


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
        client.settimeout(1)  # its buffer is full, or 500 requests take longer
        most = 0
        with suppress(OSError):
            for _ in range(100):
                client.sendall(probes)
                gevent.sleep(0.01)
                assert server._connections
                for connections in server._connections.table._by_state.values():
                    most = max([most, *(unsent(connection.descriptor) for connection in connections.values())])
    assert 0 < most < 512 * 1024


@contextmanager
def kept_and_full(server: MediaServer, address: Address) -> Iterator[RawClient]:
    """Open a connection that is kept for another request, and whose peer does not read."""
    with RawClient(address, DEADLINE_S) as client:
        client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_header_block() == 200
        assert server._connections
        (kept,) = server._connections.table._by_state[State.KEPT_ALIVE].values()
        client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sending = socket.socket(fileno=os.dup(kept.descriptor))
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sending.close()
        quiet = 0
        while quiet < 10:  # the last bytes move to the peer's buffer a little later, which makes room here
            quiet += 1
            with suppress(BlockingIOError):
                while os.write(kept.descriptor, b"." * 1000):
                    quiet = 0
            gevent.sleep(0.02)
        yield client


@pytest.mark.parametrize("lines", ["", "Expect: 100-continue\r\nContent-Length: 1\r\n"])
def test_a_peer_that_takes_no_answers_gets_no_others(lines: str) -> None:
    with (
        limited(ByPath(), TokenBucket(0, 9), timeouts=replace(SHORT, header_s=1000, keep_alive_s=1000)) as (
            address,
            server,
        ),
        kept_and_full(server, address) as client,
    ):
        client.send(f"GET /probe HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        with gevent.Timeout(DEADLINE_S):
            while server._connections and len(server._connections.table):
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
        silent = [RawClient(address, DEADLINE_S) for _ in range(5)]
        with gevent.Timeout(DEADLINE_S):
            while server.idle_connections < 3:
                gevent.sleep(0.01)
        assert statuses(address, "/signed") == [200]
        assert [client.end(upgraded=False).status for client in silent[:2]] == [None, None]
        silent[-1].send(request_of("/signed"))
        assert silent[-1].end(upgraded=False).status == 200
        for client in silent:
            client.drop()


def test_without_room_kept_connections_give_way_too() -> None:
    """Kept connections are closed, too, if there is no room for another connection."""
    with limited(ByPath(), TokenBucket(0, 9)) as (address, server):
        server._most_waiting = 3
        kept: list[RawClient] = []
        for _ in range(6):
            kept.append(client := RawClient(address, DEADLINE_S))
            client.send(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.read_header_block() == 200
        assert [client.read_to_end() for client in kept[:3]] == [b"{}\n"] * 3
        kept[-1].send(request_of("/signed"))
        assert b"200 OK" in kept[-1].read_to_end()
        for client in kept:
            client.drop()


def probe(client: Any) -> bytes:
    """Ask over a connection that is kept. Return the beginning of the answer, or nothing if the server closed it."""
    client.sendall(b"GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"{}\n") and (piece := client.recv(4096)):
        answer += piece
    return answer[:12]


def test_the_last_descriptor_costs_nobody_a_connection() -> None:
    before = refused.totals["no descriptors"]
    with limited(ByPath(), TokenBucket(0, 9)) as (address, _), ExitStack() as clients:
        oldest, last, one_more = [clients.enter_context(socket.socket()) for _ in range(3)]
        for client in (oldest, last, one_more):
            client.settimeout(DEADLINE_S)
        oldest.connect(address)
        assert probe(oldest) == b"HTTP/1.1 200"
        with descriptors_left(1):
            last.connect(address)
            assert probe(last) == b"HTTP/1.1 200"
            assert probe(oldest) == b"HTTP/1.1 200"
            assert refused.totals["no descriptors"] == before
            one_more.connect(address)
            assert probe(one_more) == b"HTTP/1.1 200"
            assert refused.totals["no descriptors"] == before + 1
            assert last.recv(1) == b""  # it waited longest for its next request


def test_a_connection_is_kept_for_a_while() -> None:
    with served(echo, timeouts=SHORT) as address, RawClient(address, DEADLINE_S) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert client.read_to_end().count(b"200 OK") == 2


def test_a_page_that_breaks_is_a_500_and_a_bug_in_the_log(logged: Logged) -> None:
    def broken(environ: Any, start_response: Any) -> list[bytes]:
        raise RuntimeError("a bug")

    server = MediaServer(("127.0.0.1", 0), broken)
    server.start()
    with RawClient(("127.0.0.1", server.server_port), DEADLINE_S) as client:
        client.send(b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.end(upgraded=False).status == 500
    server.stop(timeout=1)
    assert [line["event"] for line in logged() if line["level"] == "error"] == ["request-broken"]
