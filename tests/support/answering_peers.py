"""Peers that answer HTTP requests with bytes of the test's choice, at full speed.

Each peer is a thread of the system with an event loop of its own. A peer on the reader's loop would let the reader's
other greenlets run whenever it waits.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent import monkey

_start_new_thread = monkey.get_original("_thread", "start_new_thread")


Send = Callable[[bytes], None]
"""Send bytes to the client. It raises OSError once the client has closed the connection."""


Answer = Callable[[Send], object]
"""Answer one request by the `send` that it is given."""


MOST_BYTES = 200_000_000
"""Bytes of an answer without end, because a test must end even if nothing stops the answer."""


class Peer:
    """A listener on the loopback.

    `requests`: the heads of the requests that it got. `sent_bytes`: bytes of its answers that clients have taken.
    `connections`: number of connections that clients have opened.
    """

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self.sent_bytes = 0
        self.connections = 0
        self._answer = answer
        self._context = context
        self._is_closed = False
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        _start_new_thread(self._run, (listener.detach(),))

    def close(self) -> None:
        """Accept no more connections."""
        self._is_closed = True
        socket.create_connection(("127.0.0.1", self.port)).close()

    def _run(self, listening: int) -> None:
        """Accept connections, in a thread with an event loop of its own."""
        with socket.socket(fileno=listening) as listener:
            while True:
                connection, _ = listener.accept()
                if self._is_closed:
                    return
                self.connections += 1
                gevent.spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(30)
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while request := _request(connection):
                self.requests.append(request)

                def send(data: bytes) -> None:
                    connection.sendall(data)
                    self.sent_bytes += len(data)

                self._answer(send)
        except OSError:
            return
        finally:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    """Read the next request and its body. Return its head, or b"" at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if b"transfer-encoding" in fields:
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    while len(body) < int(fields.get(b"content-length", b"0")):
        body += connection.recv(65536)
    return head + b"\r\n"


@contextmanager
def answering(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Run a peer that gives `answer` to each request."""
    peer = Peer(answer, context)
    try:
        yield peer
    finally:
        peer.close()


def endless(head: str, piece: bytes) -> Answer:
    """Return an answer of `head` and of `piece` again and again, without end."""

    def answer(send: Send) -> None:
        send(head.replace("\n", "\r\n").encode())
        for _ in range(MOST_BYTES // len(piece)):
            send(piece)
        raise ConnectionError

    return answer


def whole(head: str, body: bytes = b"") -> Answer:
    """Return an answer with the length of its body."""
    told = f"{head}Content-Length: {len(body)}\n\n".replace("\n", "\r\n").encode()
    return lambda send: send(told + body)


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked HTTP body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


TEXT_HEAD = "HTTP/1.1 200 OK\nContent-Type: text/plain\nx-amz-lex-dialog-state: ElicitSlot\n"
"""Head of an answer of Lex V1 without speech."""


@contextmanager
def answered_by(answer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run a peer that boto3 takes for Lex."""
    with answering(answer) as peer:
        for name in ("LEX_RUNTIME_SERVICE", "LEX_RUNTIME_V2"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", f"http://127.0.0.1:{peer.port}")
        yield peer
