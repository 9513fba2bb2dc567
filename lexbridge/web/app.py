"""The Flask app: every route of the service."""

from collections.abc import Callable, Mapping

from flask import Flask, Response, jsonify, request

from lexbridge.bridge.bridge import Bridge
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.lines import LineRuntimes
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
from lexbridge.web.answer_webhook import AnswerWebhook
from lexbridge.web.auth import WEBHOOK_METHODS, signed_by_twilio
from lexbridge.web.call_routing import CallRouting
from lexbridge.web.health import answer_probe
from lexbridge.web.machine_webhooks import MachineWebhooks
from lexbridge.web.next_stream_webhooks import NextStreamWebhooks
from lexbridge.web.release_webhooks import ReleaseWebhooks, taken_back, unless_released
from lexbridge.web.route_hook import RouteHook
from lexbridge.web.stream_status_webhook import StreamStatusWebhook
from lexbridge.web.transfer_webhooks import TransferWebhooks


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
    views = _webhook_views(settings, bridge.lines, call_control, calls, teller, hook)
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


def _webhook_views(
    settings: Settings,
    lines: LineRuntimes,
    call_control: CallControl,
    calls: CallRegistry,
    teller: Teller | None,
    hook: RouteHook | None,
) -> Mapping[str, Callable[[], Response]]:
    """Return the view of each path that Twilio asks for."""
    routing = CallRouting(lines, hook)
    machines = MachineWebhooks(settings, lines, call_control, calls)
    answer = AnswerWebhook(settings, lines, routing, machines, calls, teller).answer
    next_stream = NextStreamWebhooks(settings, lines, routing, call_control, calls)
    transfers = TransferWebhooks(settings, lines)
    return {
        ANSWER_PATH: answer,
        f"{ANSWER_PATH}/": answer,
        RESUME_PATH: next_stream.resume,
        KEYS_PATH: next_stream.keys,
        TRANSFERRED_PATH: transfers.transferred,
        WHISPER_PATH: transfers.whisper,
        ANSWERED_BY_PATH: machines.answered_by,
        STREAM_STATUS_PATH: StreamStatusWebhook(settings, lines, call_control, calls).stream_status,
    }
