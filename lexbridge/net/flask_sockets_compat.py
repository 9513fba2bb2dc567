"""flask-sockets 0.2.1, from 2017, made to work with today's Werkzeug.

Since Werkzeug 2 a rule for a WebSocket has to be marked, or each upgrade raises WebsocketMismatch. If it is marked, a
plain request to it raises the same error, which has to be answered, or it becomes a 500.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import flask_sockets
from flask import Flask
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Rule
from werkzeug.routing.exceptions import RequestRedirect, WebsocketMismatch
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


EXTENSION = "lexbridge.net.flask_sockets_compat"
"""Key of `app.extensions` under which the app's Sockets stand."""


class _Middleware(flask_sockets.SocketMiddleware):  # type: ignore[misc]  # no types there
    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            view, values = self.ws.url_map.bind_to_environ(environ).match()
        except NotFound:
            served: Iterable[bytes] = self.wsgi_app(environ, start_response)
            return served
        except WebsocketMismatch:
            return _upgrade_required(environ, start_response)
        except RequestRedirect:  # routing would redirect a stranger to the host that they have named
            return NotFound().get_response(environ)(environ, start_response)
        except HTTPException as error:  # such as a wrong method
            return error.get_response(environ)(environ, start_response)
        if not environ.get("wsgi.websocket"):  # an incomplete upgrade, such as one by POST
            return _upgrade_required(environ, start_response)
        with self.app.app_context(), self.app.request_context(environ):
            view(environ["wsgi.websocket"], **values)
        return []


def _upgrade_required(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Answer 426, which names the protocol to use (RFC 9110, section 15.5.22)."""
    response = Response("This address is a WebSocket.\n", 426, {"Upgrade": "websocket", "Connection": "Upgrade"})
    return response(environ, start_response)


class Sockets(flask_sockets.Sockets):  # type: ignore[misc]  # no types there
    """WebSocket routes of a Flask app: `@sockets.route("/")` on a function that takes a WebSocket."""

    def init_app(self, app: Flask) -> None:
        """Add the WebSocket routes to `app`. They are tried before its own."""
        self.url_map.merge_slashes = False  # else "//" would be redirected to "/"
        app.wsgi_app = _Middleware(app.wsgi_app, app, self)  # type: ignore[method-assign]
        app.extensions[EXTENSION] = self

    def add_url_rule(self, rule: str, _: str | None, f: Callable[..., Any], **options: Any) -> None:
        """Add a WebSocket route. `options`: those of werkzeug's Rule."""
        self.url_map.add(Rule(rule, endpoint=f, websocket=True, **options))

    def serves(self, environ: "WSGIEnvironment") -> bool:
        """Return whether the request's address is a WebSocket's. If not, its upgrade must not be accepted."""
        try:
            self.url_map.bind_to_environ(environ).match()
        except HTTPException:
            return False
        return True
