"""Hostile input to the whole bridge, each with its outcome, while a call beside it is not disturbed.

An outcome is a close code, an HTTP status, or CUT: the connection ends without an answer.
"""

import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from twilio.request_validator import RequestValidator

from bench.harness.raw_client import RawClient, client_close, client_message, upgrade_request
from lexbridge.net.rfc6455 import BINARY, CLOSE, PING, PONG, TEXT
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import CallEnded, StreamClosed, StreamOpened
from lexbridge.twilio.stream_token import make_stream_token
from tests.support.fixtures import Logged
from tests.support.fragments import part, rest
from tests.support.rehearsal import wait_until
from tests.support.rig import PATIENCE_S, SIGNED, TOKEN, Rig, running, says

CUT = None
KINDS = "What type of flowers"


@pytest.fixture(scope="module")
def neighbour() -> Iterator[tuple[Rig, PhoneCall]]:
    """Yield a bridge with a live call, whose caller is still understood after all strangers have gone."""
    with running(["I would like to order flowers"], pace=0.15, NO_INPUT_S="120", NO_INPUT_LIMIT="20") as rig:
        caller = says()
        call = rig.place_call(caller)
        call.wait_for(StreamOpened, PATIENCE_S)
        yield rig, call
        caller.say("some flowers please")
        rig.hears(call, KINDS)
        call.hang_up()
        rig.ended(call)


@pytest.fixture
def rig(
    neighbour: tuple[Rig, PhoneCall], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Rig]:
    """Yield the bridge. Assert afterwards that its call goes on, and that no traceback was logged."""
    rig, call = neighbour
    caplog.set_level(logging.DEBUG)
    yield rig
    assert not [event for event in call.events if isinstance(event, (CallEnded, StreamClosed))]
    assert call.complaints == []
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert "Traceback" not in "".join([*capfd.readouterr(), caplog.text])


def address(rig: Rig) -> tuple[str, int]:
    return "127.0.0.1", int(rig.base.rsplit(":", 1)[1])


def says_json(**message: object) -> bytes:
    return client_message(json.dumps(message))


START = {
    "streamSid": "MZ" + "1" * 32,
    "callSid": "CA" + "1" * 32,
    "accountSid": "AC" + "1" * 32,
    "tracks": ["inbound"],
}
OWN_CALL = "CA" + "3" * 32
"""A call of which no stream of an earlier test is left."""
STOP = says_json(event="stop", stop={"callSid": START["callSid"]})


def media(timestamp: object = "20", payload: object = "/" * 216, **more: object) -> bytes:
    return says_json(event="media", media={"track": "inbound", "timestamp": timestamp, "payload": payload, **more})


def start(token_for: str = START["callSid"], **changes: object) -> bytes:
    """Return a start message with a token that was not used before. `token_for`: the call of the token."""
    token = make_stream_token(TOKEN, token_for, START["accountSid"], time.time(), nonce=secrets.token_hex(8))
    return says_json(event="start", start={**START, "customParameters": {"lexbridge:token": token}, **changes})


def started(call_sid: str = START["callSid"]) -> bytes:
    """Return the first messages of a stream."""
    return says_json(event="connected", protocol="Call", version="1.0.0") + start(call_sid, callSid=call_sid)


