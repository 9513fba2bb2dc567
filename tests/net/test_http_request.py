"""The strict parser of requests: it accepts and refuses the same, however the bytes were cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.net.http_request import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADER_LINES,
    MAX_REQUEST_LINE_BYTES,
    Head,
    Request,
    RequestParser,
    RequestRefused,
)

HOST = "Host: voice.example.com"


def text(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read(output: bytes) -> Request | None:
    parser = RequestParser()
    parser.push(output)
    return parser.take_request()


def push_all(pieces: list[bytes]) -> None:
    parser = RequestParser()
    for piece in pieces:
        parser.push(piece)


def refusal(output: bytes) -> tuple[str, str]:
    """Return status and reason of the refusal. They are the same if the bytes arrive one by one."""
    seen = []
    for pieces in ([output], [output[at : at + 1] for at in range(len(output))]):
        with pytest.raises(RequestRefused) as caught:
            push_all(pieces)
        seen.append((caught.value.status, caught.value.reason))
    assert seen[0] == seen[1]
    return seen[0]


def test_a_webhook_is_read() -> None:
    request = read(text("POST /twiml?a=b%20 HTTP/1.1", HOST, "X-A: 1 ", "x-a:\t2", "Content-Length: 3") + b"a=bGET ")
    assert request == Request(
        Head(
            "POST",
            "/twiml?a=b%20",
            "HTTP/1.1",
            {"host": "voice.example.com", "x-a": "1, 2", "content-length": "3"},
            content_length=3,
        ),
        b"a=b",
    )
    assert request.head.path == "/twiml"


@given(
    st.lists(st.integers(0, 400)),
    st.lists(st.tuples(st.sampled_from(["GET /ping", "POST /twiml?x=1"]), st.binary(max_size=60)), max_size=4),
)
def test_requests_are_the_same_however_their_bytes_were_cut(cuts: list[int], said: list[tuple[str, bytes]]) -> None:
    output = b"".join(text(f"{line} HTTP/1.1", HOST, f"Content-Length: {len(body)}") + body for line, body in said)
    parser, found = RequestParser(), []
    at = 0
    for end in sorted({min(cut, len(output)) for cut in cuts} | {len(output)}):
        parser.push(output[at:end])
        at = end
        while (request := parser.take_request()) is not None:
            found.append((f"{request.head.method} {request.head.target}", request.body))
            parser.parse_buffered()
    assert found == said
    assert not parser.has_part
    assert parser.take_rest() == b""


def test_a_request_that_came_with_another_is_read_after_it() -> None:
    parser = RequestParser()
    parser.push(text("POST /a HTTP/1.1", HOST, "Content-Length: 3") + b"a=b" + text("GET /b HTTP/1.1", HOST))
    taken = []
    while (request := parser.take_request()) is not None:
        taken.append((request.head.target, request.body))
        parser.parse_buffered()
    assert taken == [("/a", b"a=b"), ("/b", b"")]


def test_what_follows_a_request_waits() -> None:
    parser = RequestParser()
    parser.push(text("GET / HTTP/1.1", HOST) + b"\x81\x80more")
    assert parser.take_request()
    assert parser.has_part
    assert parser.take_rest() == b"\x81\x80more"
    assert not parser.has_part
    parser.parse_buffered()
    assert parser.head is None


def test_a_head_is_there_before_its_body() -> None:
    parser = RequestParser()
    parser.push(text("POST /twiml HTTP/1.1", HOST, "Content-Length: 5") + b"a")
    assert parser.head
    assert parser.take_request() is None
    assert parser.has_part
    parser.push(b"=bcd")
    request = parser.take_request()
    assert request
    assert request.body == b"a=bcd"


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        ("HTTP/1.1", None, True),
        ("HTTP/1.1", "close", False),
        ("HTTP/1.1", "Upgrade, Close", False),
        ("HTTP/1.0", None, False),
        ("HTTP/1.0", "Keep-Alive", True),
    ],
)
def test_whether_another_request_may_follow(version: str, connection: str | None, keeps: bool) -> None:
    lines = [] if connection is None else [f"Connection: {connection}"]
    request = read(text(f"GET /ping {version}", HOST, *lines))
    assert request
    assert request.head.keeps_alive is keeps


@pytest.mark.parametrize(
    ("line", "lines", "asks"),
    [
        ("GET / HTTP/1.1", ["Upgrade: WebSocket", "Connection: keep-alive, Upgrade"], True),
        ("POST / HTTP/1.1", ["Upgrade: websocket", "Connection: Upgrade"], False),
        ("GET / HTTP/1.1", ["Upgrade: h2c", "Connection: Upgrade"], False),
        ("GET / HTTP/1.1", ["Upgrade: websocket", "Connection: close"], False),
        ("GET / HTTP/1.1", [], False),
    ],
)
def test_what_is_a_handshake(line: str, lines: list[str], asks: bool) -> None:
    request = read(text(line, HOST, *lines))
    assert request
    assert request.head.asks_for_websocket is asks


def test_who_waits_for_a_100() -> None:
    def waits(version: str, *lines: str) -> bool:
        parser = RequestParser()
        parser.push(text(f"POST /twiml {version}", HOST, *lines))
        assert parser.head
        return parser.head.expects_continue

    assert waits("HTTP/1.1", "Expect: 100-Continue", "Content-Length: 1")
    assert not waits("HTTP/1.1", "Expect: 100-continue", "Content-Length: 0")
    assert not waits("HTTP/1.0", "Expect: 100-continue", "Content-Length: 1")
    assert not waits("HTTP/1.1", "Content-Length: 1")


def test_http_1_0_needs_no_host() -> None:
    request = read(text("GET /ping HTTP/1.0"))
    assert request
    assert request.head.version == "HTTP/1.0"


@pytest.mark.parametrize(
    "host", ["x", "x:8080", "voice.example.com", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443", "a_b"]
)
def test_hosts_are_names_and_addresses(host: str) -> None:
    assert read(text("GET /ping HTTP/1.1", f"Host: {host}"))


BAD = {
    "nothing": "",
    "two words": "GET /ping",
    "two spaces": "GET  /ping HTTP/1.1",
    "a tab": "GET\t/ping\tHTTP/1.1",
    "a space at the end": "GET /ping HTTP/1.1 ",
    "a target without a slash": "GET ping HTTP/1.1",
    "a query alone": "GET ?x HTTP/1.1",
    "an asterisk": "OPTIONS * HTTP/1.1",
    "an authority": "CONNECT x:80 HTTP/1.1",
    "a fragment": "GET /ping#x HTTP/1.1",
    "beyond ASCII": "GET /p\xefng HTTP/1.1",
    "a NUL": "GET /\0 HTTP/1.1",
    "another version": "GET /ping HTTP/2.0",
    "a longer version": "GET /ping HTTP/1.10",
    "a version with a zero": "GET /ping HTTP/01.1",
    "a method of signs": "G(T /ping HTTP/1.1",
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_a_request_line_that_is_none(line: str) -> None:
    assert refusal(text(line, HOST)) == ("400 Bad Request", "bad request")


@pytest.mark.parametrize(
    ("sent", "target", "path"),
    [
        ("//twiml?a=1", "//twiml?a=1", "/twiml"),
        ("///", "///", "/"),
        ("//evil.example/x", "//evil.example/x", "/evil.example/x"),
        ("http://voice.example.com/twiml?a=1", "/twiml?a=1", "/twiml"),
        ("HTTPS://voice.example.com:443", "/", "/"),
        ("http://[::1]:8080?a=1", "/?a=1", "/"),
    ],
)
def test_slashes_and_a_host_before_the_path_are_taken(sent: str, target: str, path: str) -> None:
    request = read(text(f"GET {sent} HTTP/1.1", HOST))
    assert request
    assert (request.head.target, request.head.path) == (target, path)


@pytest.mark.parametrize(
    "sent", ["http://", "http:///x", "ftp://voice.example.com/", "http://a b/", "?a=1", "*", "x:1"]
)
def test_other_targets_are_refused(sent: str) -> None:
    assert refusal(text(f"GET {sent} HTTP/1.1", HOST)) == ("400 Bad Request", "bad request")


LINES = {
    "no host": [],
    "two hosts": [HOST, HOST],
    "a host with a path": ["Host: x/y"],
    "a host with a space": ["Host: x y"],
    "half an address": ["Host: [::1"],
    "no colon": [HOST, "nonsense"],
    "a space before the colon": [HOST, "X : 1"],
    "a folded line": [HOST, "X: 1", " 2"],
    "a NUL": [HOST, "X: \0"],
    "a bare CR": [HOST, "X: a\rContent-Length: 5"],
    "a bare LF": [HOST, "X: a\nContent-Length: 5"],
    "an escape": [HOST, "X: \x1b[0m"],
    "a name beyond ASCII": [HOST, "X\xe9: 1"],
    "an empty name": [HOST, ": 1"],
    "two lengths": [HOST, "Content-Length: 5", "Content-Length: 5"],
    "two in one": [HOST, "Content-Length: 5, 5"],
    "a sign": [HOST, "Content-Length: +5"],
    "below zero": [HOST, "Content-Length: -5"],
    "an underscore": [HOST, "Content-Length: 1_0"],
    "hexadecimal": [HOST, "Content-Length: 0x5"],
    "a digit of another script": [HOST, "Content-Length: \xb2"],
    "no length": [HOST, "Content-Length:"],
    "two kinds of length": [HOST, "Content-Length: 5", "Transfer-Encoding: chunked"],
    "two transfer encodings": [HOST, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"],
    "101 lines": [HOST, *["X: 1"] * MAX_HEADER_LINES],
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_a_header_block_that_is_none(lines: list[str]) -> None:
    assert refusal(text("POST /twiml HTTP/1.1", *lines)) == ("400 Bad Request", "bad request")


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        *(("POST /twiml HTTP/1.1", one) for one in ("identity", "xchunked", "gzip, chunked", "", "chunked, chunked")),
        ("POST /twiml HTTP/1.0", "chunked"),
        ("GET /twiml HTTP/1.1", "chunked"),
    ],
)
def test_other_transfer_encodings_are_refused(line: str, encoding: str) -> None:
    assert refusal(text(line, HOST, f"Transfer-Encoding: {encoding}")) == ("411 Length Required", "transfer encoding")


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "1" + "0" * 30, "9" * 5000, "00000000000"])
def test_a_body_beyond_any_webhook_is_refused_by_its_head(length: str) -> None:
    output = text("POST /twiml HTTP/1.1", HOST, f"Content-Length: {length}")
    assert refusal(output) == ("413 Content Too Large", "body too big")


def test_bodies_up_to_the_bound_are_read() -> None:
    head = text("POST /twiml HTTP/1.1", HOST, f"Content-Length: {MAX_BODY_BYTES}")
    request = read(head + b"x" * MAX_BODY_BYTES)
    assert request
    assert len(request.body) == MAX_BODY_BYTES


@pytest.mark.parametrize(
    "output", [b"\x16\x03\x01", b"\n", b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost: x\n"]
)
def test_what_cannot_become_a_request_is_not_waited_for(output: bytes) -> None:
    assert refusal(output) == ("400 Bad Request", "bad request")


def test_a_body_may_hold_anything() -> None:
    body = b"\n\x16\r\n\r\n\n\n"
    head = text("POST /twiml HTTP/1.1", HOST, f"Content-Length: {len(body)}")
    request = read(head + body + b"GET ")
    assert request
    assert request.body == body


def test_a_request_line_and_a_head_are_bounded_before_they_end() -> None:
    parser = RequestParser()
    with pytest.raises(RequestRefused, match="request line too long"):
        parser.push(b"GET /" + b"x" * MAX_REQUEST_LINE_BYTES)
    parser = RequestParser()
    with pytest.raises(RequestRefused, match="headers too big"):
        parser.push(b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * MAX_HEAD_BYTES)
    assert read(text("GET /" + "x" * (MAX_REQUEST_LINE_BYTES - 20) + " HTTP/1.1", HOST))
    assert read(text("GET / HTTP/1.1", HOST, *[f"X-{number}: {'x' * 300}" for number in range(95)]))


@pytest.mark.parametrize(
    "line",
    [
        "X:" + " " * 32_000 + "\x01",
        "X:" + "\t" * 32_000 + "\x7f",
        "X:" + " \t" * 16_000 + "\x00",
        "Host:" + " " * 16_000 + "a" * 16_000 + "!@",
        "Connection: " + "," * 32_000,
        "a" * 32_000,
    ],
)
def test_a_head_costs_no_more_than_its_bytes(line: str) -> None:
    began_s = time.process_time()
    with pytest.raises(RequestRefused):
        read(text("GET / HTTP/1.1", *([] if line.startswith("Host") else [HOST]), line))
    assert time.process_time() - began_s < 1  # CPU time of this process; with backtracking it is 10
