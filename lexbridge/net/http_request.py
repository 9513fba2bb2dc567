"""A strict parser of HTTP/1.x requests: bytes in, a request out, within limits. No I/O and no clock.

Bytes that two readers could take for two different requests are refused (RFC 9112, section 11.2). So is everything that
neither a carrier nor a proxy sends: a Transfer-Encoding other than chunks, a line that ends in LF alone.
Sources: https://www.rfc-editor.org/rfc/rfc9112 (messages) and https://www.rfc-editor.org/rfc/rfc9110 (semantics).
Comments name the section that a line implements.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lexbridge.net.chunked_body import ChunkedBody, ChunksBroken

MAX_REQUEST_LINE_BYTES = 8 * 1024
MAX_HEAD_BYTES = 32 * 1024
"""Longest request line with its header fields. Those of Twilio have about 1 KB, and a load balancer adds some lines."""
MAX_HEADER_LINES = 100
MAX_BODY_BYTES = 8 * 1024
"""Longest body. A webhook's form has about 1 KB."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S+) (HTTP/[0-9]\.[0-9])")
"""Request line, with a single space between its parts (RFC 9112, section 3)."""
_TARGET = re.compile(
    rb"(?:[Hh][Tt][Tt][Pp][Ss]?://(?:\[[0-9A-Fa-f:.]{1,50}\]|[0-9A-Za-z._~%-]{1,255})(?::[0-9]{0,5})?(?=[/?]|$))?"
    rb"((?:/[!\"$-~]*)?(?:\?[!\"$-~]*)?)"
)
"""Request target: a path of visible ASCII, without a fragment (RFC 9112, section 3.2.1), perhaps after a scheme and a
host, as proxies send it (section 3.2.2). The host counts no more than the header Host, which a stranger can write."""
_NOT_A_HEAD = re.compile(rb"\A[^!#$%&'*+.^_`|~0-9A-Za-z-]|[^\r]\n")
"""Signs that the bytes are no head: the first is not one of a method, or a line does not end in CRLF."""
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
"""Header line without a space before the colon, a folded line (RFC 9112, section 5) or control characters (RFC 9110,
section 5.5). Spaces around the value are stripped elsewhere: if the pattern matched them, a line of 32 KB spaces would
take it 10 s of backtracking."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{1,50}\]|[A-Za-z0-9._~%!$&'()*+,;=-]{0,255})(:[0-9]{0,5})?")
"""Value of Host: a name or an address, and perhaps a port (RFC 9110, section 7.2)."""
_LENGTH = re.compile(r"[0-9]+")
"""Value of Content-Length (RFC 9110, section 8.6).

