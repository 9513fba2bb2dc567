"""The parser of the WebSocket protocol: its messages never depend on how the bytes were cut."""

import importlib
import struct
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.harness.raw_client import client_close, client_message
from lexbridge.net import masking, message_parser
from lexbridge.net.close_codes import NO_CODE, is_legal_code
from lexbridge.net.message_parser import MessageParser
from lexbridge.net.rfc6455 import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Close,
    Item,
    Limits,
    Ping,
    Pong,
    Violation,
    encode,
    encode_close,
)
from tests.support.fragments import part, rest
from tests.support.property_tests import examples

SMALL = Limits(message_bytes=200, fragments=4, rate_hz=10, burst=20)


@pytest.fixture(scope="module", autouse=True, params=["as installed", "by integers"])
def unmask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run every test with each function that takes a mask off."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "by integers":
            patch.setattr(message_parser, "unmask", masking.unmask_by_integers)
        yield


def parse(received: bytes, limits: Limits = SMALL) -> list[Item]:
    return MessageParser(limits).push(received, 0.0)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 125, 126, 127, 65535, 65536])
def test_a_text_of_any_size_comes_out_as_it_was(size: int) -> None:
    text = ("0123456789" * (size // 10 + 1))[:size]
    assert parse(client_message(text), Limits()) == [text]


def test_every_mask_is_taken_off() -> None:
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x80\x00\xfe"):
        assert parse(client_message("every mask", mask=mask)) == ["every mask"]


@given(st.binary(max_size=600), st.binary(min_size=4, max_size=4))
@examples(300)
def test_both_functions_take_off_any_mask(payload: bytes, mask: bytes) -> None:
    masked = client_message(payload, mask=mask)[-len(payload) :] if payload else b""
    assert masking.unmask(masked, mask) == masking.unmask_by_integers(masked, mask) == payload


def test_without_the_package_integers_take_the_mask_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert masking.unmask is not masking.unmask_by_integers
    monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    assert importlib.reload(masking).unmask is masking.unmask_by_integers
    monkeypatch.undo()
    importlib.reload(masking)


def test_many_messages_in_one_read() -> None:
    assert parse(b"".join(client_message(str(n)) for n in range(20))) == [str(n) for n in range(20)]


def test_fragments_make_one_message_and_pings_may_come_between() -> None:
    received = part("f\u00fcnf".encode()[:2], TEXT) + client_message(b"p", PING) + rest("f\u00fcnf".encode()[2:])
    assert parse(received) == [Ping(b"p"), "f\u00fcnf"]


def test_after_fragments_comes_the_next_message() -> None:
    assert parse(part("a", TEXT) + rest("b") + client_message("c")) == ["ab", "c"]


def test_a_pong_stands_where_it_came() -> None:
    assert parse(client_message("a") + client_message(b"late", PONG) + client_message("b")) == ["a", Pong(b"late"), "b"]


def test_binary_is_taken_where_it_is_wanted() -> None:
    limits = Limits(binary=True)
    assert parse(client_message(b"\xff", BINARY) + part(b"\xfe", BINARY) + rest(b"\xfd"), limits) == [
        b"\xff",
        b"\xfe\xfd",
    ]


BROKEN = {
    "reserved bit 1": (client_message("x", reserved=0x40), 1002),
    "reserved bit 2": (client_message("x", reserved=0x20), 1002),
    "reserved bit 3": (client_message("x", reserved=0x10), 1002),
    **{f"opcode {opcode}": (client_message("x", opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "not masked": (client_message("x", mask=None), 1002),
    "a ping not masked": (client_message(b"", PING, mask=None), 1002),
    "binary": (client_message(b"{}", BINARY), 1003),
    "a binary fragment": (part(b"{}", BINARY), 1003),
    "a ping in fragments": (part(b"", PING), 1002),
    "a ping of 126 bytes": (client_message(b"x" * 126, PING), 1002),
    "a close in fragments": (client_message(b"", CLOSE, final=False), 1002),
    "a continuation of nothing": (rest("x"), 1002),
    "a text within a text": (part("x", TEXT) + client_message("y"), 1002),
    "a text fragment within a text": (part("x", TEXT) + part("y", TEXT), 1002),
    "too big": (client_message("x" * 201), 1009),
    "too big, after a usual one": (client_message("x" * 200) + client_message("x" * 201), 1009),
    "UTF-8 not valid, of usual length": (client_message(b"x" * 150 + b"\xff"), 1007),
    "not masked, of usual length": (client_message("x" * 150, mask=None), 1002),
    "a usual message too many": (client_message("x" * 150) * 21, 1008),
    "a text of usual length within a text": (part("x", TEXT) + client_message("y" * 150), 1002),
    "a reserved bit on a usual message": (client_message("x" * 150, reserved=0x40), 1002),
    "too big, said only": (client_message(length=201)[:4], 1009),
    "2^62": (client_message(length=1 << 62), 1009),
    "2^63 + 5": (client_message(length=(1 << 63) + 5), 1009),
    "too big in fragments": (part("x" * 150, TEXT) + rest("x" * 51), 1009),
    "length in two bytes for one": (bytes((0x81, 0xFE, 0, 5)) + b"mask", 1002),
    "length in two bytes for one, all there": (bytes((0x81, 0xFE, 0, 125)) + b"mask" + b"x" * 125, 1002),
    "length in eight bytes for two": (bytes((0x81, 0xFF)) + struct.pack("!Q", 126) + b"mask", 1002),
    "a fragment too many": (part("x", TEXT) + part("x") * 3 + rest("x"), 1008),
    "a message too many": (client_message("x") * 21, 1008),
    "a ping too many": (client_message(b"", PING) * 21, 1008),
    "a pong too many": (client_message(b"", PONG) * 21, 1008),
    "an empty message too many": (client_message() * 21, 1008),
    "UTF-8 not valid": (client_message(b"\xc3\x28"), 1007),
    "UTF-8 surrogate": (client_message(b"\xed\xa0\x80"), 1007),
    "UTF-8 cut off": (client_message(b"\xe2\x82"), 1007),
    "UTF-8 cut off in fragments": (part(b"\xe2", TEXT) + rest(b"\x82"), 1007),
    "UTF-8 not valid in a fragment": (part(b"\xff", TEXT), 1007),
    "half a close code": (client_message(b"\x03", CLOSE), 1002),
    "a reason not valid": (client_close(1000, b"\xff"), 1007),
    **{
        f"close {code}": (client_close(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
}


@pytest.mark.parametrize(("received", "code"), BROKEN.values(), ids=BROKEN)
def test_a_breach_has_its_code_and_ends_everything(received: bytes, code: int) -> None:
    parser = MessageParser(SMALL)
    items = parser.push(received, 0.0)
    assert isinstance(items[-1], Violation)
    assert items[-1].code == code
    assert not [item for item in items[:-1] if isinstance(item, Violation)]
    assert parser.push(client_message("more"), 1.0) == []
    assert not parser.push(b"", 1.0)


def test_a_breach_leaves_what_came_before_it() -> None:
    assert parse(client_message("before") + client_message(b"", BINARY))[0] == "before"


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_a_close_has_its_code_and_reason_and_nothing_follows(code: int) -> None:
    assert parse(client_close(code, "b\u00fde".encode()) + client_message("x")) == [Close(code, "b\u00fde")]


def test_a_close_may_be_empty() -> None:
    assert parse(client_message(b"", CLOSE)) == [Close(NO_CODE, "")]


def test_the_rate_is_a_bucket_that_fills_again() -> None:
    parser = MessageParser(SMALL)
    assert len(parser.push(client_message("x") * 20, 100.0)) == 20
    assert len(parser.push(client_message("x") * 10, 101.0)) == 10
    assert parser.push(client_message("x"), 101.05) == [Violation(1008, "too many messages")]


@pytest.mark.parametrize("last", ["x" * 200, b"\xff" * 200])
@pytest.mark.parametrize("bytes_at_once", [1, 10_000])
def test_what_is_beyond_the_rate_is_dropped_from_a_read(last: str | bytes, bytes_at_once: int) -> None:
    parser, text = MessageParser(Limits(rate_hz=1, burst=3)), "m" * 200
    received = client_message(text) * 3 + client_message(last, TEXT) + client_message(text)
    items = []
    for at in range(0, len(received), bytes_at_once):
        items += parser.push(received[at : at + bytes_at_once], 100.0)
    assert items == [text] * 3 + [Violation(1008, "too many messages")]


def test_bad_text_among_many_messages_is_not_skipped() -> None:
    parser, text = MessageParser(Limits(rate_hz=1, burst=3)), "m" * 200
    received = client_message(text) + client_message(b"\xff" * 200, TEXT) + client_message(text)
    assert parser.push(received, 100.0) == [text, Violation(1007, "invalid UTF-8")]


@pytest.mark.parametrize(
    ("received", "only_texts"),
    [
        (client_message("m" * 200) + client_message("m"), True),
        (client_message("m")[:3], True),
        (client_message("m" * 200) + client_message(b"p", PING), False),
        (client_message(b"b", BINARY), False),
        (client_close(), False),
        (b"\xff\xff", False),
    ],
)
def test_it_tells_whether_there_were_only_texts(received: bytes, only_texts: bool) -> None:
    parser = MessageParser(Limits(binary=True))
    items = parser.push(received, 100.0)
    assert all(isinstance(item, str) for item in items) is parser.only_texts is only_texts
    assert parser.push(b"", 100.0) == []
    assert parser.only_texts


def test_a_network_that_stalls_for_ten_seconds_catches_up() -> None:
    parser = MessageParser(Limits())
    for at in range(500):
        assert len(parser.push(client_message("x"), at * 0.02)) == 1
    assert len(parser.push(client_message("x") * 500, 20.0)) == 500


def test_it_knows_whether_a_message_is_on_its_way() -> None:
    parser = MessageParser(SMALL)
    message = client_message("whole")
    for received, has_part in ((message[:1], True), (message[1:], False), (part("x", TEXT), True), (rest("y"), False)):
        parser.push(received, 0.0)
        assert parser.has_part == has_part


@given(st.lists(st.sampled_from(sorted(BROKEN)), max_size=1), st.data())
@examples(300)
def test_any_split_gives_the_same(broken: list[str], data: st.DataObject) -> None:
    pieces = st.sampled_from(
        [
            client_message("text"),
            client_message("\u20ac" * 40),
            client_message("x" * 126),
            client_message("\u20ac" * 66),
            client_message(b"ping", PING),
            client_message(b"", PONG),
            part(b"\xe2\x82", TEXT) + client_message(b"", PING) + rest(b"\xac!"),
            client_message(),
        ]
    )
    received = b"".join([*data.draw(st.lists(pieces, max_size=6)), *(BROKEN[name][0] for name in broken)])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(received)), max_size=12)))
    parser = MessageParser(SMALL)
    split = [
        item
        for start, end in zip([0, *cuts], [*cuts, None], strict=True)
        for item in parser.push(received[start:end], 0)
    ]
    assert split == parse(received)


def test_byte_by_byte_gives_the_same() -> None:
    for received, _ in BROKEN.values():
        parser = MessageParser(SMALL)
        assert [item for at in range(len(received)) for item in parser.push(received[at : at + 1], 0)] == parse(
            received
        )


@given(st.binary(max_size=300))
@examples(500)
def test_nothing_is_raised_whatever_comes(received: bytes) -> None:
    parse(received)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_what_is_encoded_has_the_shortest_length(size: int) -> None:
    encoded = encode(TEXT, b"x" * size)
    header = len(encoded) - size
    assert header == (2 if size < 126 else 4 if size < 65536 else 10)
    assert encoded[0] == 0x81
    length = encoded[1] if header == 2 else int.from_bytes(encoded[2:header], "big")
    assert length == size


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        (b"bye", b"bye"),
        ("bye", b"bye"),
        ("x" * 200, b"x" * 123),
        ("x" * 122 + "\u20ac", b"x" * 122),
        (b"a\xffb", b"ab"),
        ("a\ud800b", b"ab"),
    ],
)
def test_a_reason_is_made_legal(reason: bytes | str, sent: bytes) -> None:
    assert encode_close(1000, reason) == encode(CLOSE, b"\x03\xe8" + sent)


def test_an_illegal_code_is_never_sent() -> None:
    for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
        assert not is_legal_code(code)
        with pytest.raises(ValueError, match="is not a close code"):
            encode_close(code)
