"""Client that sends exactly the bytes it is given, well-formed or not, and tells how the connection ended.

It talks to the server over a plain socket, for tests and measurements of hostile peers. All its waits have a deadline.
"""

import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from lexbridge.net.close_codes import NO_CODE
from lexbridge.net.rfc6455 import CLOSE, TEXT

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x1f\x2e\x3d\x4c"


def client_message(
    payload: bytes | str = b"",
    opcode: int = TEXT,
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = MASK,
    length: int | None = None,
) -> bytes:
    """Return one WebSocket frame of a client, correct by default. `reserved`: bits 0x40, 0x20, 0x10.

    `length`: put into the header instead of the length of the payload, in eight bytes if it does not fit in two.
    """
    body = payload.encode() if isinstance(payload, str) else payload
    said = len(body) if length is None else length
    first = (0x80 if final else 0) | reserved | opcode
    masked = 0 if mask is None else 0x80
    if said < 126:
        header = bytes((first, masked | said))
    elif said < 1 << 16:
        header = struct.pack("!BBH", first, masked | 126, said)
    else:
        header = struct.pack("!BBQ", first, masked | 127, said)
    if mask is None:
        return header + body
    return header + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))


def client_close(code: int = 1000, reason: bytes = b"") -> bytes:
    """Return a client's close frame with any code."""
    return client_message(struct.pack("!H", code) + reason, CLOSE)


def upgrade_request(path: str = "/", headers: Mapping[str, str | None] | None = None) -> bytes:
    """Return a WebSocket handshake. `headers` replace those of a correct one; None leaves a header out."""
    said: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """End of a connection, and what the server sent before it."""

    status: int | None
    """Status of the HTTP answer; None if there was none."""
    code: int | None
    """Code of the server's close frame; None if there was no close frame, NO_CODE if it had no code."""
    reason: bytes
    messages: tuple[tuple[int, bytes], ...]
    """Other messages of the server: opcode and payload."""


class RawClient:
    """One TCP connection. A wait that takes longer than `deadline_s` raises TimeoutError."""

    def __init__(self, address: tuple[str, int], deadline_s: float = 30) -> None:
        self._socket = socket.create_connection(address, timeout=deadline_s)
        self._received = b""

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def send(self, output: bytes) -> bool:
        """Send bytes. Return False if the server has closed the connection, which is no error: `end` tells how."""
        try:
            self._socket.sendall(output)
        except (ConnectionResetError, BrokenPipeError):
            return False
        return True

    def half_close(self) -> None:
        """Close the sending direction of the connection."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def drop(self) -> None:
        """Close the connection."""
        self._socket.close()

    def read_header_block(self) -> int | None:
        """Wait for the header block of an HTTP answer. Return its status, or None if the connection ended first."""
        while b"\r\n\r\n" not in self._received:
            if not self._receive():
                return None
        block, self._received = self._received.split(b"\r\n\r\n", 1)
        return _status(block)

    def upgrade(self, path: str = "/", headers: Mapping[str, str | None] | None = None) -> int | None:
        """Ask for a WebSocket. Return the status of the answer: 101 if the server agrees."""
        self.send(upgrade_request(path, headers))
        return self.read_header_block()

    def read_to_end(self) -> bytes:
        """Wait until the server has closed the connection. Return the bytes that were not read before."""
        while self._receive():
            pass
        return self._received

    def end(self, upgraded: bool = True) -> ConnectionEnd:
        """Wait until the server has closed the connection. `upgraded`: whether a 101 has been read before."""
        status = None if not upgraded else 101
        received = self.read_to_end()
        if not upgraded and received:
            block, _, received = received.partition(b"\r\n\r\n")
            status = _status(block)
            if status != 101:
                return ConnectionEnd(status, None, b"", ())
        messages = tuple(_server_messages(received))
        closes = [payload for opcode, payload in messages if opcode == CLOSE]
        others = tuple(message for message in messages if message[0] != CLOSE)
        if not closes:
            return ConnectionEnd(status, None, b"", others)
        code = int.from_bytes(closes[0][:2], "big") if closes[0] else NO_CODE
        return ConnectionEnd(status, code, closes[0][2:], others)

    def _receive(self) -> bool:
        try:
            received = self._socket.recv(65536)
        except ConnectionResetError:
            return False
        self._received += received
        return bool(received)


def _status(block: bytes) -> int:
    found = re.match(rb"HTTP/1\.1 (\d{3})", block)
    return int(found[1]) if found else 0


def _server_messages(received: bytes) -> list[tuple[int, bytes]]:
    """Return the server's complete WebSocket frames: final and not masked."""
    messages = []
    at = 0
    while len(received) - at >= 2:
        opcode, length = received[at] & 0x0F, received[at + 1]
        at += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(received[at : at + size], "big")
            at += size
        messages.append((opcode, received[at : at + length]))
        at += length
    return messages
