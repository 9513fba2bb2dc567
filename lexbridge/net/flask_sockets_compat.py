"""flask-sockets 0.2.1 on today's Werkzeug.

It is from 2017. Since Werkzeug 2 a rule has to be marked as a WebSocket's, or each upgrade on it raises
WebsocketMismatch; marked, a plain request to it raises the same, which becomes a 500 unless it is answered.
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
"""Where `app.extensions` has the app's Sockets."""


class _Middleware(flask_sockets.SocketMiddleware):  # type: ignore[misc]  # no types there
    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            view, values = self.ws.url_map.bind_to_environ(environ).match()
        except NotFound:
            served: Iterable[bytes] = self.wsgi_app(environ, start_response)
            return served
        except WebsocketMismatch:
            return _upgrade_required(environ, start_response)
        except RequestRedirect:  # routing would send a stranger to the host that they named
            return NotFound().get_response(environ)(environ, start_response)
        except HTTPException as error:  # such as a method
            return error.get_response(environ)(environ, start_response)
        if not environ.get("wsgi.websocket"):  # half an upgrade: such as one by POST
            return _upgrade_required(environ, start_response)
        with self.app.app_context(), self.app.request_context(environ):
            view(environ["wsgi.websocket"], **values)
        return []


def _upgrade_required(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """RFC 9110, section 15.5.22: 426 names the protocol that would do."""
    response = Response("This address is a WebSocket.\n", 426, {"Upgrade": "websocket", "Connection": "Upgrade"})
    return response(environ, start_response)


class Sockets(flask_sockets.Sockets):  # type: ignore[misc]  # no types there
    """WebSocket routes beside a Flask app's own: `@sockets.route("/")` on a function of one WebSocket."""

    def init_app(self, app: Flask) -> None:
        """Puts the socket routes before the routes of `app`."""
        self.url_map.merge_slashes = False  # "//" is no route, and no redirect to one
        app.wsgi_app = _Middleware(app.wsgi_app, app, self)  # type: ignore[method-assign]
        app.extensions[EXTENSION] = self

    def add_url_rule(self, rule: str, _: str | None, f: Callable[..., Any], **options: Any) -> None:
        """`options` are those of werkzeug's Rule."""
        self.url_map.add(Rule(rule, endpoint=f, websocket=True, **options))

    def serves(self, environ: "WSGIEnvironment") -> bool:
        """Whether an upgrade of this request has a socket's route: otherwise it must not be accepted."""
        try:
            self.url_map.bind_to_environ(environ).match()
        except HTTPException:
            return False
        return True
