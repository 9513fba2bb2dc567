"""The Flask app: every route of the service."""

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request

from lexbridge.bridge.bridge import Bridge
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.config.settings import Settings
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_request import MAX_BODY_BYTES
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.routes import (
    ANSWER_PATH,
    ANSWERED_BY_PATH,
    KEYS_PATH,
    PING_PATH,
    READY_PATH,
    RELEASE_RULE,
    RESUME_PATH,
    SOCKET_PATH,
    STREAM_STATUS_PATH,
    TRANSFERRED_PATH,
    WHISPER_PATH,
)
from lexbridge.twilio.signatures import Signatures
from lexbridge.web.auth import WEBHOOK_METHODS, signed_by_twilio
from lexbridge.web.health import answer_probe
from lexbridge.web.release_webhooks import ReleaseWebhooks, taken_back, unless_released
from lexbridge.web.route_hook import RouteHook
from lexbridge.web.transfer_webhooks import TransferWebhooks
from lexbridge.web.twilio_webhooks import TwilioWebhooks


def create_app(
    settings: Settings,
    signatures: Signatures,
    bridge: Bridge,
    call_control: CallControl,
    calls: CallRegistry,
    teller: Teller | None = None,
    hook: RouteHook | None = None,
) -> Flask:
    """Return the Flask app with all routes: Twilio's webhooks, the health checks and the media socket.

    `teller`: tells of new calls, or None if nobody watches them. `hook`: the routing hook, or None if there is none.
    """
    app = Flask("lexbridge", template_folder=None, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # else Flask would redirect "//" to the host that a stranger has named
    sockets = Sockets(app)
    webhooks = TwilioWebhooks(settings, bridge.lines, call_control, calls, teller, hook)
    views = _webhook_views(webhooks, TransferWebhooks(settings, bridge.lines))
    _add_webhooks(app, signed_by_twilio(signatures), views, calls)

    @app.get(PING_PATH)
    @app.get(READY_PATH)
    def health_check() -> Response:
        """Answer a health check, if the server in front has not answered it already."""
        answer = answer_probe(request.path, calls)
        if answer is None:
            raise AssertionError(f"{request.path} is no health check")
        status, state = answer
        response = jsonify(state)
        response.status = status
        return response

    @sockets.route(SOCKET_PATH)  # type: ignore[untyped-decorator]  # flask-sockets has no types
    def media(websocket: WebSocket) -> None:
        """Begin to serve a media stream, which goes on without this request."""
        bridge.serve(websocket)

    @app.after_request
    def close_while_draining(response: Response) -> Response:
        """Close keep-alive connections while draining, so that the load balancer's next request goes elsewhere."""
        if calls.is_leaving:
            response.headers["Connection"] = "close"
        return response

    return app


def _add_webhooks(
    app: Flask,
    signed: Callable[[Callable[[], Response]], Callable[[], Response]],
    views: Mapping[str, Callable[[], Response]],
    calls: CallRegistry,
) -> None:
    """Add the routes of Twilio's webhooks, and the one that lets a call go. `signed` makes a view check signatures."""
    for rule, view in views.items():
        is_first = rule.rstrip("/") == ANSWER_PATH
        kept = taken_back(calls.released, view) if is_first else unless_released(calls.released, view)
        app.add_url_rule(rule, rule, signed(kept), methods=WEBHOOK_METHODS)
    release = signed(ReleaseWebhooks(calls).release)
    app.add_url_rule(RELEASE_RULE, RELEASE_RULE, lambda **_: release(), methods=["POST"])


def _webhook_views(webhooks: TwilioWebhooks, transfers: TransferWebhooks) -> Mapping[str, Callable[[], Response]]:
    """Return the view of each path that Twilio asks for."""
    return {
        ANSWER_PATH: webhooks.answer,
        f"{ANSWER_PATH}/": webhooks.answer,
        RESUME_PATH: webhooks.resume,
        KEYS_PATH: webhooks.keys,
        TRANSFERRED_PATH: transfers.transferred,
        WHISPER_PATH: transfers.whisper,
        ANSWERED_BY_PATH: webhooks.answered_by,
        STREAM_STATUS_PATH: webhooks.stream_status,
    }