# RFC 6455: answered by the socket itself
PROTOCOL = {
    "reserved bit 1": (client_message("{}", reserved=0x40), 1002),
    "reserved bit 2": (client_message("{}", reserved=0x20), 1002),
    "reserved bit 3": (client_message("{}", reserved=0x10), 1002),
    "opcode 3": (client_message("{}", 3), 1002),
    "opcode 15": (client_message("{}", 15), 1002),
    "not masked": (client_message("{}", mask=None), 1002),
    "a ping not masked": (client_message(b"", PING, mask=None), 1002),
    "a binary message": (client_message(b"{}", BINARY), 1003),
    "a ping in fragments": (client_message(b"", PING, final=False), 1002),
    "a ping of 126 bytes": (client_message(b"x" * 126, PING), 1002),
    "a continuation of nothing": (rest("x"), 1002),
    "a text within a text": (part("x", TEXT) + client_message("y"), 1002),
    "64 KiB and a byte": (client_message("x" * 65537), 1009),
    "1 GiB, said only, fifty times": (client_message(length=1 << 30)[:14] * 50, 1009),
    "2^62": (client_message(length=1 << 62), 1009),
    "2^63 + 5": (client_message(length=(1 << 63) + 5), 1009),
    "1 MiB in fragments that never end": (part("x" * 32768, TEXT) + part("x" * 32768) * 31, 1009),
    "a length longer than it need be": (bytes((0x81, 0xFE, 0, 2)) + b"mask{}", 1002),
    "65 fragments": (part("x", TEXT) + part("x") * 64, 1008),
    "65 empty fragments": (part("", TEXT) + part("") * 64, 1008),
    "2,000 pings at once": (client_message(b"", PING) * 2000, 1008),
    "2,000 pongs at once": (client_message(b"", PONG) * 2000, 1008),
    "2,000 media messages at once": (lambda: started() + media() * 2000, 1008),
    "not UTF-8": (client_message(b'{"\xff": 1}'), 1007),
    "a surrogate as UTF-8": (client_message(b"\xed\xa0\x80"), 1007),
    "half a character": (client_message(b"\xe2\x82"), 1007),
    "not UTF-8 in a fragment": (part(b"\xff", TEXT), 1007),
    "half a close code": (client_message(b"\x03", CLOSE), 1002),
    "close 0": (client_close(0), 1002),
    "close 999": (client_close(999), 1002),
    "close 1005": (client_close(1005), 1002),
    "close 1006": (client_close(1006), 1002),
    "close 2999": (client_close(2999), 1002),
    "close 65535": (client_close(65535), 1002),
    "a reason that is not UTF-8": (client_close(1000, b"\xff"), 1007),
    "close 1000, bye": (client_close(1000, b"bye"), 1000),
    "an empty close": (client_message(b"", CLOSE), 1000),
    "more after a close": (client_close(1001) + client_message("not JSON") * 10, 1001),
    "an HTTP request in place of a message": (upgrade_request(), 1002),
}

# Media Streams: answered by the rules of the call
MESSAGES = {
    "not JSON": (client_message("garbage"), 1007),
    "nothing": (client_message(""), 1007),
    "a byte order mark": (client_message('\ufeff{"event": "connected"}'), 1007),
    "a list": (client_message("[]"), 1007),
    "null": (client_message("null"), 1007),
    "a text": (client_message('"event"'), 1007),
    "30,000 levels deep": (client_message("[" * 30000), 1007),
    "30,000 objects deep": (client_message('{"a":' * 10000), 1007),
    "a number of 60,000 digits": (client_message('{"event": ' + "9" * 60000 + "}"), 1007),
    "media before start": (media(), 1007),
    "start twice": (lambda: started() + start(), 1007),
    "start without its object": (says_json(event="start"), 1007),
    "start with a SID of another kind": (start(callSid="XX" + "1" * 32), 1007),
    "start with parameters within parameters, and no token": (start(customParameters={"a": {"b": "c"}}), 1008),
    "media without its object": (lambda: started() + says_json(event="media"), 1007),
    "media that is a list": (lambda: started() + says_json(event="media", media=[]), 1007),
    "a payload that is a number": (lambda: started() + media(payload=1), 1007),
    "a payload that is not base64": (lambda: started() + media(payload="!!!!"), 1007),
    "a payload beyond ASCII": (lambda: started() + media(payload="\u20ac\ud800"), 1007),
    "time skipped, again and again": (
        lambda: started() + b"".join(media(str(60_000 * minute)) for minute in range(25)),
        1008,
    ),
    "media after stop": (lambda: started() + STOP + media() * 3, 1000),
    # dropped, or taken for what it is, and the stream goes on: it is the stop after them that ends it
    "no event": (lambda: started() + client_message("{}") + STOP, 1000),
    "an event that is a number": (lambda: started() + client_message('{"event": 1}') + STOP, 1000),
    "a key that is none": (lambda: started() + says_json(event="dtmf", dtmf={"digit": "55"}) + STOP, 1000),
    "a mark without a name": (lambda: started() + says_json(event="mark", mark={}) + STOP, 1000),
    "connected without a version": (lambda: started() + says_json(event="connected") + STOP, 1000),
    "a timestamp that is no number": (lambda: started() + media("soon") + STOP, 1000),
    "a timestamp below zero": (lambda: started() + media("-20") + STOP, 1000),
    "a timestamp that is NaN": (lambda: started() + media(float("nan")) + STOP, 1000),
    "a timestamp that jumps by years": (lambda: started() + media("0") + media("999999999999") + STOP, 1000),
    "a stop without its object": (lambda: started() + says_json(event="stop"), 1000),
    "numbers that go backwards": (lambda: started() + media("40") + media("20") + media("0") + STOP, 1000),
    "an event that is unknown": (lambda: started() + says_json(event="\u0000new\n") + STOP, 1000),
    "the other track": (lambda: started() + media(track="outbound") + STOP, 1000),
    "a payload of nothing": (lambda: started() + media(payload="") + STOP, 1000),
    "a name twice": (lambda: started() + client_message('{"event": "x", "event": "y"}') + STOP, 1000),
}


