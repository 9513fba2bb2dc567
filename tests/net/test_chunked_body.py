"""A body in chunks: decoded wherever its bytes are cut, and refused if two readers could take it differently."""

from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexbridge.net.chunked_body import MAX_OVERHEAD_BYTES, ChunkedBody, ChunksBroken
from lexbridge.net.http_request import MAX_BODY_BYTES, RequestParser, RequestRefused
from tests.support.property_tests import examples

HEAD = b"POST /twiml HTTP/1.1\r\nHost: voice.example.com\r\nTransfer-Encoding: Chunked\r\n\r\n"
BODY = b'5\r\nhello\r\n0006 ;ext=1;b="x"\r\n world\r\n000\r\nX-Trailer: 1\r\n\r\n'


def decoded(data: bytes) -> tuple[bytes | None, bytes]:
    """Return the body in `data`, and the bytes after it."""
    buffer = bytearray(data)
    return ChunkedBody(MAX_BODY_BYTES).take(buffer), bytes(buffer)


def test_the_data_of_all_chunks_is_the_body() -> None:
    assert decoded(BODY + b"GET /") == (b"hello world", b"GET /")
    assert decoded(b"0\r\n\r\n") == (b"", b"")


def test_a_request_in_chunks_is_read_and_the_next_one_too() -> None:
    parser = RequestParser()
    parser.push(HEAD + BODY + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
    first = parser.take_request()
    assert first is not None
    assert (first.body, first.head.content_length) == (b"hello world", None)
    parser.parse_buffered()
    second = parser.take_request()
    assert second is not None
    assert second.head.path == "/ping"


@examples(300)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 30), min_size=1))
def test_it_does_not_matter_where_the_bytes_are_cut(chunks: list[bytes], cuts: list[int]) -> None:
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body, buffer, at, found = ChunkedBody(MAX_BODY_BYTES), bytearray(), 0, None
    for cut in cycle(cuts):
        assert found is None
        buffer += coded[at : at + cut]
        at += cut
        found = body.take(buffer)
        if at >= len(coded):
            break
    assert found == b"".join(chunks)


BROKEN = {
    "no size": b"\r\n",
    "a word": b"zz\r\n",
    "a sign": b"+5\r\nhello\r\n",
    "a prefix": b"0x5\r\nhello\r\n",
    "an underscore": b"1_0\r\n",
    "too many digits": b"000000005\r\nhello\r\n",
    "a space before": b" 5\r\nhello\r\n",
    "a control character": b"5;a=\x00\r\nhello\r\n",
    "LF alone": b"5\nhello\n",
    "a longer chunk": b"4\r\nhello\r\n",
    "a shorter chunk": b"6\r\nhello\r\n\r\n",
    "a trailer that is none": b"0\r\nX Trailer: 1\r\n\r\n",
    "a folded trailer": b"0\r\nX: 1\r\n 2\r\n\r\n",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(ChunksBroken, match="bad chunks"):
        decoded(data)
    parser = RequestParser()
    parser.push(HEAD + data)
    with pytest.raises(RequestRefused) as refused:
        parser.take_request()
    assert refused.value.status == "400 Bad Request"


TOO_BIG = {
    "one chunk": b"%x\r\n" % (MAX_BODY_BYTES + 1),
    "many chunks": b"1000\r\n" + b"x" * 0x1000 + b"\r\n1001\r\n",
    "a size of 4 GB": b"ffffffff\r\n",
    "an extension": b"1;" + b"x" * MAX_OVERHEAD_BYTES,
    "trailers": b"0\r\n" + b"X: 1\r\n" * 1000,
    "small chunks": b"1\r\nx\r\n" * 4000,
}


@pytest.mark.parametrize("data", TOO_BIG.values(), ids=TOO_BIG)
def test_more_than_a_webhook_has_is_refused(data: bytes) -> None:
    with pytest.raises(ChunksBroken, match="body too big"):
        decoded(data)
    parser = RequestParser()
    parser.push(HEAD + data)
    with pytest.raises(RequestRefused) as refused:
        parser.take_request()
    assert refused.value.status == "413 Content Too Large"
