"""A routing hook for tests: a real server that keeps what it was asked, and answers as a test wants."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import gevent
from gevent import socket
from gevent.server import StreamServer

SECRET = "whsec_dHdlbnR5LWZvdXIgYnl0ZXMgb2Yga2V5"

Answer = Callable[[Any], object]
"""A function that answers on a socket whose request was read."""


def raw(answer: bytes) -> Answer:
    """Answer with exactly these bytes."""
    return lambda connection: connection.sendall(answer)


def body(content: bytes, status: str = "200 OK", *headers: str) -> Answer:
    """Answer with this body."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", "Connection: close", *headers]
    return raw("\r\n".join(head).encode() + b"\r\n\r\n" + content)


def says(answer: object) -> Answer:
    """Answer with this as JSON."""
    return body(json.dumps(answer).encode())


def hangs(_: Any) -> None:
    """Answer never."""
    gevent.sleep(600)


def drips(connection: Any) -> None:
    """Answer byte by byte, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        gevent.sleep(0.05)


def floods(connection: Any) -> None:
    """Answer as fast as possible, without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")


class HookServer:
    """The hook. `answer`: how it answers."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer: Answer = answer or says({})
        self.requests: list[tuple[Mapping[str, str], bytes]] = []
        """Headers with small letters, and the body of each question, as it came."""
        self.url = ""
        self.at_once = self.most_at_once = 0
        """Questions that are under way, and the most that ever were."""

    @property
    def settings(self) -> dict[str, str]:
        """The settings by which this hook is asked."""
        return {"ROUTE_URL": self.url, "ROUTE_SECRET": SECRET}

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The questions, read."""
        return [json.loads(asked) for _, asked in self.requests]

    def _serve(self, connection: Any, _: object) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            lines.readline()
            headers = {}
            while (line := lines.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            self.requests.append((headers, lines.read(int(headers["content-length"]))))
            self.answer(connection)
        self.at_once -= 1

    @contextmanager
    def running(self) -> Iterator["HookServer"]:
        """Run the hook on a port of this machine."""
        server = StreamServer(("127.0.0.1", 0), self._serve)
        server.start()
        self.url = f"http://127.0.0.1:{server.server_port}/route"
        try:
            yield self
        finally:
            server.stop(timeout=0)


def closed_port() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}/route"
