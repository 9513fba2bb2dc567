"""A Lex that keeps the very bytes of the requests that it gets, and answers each with bytes of the test's choice."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gevent.server import StreamServer

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nx-amzn-RequestId: 1\r\n\r\n"


class RawLex:
    """A listener on the loopback. `requests`: the bytes of each request, with the framing of the body."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answers = list(answers)
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Accept no more connections."""
        self._server.stop(timeout=1)

    def _serve(self, connection: socket.socket, _: object) -> None:
        self.connections += 1
        with connection:
            while request := _request_of(connection):
                self.requests.append(request)
                answer = self._answers.pop(0) if self._answers else OK
                if not answer:
                    return  # hang up
                connection.sendall(answer)


def _request_of(connection: socket.socket) -> bytes:
    """Return the next request of a connection, or b"" if there is none."""
    request = b""
    while not _is_complete(request):
        received = connection.recv(65536)
        if not received:
            return b""
        request += received
    return request


def _is_complete(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"transfer-encoding" in lines:
        return body.endswith(b"0\r\n\r\n")
    return bool(end) and len(body) == int(lines[b"content-length"])


@contextmanager
def raw_lex(*answers: bytes) -> Iterator[RawLex]:
    """Run a Lex that gives `answers` in turn, b"" by hanging up, and then goes on with empty successes."""
    lex = RawLex(answers)
    try:
        yield lex
    finally:
        lex.close()
