"""The caching resolver with a dead, slow or changing name server. Time is gevent's own."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
from gevent import monkey
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from lexbridge.net.resolver import Addresses, CachingResolver, Host, WarmHosts, install, parse_hosts
from tests.support.fixtures import Logged
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S

LEX = "runtime-v2-lex.us-west-2.amazonaws.com"


class NameServer:
    """Name server whose answers the test sets."""

    def __init__(self) -> None:
        self.address = "192.0.2.1"
        self.failure: Exception | None = None
        self.answers = Event()
        self.answers.set()
        self.questions: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most_under_way = 0

    def getaddrinfo(self, host: str, port: int, *_: int) -> Addresses:
        self.questions[host] += 1
        self.under_way[host] += 1
        self.most_under_way = max(self.most_under_way, self.under_way[host])
        self.answers.wait()
        self.under_way[host] -= 1
        if self.failure is not None:
            raise self.failure
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, port))]

    def dies(self) -> None:
        self.failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def hangs(self) -> None:
        self.answers.clear()

    def recovers(self) -> None:
        self.failure = None
        self.answers.set()

    def gethostbyname(self, hostname: str) -> str:
        return f"one of {hostname}"

    def gethostbyname_ex(self, hostname: str) -> str:
        return f"all of {hostname}"

    def gethostbyaddr(self, ip_address: str) -> str:
        return f"the name of {ip_address}"

    def getnameinfo(self, sockaddr: Any, flags: int) -> str:
        return f"the name of {sockaddr}, {flags}"

    def close(self) -> None:
        self.failure = OSError("closed")


@pytest.fixture
def server() -> Iterator[NameServer]:
    server = NameServer()
    yield server
    server.recovers()


def address(resolver: CachingResolver, host: str = LEX) -> str:
    """Return the address of `host`."""
    ((_, _, _, _, where),) = resolver.getaddrinfo(host, 443, 0, socket.SOCK_STREAM)
    return str(where[0])


def test_a_fresh_answer_is_used_and_no_question_asked(server: NameServer) -> None:
    resolver = CachingResolver(server)
    assert [address(resolver) for _ in range(3)] == ["192.0.2.1"] * 3
    assert server.questions == {LEX: 1}
    resolver.getaddrinfo(LEX, 80)
    assert server.questions == {LEX: 2}, "another port is another question"


def test_an_answer_is_the_callers_own(server: NameServer) -> None:
    resolver = CachingResolver(server)
    resolver.getaddrinfo(LEX, 443).clear()
    assert len(resolver.getaddrinfo(LEX, 443)) == 1


def test_an_old_answer_is_used_and_renewed_in_the_background(server: NameServer) -> None:
    resolver = CachingResolver(server, fresh_s=0)
    address(resolver)
    server.address = "192.0.2.2"
    assert address(resolver) == "192.0.2.1"
    wait_until(lambda: address(resolver) == "192.0.2.2")


@pytest.mark.parametrize("fault", [NameServer.dies, NameServer.hangs])
def test_a_dead_name_server_is_unnoticed_for_known_names(server: NameServer, fault: Any) -> None:
    resolver = CachingResolver(server, fresh_s=0)
    address(resolver)
    fault(server)
    for _ in range(20):
        assert address(resolver) == "192.0.2.1"
        gevent.sleep(0.001)
    assert server.most_under_way == 1
    server.address = "192.0.2.2"
    server.recovers()
    wait_until(lambda: address(resolver) == "192.0.2.2")


def test_all_who_wait_for_a_name_share_one_question(server: NameServer) -> None:
    """Greenlets that wait for one name share a look-up, and each stops waiting at its own deadline."""
    resolver = CachingResolver(server, deadline_s=0.1)
    server.hangs()
    started = time.monotonic()
    waiting = [gevent.spawn(address, resolver) for _ in range(50)]
    gevent.joinall(waiting, timeout=PATIENCE_S)
    assert time.monotonic() - started >= 0.1
    assert {str(one.exception) for one in waiting} == {f"[Errno {socket.EAI_AGAIN}] no answer within 0.1 s"}
    with pytest.raises(socket.gaierror, match="no answer"):
        address(resolver)
    assert server.questions == {LEX: 1}, "a question that hangs is not asked again"
    server.recovers()  # the answer is used although its greenlet has left
    wait_until(lambda: not server.under_way[LEX])
    server.dies()
    assert address(resolver) == "192.0.2.1"


def test_all_who_wait_share_a_failure_and_the_next_asks_again(server: NameServer) -> None:
    resolver = CachingResolver(server)
    server.dies()
    waiting = [gevent.spawn(address, resolver) for _ in range(3)]
    gevent.joinall(waiting, timeout=PATIENCE_S)
    assert [type(one.exception) for one in waiting] == [socket.gaierror] * 3
    assert server.questions == {LEX: 1}
    server.recovers()
    assert address(resolver) == "192.0.2.1"


def test_giving_up_leaves_the_answer_to_those_who_still_wait(server: NameServer) -> None:
    resolver = CachingResolver(server)
    server.hangs()
    impatient = gevent.spawn(address, resolver)
    patient = gevent.spawn(address, resolver)
    wait_until(lambda: server.questions[LEX] == 1)
    impatient.kill()
    server.recovers()
    assert patient.get(timeout=PATIENCE_S) == "192.0.2.1"


def test_a_name_that_hangs_does_not_keep_another_waiting(server: NameServer) -> None:
    resolver = CachingResolver(server)
    server.hangs()
    stuck = gevent.spawn(address, resolver)
    wait_until(lambda: server.questions[LEX] == 1)
    server.answers = Event()
    server.answers.set()
    assert address(resolver, "api.twilio.com") == "192.0.2.1"
    stuck.kill()


def test_a_name_that_is_none_is_its_callers_error(server: NameServer) -> None:
    resolver = CachingResolver(server)
    server.failure = UnicodeError("label too long")
    with pytest.raises(UnicodeError):
        address(resolver, "a" * 64)


@pytest.mark.parametrize("host", ["127.0.0.1", b"127.0.0.1", bytearray(b"127.0.0.1"), "::1", "fe80::1", None])
def test_an_address_asks_nobody(server: NameServer, host: Any) -> None:
    server.hangs()
    resolver = CachingResolver(server, deadline_s=PATIENCE_S)
    assert resolver.getaddrinfo(host, 443, type_of(host), socket.SOCK_STREAM)
    with pytest.raises(socket.gaierror):
        resolver.getaddrinfo(LEX, 443, 0, 0, 0, socket.AI_NUMERICHOST)
    assert not server.questions


def type_of(host: Any) -> int:
    """Return the family of an address."""
    return socket.AF_INET6 if isinstance(host, str) and ":" in host else socket.AF_INET


@pytest.mark.parametrize("host", [b"abcd", bytearray(b"localhost")])
def test_a_name_in_bytes_is_a_name(server: NameServer, host: Any) -> None:
    assert CachingResolver(server).getaddrinfo(host, 443)
    assert server.questions == {bytes(host): 1}


def test_only_so_many_names_are_kept_those_lately_used(server: NameServer) -> None:
    resolver = CachingResolver(server, capacity=3)
    for host in ("a", "b", "c", "a", "d"):
        address(resolver, host)
    server.dies()
    for host in ("a", "c", "d"):
        assert address(resolver, host) == "192.0.2.1"
    with pytest.raises(socket.gaierror):
        address(resolver, "b")


def test_only_so_many_names_are_asked_for_at_a_time(server: NameServer) -> None:
    resolver = CachingResolver(server, capacity=2)
    server.hangs()
    waiting = [gevent.spawn(address, resolver, host) for host in ("a", "b", "a")]
    wait_until(lambda: len(server.questions) == 2)
    with pytest.raises(socket.gaierror, match="too many names"):
        address(resolver, "c")
    server.recovers()
    assert [one.get(timeout=PATIENCE_S) for one in waiting] == ["192.0.2.1"] * 3


def test_all_else_is_left_to_the_other_resolver(server: NameServer) -> None:
    resolver = CachingResolver(server)
    assert resolver.gethostbyname("a") == "one of a"
    assert resolver.gethostbyname_ex("a") == "all of a"
    assert resolver.gethostbyaddr("192.0.2.1") == "the name of 192.0.2.1"
    assert resolver.getnameinfo(("192.0.2.1", 80), 0) == "the name of ('192.0.2.1', 80), 0"
    resolver.close()
    assert str(server.failure) == "closed"


def test_a_warm_name_is_renewed_and_an_outage_logged_once(server: NameServer, logged: Logged) -> None:
    resolver = CachingResolver(server, fresh_s=0.01)
    warm = WarmHosts(resolver)
    warm.keep([Host(LEX, 443), Host("api.twilio.com", 443)])
    try:
        wait_until(lambda: min(server.questions[LEX], server.questions["api.twilio.com"]) > 3)
        assert [line for line in logged() if line["event"] != "peer-refused"] == []  # from another test, logged late
        server.dies()
        already = Counter(server.questions)
        wait_until(lambda: server.questions[LEX] > already[LEX] + 3)
        server.address = "192.0.2.2"
        server.recovers()
        wait_until(lambda: len(logged()) == 4)
    finally:
        warm.keep([])
    lines = [(line["event"], line["level"]) for line in logged() if line["host"] == LEX]
    assert lines == [("name-not-resolved", "warning"), ("name-resolved", "info")]
    assert "Temporary failure" in logged()[0]["error"]
    assert resolver.getaddrinfo(LEX, 443, socket.AF_UNSPEC, socket.SOCK_STREAM)[0][4] == ("192.0.2.2", 443)


def test_hosts_that_nobody_needs_any_more_are_let_go(server: NameServer) -> None:
    warm = WarmHosts(CachingResolver(server, fresh_s=0.001))
    warm.keep([Host("a", 443), Host("b", 443)])
    wait_until(lambda: min(server.questions["a"], server.questions["b"]) > 3)
    a = warm._greenlets[Host("a", 443)]
    warm.keep([Host("a", 443), Host("c", 443)])
    wait_until(lambda: server.questions["c"] > 3)
    asked = server.questions["b"]
    already = server.questions["a"]
    wait_until(lambda: server.questions["a"] > already + 10)
    assert server.questions["b"] <= asked + 1  # one may have been under way
    assert warm._greenlets[Host("a", 443)] is a  # it went on, and did not begin anew
    warm.keep([])
    wait_until(lambda: a.dead)


def test_the_hosts_of_addresses() -> None:
    addresses = [
        f"https://{LEX}",
        "https://api.twilio.com/2010-04-01",
        "http://API.twilio.com:8443",
        "https://api.twilio.com",
        "http://localhost",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "no address",
    ]
    twilio = "api.twilio.com"
    assert parse_hosts(addresses) == [Host(LEX, 443), Host(twilio, 443), Host(twilio, 8443), Host("localhost", 80)]


@pytest.fixture
def installed() -> Iterator[CachingResolver]:
    """Resolver of this hub until the end of the test."""
    hub = gevent.get_hub()
    before = hub.resolver
    yield install()
    hub.resolver = before


@pytest.fixture
def web() -> Iterator[WSGIServer]:
    """Server that closes each connection after its answer, so that each request makes a new one."""

    def page(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Connection", "close")])
        return [b"here"]

    server = WSGIServer(("127.0.0.1", 0), page, log=None)
    server.start()
    yield server
    server.stop(timeout=1)


@pytest.mark.parametrize("is_warm", [False, True])
def test_requests_go_on_when_the_name_server_dies(
    installed: CachingResolver, web: WSGIServer, is_warm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: Any) -> Any:
        asked.append(1)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    asked: list[int] = []
    url = f"http://localhost:{web.server_port}"
    warm = WarmHosts(installed)
    warm.keep(parse_hosts([url]) if is_warm else [])
    try:
        if is_warm:
            wait_until(lambda: bool(installed._answers))
        else:
            assert requests.get(url, timeout=PATIENCE_S).text == "here"
        monkeypatch.setattr(installed._inner, "getaddrinfo", dead)
        monkeypatch.setattr(installed, "_fresh_s", 0)
        for _ in range(3):
            assert requests.get(url, timeout=PATIENCE_S).text == "here"
    finally:
        warm.keep([])
    assert asked


def test_look_ups_that_hang_leave_the_threads_of_others_alone(
    installed: CachingResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Look-ups block more real threads than the ten that gevent shares among all users."""
    monkeypatch.setattr(installed, "_deadline_s", 0.05)
    hung = monkey.get_original("_thread", "allocate_lock")()

    def hang(*_: Any) -> Addresses:
        with hung:
            return []

    monkeypatch.setattr("_socket.getaddrinfo", hang)
    hung.acquire()
    try:
        stuck = [gevent.spawn(socket.getaddrinfo, f"host-{number}.example", 443) for number in range(12)]
        gevent.joinall(stuck, timeout=PATIENCE_S)
        assert all(isinstance(one.exception, socket.gaierror) for one in stuck)
        other = gevent.spawn(gevent.get_hub().threadpool.apply, lambda: "done")
        assert other.get(timeout=PATIENCE_S / 3) == "done"
    finally:
        hung.release()
        wait_until(lambda: not installed._pending)
