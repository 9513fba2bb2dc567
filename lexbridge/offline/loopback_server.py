"""A WSGI server on this machine, which the local Lex and the simulated Twilio are."""

import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from gevent import socket as gevent_socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LoopbackServer:
    """A server that listens from entering it as a context manager (or `start()`) until leaving it (or `stop()`).

    address: host and port; port 0 takes any free one, and `url` names it.
    """

    def __init__(self, address: tuple[str, int], application: Application, handler: type[WSGIHandler]) -> None:
        self._address = address
        self._application = application
        self._handler = handler
        self._connections = Pool()
        self._server: WSGIServer | None = None

    @property
    def url(self) -> str:
        """Address of the server, known after `start`."""
        if self._server is None:
            raise AssertionError("the server was not started")
        return f"http://{self._server.server_host}:{self._server.server_port}"

    def start(self) -> None:
        """Begin to listen. Raises OSError if that is not possible."""
        listener = _listen(self._address)
        self._server = WSGIServer(
            listener, self._application, handler_class=self._handler, spawn=self._connections, log=None
        )
        self._server.start()

    def stop(self) -> None:
        """Stop listening, and close every connection, answered or not."""
        if self._server is not None:
            self._server.stop(timeout=0)
            self._connections.kill()

    def drop_connections(self) -> None:
        """Close every connection, answered or not, and go on accepting new ones."""
        self._connections.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listen(address: tuple[str, int]) -> socket.socket:
    listener: socket.socket = gevent_socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except BaseException:
        listener.close()
        raise
    return listener
