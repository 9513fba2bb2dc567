"""The HTTP server of ADMIN_PORT: gevent's, with limits, so that a stranger holds no connection and fills no log.

When there are too many connections, `open_connections.py` says which one makes room.
"""

import socket
from contextlib import suppress
from io import BytesIO
from types import TracebackType
from typing import Any

import gevent
from flask import Flask
from gevent import get_hub
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from lexbridge.logs import Log
from lexbridge.observer.admin.guard import KNOWN, MAX_BODY_BYTES
from lexbridge.observer.admin.open_connections import MAX_CONNECTIONS, OpenConnection, OpenConnections, network_of
from lexbridge.observer.bugs import BugWindow
from lexbridge.observer.calls.call_file import MAX_FILE_BYTES

HEAD_S = 15.0
"""Limits the wait for a request, and for its head and a short body, in seconds, because a browser connects anew."""

STRANGER_S = 5.0
"""Limits the same, and the answer, for a stranger, in seconds: a browser asks at once, also over a slow network."""

ACCEPTED_AT_ONCE, CROWDED_PAUSE_S = 8, 0.01
"""Connections that are accepted in one go, and the pause after them in seconds while each takes another one's place.

So in a flood each has an eighth of a second for its request, and the flood costs little CPU, which calls may need. A
full queue of 4,096 is through in five seconds."""

FAILED_PAUSE_S = 0.2
"""Pause in seconds after the system could not accept a connection, because it has no descriptor, or no memory."""

LONG_BODY_S = 120.0
"""Limits a request with a long body as a whole, in seconds: a call's file of 48 MB over 4 Mbit/s."""

UNREAD_S = 60.0
"""Limits the wait for a peer that reads nothing of an answer, in seconds, because a browser reads at once."""

MAX_HEAD_BYTES = 32 * 1024
"""Longest head of a request after its first line, bytes: browsers send a few KB, and cookies of the same host."""

_SLICE_BYTES = 64 * 1024

_TOO_LONG = b'{"error":"the body is too long"}'


class _BodyTooLong(ValueError):
    """Refusal of a body that is longer than any call's file."""


_bugs = BugWindow()
_Handler: Any = WSGIHandler  # gevent's types leave out half of it
_Server: Any = WSGIServer


