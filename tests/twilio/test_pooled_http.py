"""HTTP under Twilio's client: the same requests, answers and errors as with the library's own HTTP over requests."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest
import requests
from twilio.http.http_client import TwilioHttpClient

from lexbridge.net.capped_http import capped_session, is_too_long
from lexbridge.twilio.pooled_http import PooledHttpClient
from lexbridge.twilio.rest import _class_names
from tests.support.answering_peers import Answer, Send, answering, chunk, whole
from tests.support.rig import PATIENCE_S

OK = "HTTP/1.1 200 OK\n"
SHORT_S = 0.3
"""The time for an answer where none comes."""
FORM = {"Twiml": "<Response><Say>caffè & roses?</Say></Response>", "Status": ""}
HEADERS = {"User-Agent": "twilio-python/9", "Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}


def pooled(timeout_s: float = PATIENCE_S) -> Any:
    return PooledHttpClient(3, timeout_s)


def over_requests(timeout_s: float = PATIENCE_S) -> Any:
    """Return the library's own HTTP, as lexbridge used it before."""
    http = TwilioHttpClient(timeout=timeout_s)
    http.session = capped_session(3)
    return http


def ask(http: Any, port: int, scheme: str = "http") -> Any:
    address = f"{scheme}://127.0.0.1:{port}/2010-04-01/Accounts/AC1/Calls/CA1.json"
    return http.request("POST", address, data=FORM, headers=dict(HEADERS), auth=("AC1", "sécret"))


def cut(head: str, body: bytes = b"") -> Answer:
    """Return an answer that ends with the connection, before it is whole."""

    def answer(send: Send) -> None:
        send(head.replace("\n", "\r\n").encode() + body)
        raise ConnectionError

    return answer


FAULTS: dict[str, Answer] = {
    "closed at once": cut(""),
    "no HTTP": cut("nonsense\n"),
    "cut in the status line": cut("HTTP/1.1 "),
    "cut in the body": cut(f"{OK}Content-Length: 100\n\n", b"{}"),
    "cut in a chunk": cut(f"{OK}Transfer-Encoding: chunked\n\n", b"10\r\n{}"),
    "chunks of nonsense": cut(f"{OK}Transfer-Encoding: chunked\n\n", b"nonsense\r\n"),
    "no answer": lambda _: gevent.sleep(PATIENCE_S),
    "compressed": whole(f"{OK}Content-Encoding: gzip\n", b"{}"),
    "too long": cut(f"{OK}Content-Length: 4000000000\n\n"),
    "too long in chunks": cut(f"{OK}Transfer-Encoding: chunked\n\n", chunk(b" " * 65536) * 6),
}


def raised(
    make: Callable[[float], Any], port: int, scheme: str = "http", timeout_s: float = PATIENCE_S
) -> tuple[str, bool]:
    with pytest.raises(requests.RequestException) as error:
        ask(make(timeout_s), port, scheme)
    return _class_names(error.value), is_too_long(error.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_has_the_name_that_requests_gives_it(fault: str) -> None:
    timeout_s = SHORT_S if fault == "no answer" else PATIENCE_S
    with answering(FAULTS[fault]) as peer:
        ours, theirs = (raised(make, peer.port, timeout_s=timeout_s) for make in (pooled, over_requests))
        assert ours == theirs


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_unreachable_host_has_the_name_that_requests_gives_it(scheme: str) -> None:
    assert raised(pooled, 9, scheme) == raised(over_requests, 9, scheme)
    with answering(whole(OK)) as peer:  # it speaks no TLS
        assert raised(pooled, peer.port, "https", SHORT_S) == raised(over_requests, peer.port, "https", SHORT_S)


@pytest.mark.parametrize("head", [OK, "HTTP/1.1 302 Found\nLocation: /elsewhere\n", "HTTP/1.1 503 Broken\n"])
def test_answers_are_the_same_and_one_connection_serves_them(head: str) -> None:
    body = '{"a": "ü"}'.encode() + b"\xff"
    with answering(whole(head, body)) as peer:
        http = pooled()
        answers = [ask(http, peer.port) for _ in range(3)]
        assert (peer.connections, len(peer.requests)) == (1, 3)
        answers.append(ask(over_requests(), peer.port))
    assert {(answer.status_code, answer.text, answer.ok) for answer in answers} == {
        (int(head.split()[1]), body.decode("utf-8", "replace"), answers[0].ok)
    }


def test_a_request_has_the_fields_of_one_over_requests() -> None:
    bodies: list[dict[str, str]] = []
    with answering(whole(OK)) as peer:
        for make in (pooled, over_requests):
            ask(make(), peer.port)
            line, *fields = peer.requests.pop().decode().splitlines()
            assert line == "POST /2010-04-01/Accounts/AC1/Calls/CA1.json HTTP/1.1"
            bodies.append({name.lower(): value for name, value in (field.split(": ", 1) for field in fields)})
    ours, theirs = bodies
    assert theirs.pop("connection") == "keep-alive"  # which is what HTTP/1.1 means anyway
    assert ours == theirs