@pytest.mark.parametrize(("output", "code"), [*PROTOCOL.values(), *MESSAGES.values()], ids=[*PROTOCOL, *MESSAGES])
def test_on_a_socket(rig: Rig, output: bytes | Callable[[], bytes], code: int | None) -> None:
    with RawClient(address(rig)) as stranger:
        assert stranger.upgrade(headers=SIGNED) == 101
        stranger.send(output() if callable(output) else output)
        assert stranger.end().code == code


def test_together_with_the_handshake(rig: Rig) -> None:
    with RawClient(address(rig)) as stranger:
        stranger.send(upgrade_request(headers=SIGNED) + started() + STOP)
        assert stranger.read_header_block() == 101
        assert stranger.end().code == 1000


def test_byte_by_byte(rig: Rig) -> None:
    with RawClient(address(rig)) as stranger:
        assert stranger.upgrade(headers=SIGNED) == 101
        for byte in started() + STOP:
            stranger.send(bytes((byte,)))
        assert stranger.end().code == 1000


def get(*headers: str, path: str = "/ping", version: str = "HTTP/1.1", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} {version}", "Host: x", *headers, "", ""]).encode("latin-1")


def upgrade(path: str = "/", **headers: str | None) -> bytes:
    return upgrade_request(path, {**SIGNED, **{name.replace("_", "-"): value for name, value in headers.items()}})


