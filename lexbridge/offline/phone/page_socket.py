"""A page's WebSocket, on the connection of a request that asks for one."""

import socket
from collections import deque
from collections.abc import Mapping
from typing import Any

from gevent.lock import BoundedSemaphore
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin

READ_BYTES = 65536
LONGEST_MESSAGE_BYTES = 65536
"""Bytes of a message at most, because a page sends short texts and frames of 160 bytes."""


class PageSocket:
    """A WebSocket over `connection`, upgraded as the WSGI request `environ` asks, if a page of `origin` does.

    The library does the protocol, gevent the waiting. `is_open` tells whether the upgrade was granted.
    """

    def __init__(self, environ: Mapping[str, Any], connection: socket.socket, origin: str) -> None:
        self._connection = connection
        self._protocol = ServerProtocol(origins=[Origin(origin)], max_size=LONGEST_MESSAGE_BYTES)
        self._sending = BoundedSemaphore()
        self._messages: deque[str | bytes] = deque()
        self._parts: list[bytes] = []
        self._is_text = False
        self._protocol.receive_data(_request_bytes(environ))
        for request in self._protocol.events_received():
            if isinstance(request, Request):
                self._protocol.send_response(self._protocol.accept(request))
        self._flush()

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN

    def send(self, message: str | bytes) -> None:
        """Send a message. Raises OSError if the connection is gone."""
        if not self.is_open:
            raise ConnectionError("the page's socket is closed")
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def receive(self) -> str | bytes | None:
        """Return the next message, or None when the connection has ended."""
        while not self._messages:
            try:
                read = self._connection.recv(READ_BYTES)
            except OSError:
                read = b""
            if not read:
                return None
            self._protocol.receive_data(read)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._take(event)
            try:
                self._flush()  # what the protocol answers by itself: pongs, and the other half of a close
            except OSError:
                return None
            if not self.is_open and not self._messages:
                return None
        return self._messages.popleft()

    def _take(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            self._messages.append(whole.decode(errors="replace") if self._is_text else whole)

    def _flush(self) -> None:
        with self._sending:
            for piece in self._protocol.data_to_send():
                if piece:
                    self._connection.sendall(piece)


def _request_bytes(environ: Mapping[str, Any]) -> bytes:
    """Return a WSGI request as it came, for a library that reads requests itself."""
    names = [name for name in environ if name.startswith("HTTP_")]
    lines = [f"{name.removeprefix('HTTP_').replace('_', '-').title()}: {environ[name]}" for name in names]
    return "\r\n".join([f"GET {environ['PATH_INFO']} HTTP/1.1", *lines, "", ""]).encode("latin-1")
