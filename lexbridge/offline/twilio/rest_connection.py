"""Connections of the REST API's server, which may be dropped in the middle of a request."""

from types import TracebackType
from typing import Any

from gevent import GreenletExit
from gevent.pywsgi import Input, WSGIHandler


class ConnectionDropped(Exception):
    """No error: the connection is not to be answered any more."""


class RestHandler(WSGIHandler):
    """pywsgi's handler, and the application can reach its connection and drop it."""

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment, with the socket."""
        return {**super().get_environ(), "lexbridge.socket": self.socket}

    def run_application(self) -> None:
        """Run the application. Sends nothing if the application drops the connection."""
        try:
            super().run_application()
        except ConnectionDropped:
            self._give_up()
            self.result = ()
        except GreenletExit:
            self._give_up()
            raise

    def _give_up(self) -> None:
        self.close_connection = True
        self.wsgi_input = Input(self.rfile, 0)  # nothing of the body is waited for

    def handle_error(self, t: type[BaseException] | None, v: BaseException | None, tb: TracebackType | None) -> None:
        """Handle an error. A connection that is closed because the server stops is not reported as an error."""
        if isinstance(v, GreenletExit):
            self.close_connection = True
        else:
            super().handle_error(t, v, tb)
