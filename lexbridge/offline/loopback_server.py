"""A WSGI server on this machine, as the local Lex and the simulated Twilio are, whose connections may be dropped."""

import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

from gevent import GreenletExit
from gevent import socket as gevent_socket
from gevent.pool import Pool
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ConnectionDropped(Exception):
    """No error: the connection is not to be answered any more."""


class LoopbackServer:
    """A server that listens from entering it as a context manager (or `start()`) until leaving it (or `stop()`).

    address: host and port; port 0 takes any free one, and `url` names it. application: it finds its client's socket in
    the environment, as "lexbridge.socket", and may raise ConnectionDropped.
    """

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        self._address = address
        self._application = application
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
            listener, self._application, handler_class=_DroppableConnection, spawn=self._connections, log=None
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


class _DroppableConnection(WSGIHandler):
    """A connection whose socket the application can reach, and which it can drop."""

    def get_environ(self) -> dict[str, Any]:
        """Return the WSGI environment, with the socket."""
        return {**super().get_environ(), "lexbridge.socket": self.socket}

    def run_application(self) -> None:
        """Run the application. A connection that the application drops is closed without an answer."""
        try:
            super().run_application()
        except ConnectionDropped:
            self._give_up()
            self.result = ()
        except GreenletExit:
            self._give_up()  # or the server's end would wait for the rest of an upload that may never come
            raise

    def _give_up(self) -> None:
        self.close_connection = True
        self.wsgi_input = Input(self.rfile, 0)  # nothing of the body is waited for

    def handle_error(self, t: type[BaseException] | None, v: BaseException | None, tb: TracebackType | None) -> None:
        """Report an error, unless the server stops."""
        if isinstance(v, GreenletExit):  # the server stops: its clients see a closed connection, not a 500
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)


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
