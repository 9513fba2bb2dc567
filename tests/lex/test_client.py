"""The client of a Lex bot of either generation: deadlines, the second request, and the circuit breaker."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import gevent
import pytest

from lexbridge.errors import LexError, LexUnavailable
from lexbridge.lex.circuit_breaker import OPEN_S, Breaker, Breakers
from lexbridge.lex.client import LexClient
from lexbridge.lex.model import Message
from lexbridge.lex.runtime import Deadlines, LexRequest
from lexbridge.logs import Log
from lexbridge.offline.lex.faults import LexFault
from tests.support.answering_peers import answered_by, answering, whole
from tests.support.fixtures import Logged, Pauses
from tests.support.flower_order import FLOWERS
from tests.support.lexes import GENERATIONS, SpokenUtterance, asked, lex_of, lines_of_lex, local_lex
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, flowers


@contextmanager
def address_that_never_answers() -> Iterator[str]:
    """A listener with a full queue: a client waits for the connection, as behind a firewall that drops packets."""
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_deadline_holds_where_no_body_is_ever_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve: no request reads the utterance, and the deadline holds all the same."""
    lex = lex_of("v1", answer_s=0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gevent.sleep(10 * PATIENCE_S))
    with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable, match=r"no answer within 0\.2 s"):
        lex.ask(asked(), Log())


