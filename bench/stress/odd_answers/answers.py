"""Answers by which a peer in Lex's or Twilio's place is odd: without end, compressed, malformed, slow."""

import base64
import gzip
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lexbridge.offline.odd_answers import bomb

FLOODS_S = 20.0
"""Length of an answer without end, seconds, at full speed, unless the client closes the connection."""

PCM = b"\x00\x20" * 8000
"""Half a second of loud audio at 16 kHz."""
_BOMB = bomb() * 3

Pieces = Iterator[bytes]
Answer = Callable[[], Pieces]
"""Maker of the pieces of an answer. The connection is closed after an answer of unknown length."""


def _packed(value: Any) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()


def _until_late(piece: bytes, pause_s: float = 0.0) -> Pieces:
    end_s = time.monotonic() + FLOODS_S
    while time.monotonic() < end_s:
        yield piece
        if pause_s:
            time.sleep(pause_s)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _lex_head(more: str = "", kind: str | None = "audio/pcm", status: str = "HTTP/1.1 200 OK", **changes: str) -> bytes:
    state = {
        "dialogAction": {"type": "ElicitSlot", "slotToElicit": "Kind"},
        "intent": {"name": "Order", "state": "InProgress", "slots": {}},
        "sessionAttributes": {},
    }
    headers = {
        "x-amz-lex-session-state": _packed(state),
        "x-amz-lex-messages": _packed([{"contentType": "PlainText", "content": "Which kind of flowers?"}]),
        "x-amz-lex-input-transcript": _packed("flowers"),
        "x-amz-lex-input-mode": "Speech",
        **{f"x-amz-lex-{name.replace('_', '-')}": value for name, value in changes.items()},
    }
    lines = [status, *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Type: {kind}"] if kind is not None else []
    return ("\r\n".join(lines) + "\r\n" + more).encode()


def _right(body: bytes = PCM, more: str = "", **changes: Any) -> bytes:
    return _lex_head(f"{more}Content-Length: {len(body)}\r\n\r\n", **changes) + body


def _error(status: str, more: str = "", body: bytes = b'{"message":"x"}') -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


NO_SESSION = _error("404 Not Found", "x-amzn-ErrorType: ResourceNotFoundException\r\n")
"""Lex's answer to GetSession for an unknown session."""

_ENDLESS = b"Content-Type: application/json\r\nContent-Length: 4000000000\r\n\r\n"
_CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def _one(answer: bytes) -> Answer:
    return lambda: iter([answer])


def _flood(head: bytes, piece: bytes) -> Answer:
    def answer() -> Pieces:
        yield head
        yield from _until_late(piece)

    return answer


def _slow(head: bytes, pause_s: float) -> Answer:
    def answer() -> Pieces:
        for place in range(len(head)):
            yield head[place : place + 1]
            time.sleep(pause_s)

    return answer


def _stalled() -> Pieces:
    yield _lex_head(f"Content-Length: {9 * len(PCM)}\r\n\r\n") + PCM
    time.sleep(FLOODS_S)


def _ten_minutes() -> Pieces:
    yield _lex_head(f"Content-Length: {1200 * len(PCM)}\r\n\r\n")
    for _ in range(60):
        yield PCM * 20


def _state_bomb(length: int) -> str:
    return base64.b64encode(gzip.compress(b"[" + b" " * length + b"]")).decode()


_MANY = b"HTTP/1.1 100 Continue\r\n\r\n"
_REDIRECT = "Location: http://127.0.0.1:1/\r\n"
_GZIP = "Content-Encoding: gzip\r\n"

LEX: Mapping[str, Answer] = {
    "right": _one(_right()),
    "endless": _flood(_lex_head("Transfer-Encoding: chunked\r\n\r\n"), _chunk(PCM * 4)),
    "endless, silence": _flood(_lex_head("Transfer-Encoding: chunked\r\n\r\n"), _chunk(bytes(64_000))),
    "endless, chunks of 1 byte": _flood(_lex_head("Transfer-Encoding: chunked\r\n\r\n"), _chunk(b"\x20") * 8000),
    "ten minutes": _ten_minutes,
    "early": _one(_lex_head(f"Content-Length: {9 * len(PCM)}\r\n\r\n") + PCM),
    "stalled": _stalled,
    "HTTP/1.0": _one(_lex_head("\r\n", status="HTTP/1.0 200 OK") + PCM),
    "gzip": _one(_right(gzip.compress(PCM), _GZIP)),
    "gzip bomb": _one(_right(_BOMB, _GZIP)),
    "early hints": _one(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + _right()),
    "100 Continue": lambda: _until_late(_MANY * 100, 0.05),
    "100 Continue, at full speed": _flood(b"", _MANY * 1000),
    "302": _one(_error("302 Found", _REDIRECT, b"")),
    "307": _one(_error("307 Temporary Redirect", _REDIRECT, b"")),
    "204": _one(_lex_head("\r\n", status="HTTP/1.1 204 No Content")),
    "header of 70 KB": _one(_right(b"", f"X: {'y' * 70_000}\r\n")),
    "300 headers": _one(_right(b"", "".join(f"X{number}: y\r\n" for number in range(300)))),
    "header without end": _flood(_lex_head("X: "), b"y" * 65536),
    "headers drip": _slow(_right()[:300], 0.1),
    "text/html": _one(_right(b"hello", kind="text/html")),
    "stereo": _one(_right(kind="audio/pcm; channels=2")),
    "no content type": _one(_right(kind=None)),
    "odd byte": _one(_right((PCM * 2)[:16_001])),
    "no audio": _one(_right(b"")),
    "length -5": _one(_lex_head("Content-Length: -5\r\n\r\n") + PCM),
    "state bomb, 60 MB": _one(_right(b"", session_state=_state_bomb(60 << 20))),
    "state bomb, 20 MB": _one(_right(b"", session_state=_state_bomb(20 << 20))),
    "200, a page": _one(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
    "429": _one(_error("429 Slow down", "x-amzn-ErrorType: ThrottlingException\r\n")),
    "500, a list": _one(_error("500 Error", body=b"[]")),
    "garbage": lambda: iter([os.urandom(4000)]),
    "500, endless": _flood(b"HTTP/1.1 500 Error\r\n" + _ENDLESS, b" " * (1 << 20)),
    "403, endless": _flood(b"HTTP/1.1 403 Forbidden\r\n" + _CHUNKED, _chunk(b" " * (1 << 20))),
}

_JSON = "Content-Type: application/json\r\n"
_TWILIO = b'{"sid":"CA","status":"in-progress"}'
_OK = "200 OK"

TWILIO: Mapping[str, Answer] = {
    "right": _one(_error(_OK, body=_TWILIO)),
    "200, a page": _one(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
    "200, nothing": _one(_error(_OK, body=b"")),
    "200, a list": _one(_error(_OK, body=b"[]")),
    "200, null": _one(_error(_OK, body=b"null")),
    "200, UTF-16": _one(_error(_OK, body=b"\xff\xfe{\x00")),
    "200, random bytes, no type": lambda: iter(
        [b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + os.urandom(200_000)]
    ),
    "400, a page": _one(_error("400 Bad", body=b"<html>")),
    "400, a list": _one(_error("400 Bad", body=b"[]")),
    "400, null": _one(_error("400 Bad", body=b"null")),
    "500, a text": _one(_error("500 Error", body=b'"x"')),
    "302": _one(_error("302 Found", _REDIRECT, b"")),
    "308": _one(_error("308 Permanent Redirect", _REDIRECT, b"")),
    "reset": lambda: iter(()),
    "headers drip": _slow(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200, 0.2),
    "200, endless": _flood(b"HTTP/1.1 200 OK\r\n" + _ENDLESS, b" " * (1 << 20)),
    "200, endless, chunks of 1 byte": _flood(b"HTTP/1.1 200 OK\r\n" + _CHUNKED, _chunk(b" ") * 8000),
    "500, endless": _flood(b"HTTP/1.1 500 Error\r\n" + _CHUNKED, _chunk(b" " * (1 << 20))),
    "302, endless": _flood(b"HTTP/1.1 302 Found\r\nLocation: /\r\n" + _CHUNKED, _chunk(b" " * (1 << 20))),
    "100 Continue, at full speed": _flood(b"", _MANY * 1000),
    "gzip bomb": _one(_error(_OK, _GZIP, bomb(b" ") * 3)),
}