class AdminHandler(_Handler):  # type: ignore[misc]
    """Handler of one connection. What a stranger does is not logged, because a line would hold what they wrote."""

    _deadline: Any = None
    connection: OpenConnection

    def handle(self) -> None:
        """Answer the requests of the connection, one after the other."""
        self.socket.settimeout(UNREAD_S)
        try:
            super().handle()
        finally:
            self._stop_deadline()

    def read_requestline(self) -> str:
        """Return the first line of the next request, whose time begins now."""
        gevent.sleep(0)  # else one who sends a thousand requests at once would keep all others waiting
        self._start_deadline(HEAD_S if self.connection.is_known else STRANGER_S)
        return str(super().read_requestline())

    def MessageClass(self, *_: Any) -> Any:  # noqa: N802
        """Return the header fields. Raise ValueError if they are too long, or leave the body's length in doubt."""
        head = bytearray()
        while (line := self.rfile.readline(MAX_HEAD_BYTES)) not in (b"\r\n", b"\n", b""):
            head += line
            if len(head) > MAX_HEAD_BYTES:
                raise ValueError("the head is too long")
        fields = super().MessageClass(BytesIO(head + b"\r\n"), 0)
        lengths = fields.get_all("content-length", [])
        if "transfer-encoding" in fields or len(lengths) > 1:
            raise ValueError("the length of the body is in doubt")
        for length in lengths:
            if not (length.isascii() and length.isdigit()):
                raise ValueError("the length of the body is no number")
            if len(length) > 18 or int(length) > MAX_FILE_BYTES:
                raise _BodyTooLong
        return fields

    def handle_one_response(self) -> None:
        """Answer a request. A short body is read first. What the guard refuses has to be over in time."""
        length = self.content_length or 0
        if 0 < length <= MAX_BODY_BYTES:
            try:
                body = self.wsgi_input.read()
            except OSError:
                self.close_connection = True
                return
            self.environ["wsgi.input"] = BytesIO(body)
        self.environ[KNOWN] = self._become_known
        self.connection.is_answering = True
        super().handle_one_response()
        self.connection.is_answering = False
        self.server.connections.used(self.connection)

    def _become_known(self) -> None:
        """Give a request that has passed the guard its time: as long as it needs, unless its body is long."""
        self.connection.is_known = True
        self._stop_deadline()
        if (self.content_length or 0) > MAX_BODY_BYTES:
            self._start_deadline(LONG_BODY_S)

    def cut_off(self) -> None:
        """End the connection soon, without waiting for it."""
        self.close_connection = True
        with suppress(OSError):  # the connection is gone already
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the greenlet that reads or writes

    def handle_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:  # noqa: ARG002
        """Log an exception of the app, which is a bug, and answer 500. An exception of the connection ends it."""
        self.close_connection = True
        if issubclass(t, OSError):
            return
        if _bugs.may_log():
            Log().exception("console-broken")
        self._send_error_response_if_possible(500)

    def log_error(self, msg: str, *args: Any) -> None:
        """Log nothing: the line would hold what a stranger wrote."""

    def log_request(self) -> None:
        """Log nothing: each open page asks several times a second."""

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        if isinstance(ex, _BodyTooLong):
            return "413", _closing(b"413 Content Too Large", _TOO_LONG)
        return "400", _closing(b"400 Bad Request", b"")

    def _sendall(self, data: bytes) -> None:
        """Send in slices, so that UNREAD_S holds for each, and not for a long answer as a whole."""
        with memoryview(data) as whole:
            for start in range(0, len(whole), _SLICE_BYTES):
                super()._sendall(whole[start : start + _SLICE_BYTES])

    def _start_deadline(self, seconds: float) -> None:
        self._stop_deadline()
        self._deadline = get_hub().loop.timer(seconds)
        self._deadline.start(self.cut_off)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.stop()
            self._deadline.close()
            self._deadline = None


class AdminServer(_Server):  # type: ignore[misc]
    """The server. It takes each connection, and cuts another one off if there are too many."""

    max_accept = ACCEPTED_AT_ONCE

    def __init__(self, listener: socket.socket, app: Flask) -> None:
        # Room for twice as many, because the greenlet of a connection that was cut off may need a moment to end.
        super().__init__(listener, app, spawn=Pool(2 * MAX_CONNECTIONS), log=None, error_log=None)
        self.connections = OpenConnections()
        self._has_failed = False

    def do_read(self) -> Any:
        """Accept a connection. Return its socket and its address, or None if there is none."""
        try:
            return super().do_read()
        except OSError:
            self.connections.make_room()
            self._has_failed = True
            return None

    def _do_read(self) -> None:
        """Accept connections. The hub calls it while some wait."""
        self._has_failed = False
        super()._do_read()
        if self.started and (self._has_failed or self.connections.is_crowded):
            self.stop_accepting()
            # gevent's own timer for a pause, which stop_accepting() ends
            self._timer = self.loop.timer(FAILED_PAUSE_S if self._has_failed else CROWDED_PAUSE_S)
            self._timer.start(self._start_accepting_if_started)

    def handle(self, sock: Any, address: Any) -> None:
        """Serve a connection to its end, in a greenlet of its own."""
        handler = AdminHandler(sock, address, self)
        connection = handler.connection = OpenConnection(network_of(str(address[0])), handler.cut_off)
        self.connections.add(connection)
        try:
            with suppress(OSError):  # the connection is gone
                handler.handle()
        finally:
            self.connections.remove(connection)


def _closing(status: bytes, body: bytes) -> bytes:
    """Return an answer after which the connection is closed, because the rest of the request is not read."""
    head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def serve_admin(listener: socket.socket, app: Flask) -> AdminServer:
    """Serve `app` from now on, on the supervisor's listener. Return the server."""
    server = AdminServer(socket.socket(fileno=listener.detach()), app)
    server.start()
    return server
