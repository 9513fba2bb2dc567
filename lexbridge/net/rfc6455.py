"""The WebSocket protocol from the server's side: what a peer may send, within limits, and what it is sent.

`message_parser.py` makes items of a peer's bytes. No I/O and no clock.

Source: RFC 6455, https://www.rfc-editor.org/rfc/rfc6455 . Comments name the section that a line implements. The RFC's
frames are called WebSocket frames here, because a frame is 20 ms of audio everywhere else.
"""

import struct
from dataclasses import dataclass

from lexbridge.net.close_codes import is_legal_code

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

FIN = 0x80
"""The bit of a header's first byte that the last WebSocket frame of a message has."""

MAX_CONTROL_BYTES = 125
MAX_REASON_BYTES = MAX_CONTROL_BYTES - 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one WebSocket. The defaults leave a media stream ten times what it needs."""

    message_bytes: int = 64 * 1024
    """Size of a message, and so of a WebSocket frame, beyond which the close is 1009. A media message has 250 bytes."""
    fragments: int = 64
    """Number of fragments of one message, beyond which the close is 1008. Twilio does not fragment."""
    rate_hz: float = 400
    """WebSocket frames per second in the long run, beyond which the close is 1008.

    Pings and empty fragments count. A call has 50.
    """
    burst: int = 800
    """WebSocket frames at once. A network that stalls for 10 s delivers 500 of them when it recovers."""
    binary: bool = False
    """Whether binary messages are allowed. If not, the close is 1003."""
    output_bytes: int = 1024 * 1024
    """Output that may wait for the peer, beyond which it is cut off: two minutes of speech."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, to be answered by a pong with the same payload (section 5.5.2)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong: the peer has read the ping with `payload`, and everything that was sent before it (section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close from the peer (section 5.5.1). `code` is NO_CODE if the peer gave none."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A breach of the protocol or of a limit, to be answered by a close with `code`. `reason`: one of a small set."""

    code: int
    reason: str


Item = str | bytes | Ping | Pong | Close | Violation
"""What a peer has sent: a message, or another thing that has to be acted on."""


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a WebSocket frame as a server sends it: final and not masked (section 5.2)."""
    length = len(payload)
    if length <= MAX_CONTROL_BYTES:
        return bytes((FIN | opcode, length)) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", FIN | opcode, 126, length) + payload
    return struct.pack("!BBQ", FIN | opcode, 127, length) + payload


def encode_close(code: int, reason: bytes | str = b"") -> bytes:
    """Return a close with `code`, and `reason` cut to MAX_REASON_BYTES of valid UTF-8 (sections 5.5.1 and 7.1.6).

    Raise ValueError if a close may not carry `code`.
    """
    if not is_legal_code(code):
        raise ValueError(f"{code} is not a close code")
    text = reason.encode("utf-8", "ignore") if isinstance(reason, str) else reason
    legal = text[:MAX_REASON_BYTES].decode("utf-8", "ignore").encode()
    return encode(CLOSE, struct.pack("!H", code) + legal)
