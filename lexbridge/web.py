"""The door: what Twilio and the load balancer ask for."""

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from werkzeug.datastructures import EnvironHeaders

from lexbridge.bridge import Bridge, WebSocket
from lexbridge.call import RESUMED_PARAMETER, TOKEN_PARAMETER
from lexbridge.call_log import CallLog
from lexbridge.config import Settings
from lexbridge.dialog import Message
from lexbridge.logs import Log
from lexbridge.signatures import Signatures, make_stream_token
from lexbridge.sockets import Sockets
from lexbridge.twiml import Document, Documents
from lexbridge.websocket import refused

BUSY = "Sorry, all lines are busy. Please call again later."

MAX_BODY_BYTES = 64 * 1024
"""A webhook's form is about 1 KB. Werkzeug takes 15 s and gigabytes over one of 64 MB."""

CALLER_NUMBER_PARAMETER = "lexbridge:caller-number"
CALLED_NUMBER_PARAMETER = "lexbridge:called-number"
DIRECTION_PARAMETER = "lexbridge:direction"

_STREAM_ERRORS = ("stream-error",)


def create_app(
    settings: Settings, documents: Documents, signatures: Signatures, bridge: Bridge, calls: CallLog
) -> Flask:
    """The Flask app with all routes, the media socket's among them."""
    app = Flask("lexbridge", template_folder=None, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # an address is ours or it is not: no redirects to strangers
    sockets = Sockets(app)
    signed = _signed(signatures)
    log = Log()

    @app.post("/twiml")
    @signed
    def answer() -> Response:
        """A call comes in."""
        if calls.refusal:
            log.warning("call-refused", call_sid=request.form.get("CallSid"), live_calls=calls.live_calls)
            return _xml(documents.goodbye([Message(BUSY)]))
        log.info("call-answered", call_sid=request.form.get("CallSid"))
        return _xml(documents.answer(settings.greeting, [*_call_facts(settings), _stream_token(settings)]))

    @app.post("/twiml/resume")
    @signed
    def resume() -> Response:
        """A document ran out: the stream is gone, or Twilio never got the update that should have come."""
        log.warning("call-resumed", call_sid=request.form.get("CallSid"))
        return _xml(documents.answer("", [(RESUMED_PARAMETER, "1"), _stream_token(settings)]))

    @app.post("/stream-status")
    @signed
    def stream_status() -> Response:
        """Twilio reports on a stream. It is the only way to learn why a handshake failed."""
        form = request.form
        level = "error" if form.get("StreamEvent") in _STREAM_ERRORS else "debug"
        reported = (
            ("CallSid", "call_sid"),
            ("StreamSid", "stream_sid"),
            ("StreamEvent", "what"),
            ("StreamError", "error"),
        )
        log.write(level, "stream-status", {ours: form[theirs][:200] for theirs, ours in reported if theirs in form})
        return Response(status=204)

    @app.get("/ping")
    def ping() -> Response:
        """The process is alive."""
        return jsonify(status="ok", live_calls=calls.live_calls)

    @app.get("/ready")
    def ready() -> tuple[Response, int]:
        """Whether a new call would be taken."""
        state = calls.refusal or "ready"
        return jsonify(status=state, live_calls=calls.live_calls), 200 if state == "ready" else 503

    @sockets.route("/")  # type: ignore[untyped-decorator]  # flask-sockets has no types
    def media(websocket: WebSocket) -> None:
        bridge.run(websocket)

    return app


def _xml(document: Document) -> Response:
    return Response(document.twiml, mimetype="text/xml")


def _call_facts(settings: Settings) -> list[tuple[str, str]]:
    """What the webhook knows of the call and the bot may want: `<Parameter>`s, and so session attributes."""
    # In a call that we placed, `To` is the person.
    is_outbound = request.form.get("Direction", "").startswith("outbound")
    called, caller = ("From", "To") if is_outbound else ("To", "From")
    facts = [(CALLED_NUMBER_PARAMETER, called), (DIRECTION_PARAMETER, "Direction")]
    if settings.share_caller_number:
        facts.append((CALLER_NUMBER_PARAMETER, caller))
    return [(name, request.form[field]) for name, field in facts if request.form.get(field)]


def _stream_token(settings: Settings) -> tuple[str, str]:
    """The `<Parameter>` without which no stream is served."""
    form = request.form
    sids = form.get("CallSid", ""), form.get("AccountSid", "")
    return TOKEN_PARAMETER, make_stream_token(settings.twilio_auth_token, *sids, now_s=time.time())


def make_admission(signatures: Signatures, calls: CallLog) -> Callable[[Mapping[str, Any]], tuple[str, str] | None]:
    """The rule by which a media socket is let in, before it is: None, or an HTTP status line and what to log."""

    def admit(environ: Mapping[str, Any]) -> tuple[str, str] | None:
        if not signatures.socket_passes(dict(EnvironHeaders(dict(environ)))):
            return "403 Forbidden", "unsigned"
        if calls.refusal:
            return "503 Service Unavailable", calls.refusal
        return None

    return admit


def _signed(signatures: Signatures) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """A decorator: 403 unless Twilio signed the request."""

    def decorate(view: Callable[[], Response]) -> Callable[[], Response]:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Response:
            query = request.query_string.decode("latin-1")
            path = request.path + (f"?{query}" if query else "")
            if not signatures.webhook_passes(path, request.form, dict(request.headers)):
                refused.count("unsigned webhook")
                abort(403)
            return view(*args, **kwargs)

        return checked

    return decorate