Python's int() would take "+5", "1_0" and digits of other scripts.
"""

_MAX_LENGTH_DIGITS = 10
"""Digits of a Content-Length, because int() raises for thousands of them."""
_MAX_CONNECTION_OPTIONS = 20
"""Options of a Connection header, because 32 KB of commas would be split again and again."""


class RequestRefused(Exception):
    """A request that breaks a rule.

    `status`: status line of the answer. `reason`: one of a small set, for the log. `remedy`: what the operator can do,
    or "" if the fault is a stranger's.
    """

    def __init__(self, status: str, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its header fields.

    `target`: path and query as they were sent, from "/" on. `headers`: by name in lower case; if a name occurs several
    times, its values are joined by ", " (RFC 9110, section 5.3). `content_length`: length of the body in bytes, or None
    if it comes in chunks.
    """

    method: str
    target: str
    version: str
    headers: Mapping[str, str] = field(repr=False)
    content_length: int | None = 0

    @property
    def path(self) -> str:
        """Path of the target, without the query, and with one "/" at its beginning.

        With two, Werkzeug's routing would take what follows for a host (RFC 3986, section 4.2).
        """
        return "/" + self.target.partition("?")[0].lstrip("/")

    @property
    def query(self) -> str:
        """Query of the target, without the "?", as it was sent, or "" if there is none."""
        return self.target.partition("?")[2]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client may send another request on this connection (RFC 9112, section 9.3)."""
        options = self._options("connection")
        if self.version == "HTTP/1.0":
            return "keep-alive" in options
        return "close" not in options

    @property
    def asks_for_websocket(self) -> bool:
        """Whether the request is the opening handshake of a WebSocket (RFC 6455, section 4.2.1, items 1, 3 and 4)."""
        upgrade = self.headers.get("upgrade", "").lower()
        return self.method == "GET" and upgrade == "websocket" and "upgrade" in self._options("connection")

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1)."""
        is_1_1 = self.version == "HTTP/1.1"
        return is_1_1 and self.content_length != 0 and self.headers.get("expect", "").lower() == "100-continue"

    def _options(self, name: str) -> list[str]:
        return [option.strip() for option in self.headers.get(name, "").lower().split(",")]


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its whole body."""

    head: Head
    body: bytes = field(default=b"", repr=False)


class RequestParser:
    """Parser of the requests of one connection, one at a time, however their bytes were cut.

    It holds at most one head, one body, and the bytes that arrived together with their end.
    """

    __slots__ = ("_buffer", "_chunks", "_searched", "head")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # position before which the head does not end
        self._chunks: ChunkedBody | None = None
        self.head: Head | None = None
        """Head of the current request, or None until it is complete."""

    @property
    def has_part(self) -> bool:
        """Whether a part of a request has arrived."""
        return bool(self._buffer) or self.head is not None

    def push(self, received: bytes) -> None:
        """Take more bytes, and set `head` if they complete one. Raise RequestRefused."""
        self._buffer += received
        if self.head is None:
            self._find_head()

    def take_request(self) -> Request | None:
        """Return the request, or None if it is not complete. Bytes after it wait for `parse_buffered`.

        Raise RequestRefused if its chunks are broken.
        """
        head = self.head
        body = None if head is None else self._take_body(head.content_length)
        if head is None or body is None:
            return None
        self.head = self._chunks = None
        self._searched = 0
        return Request(head, body)

    def _take_body(self, length: int | None) -> bytes | None:
        """Return the body, or None if it is not complete. `length`: in bytes, or None if it comes in chunks."""
        if length is not None:
            if len(self._buffer) < length:
                return None
            body = bytes(self._buffer[:length])
            del self._buffer[:length]
            return body
        self._chunks = self._chunks or ChunkedBody(MAX_BODY_BYTES)
        try:
            return self._chunks.take(self._buffer)
        except ChunksBroken as error:
            raise (_too_big() if error.is_too_big else _bad_request()) from error

    def parse_buffered(self) -> None:
        """Start the next request with the bytes that arrived together with the one before. Raise RequestRefused."""
        if self.head is None and self._buffer:
            self._find_head()

    def take_rest(self) -> bytes:
        """Return the bytes that arrived after the last request, and forget them."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _find_head(self) -> None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._searched)
        size = len(buffer) if end < 0 else end
        if _NOT_A_HEAD.search(buffer, max(0, self._searched - 1), size):
            raise _bad_request()  # such as TLS, or lines that end in LF alone: the end of such a head never comes
        if size > MAX_REQUEST_LINE_BYTES and buffer.find(b"\r\n", 0, MAX_REQUEST_LINE_BYTES) < 0:
            raise RequestRefused("414 URI Too Long", "request line too long")
        if size > MAX_HEAD_BYTES:
            raise RequestRefused("431 Request Header Fields Too Large", "headers too big")
        if end < 0:
            self._searched = max(0, len(buffer) - 3)
            return
        self.head = _read_head(bytes(buffer[:end]))
        del buffer[: end + 4]


def _read_head(block: bytes) -> Head:
    """Return the head in `block`, which has no empty line at its end. Raise RequestRefused."""
    first, *lines = block.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None or line[3] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise _bad_request()
    found = _TARGET.fullmatch(line[2])
    if found is None or line[2].startswith(b"?"):
        raise _bad_request()
    headers = _read_headers(lines)
    method, target, version = (part.decode("ascii") for part in (line[1], found[1], line[3]))
    target = target if target.startswith("/") else f"/{target}"
    if "host" not in headers and version == "HTTP/1.1":
        raise _bad_request()  # RFC 9112, section 3.2. HTTP/1.0 needs no Host, and some load balancers' checks have none
    return Head(method, target, version, headers, _read_length(method, version, headers))


def _read_headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADER_LINES:
        raise _bad_request()
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER_LINE.fullmatch(line)
        if found is None:
            raise _bad_request()
        name, value = found[1].decode("ascii").lower(), found[2].decode("latin-1").strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in ("host", "content-length", "transfer-encoding"):
            raise _bad_request()  # RFC 9112, sections 3.2 and 6.3: two readers may take different ones
        else:
            headers[name] += f", {value}"
    if (
        not _HOST.fullmatch(headers.get("host", ""))
        or headers.get("connection", "").count(",") >= _MAX_CONNECTION_OPTIONS
    ):
        raise _bad_request()
    return headers


def _read_length(method: str, version: str, headers: Mapping[str, str]) -> int | None:
    """Return the length of the body, or None if it comes in chunks.

    Raise RequestRefused if two readers could find different lengths.
    """
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        if length is not None:
            raise _bad_request()  # RFC 9112, section 6.3, item 3
        if headers["transfer-encoding"].lower() == "chunked" and version == "HTTP/1.1" and method == "POST":
            return None
        remedy = "have the proxy send a POST with a Content-Length, or in plain chunks, by HTTP/1.1"
        raise RequestRefused("411 Length Required", "transfer encoding", remedy)
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise _bad_request()
    if len(length) > _MAX_LENGTH_DIGITS or int(length) > MAX_BODY_BYTES:
        raise _too_big()
    return int(length)


def _too_big() -> RequestRefused:
    return RequestRefused("413 Content Too Large", "body too big")


def _bad_request() -> RequestRefused:
    return RequestRefused("400 Bad Request", "bad request")
