"""The parser of the WebSocket protocol: a client's bytes in, messages out, within limits. No I/O and no clock.

Comments name the section of RFC 6455 that a line implements.
"""

import codecs
import struct

from lexbridge.net.close_codes import (
    INVALID_PAYLOAD,
    NO_CODE,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    TOO_BIG,
    UNSUPPORTED_DATA,
    is_legal_code,
)
from lexbridge.net.masking import unmask
from lexbridge.net.rfc6455 import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_BYTES,
    PING,
    PONG,
    TEXT,
    Close,
    Item,
    Limits,
    Ping,
    Pong,
    Violation,
)
from lexbridge.net.token_bucket import TokenBucket

_RESERVED = 0x70
_MASKED = 0x80
_WHOLE_TEXT = FIN | TEXT
_USUAL_START = _WHOLE_TEXT << 8 | _MASKED | 126  # of a masked whole text whose length has two bytes more
_USUAL_HEADER_BYTES = 8
_read_usual_header = struct.Struct("!HH4s").unpack_from  # start, length, mask


class _ViolatedError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.violation = Violation(code, reason)


class MessageParser:
    """Parser of the bytes that a client sends, however they were cut. It stays within `limits` and never raises.

    It buffers at most one WebSocket frame and one message. A frame that its header shows to be wrong is refused before
    its payload has arrived.
    """

    __slots__ = ("_bucket", "_decoder", "_fragments", "_limits", "_over", "_payloads", "_rest", "_size", "only_texts")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rest = b""  # the part of a WebSocket frame that has arrived
        self._over = False
        self._bucket = TokenBucket(limits.rate_hz, limits.burst)
        # The message that arrives in fragments: their number and bytes so far, and their payloads.
        self._fragments = 0
        self._size = 0
        self._payloads: list[str] | list[bytes] = []
        self._decoder: codecs.IncrementalDecoder | None = None  # None for a binary message
        self.only_texts = True
        """Whether the last `push` returned nothing but texts."""

    @property
    def has_part(self) -> bool:
        """Whether a message has begun to arrive and is not complete."""
        return bool(self._rest or self._fragments)

    def push(self, received: bytes, now_s: float) -> list[Item]:
        """Return the items that `received` completes, in order. `now_s`: seconds of a clock that never goes back.

        Nothing follows a Close (section 5.5.1: input after it is discarded) or a Violation.
        """
        self.only_texts = True
        if self._over:
            return []
        items: list[Item] = []
        buffer = self._rest + received if self._rest else received
        try:
            at = 0 if self._fragments else self._read_usual(buffer, 0, now_s, items)
            if at < len(buffer):
                at = self._read(buffer, at, now_s, items)
            self._rest = buffer[at:]
        except _ViolatedError as error:
            items.append(error.violation)
            self.only_texts = False
            self._over = True
        if self._over:
            self._rest = b""
            self._payloads = []
        return items

    def _read(self, buffer: bytes, at: int, now_s: float, items: list[Item]) -> int:
        """Take whole WebSocket frames from `buffer` (section 5.2). Return where the rest begins."""
        while len(buffer) - at >= 2 and not self._over and (taken := self._read_any(buffer, at, now_s, items)):
            at += taken
            if not (self._fragments or self._over):
                at = self._read_usual(buffer, at, now_s, items)
        return at

    def _read_usual(self, buffer: bytes, at: int, now_s: float, items: list[Item]) -> int:
        """Take whole texts of 126 to 65,535 bytes, fifty a second of each call. Return where others, or none, begin."""
        end, longest, before = len(buffer), self._limits.message_bytes, len(items)
        while end - at >= _USUAL_HEADER_BYTES:
            start, length, mask = _read_usual_header(buffer, at)
            payload_at = at + _USUAL_HEADER_BYTES
            next_at = payload_at + length
            if start != _USUAL_START or next_at > end or not MAX_CONTROL_BYTES < length <= longest:
                break
            try:
                items.append(unmask(buffer[payload_at:next_at], mask).decode())
            except UnicodeDecodeError:
                self._pay(items, before, now_s, 1)
                raise _ViolatedError(INVALID_PAYLOAD, "invalid UTF-8") from None
            at = next_at
        if len(items) > before:
            self._pay(items, before, now_s)
        return at

    def _pay(self, items: list[Item], before: int, now_s: float, more: int = 0) -> None:
        """Take tokens for the items from `before` on, and `more`. Drop items beyond the limit, which is a violation."""
        if not self._bucket.take(now_s, len(items) - before + more):
            while self._bucket.take(now_s):
                before += 1
            del items[before:]
            raise _ViolatedError(POLICY_VIOLATION, "too many messages")

    def _read_any(self, buffer: bytes, at: int, now_s: float, items: list[Item]) -> int:
        """Take one WebSocket frame: header, mask and payload. Return its length, or 0 if it has not arrived whole."""
        first, second = buffer[at], buffer[at + 1]
        if first != _WHOLE_TEXT or second < _MASKED or self._fragments:
            self._check(first, second)
        length, mask_at, end = second & 0x7F, at + 2, len(buffer)
        if length > MAX_CONTROL_BYTES:
            mask_at += 2 if length == 126 else 8
            if end < mask_at:
                return 0
            length = _extended_length(buffer, at + 2, mask_at)
        if length + self._size > self._limits.message_bytes and not first & 0x8:
            raise _ViolatedError(TOO_BIG, "message too big")
        payload_at = mask_at + 4
        next_at = payload_at + length
        if end < next_at:
            return 0
        if not self._bucket.take(now_s):
            raise _ViolatedError(POLICY_VIOLATION, "too many messages")
        self._take(first, unmask(buffer[payload_at:next_at], buffer[mask_at:payload_at]), items)
        return next_at - at

    def _check(self, first: int, second: int) -> None:
        """Raise a violation if the first two bytes of a header are wrong in any case (sections 5.1 to 5.5)."""
        opcode = first & 0x0F
        if first & _RESERVED:
            raise _ViolatedError(PROTOCOL_ERROR, "reserved bit")
        if second < _MASKED:
            raise _ViolatedError(PROTOCOL_ERROR, "not masked")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise _ViolatedError(PROTOCOL_ERROR, "unknown opcode")
            if not first & FIN or second & 0x7F > MAX_CONTROL_BYTES:
                raise _ViolatedError(PROTOCOL_ERROR, "control message fragmented or too big")
            return
        self._check_order(opcode)

    def _check_order(self, opcode: int) -> None:
        """Raise a violation if a fragment of another message stands between those of one message (section 5.4)."""
        if opcode > BINARY:
            raise _ViolatedError(PROTOCOL_ERROR, "unknown opcode")
        if (opcode == CONTINUATION) != (self._fragments > 0):
            raise _ViolatedError(PROTOCOL_ERROR, "fragment out of order")
        if opcode == BINARY and not self._limits.binary:
            raise _ViolatedError(UNSUPPORTED_DATA, "binary message")
        if self._fragments >= self._limits.fragments:
            raise _ViolatedError(POLICY_VIOLATION, "too many fragments")

    def _take(self, first: int, payload: bytes, items: list[Item]) -> None:
        if first == _WHOLE_TEXT:
            try:
                items.append(payload.decode())
            except UnicodeDecodeError:
                raise _ViolatedError(INVALID_PAYLOAD, "invalid UTF-8") from None
        elif first & 0x8:
            self._take_control(first & 0x0F, payload, items)
        else:
            self._take_fragment(first, payload, items)

    def _take_fragment(self, first: int, payload: bytes, items: list[Item]) -> None:
        """Add a fragment to its message (sections 5.4, 5.6, 8.1). Text is decoded at once, to find bad bytes early."""
        final = first & FIN != 0
        if not self._fragments:
            self._decoder = codecs.getincrementaldecoder("utf-8")() if first & 0x0F == TEXT else None
        self._fragments += 1
        self._size += len(payload)
        try:
            self._payloads.append(self._decoder.decode(payload, final) if self._decoder else payload)  # type: ignore[arg-type]
        except UnicodeDecodeError:
            raise _ViolatedError(INVALID_PAYLOAD, "invalid UTF-8") from None
        if final:
            self.only_texts = self.only_texts and self._decoder is not None
            items.append(("" if self._decoder else b"").join(self._payloads))  # type: ignore[arg-type]
            self._fragments = self._size = 0
            self._payloads = []

    def _take_control(self, opcode: int, payload: bytes, items: list[Item]) -> None:
        self.only_texts = False
        if opcode == PING:
            items.append(Ping(payload))
        elif opcode == PONG:
            items.append(Pong(payload))
        else:
            items.append(_read_close(payload))
            self._over = True


def _read_close(payload: bytes) -> Close:
    """Return the close that `payload` describes (section 5.5.1)."""
    if not payload:
        return Close(NO_CODE, "")
    if len(payload) == 1:
        raise _ViolatedError(PROTOCOL_ERROR, "half a close code")
    code = int.from_bytes(payload[:2], "big")
    if not is_legal_code(code):
        raise _ViolatedError(PROTOCOL_ERROR, "illegal close code")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise _ViolatedError(INVALID_PAYLOAD, "invalid UTF-8") from None


def _extended_length(buffer: bytes, start: int, end: int) -> int:
    """Return a length of two or eight bytes. It has to be written in the fewest bytes that hold it (section 5.2)."""
    length = int.from_bytes(buffer[start:end], "big")
    if length <= (MAX_CONTROL_BYTES if end - start == 2 else 0xFFFF):
        raise _ViolatedError(PROTOCOL_ERROR, "length not minimal")
    return length
