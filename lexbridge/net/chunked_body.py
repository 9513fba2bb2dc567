"""A request's body in chunks (RFC 9112, section 7.1), decoded strictly and within limits. No I/O and no clock."""

import re
from enum import Enum, auto

MAX_OVERHEAD_BYTES = 4 * 1024
"""Most bytes of a chunked body that are no data: sizes, extensions and trailers. It bounds the number of chunks."""

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t -~]*)?")
"""Line before a chunk: its size, and perhaps extensions, which say nothing that is needed."""
_TRAILER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
_CRLF = b"\r\n"


class ChunksBroken(Exception):
    """Bytes that are no chunked body. `is_too_big`: whether they are one, but a longer one than is taken."""

    def __init__(self, *, is_too_big: bool = False) -> None:
        super().__init__("body too big" if is_too_big else "bad chunks")
        self.is_too_big = is_too_big


class _Next(Enum):
    SIZE = auto()
    DATA = auto()
    TRAILER = auto()


class ChunkedBody:
    """Decoder of one chunked body, however its bytes were cut."""

    __slots__ = ("_data", "_max_bytes", "_next", "_overhead", "_size")

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: longest body that is taken."""
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._overhead = 0
        self._next = _Next.SIZE
        self._size = 0

    def take(self, buffer: bytearray) -> bytes | None:
        """Take the body's bytes out of `buffer`. Return the data once the body is complete, or else None.

        Bytes after the body stay in `buffer`. Raise ChunksBroken.
        """
        while True:
            if self._next is _Next.DATA:
                if len(buffer) < self._size + len(_CRLF):
                    return None
                self._take_data(buffer)
                continue
            line = self._take_line(buffer)
            if line is None:
                return None
            if self._next is _Next.TRAILER:
                if not line:
                    return bytes(self._data)
                if not _TRAILER_LINE.fullmatch(line):
                    raise ChunksBroken
            else:
                self._take_size(line)

    def _take_size(self, line: bytes) -> None:
        found = _SIZE_LINE.fullmatch(line)
        if found is None:
            raise ChunksBroken
        self._size = int(found[1], 16)
        if len(self._data) + self._size > self._max_bytes:
            raise ChunksBroken(is_too_big=True)
        self._next = _Next.DATA if self._size else _Next.TRAILER

    def _take_data(self, buffer: bytearray) -> None:
        end = self._size + len(_CRLF)
        if buffer[self._size : end] != _CRLF:
            raise ChunksBroken
        self._data += buffer[: self._size]
        del buffer[:end]
        self._next = _Next.SIZE

    def _take_line(self, buffer: bytearray) -> bytes | None:
        """Take the next line without its CRLF, or return None if it is not complete."""
        room = MAX_OVERHEAD_BYTES - self._overhead
        end = buffer.find(_CRLF, 0, room)
        if end < 0:
            if len(buffer) >= room:
                raise ChunksBroken(is_too_big=True)
            if b"\n" in buffer:
                raise ChunksBroken  # a line that ends in LF alone
            return None
        line = bytes(buffer[:end])
        del buffer[: end + len(_CRLF)]
        self._overhead += end + len(_CRLF)
        return line
