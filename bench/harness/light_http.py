"""Minimal HTTP/1.1 on asyncio, at little CPU: for hundreds of calls in one process.

The server keeps connections alive, takes chunked bodies as they arrive, and reports a body that breaks off. The client
makes one connection for each request, so that any worker of the service may get it.
"""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

MAX_HEAD_BYTES = 64 * 1024


@dataclass(slots=True, eq=False)
class Request:
    """HTTP request. Names of `headers` are in lower case; `body` grows while it arrives."""

    method: str
    path: str
    headers: Mapping[str, str]
    connection: "Connection"
    body: bytearray = field(default_factory=bytearray)


class Site(Protocol):
    """Handler of a server's requests. It answers each finished request by `request.connection.answer`."""

    def began(self, request: Request) -> None:
        """Take note of a request whose head is complete; its body may still have to arrive."""
        ...

    def finished(self, request: Request) -> None:
        """Answer a request that is complete, now or later."""
        ...

    def broke_off(self, request: Request) -> None:
        """Take note that the connection ended before the request was complete."""
        ...


class BadRequest(Exception):
    """Bytes that are no HTTP request."""


class Connection(asyncio.Protocol):
    """Server's side of one connection, with one request at a time."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._transport: asyncio.Transport | None = None
        self._input = bytearray()
        self._request: Request | None = None
        self._is_answering = False
        self._step = self._head
        self._left = 0  # bytes of the body, or of the chunk, that are still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no such base

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self._request is not None and not self._is_answering:
            self._site.broke_off(self._request)
        self._request = None

    def data_received(self, data: bytes) -> None:
        self._input += data
        self._go_on()

    @property
    def is_open(self) -> bool:
        """Whether an answer would reach the client."""
        return self._transport is not None

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Answer the request. Nothing happens if the connection has ended."""
        if self._transport is None:
            return
        lines = [f"HTTP/1.1 {status} Bench", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
        self._transport.write(head.encode("latin-1") + body)
        if self._request and self._request.headers.get("connection", "").lower() == "close":
            self._transport.close()
        self._request = None
        self._is_answering = False
        self._step = self._head
        if self._input:
            self._go_on()

    def _go_on(self) -> None:
        try:
            while not self._is_answering and self._step():
                pass
        except BadRequest:
            assert self._transport
            self._transport.abort()

    # Each step takes what it can of the input, and returns False if it needs more.

    def _head(self) -> bool:
        end = self._input.find(b"\r\n\r\n")
        if end < 0:
            if len(self._input) > MAX_HEAD_BYTES:
                raise BadRequest
            return False
        first, *lines = self._input[:end].decode("latin-1").split("\r\n")
        del self._input[: end + 4]
        method, _, rest = first.partition(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        request = self._request = Request(method, rest.partition(" ")[0], headers, self)
        self._site.began(request)
        if "100-continue" in headers.get("expect", "").lower():
            assert self._transport
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            self._step = self._chunk_size
        else:
            self._left = int(headers.get("content-length") or 0)
            self._step = self._body
        return True

    def _body(self) -> bool:
        self._take()
        if self._left:
            return False
        return self._end()

    def _chunk_size(self) -> bool:
        end = self._input.find(b"\r\n")
        if end < 0:
            return False
        try:
            self._left = int(self._input[:end].partition(b";")[0], 16)
        except ValueError:
            raise BadRequest from None
        del self._input[: end + 2]
        self._step = self._chunk if self._left else self._last_line
        return True

    def _chunk(self) -> bool:
        if self._left:
            self._take()
        if self._left or len(self._input) < 2:
            return False
        del self._input[:2]
        self._step = self._chunk_size
        return True

    def _last_line(self) -> bool:
        if len(self._input) < 2:
            return False
        del self._input[:2]  # no trailers
        return self._end()

    def _take(self) -> None:
        assert self._request
        taken = self._input[: self._left]
        del self._input[: self._left]
        self._left -= len(taken)
        self._request.body += taken

    def _end(self) -> bool:
        assert self._request
        self._is_answering = True
        self._site.finished(self._request)
        return not self._is_answering


async def serve(site: Site, port: int = 0, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve `site` on the loopback interface, over TLS if `tls` is given. `port` 0: a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(site), "127.0.0.1", port, backlog=1024, ssl=tls)


def port_of(server: asyncio.Server) -> int:
    """Return the port that the server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


class ConnectionFailed(Exception):
    """No connection was made. `timed_out`: it was not refused either."""

    def __init__(self, reason: str, *, timed_out: bool) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class NoAnswer(Exception):
    """A connection was made, but no complete answer arrived."""


async def connect(address: tuple[str, int], limit_s: float) -> socket.socket:
    """Return a new connection that does not block and does not delay packets. Raises ConnectionFailed."""
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.get_running_loop().sock_connect(made, address)
    except TimeoutError:
        made.close()
        raise ConnectionFailed(f"no connection within {limit_s:g} s", timed_out=True) from None
    except OSError as error:
        made.close()
        raise ConnectionFailed(str(error), timed_out=False) from error
    except BaseException:
        made.close()
        raise
    return made


async def ask(connection: socket.socket, output: bytes, limit_s: float) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request that says `Connection: close`. Return status, headers and body, and close the connection.

    `limit_s`: longest wait for each piece of the answer. Raises NoAnswer.
    """
    loop = asyncio.get_running_loop()
    received = bytearray()
    try:
        await loop.sock_sendall(connection, output)
        while True:
            async with asyncio.timeout(limit_s):
                piece = await loop.sock_recv(connection, 65536)
            if not piece:
                break
            received += piece
    except TimeoutError:
        raise NoAnswer(f"nothing came for {limit_s:g} s") from None
    except OSError as error:
        raise NoAnswer(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            connection.close()
    return _answer(bytes(received))


def _answer(received: bytes) -> tuple[int, Mapping[str, str], bytes]:
    head, blank, body = received.partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if not blank or not found:
        raise NoAnswer("the connection ended before an answer")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if len(body) < int(headers.get("content-length") or 0):
        raise NoAnswer("the connection ended in the middle of an answer")
    return int(found[1]), headers, body
