"""The short HTTP answers that the server gives itself, as a client reads them."""

from http.client import HTTPResponse
from io import BytesIO

import pytest

from lexbridge.net.http_answers import answer_bytes, refusal_bytes
from lexbridge.net.http_request import Head
from lexbridge.net.policies import DirectAnswer, Refusal


class _Received:
    """What a client has received, as `http.client` wants it."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, _: str) -> BytesIO:
        return BytesIO(self._received)


def read(received: bytes, method: str = "GET") -> HTTPResponse:
    response = HTTPResponse(_Received(received), method=method)  # type: ignore[arg-type]
    response.begin()
    return response


def test_a_refusal_is_a_status_alone() -> None:
    response = read(refusal_bytes(Refusal("403 Forbidden", "unsigned")))
    assert (response.status, response.reason, response.getheader("Connection")) == (403, "Forbidden", "close")
    assert response.read() == b""


@pytest.mark.parametrize(("keeps", "connection"), [(True, "keep-alive"), (False, "close")])
def test_an_answer_says_whether_another_may_follow(keeps: bool, connection: str) -> None:
    answered = answer_bytes(DirectAnswer("200 OK", b'{"ready": true}'), Head("GET", "/", "HTTP/1.1", {}), keeps=keeps)
    response = read(answered)
    assert (response.status, response.getheader("Connection")) == (200, connection)
    assert response.getheader("Content-Type") == "application/json"
    assert response.read() == b'{"ready": true}'


def test_an_answer_to_head_has_the_length_of_its_body_alone() -> None:
    answered = answer_bytes(DirectAnswer("200 OK", b"{}"), Head("HEAD", "/", "HTTP/1.1", {}), keeps=True)
    assert read(answered, "HEAD").length == 0
    assert answered.endswith(b"Content-Length: 2\r\nConnection: keep-alive\r\n\r\n")