HTTP = {
    "a plain GET of the socket": (get(path="/"), 426),
    "a POST that asks for an upgrade": (upgrade().replace(b"GET", b"POST"), 426),
    "half an upgrade": (upgrade(Connection="close"), 426),
    "an upgrade to something else": (upgrade(Upgrade="h2c", Connection="Upgrade, close"), 426),
    "no version": (upgrade(Sec_WebSocket_Version=None), 426),
    "version 8": (upgrade(Sec_WebSocket_Version="8"), 426),
    "a version that is no number": (upgrade(Sec_WebSocket_Version="x" * 1000), 426),
    "no key": (upgrade(Sec_WebSocket_Key=None), 400),
    "an empty key": (upgrade(Sec_WebSocket_Key=""), 400),
    "a short key": (upgrade(Sec_WebSocket_Key="c2hvcnQ="), 400),
    "a key that is not base64": (upgrade(Sec_WebSocket_Key="!" * 22 + "=="), 400),
    "a key beyond ASCII": (upgrade(Sec_WebSocket_Key="\xe9" * 24), 400),
    "HTTP/1.0": (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "an upgrade with a body": (upgrade(Content_Length="5", Connection="Upgrade") + b"hello", 400),
    "an upgrade at another path": (upgrade("/nothing", Connection="Upgrade, close"), 101),
    "an upgrade with a host that is none": (upgrade(Host="[::1:99999999", Connection="Upgrade"), 400),
    "a path beyond ASCII": (get("Connection: close", path="/%ff%00%zz//..\xff"), 400),
    "a path that is none": (get("Connection: close", path="/%ff%00%zz//.."), 404),
    "an absolute address": (get("Connection: close", path="http://[::1/ping"), 400),
    "a target without a slash": (get("Connection: close", path="ping"), 400),
    "a target that is a query": (get("Connection: close", path="?x"), 400),
    "an upgrade of a query": (upgrade("?x"), 400),
    "a target that is an asterisk": (get("Connection: close", path="*", method="OPTIONS"), 400),
    "a target that is an authority": (get("Connection: close", path="x:80", method="CONNECT"), 400),
    "a target of two slashes": (get("Connection: close", path="//ping"), 200),
    "an unsigned upgrade of two slashes": (upgrade_request("//"), 403),
    "an unsigned upgrade of nearly the socket's path": (
        upgrade_request("/?", {"X-Twilio-Signature": "A" * 27 + "="}),
        403,
    ),
    "an unsigned upgrade of the socket's path in disguise": (
        upgrade_request("/%2f", {"Connection": "Upgrade, close"}),
        403,
    ),
    "a fragment": (get("Connection: close", path="/ping#x"), 400),
    "no host": (b"GET /ping HTTP/1.1\r\n\r\n", 400),
    "no host in HTTP/1.0": (b"GET /ping HTTP/1.0\r\n\r\n", 200),
    "two hosts": (get("Host: y"), 400),
    "a tab in the request line": (get().replace(b"GET ", b"GET\t"), 400),
    "two spaces in the request line": (get().replace(b"GET ", b"GET  "), 400),
    "lines that end in LF": (get().replace(b"\r\n", b"\n") + b"\r\n\r\n", 400),
    "a CR within a line": (get("X: a\rTransfer-Encoding: chunked"), 400),
    "a length with a sign": (get("Content-Length: +5", method="POST") + b"01234", 400),
    "a length with an underscore": (get("Content-Length: 1_0", method="POST") + b"0123456789", 400),
    "a length in hexadecimal": (get("Content-Length: 0x5", method="POST") + b"01234", 400),
    "a length in another script": (get("Content-Length: \xb2", method="POST") + b"01", 400),
    "two equal lengths in one": (get("Content-Length: 5,5", method="POST") + b"01234", 400),
    "a length of 5,000 digits": (get("Content-Length: " + "1" * 5000, method="POST"), 413),
    "a length of 10^30": (get("Content-Length: 1" + "0" * 30, method="POST"), 413),
    "8 KiB and a byte": (get("Content-Length: 8193", path="/nothing", method="POST"), 413),
    "chunks": (get("Transfer-Encoding: chunked", path="/nothing", method="POST") + b"0\r\n\r\n", 404),
    "chunks in capitals": (get("Transfer-Encoding:\tCHUNKED ", method="POST") + b"0\r\n\r\n", 405),
    "another transfer encoding": (get("Transfer-Encoding: identity", method="POST"), 411),
    "two transfer encodings": (get("Transfer-Encoding: gzip, chunked", method="POST") + b"0\r\n\r\n", 411),
    "a transfer encoding twice": (get("Transfer-Encoding: gzip", "Transfer-Encoding: chunked", method="POST"), 400),
    "a transfer encoding on a GET": (get("Transfer-Encoding: chunked"), 411),
    "a header of 40 KB": (get("X: " + "x" * 40000), 431),
    "1,000 headers": (get(*[f"X-{n}: {'x' * 60}" for n in range(1000)]), 431),
    "200 headers": (get(*[f"X-{n}: x" for n in range(200)]), 400),
    "a header without a colon": (get("nonsense"), 400),
    "a space before the colon": (get("Host : x"), 400),
    "a folded header": (get("X: a", " b"), 400),
    "a NUL in a header": (get("X: \0"), 400),
    "two kinds of length": (get("Content-Length: 5", "Transfer-Encoding: chunked", method="POST"), 400),
    "two lengths": (get("Content-Length: 5", "Content-Length: 6", method="POST"), 400),
    "a length below zero": (get("Content-Length: -5", method="POST"), 400),
    "a length that is no number": (get("Content-Length: five", method="POST"), 400),
    "a path of 10 KB": (get(path="/" + "x" * 10000), 414),
    "a request line that is none": (b"garbage\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /ping\r\n\r\n", 400),
    "HTTP/9.9": (get(version="HTTP/9.9"), 400),
    "HTTP/1.x": (get(version="HTTP/1.x"), 400),
    "HTTP/2's preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100a5010000a10303") + bytes(range(64)) + b"\n\r\n", 400),
    "zeros": (bytes(100) + b"\r\n\r\n", 400),
    "a request that breaks off": (b"GET /ping HTTP/1.1\r\nHost: x\r\n", 400),
    "nothing": (b"", CUT),
    "an unsigned webhook": (get("Content-Length: 3", path="/twiml", method="POST") + b"a=b", 403),
    "chunks that are none": (get("Transfer-Encoding: chunked", path="/twiml", method="POST") + b"zz\r\n\r\n", 403),
}


