"""One HTTP/1.x request, read strictly: bytes in, a request out, bounded; no I/O, no clock.

What two readers could take for two different requests is refused (RFC 9112, section 11.2), and so is everything that
neither Twilio nor a load balancer sends: a Transfer-Encoding, a target that is no path, a line that ends in a bare LF.
Sources: https://www.rfc-editor.org/rfc/rfc9112 (messages) and https://www.rfc-editor.org/rfc/rfc9110 (semantics);
sections are named where they are carried out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_REQUEST_LINE_BYTES = 8 * 1024
MAX_HEAD_BYTES = 32 * 1024
"""The request line and the header fields. Twilio's have about 1 KB, and a load balancer adds some lines."""
MAX_HEADER_LINES = 100
MAX_BODY_BYTES = 8 * 1024
"""A webhook's form has about 1 KB."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) (\S+) (HTTP/[0-9]\.[0-9])")
"""RFC 9112, section 3: a single space between the parts."""
_TARGET = re.compile(rb"/(?!/)[!\"$-~]*")
"""RFC 9112, section 3.2.1: visible ASCII that begins with "/"; a fragment is never sent. One that begins with "//" is
an authority to some readers (RFC 3986, section 4.2), and the same as "/" to Werkzeug's routing."""
_NO_HEAD = re.compile(rb"\A[^!#$%&'*+.^_`|~0-9A-Za-z-]|[^\r]\n")
"""The first byte of a method is one of a token; a line ends in CRLF."""
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
"""RFC 9112, section 5: no space before the colon, no folded line; RFC 9110, section 5.5: no control character. Spaces
around the value are stripped elsewhere: a second repetition that takes them too would try each way to share them, 10 s
for 32 KB."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{1,50}\]|[A-Za-z0-9._~%!$&'()*+,;=-]{0,255})(:[0-9]{0,5})?")
"""RFC 9110, section 7.2: a name or an address, and perhaps a port."""
_LENGTH = re.compile(r"[0-9]+")
"""RFC 9110, section 8.6. Python's own int() takes "+5", "1_0" and digits of other scripts."""

_MOST_DIGITS = 10
"""Of a length: int() refuses thousands of them."""
_MOST_OPTIONS = 20
"""Of a connection: 32 KB of commas would be split again and again."""


class RequestRefused(Exception):
    """The request is not taken. `status`: the answer's status line; `reason`: one of a small set, for the log;
    `remedy`: what whoever runs the service can do, if they can."""

    def __init__(self, status: str, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Head:
    """A request line and its header fields.

    `target`: the path with its query, from "/" on, as it was sent. `headers`: by name in lower case; the values of a
    name that came several times are joined by ", " (RFC 9110, section 5.3). `content_length`: bytes of the body.
    """

    method: str
    target: str
    version: str
    headers: Mapping[str, str] = field(repr=False)
    content_length: int = 0

    @property
    def path(self) -> str:
        """The target without its query, as it was sent."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the path's "?", as it was sent; "" if nothing does."""
        return self.target.partition("?")[2]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client would send another request on this connection (RFC 9112, section 9.3)."""
        options = self._options("connection")
        if self.version == "HTTP/1.0":
            return "keep-alive" in options
        return "close" not in options

    @property
    def asks_for_websocket(self) -> bool:
        """Whether it is an opening handshake (RFC 6455, section 4.2.1, items 1, 3 and 4)."""
        upgrade = self.headers.get("upgrade", "").lower()
        return self.method == "GET" and upgrade == "websocket" and "upgrade" in self._options("connection")

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends the body (RFC 9110, section 10.1.1)."""
        is_1_1 = self.version == "HTTP/1.1"
        return is_1_1 and self.content_length > 0 and self.headers.get("expect", "").lower() == "100-continue"

    def _options(self, name: str) -> list[str]:
        return [option.strip() for option in self.headers.get(name, "").lower().split(",")]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request."""

    head: Head
    body: bytes = field(default=b"", repr=False)


class RequestParser:
    """The bytes of one connection as requests, one at a time, however they were cut.

    It holds at most one head, one body and what came together with their end.
    """

    __slots__ = ("_buffer", "_searched", "head")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # the end of the head is not before this
        self.head: Head | None = None
        """The head of the request that is being read, once it is complete."""

    @property
    def has_part(self) -> bool:
        """Whether some of a request has come."""
        return bool(self._buffer) or self.head is not None

    def push(self, received: bytes) -> None:
        """Takes more bytes. `head` tells whether they completed a head. Raises RequestRefused."""
        self._buffer += received
        if self.head is None:
            self._find_head()

    def take_request(self) -> Request | None:
        """The request, if it is complete; else None. What came after it waits for `look_again`."""
        head = self.head
        if head is None or len(self._buffer) < head.content_length:
            return None
        body = bytes(self._buffer[: head.content_length])
        del self._buffer[: head.content_length]
        self.head = None
        self._searched = 0
        return Request(head, body)

    def parse_buffered(self) -> None:
        """Begins with the next request, in what came together with the one before. Raises RequestRefused."""
        if self.head is None and self._buffer:
            self._find_head()

    def take_rest(self) -> bytes:
        """Return the bytes that came after the last request, for the code that goes on with the connection."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _find_head(self) -> None:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", self._searched)
        size = len(buffer) if end < 0 else end
        if _NO_HEAD.search(buffer, max(0, self._searched - 1), size):
            raise _bad_request()  # such as TLS, or lines that end in LF alone: their end would be waited for in vain
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
    """The head whose lines are `block`, without the empty line at its end. Raises RequestRefused."""
    first, *lines = block.split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None or line[3] not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise _bad_request()
    if line[2].startswith(b"//"):
        raise RequestRefused("400 Bad Request", "path begins with //", "have one / between host and path, as in /twiml")
    if not _TARGET.fullmatch(line[2]):
        raise _bad_request()
    headers = _read_headers(lines)
    method, target, version = (part.decode("ascii") for part in line.groups())
    if "host" not in headers and version == "HTTP/1.1":
        raise _bad_request()  # RFC 9112, section 3.2; HTTP/1.0 has none, as some load balancers' checks
    return Head(method, target, version, headers, _read_length(headers))


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
            raise _bad_request()  # RFC 9112, sections 3.2 and 6.3: two readers may choose differently
        else:
            headers[name] += f", {value}"
    if not _HOST.fullmatch(headers.get("host", "")) or headers.get("connection", "").count(",") >= _MOST_OPTIONS:
        raise _bad_request()
    return headers


def _read_length(headers: Mapping[str, str]) -> int:
    """Bytes of the body. Raises RequestRefused if that is not told, or told in a way that can be taken differently."""
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        if length is not None:
            raise _bad_request()  # RFC 9112, section 6.3, item 3
        remedy = "have the proxy send requests with a Content-Length, and not in chunks"
        raise RequestRefused("411 Length Required", "transfer encoding", remedy)
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise _bad_request()
    if len(length) > _MOST_DIGITS or int(length) > MAX_BODY_BYTES:
        raise RequestRefused("413 Content Too Large", "body too big")
    return int(length)


def _bad_request() -> RequestRefused:
    return RequestRefused("400 Bad Request", "bad request")
