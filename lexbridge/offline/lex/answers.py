"""Answers of the local Lex as its faults have them: odd, broken off, endless, or byte by byte past the WSGI server."""

import base64
import gzip
import logging
import select
import socket
import struct
from collections.abc import Iterator
from time import monotonic

import gevent
from gevent.monkey import get_original

from lexbridge.offline.lex import wire
from lexbridge.offline.lex.faults import LexFault
from lexbridge.offline.lex.requests import LexRequest, ReceivedRequest
from lexbridge.offline.lex.wire import Response
from lexbridge.offline.odd_answers import PIECE_BYTES, bomb, send_endless, send_infos

log = logging.getLogger(__name__)

READ_BYTES = 320  # 20 ms of telephone audio
NO_PCM = b"\xff\xf3\x44\xc4" + bytes(140)  # the head of a frame of MP3, and nothing in it


class AlreadyAnswered(Exception):
    """No error: the request is answered with this, whatever else would have come of it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def status_line(status: int) -> str:
    """Return the status of an HTTP answer as WSGI takes it, such as "200 OK"."""
    names = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 409: "Conflict", 429: "Too Many Requests"}
    return f"{status} {names.get(status, 'Error' if status >= 400 else 'OK')}"


def wrong_answer(api: str, fault: LexFault) -> Response:
    """Return the answer that a fault sends instead of the right one."""
    if fault.kind == "empty":
        return Response(200, {})
    if fault.kind == "foreign":
        return Response(200, {"Content-Type": "text/html"}, b"<html><body>It works!</body></html>")
    if fault.kind == "redirect":
        return Response(302, {"Location": "http://127.0.0.1:9/"})
    if fault.kind == "error odd":
        return Response(fault.status, {"Content-Type": "application/json"}, b"[]")
    return wire.response_of_status(api, fault.status)


def made_odd(call: ReceivedRequest, response: Response) -> Response:
    """Return a right answer with what its fault makes of it: without speech that the record would know of."""
    kind = call.fault.kind if call.fault is not None and response.status == 200 else ""
    headers, body = response.headers, response.body
    match kind:
        case "compressed":
            return Response(200, {**headers, "Content-Encoding": "gzip"}, gzip.compress(body))
        case "bomb":
            return Response(200, {**headers, "Content-Encoding": "gzip"}, bomb())
        case "voiceless":
            return Response(200, headers)
        case "state bomb":
            state = base64.b64encode(gzip.compress(b"[" + b" " * (20 << 20) + b"]")).decode()
        case "state odd":
            state = "%"
        case _:
            return response
    name = "x-amz-lex-slots" if call.record.api == "v1" else "x-amz-lex-session-state"
    return Response(200, {**headers, name: state}, body)


def send_without_end(connection: socket.socket, response: Response, fault: LexFault) -> None:
    """Write an answer without end past the WSGI server, until the client closes the connection."""
    try:
        if fault.kind == "infos":
            send_infos(connection)
        elif fault.kind == "endless":
            # Its speech is what comes first.
            piece = response.body + bytes(PIECE_BYTES)
            send_endless(connection, status_line(200), response.headers, piece)
        else:
            send_endless(connection, status_line(fault.status), response.headers, b" " * PIECE_BYTES)
    except OSError:
        log.debug("the client went away: it has read enough")


def send(connection: socket.socket, response: Response, truncated: bool = False, every_s: float = 0.0) -> None:
    """Write an answer past the WSGI server: up to half of its body (or of its head without a body), or byte by byte."""
    headers = {**response.headers, "Content-Length": str(len(response.body)), "Connection": "close"}
    head = [f"HTTP/1.1 {status_line(response.status)}", *(f"{name}: {value}" for name, value in headers.items())]
    answer = "\r\n".join([*head, "", ""]).encode() + response.body
    if truncated:
        kept = len(response.body) // 2 - len(response.body) if response.body else len(answer) // 2
        answer = answer[:kept]
    try:
        if not every_s:
            connection.sendall(answer)
            return
        for at in range(len(answer)):
            connection.sendall(answer[at : at + 1])
            gevent.sleep(every_s)
    except OSError:
        log.debug("the client went away before it had the whole answer")


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    """Yield `body` in pieces of `size` bytes. The last one may be shorter."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def noted_speech(record: LexRequest, speech: bytes) -> Iterator[bytes]:
    """Yield `speech` on its way to the network, and record when it went."""
    if record.speech_began is None:
        record.speech_began = monotonic()
    yield speech
    record.speech_bytes += len(speech)
    record.speech_ended = monotonic()


def send_broken_speech(call: ReceivedRequest, response: Response, fault: LexFault) -> None:
    """Write an answer past the WSGI server with its speech in pieces, which goes wrong as the fault says."""
    headers = {**response.headers, "Transfer-Encoding": "chunked", "Connection": "close"}
    head = [f"HTTP/1.1 {status_line(response.status)}", *(f"{name}: {value}" for name, value in headers.items())]
    dripping = fault.kind == "dripping"
    speech = response.body if dripping else response.body[: fault.after_bytes]
    try:
        call.socket.sendall("\r\n".join([*head, "", ""]).encode())
        for piece in pieces(speech, fault.piece_bytes if dripping else READ_BYTES):
            for noted in noted_speech(call.record, piece):
                call.socket.sendall(b"%x\r\n%s\r\n" % (len(noted), noted))
            if dripping:
                gevent.sleep(fault.every_s)
        if dripping:
            call.socket.sendall(b"0\r\n\r\n")
        if fault.kind == "stalled":
            read_until_closed(call.socket)
    except OSError:
        log.debug("the client went away before it had the whole answer")


def reset_on_close(connection: socket.socket) -> None:
    """Make the closing of the socket send a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def wait_until_closed(connection: socket.socket) -> None:
    """Wait until the client gives up, without reading."""
    watch = get_original("select", "poll")()  # what it tells, it tells at once
    watch.register(connection, getattr(select, "POLLRDHUP", 0))
    while not watch.poll(0):
        gevent.sleep(0.02)


def read_until_closed(connection: socket.socket) -> None:
    """Read and discard until the client gives up."""
    try:
        while connection.recv(65536):
            continue
    except OSError:
        log.debug("the client gave up")