@pytest.mark.parametrize(("output", "status"), HTTP.values(), ids=HTTP)
def test_on_a_connection(rig: Rig, output: bytes, status: int | None) -> None:
    with RawClient(address(rig)) as stranger:
        stranger.send(output)
        stranger.half_close()
        assert stranger.read_header_block() == status


def test_a_body_far_too_big_is_not_read(rig: Rig) -> None:
    with RawClient(address(rig)) as stranger:
        stranger.send(get("Content-Length: 10000000000", path="/twiml", method="POST") + b"x" * 100_000)
        assert stranger.end(upgraded=False).status in (403, 413)


def test_a_wrong_address_is_in_the_log_not_in_the_answer(logged: Logged) -> None:
    signature = RequestValidator(TOKEN).compute_signature("https://outside.example:5/twiml", {"a": "b"})
    told = [f"X-Twilio-Signature: {signature}", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3"]
    with running() as rig, RawClient(address(rig)) as client:  # a fresh one, which has explained no signature yet
        request = get(*told, "X-Forwarded-Host: outside.example:5", path="/twiml", method="POST")
        client.send(request + b"a=b")
        answer = client.read_to_end()
    assert answer == b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    (line,) = [line for line in logged() if "signed_for" in line]
    assert line["event"] == "peer-refused"
    assert line["reason"] == "webhook: signed for another host and port"
    assert line["signed_for"] == "https://outside.example:5/twiml"
    assert "set URL to https://outside.example:5" in line["remedy"]
    assert signature not in str(line)


def test_many_requests_in_one_packet_are_all_answered(rig: Rig) -> None:
    with RawClient(address(rig)) as stranger:
        stranger.send(get() * 300 + get("Connection: close"))
        assert stranger.read_to_end().count(b"HTTP/1.1 200 OK") == 301


@pytest.mark.parametrize("sent", [1, 3, 20, 100])
def test_a_reset_in_the_middle_of_a_message(rig: Rig, sent: int) -> None:
    live = rig.calls.live_calls
    for _ in range(20):
        stranger = RawClient(address(rig))
        assert stranger.upgrade(headers=SIGNED) == 101
        stranger.send(started() + media()[:sent])
        stranger.reset()
    with gevent.Timeout(PATIENCE_S):
        while rig.calls.live_calls > live:
            gevent.sleep(0.01)


def test_a_token_opens_one_socket(rig: Rig) -> None:
    once = started(OWN_CALL)
    with RawClient(address(rig)) as first, RawClient(address(rig)) as second:
        assert first.upgrade(headers=SIGNED) == 101
        first.send(once)
        wait_until(lambda: rig.calls.is_live(START["accountSid"], OWN_CALL))
        assert second.upgrade(headers=SIGNED) == 101
        second.send(once)
        assert second.end().code == 1008
        first.send(client_message(b"still here", PING) + STOP)
        ended = first.end()
        assert (ended.code, (PONG, b"still here") in ended.messages) == (1000, True)


def test_a_newer_stream_of_a_call_takes_it_over(rig: Rig) -> None:
    with RawClient(address(rig)) as older, RawClient(address(rig)) as newer:
        for stranger in (older, newer):
            assert stranger.upgrade(headers=SIGNED) == 101
            stranger.send(started(OWN_CALL))
            if stranger is older:
                wait_until(lambda: rig.calls.is_live(START["accountSid"], OWN_CALL))
        assert older.end().code == 1000
        newer.send(STOP)
        assert newer.end().code == 1000