@pytest.mark.parametrize(
    ("status", "shortest_s", "longest_s"), [(500, 0.05, 0.15), (424, 0.05, 0.15), (429, 0.3, 0.9), (409, 0.3, 0.9)]
)
def test_a_second_request_pauses_longer_if_lex_is_throttled(
    status: int, shortest_s: float, longest_s: float, monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    with local_lex(monkeypatch, FLOWERS) as local:
        local.faults.append(LexFault(status=status))
        lex = lex_of("v1")
        asking = gevent.spawn(lex.ask, asked(), Log())
        asking.get(timeout=PATIENCE_S)
        assert len(local.requests) == 2
    (pause_s,) = pauses(asking)
    assert shortest_s <= pause_s <= longest_s


def test_a_dead_address_is_noticed_while_the_caller_speaks(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    with address_that_never_answers() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LEX_RUNTIME_SERVICE", address)
        lex = lex_of("v1", connect_s=0.2, answer_s=PATIENCE_S)
        utterance = SpokenUtterance()
        utterance.speaks()
        asking = gevent.spawn(lex.ask, LexRequest("CA-session", None, utterance), Log(turn=1))
        wait_until(lambda: lines_of_lex(logged))
        (line,) = lines_of_lex(logged)
        assert line["error"].startswith("ConnectTimeoutError")
        assert (line["event"], line["attempt"], line["turn"]) == ("lex-request-failed", 1, 1)
        utterance.close()
        with pytest.raises(LexUnavailable, match="ConnectTimeoutError"):
            asking.get(timeout=PATIENCE_S)


def test_turns_that_are_not_asked_do_not_keep_the_breaker_open(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """Otherwise a busy process would never ask a Lex that is back."""
    now_s = [1000.0]
    with local_lex(monkeypatch, *[FLOWERS] * 3) as local:
        lex = lex_of("v1")
        monkeypatch.setattr(lex, "_breaker", Breaker(lambda: now_s[0], max_failures=1))
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 500"):
            lex.ask(asked(), Log())
        for _ in range(3):
            now_s[0] += OPEN_S / 4
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.ask(asked(), Log())
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.fetch_session("CA-session")
            with pytest.raises(LexUnavailable, match="not asked"):
                lex.speak(Message("Which day?"))
        assert len(local.requests) == 2
        now_s[0] += OPEN_S / 4
        assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert lex.fetch_session("CA-session") is not None
    assert [line["event"] for line in logged() if line["event"].startswith("lex-")][-2:] == ["lex-down", "lex-up"]


def breaks(lex: LexClient, monkeypatch: pytest.MonkeyPatch, clock: Any = time.monotonic, failures: int = 1) -> Breaker:
    """Give `lex` a breaker that opens after `failures` failed turns, and return it."""
    breaker = Breaker(clock, failures)
    monkeypatch.setattr(lex, "_breaker", breaker)
    return breaker


@GENERATIONS
@pytest.mark.parametrize(
    ("fault", "opens"),
    [
        *[(LexFault(status=status), False) for status in (400, 403, 404, 408, 409, 424, 429, 502)],
        *[(LexFault(kind=kind), False) for kind in ("redirect", "error odd", "error endless", "empty", "foreign")],
        *[(LexFault(status=status), True) for status in (500, 503, 504)],
        *[(LexFault(kind=kind), True) for kind in ("reset", "hang")],
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, LexFault) else "",
)
def test_only_lexs_own_faults_open_the_breaker(
    generation: str, fault: LexFault, opens: bool, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(replace(fault, times=None))
        lex = lex_of(generation, answer_s=0.4 if fault.kind == "hang" else PATIENCE_S)
        breaker = breaks(lex, monkeypatch)
        with pytest.raises(LexError):
            lex.ask(asked(), Log())
        assert breaker.is_open is opens
    down = [line for line in logged() if line["event"] == "lex-down"]
    assert len(down) == opens
    if opens:
        assert down[0]["bot"] == ("OrderFlowers/prod" if generation == "v1" else f"{flowers().v2_id}/TSTALIASID/en_US")


@pytest.mark.parametrize("proof", [LexFault(status=424), LexFault(status=404), LexFault(status=429), None])
def test_whatever_shows_that_lex_is_up_starts_the_count_anew(
    proof: LexFault | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch, *[FLOWERS] * 3) as local:
        lex = lex_of("v2")
        breaker = breaks(lex, monkeypatch, failures=2)
        for fault in (LexFault(status=500), proof, LexFault(status=500)):
            if fault is None:
                lex.ask(asked(), Log())
                continue
            local.faults.append(replace(fault, times=1 if fault.status == 404 else 2))
            with pytest.raises(LexError):
                lex.ask(asked(), Log())
        assert not breaker.is_open
        local.faults.append(LexFault(status=500, times=2))
        with pytest.raises(LexError):
            lex.ask(asked(), Log())
        assert breaker.is_open


def test_a_failing_lambda_closes_the_breaker(monkeypatch: pytest.MonkeyPatch, logged: Logged) -> None:
    """A Lambda that fails shows that Lex is up: the breaker closes, and the turn is sent once more."""
    now_s = [1000.0]
    with local_lex(monkeypatch, FLOWERS) as local:
        lex = lex_of("v2")
        breaker = breaks(lex, monkeypatch, clock=lambda: now_s[0])
        assert breaker.record_failure()
        now_s[0] += OPEN_S
        local.faults.append(LexFault(status=424))
        assert lex.ask(asked(), Log()).reply.intent == "OrderFlowers"
        assert len(local.requests) == 2
    assert [line["event"] for line in lines_of_lex(logged)] == ["lex-request-failed", "lex-up"]


def test_one_bots_fault_does_not_touch_another(monkeypatch: pytest.MonkeyPatch) -> None:
    breakers = Breakers(time.monotonic)
    with local_lex(monkeypatch) as local:
        clients = [LexClient(lex_of("v2")._api, Deadlines(), breakers=breakers) for _ in range(2)]
        other = LexClient(lex_of("v1")._api, Deadlines(), breakers=breakers)
        assert clients[0]._breaker is clients[1]._breaker
        assert other._breaker is not clients[0]._breaker
        assert other.endpoint_url == local.url


ERROR_HEAD = "Content-Type: application/json\nx-amzn-ErrorType"


@GENERATIONS
def test_what_aws_says_of_an_error_is_one_short_log_line(
    generation: str, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    words = "Lambda \x1b[31mtimed\nout\u2028 for +15551234567" + " word" * 99
    body = json.dumps({"message": words}).encode()
    head = f"HTTP/1.1 424 Failed\n{ERROR_HEAD}: DependencyFailedException\n"
    with answered_by(whole(head, body), monkeypatch), pytest.raises(LexUnavailable) as raised:
        lex_of(generation).ask(asked(), Log())
    said = str(raised.value)
    assert said.startswith("Lex answered 424 DependencyFailedException: Lambda [31mtimed out for ... word word")
    assert len(said) == len("Lex answered 424 DependencyFailedException: ") + 200
    assert [line["error"] for line in lines_of_lex(logged)] == [said, said]


def test_what_a_lambda_has_answered_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    words = 'Invalid Lambda Response: problem at [Source: {"message": "the caller said so"}; line: 1]'
    head = f"HTTP/1.1 502 Bad\n{ERROR_HEAD}: BadGatewayException\n"
    with answered_by(whole(head, json.dumps({"Message": words}).encode()), monkeypatch):
        lex = lex_of("v1")
        with pytest.raises(LexUnavailable, match=r"BadGatewayException: Invalid Lambda Response: problem at \.\.\.$"):
            lex.ask(asked(), Log())


@GENERATIONS
def test_a_redirect_twice_is_no_wrong_setting(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(LexFault(kind="redirect", times=2))
        with pytest.raises(LexUnavailable, match="Lex answered 302"):
            lex_of(generation).ask(asked(), Log())


@GENERATIONS
@pytest.mark.parametrize("fault", [LexFault(kind="error odd"), LexFault(kind="error endless"), LexFault(kind="infos")])
def test_a_malformed_answer_of_get_session_is_a_failure(
    generation: str, fault: LexFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_lex(monkeypatch) as local:
        local.faults.append(replace(fault, operation="GetSession"))
        with gevent.Timeout(PATIENCE_S), pytest.raises(LexUnavailable):
            lex_of(generation, session_s=PATIENCE_S).fetch_session("CA-session")


@GENERATIONS
@pytest.mark.parametrize("body", [b"[]", b'{"sessionState": [], "dialogAction": [], "sessionAttributes": 7}', b'"x"'])
def test_a_session_of_another_shape_is_a_failure(generation: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(whole("HTTP/1.1 200 OK\nContent-Type: application/json\n", body)) as peer:
        for name in ("LEX_RUNTIME_SERVICE", "LEX_RUNTIME_V2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{peer.port}")
        with pytest.raises(LexError):
            lex_of(generation).fetch_session("CA-session")
