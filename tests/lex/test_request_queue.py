"""The limit of a line's requests at Lex: further ones wait in order, within their deadline."""

from collections.abc import Callable
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from lexbridge.errors import LexUnavailable
from lexbridge.lex.boto import LexClients
from lexbridge.lex.request_queue import NotSentError, RequestQueue
from lexbridge.lex.runtime import LexRequest
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from tests.support.fixtures import Logged
from tests.support.flower_order import FLOWERS
from tests.support.lexes import asked, local_lex
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, PATIENT, QUICK, settings


class Requests:
    """Requests that stay at Lex until they are let go. `at_lex`: their names, in the order in which they got there."""

    def __init__(self, queue: RequestQueue) -> None:
        self._queue = queue
        self._answers: dict[str, Event] = {}
        self.at_lex: list[str] = []

    def send(self, name: str, seconds: float = PATIENCE_S) -> "gevent.Greenlet[..., None]":
        """Send a request that waits for a place for `seconds`, and let it come as far as it can now."""
        self._answers[name] = Event()
        sent = gevent.spawn(self._send, name, seconds)
        gevent.sleep(0)
        return sent

    def answer(self, name: str) -> None:
        """Let Lex answer a request."""
        self._answers[name].set()

    def _send(self, name: str, seconds: float) -> None:
        with gevent.Timeout(seconds) as deadline, self._queue.place(deadline):
            self.at_lex.append(name)
            self._answers[name].wait()


def test_further_requests_wait_in_order() -> None:
    requests = Requests(RequestQueue("shop", 2))
    for name in "abcd":
        requests.send(name)
    assert requests.at_lex == ["a", "b"]
    requests.answer("b")
    wait_until(lambda: requests.at_lex == ["a", "b", "c"])
    newcomer = requests.send("e")
    requests.answer("a")
    wait_until(lambda: requests.at_lex == ["a", "b", "c", "d"])
    requests.answer("c")
    wait_until(lambda: requests.at_lex == ["a", "b", "c", "d", "e"])
    for name in "de":
        requests.answer(name)
    newcomer.get(timeout=PATIENCE_S)


def test_a_request_that_gives_up_takes_no_place() -> None:
    requests = Requests(RequestQueue("shop", 1))
    requests.send("a")
    late, killed, patient = requests.send("late", 0.05), requests.send("killed"), requests.send("patient")
    with pytest.raises(NotSentError, match=r"not asked within 0\.05 s: 1 other .*LINE_MAX_REQUESTS"):
        late.get(timeout=PATIENCE_S)
    killed.kill()
    requests.answer("a")
    wait_until(lambda: requests.at_lex == ["a", "patient"])
    requests.answer("patient")
    patient.get(timeout=PATIENCE_S)


def test_a_place_is_passed_on_by_a_request_that_ends() -> None:
    requests = Requests(RequestQueue("shop", 1))
    first, doomed, next_one = requests.send("a"), requests.send("doomed"), requests.send("b")
    requests.answer("a")
    first.join(timeout=PATIENCE_S)  # the place is given to `doomed`, which has not run since
    doomed.kill()
    wait_until(lambda: "b" in requests.at_lex)
    requests.answer("b")
    next_one.get(timeout=PATIENCE_S)


@pytest.mark.parametrize("limit", [3, None])
def test_a_new_limit_lets_in_those_that_wait(limit: int | None) -> None:
    queue = RequestQueue("shop", 1)
    requests = Requests(queue)
    for name in "abc":
        requests.send(name)
    queue.limit = limit
    wait_until(lambda: requests.at_lex == ["a", "b", "c"])
    for name in "abc":
        requests.answer(name)


def request(number: int) -> LexRequest:
    """Return the request of a turn of a call of its own."""
    return replace(asked(), session_id=f"CA-{number}")


def asking(count: int, ask: Callable[[LexRequest, Log], object], first: int) -> list["gevent.Greenlet[..., object]"]:
    """Send the turns of `count` calls at once."""
    return [gevent.spawn(ask, request(number), Log(turn=1)) for number in range(first, first + count)]


def test_a_line_has_no_more_requests_at_lex_than_it_may(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The other line has no limit, and its turns are answered while those of the first wait."""
    with local_lex(monkeypatch, *[FLOWERS] * 30) as local:
        clients = LexClients(settings().service)
        shop = clients.make(settings(LINE_MAX_REQUESTS="2").line, PATIENT, "shop")
        hold = Event()
        local.before_answer = lambda one: hold.wait(PATIENCE_S) if int(one.session_id[3:]) < 20 else None
        of_shop = asking(8, shop.ask, 0)
        wait_until(lambda: len(local.requests) == 2)
        others = asking(5, clients.make(settings().line, PATIENT, "clinic").ask, 20)
        gevent.joinall(others, timeout=PATIENCE_S, raise_error=True)
        assert len(local.requests) == 2 + 5
        hold.set()
        gevent.joinall(of_shop, timeout=PATIENCE_S, raise_error=True)
        assert len(local.requests) == 8 + 5
    told = [one for one in logged() if one["event"] == "lex-requests-wait"]
    assert [(one["line"], one["check"]) for one in told] == [("shop", "LINE_MAX_REQUESTS")]


def test_a_turn_that_gets_no_place_says_nothing_of_lex(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """The breaker stays closed: Lex has answered every request that it got."""
    with local_lex(monkeypatch, *[FLOWERS] * 30) as local:
        hold = Event()
        local.before_answer = lambda _: hold.wait(PATIENCE_S)
        clients = LexClients(settings().service)
        line = settings(LINE_MAX_REQUESTS="1").line
        first = asking(1, clients.make(line, PATIENT, "shop").ask, 0)
        wait_until(lambda: len(local.requests) == 1)
        waiting = asking(8, clients.make(line, QUICK, "shop").ask, 1)
        gevent.joinall(waiting, timeout=PATIENCE_S)
        assert {type(one.exception) for one in waiting} == {NotSentError}
        hold.set()
        gevent.joinall(first, timeout=PATIENCE_S, raise_error=True)
        assert len(local.requests) == 1
    assert "lex-down" not in [one["event"] for one in logged()]


def test_requests_that_hang_leave_connections_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines share one client of boto3 that keeps one connection: more are made, and none waits for another."""
    with local_lex(monkeypatch, *[FLOWERS] * 30) as local:
        clients = LexClients(settings(MAX_CALLS="1").service)
        shop, clinic = (clients.make(settings().line, QUICK, name) for name in ("shop", "clinic"))
        assert shop._api.client is clinic._api.client  # type: ignore[attr-defined]
        local.faults.extend([LexFault(kind="hang")] * 20)
        hanging = asking(20, shop.ask, 0)
        wait_until(lambda: len(local.requests) == 20)
        answered = asking(5, clinic.ask, 20)
        gevent.joinall(answered, timeout=PATIENCE_S, raise_error=True)
        gevent.joinall(hanging, timeout=PATIENCE_S)
        assert {type(one.exception) for one in hanging} <= {LexUnavailable, type(None)}
