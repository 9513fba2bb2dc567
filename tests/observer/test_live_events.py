"""Server-sent events: changes as they happen, followed calls, and browsers that read slowly or not at all."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from lexbridge.observer.admin import live_events
from lexbridge.observer.admin.live_events import MAX_FACT_BYTES, MAX_FACTS, Browser
from tests.support.admin_server import Admin, admin
from tests.support.told_facts import BEGAN_S, FRAME, LOUD_FRAME, ToldCall, worker_report

PATIENCE_S = 60.0
NOW = time.time() - BEGAN_S
"""The present, as a told call counts time."""


class Page:
    """A browser's page that reads the events of a server."""

    def __init__(self, server: Admin, query: str = "") -> None:
        port = server.server.server_port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        head = f"GET /console/api/stream{query} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.socket.sendall(head.encode())
        self._file = self.socket.makefile("rb")
        self.status = self._file.readline().decode().strip()
        self.headers = dict(line.split(": ", 1) for line in iter(lambda: self._file.readline().decode().strip(), ""))
        self._events = self._read()

    def events(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and the content of each event that comes."""
        return self._events

    def until(self, name: str) -> Any:
        """Return the content of the next event of this name."""
        return next(content for found, content in self._events if found == name)

    def close(self) -> None:
        """Leave."""
        self._file.close()
        self.socket.close()

    def _read(self) -> Iterator[tuple[str, Any]]:
        name = ""
        for line in self._lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))

    def _lines(self) -> Iterator[str]:
        rest = b""
        while size := int(self._file.readline(), 16):  # the parts of a chunked body
            rest += self._file.read(size)
            self._file.readline()
            *lines, rest = rest.split(b"\n")
            yield from (line.decode() for line in lines)


@pytest.fixture
def server() -> Iterator[Admin]:
    with admin() as running:
        yield running


def live_call(server: Admin, number: int = 1, mode: str = "stream") -> ToldCall:
    call = ToldCall(server.book, f"CA{number}", f"MZ{number}")
    call.at = NOW
    return call.begin(mode)


def wait_until(holds: Callable[[], object]) -> None:
    with gevent.Timeout(PATIENCE_S):
        while not holds():
            gevent.sleep(0.01)


def live(server: Admin) -> int:
    return int(server.ask("/console/api/health").json()["browsers"])


def test_a_browser_is_told_of_live_calls_and_of_changes(server: Admin) -> None:
    call = live_call(server)
    server.book.take(worker_report())
    page = Page(server)
    assert page.status == "HTTP/1.1 200 OK"
    assert page.headers["Content-Type"].startswith("text/event-stream")
    (told,) = page.until("calls")
    assert (told["call_sid"], told["state"], told["barge_ins"]) == ("CA1", "live", 0)
    assert [one["pid"] for one in page.until("workers")] == [4711]
    for _ in range(50):
        call.tell("barged-in", heard_ms=300)
    (told,) = page.until("calls")  # fifty changes are one
    assert told["barge_ins"] == 50
    call.end()
    (told,) = page.until("calls")
    assert (told["state"], told["ended_by"]) == ("ended", "caller")
    page.close()


def test_a_follower_is_told_events_turns_and_levels(server: Admin) -> None:
    call = live_call(server)
    call.audio(FRAME * 50, media_ms=0)
    page, other = Page(server, "?follow=CA1"), Page(server)
    page.until("calls")
    call.tell("utterance-opened", turn=1, started_ms=0)
    call.audio(LOUD_FRAME * 20, media_ms=1000)
    names: dict[str, Any] = {}
    for name, content in page.events():
        names[name] = content
        if "levels" in names:
            break
    assert names["fact"][1:6] == ["MZ1", round(NOW * 1000), "info", "utterance-opened", {"turn": 1, "started_ms": 0}]
    assert (names["turn"]["turn"], names["turn"]["started_ms"]) == (1, 0)
    (levels,) = names["levels"]["streams"]
    assert (levels["stream_sid"], levels["from_ms"], levels["voiced"]) == ("MZ1", 1000, [1] * 20)
    other.until("calls")
    assert {name for (name, _), _ in zip(other.events(), range(2), strict=False)} <= {"calls", "workers"}
    page.close()
    other.close()


def test_levels_go_on_where_they_ended(server: Admin) -> None:
    call = live_call(server)
    page = Page(server, "?follow=CA1")
    page.until("calls")
    told: list[int] = []
    for second in range(12):
        call.audio(LOUD_FRAME * 50, media_ms=second * 1000)
    while sum(told) < 600:
        (part,) = page.until("levels")["streams"]
        assert part["from_ms"] == sum(told) * 20
        told.append(len(part["voiced"]))
    assert told == [250, 250, 100]
    page.close()


def test_following_asks_the_workers_for_the_audio(server: Admin) -> None:
    page = Page(server, "?follow=CA77")
    page.until("workers")
    assert server.followed == [frozenset({"CA77"})]
    second = Page(server, "?follow=CA77")
    second.until("workers")
    page.close()
    live_call(server)
    assert server.followed[-1] == {"CA77", "CA1"}
    second.close()
    wait_until(lambda: server.followed[-1] == {"CA1"})


def test_a_browser_that_leaves_is_forgotten(server: Admin) -> None:
    page = Page(server)
    page.until("workers")
    assert live(server) == 1
    page.close()
    wait_until(lambda: live(server) == 0)


def test_an_idle_browser_gets_a_comment(server: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_events, "IDLE_S", 0.0)
    monkeypatch.setattr(live_events, "WORKERS_S", 3600.0)
    page = Page(server)
    assert ":" in page._lines()
    page.close()


def test_no_more_browsers_than_there_is_room_for(server: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_events, "MAX_BROWSERS", 2)
    pages = [Page(server), Page(server)]
    for page in pages:
        page.until("workers")
    assert server.ask("/console/api/stream").status_code == 503
    monkeypatch.setattr(live_events, "STUCK_S", -1.0)  # all count as stuck
    third = Page(server)
    third.until("workers")
    assert live(server) == 2

    def is_over(page: Page) -> bool:
        try:
            page.until("workers")
            page.until("workers")
        except (ValueError, OSError, StopIteration, RuntimeError):
            return True
        return False

    assert [is_over(page) for page in pages].count(True) == 1
    for page in (*pages, third):
        page.close()


def test_a_browser_that_reads_nothing_costs_bounded_memory(server: Admin) -> None:
    """Its socket fills up; then events wait for it up to a bound, and others are told all the same."""
    call = live_call(server)
    stuck, page = Page(server, "?follow=CA1"), Page(server)
    stuck.until("calls")
    page.until("calls")
    (events,) = [one for one in server.book._watchers if isinstance(one, live_events.LiveEvents)]
    (slow,) = [one for one in events._browsers if one.follows]
    for _ in range(400):
        for _ in range(40):
            call.tell("lex-answered", "debug", {"raw": "x" * 20_000}, turn=1)
        page.until("calls")
        if slow.dropped > 200:
            break
    assert slow.dropped > 200
    assert sum(map(len, slow._facts)) <= MAX_FACT_BYTES
    names: dict[str, Any] = {}
    for name, content in stuck.events():  # it wakes up, and is told what it missed
        names[name] = content
        if "dropped" in names:
            break
    assert names["dropped"]["facts"] > 0
    stuck.close()
    page.close()


def test_the_events_that_wait_are_bounded_in_number_and_size() -> None:
    browser = Browser("CA1", 0.0)
    for number in range(MAX_FACTS + 5):
        browser.add_fact(b"%d" % number)
    assert browser.dropped == 5
    assert next(browser.take_facts()) == b"5"
    for _ in range(3):
        browser.add_fact(b"x" * (MAX_FACT_BYTES // 2))
    assert (browser.dropped, len(list(browser.take_facts()))) == (6, 2)
    assert list(browser.take_facts()) == []


@pytest.mark.parametrize("sid", ["x" * 65, "CA1%0a", "%C3%A9"])
def test_what_is_no_call_is_not_followed(server: Admin, sid: str) -> None:
    assert server.ask(f"/console/api/stream?follow={sid}").status_code == 400
    assert server.followed == []


def test_asking_for_the_head_alone_opens_no_stream(server: Admin) -> None:
    assert server.ask("/console/api/stream", "HEAD").status_code == 200
    assert live(server) == 0
