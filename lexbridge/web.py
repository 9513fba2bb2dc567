"""The door: what Twilio and the load balancer ask for."""

import re
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import gevent
from flask import Flask, Response, abort, jsonify, request
from werkzeug.datastructures import EnvironHeaders

from lexbridge.bridge import Bridge, WebSocket
from lexbridge.call_control import CallControl
from lexbridge.call_log import CallLog
from lexbridge.config import Settings
from lexbridge.dialog import Message
from lexbridge.directives import CALLED_NUMBER_ATTRIBUTE, CALLER_NUMBER_ATTRIBUTE, DIRECTION_ATTRIBUTE
from lexbridge.errors import CallControlError, CallGone
from lexbridge.logs import Log
from lexbridge.signatures import Signatures, make_stream_token
from lexbridge.sockets import Sockets
from lexbridge.takeover import KEYED, KEYS_PARAMETER, LOST, RESUMED_PARAMETER, STREAMS_LOST_PARAMETER, TOKEN_PARAMETER
from lexbridge.twiml import Document, Documents, Opening, speaking_ms, stream_name, streams_lost
from lexbridge.websocket import refused

MAX_BODY_BYTES = 64 * 1024
"""A webhook's form is about 1 KB. Werkzeug takes 15 s and gigabytes over one of 64 MB."""

STREAM_ERROR = "stream-error"


MAX_STREAMS_LOST = 60
"""In a row, without a turn that was answered in between: then the call ends in words. Where no stream opens at all that
is after some thirty seconds."""

MAX_GATHERED_KEYS = 400
"""A `<Parameter>` has 500 characters, its name among them."""

WAITS_AFTER_LOST = 3
"""From so many on the caller is told to wait."""

RUN_OUT_COUNTS = 20
"""Lost streams that a whole document without any update counts for: it took most of a minute."""


def create_app(
    settings: Settings,
    documents: Documents,
    signatures: Signatures,
    bridge: Bridge,
    call_control: CallControl,
    calls: CallLog,
) -> Flask:
    """The Flask app with all routes, the media socket's among them."""
    app = Flask("lexbridge", template_folder=None, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = False  # an address is ours or it is not: no redirects to strangers
    sockets = Sockets(app)
    signed = _signed(signatures)
    webhooks = _Webhooks(settings, documents, call_control, calls)
    app.post("/twiml")(signed(webhooks.answer))
    app.post("/twiml/resume")(signed(webhooks.resume))
    app.post("/twiml/keys")(signed(webhooks.keys))
    app.post("/stream-status")(signed(webhooks.stream_status))

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
        """A media stream, to its end."""
        bridge.run(websocket)

    @app.after_request
    def let_go(response: Response) -> Response:
        """Who drains keeps no connection."""
        if calls.is_leaving:
            response.headers["Connection"] = "close"  # the load balancer's next request goes to somebody else
        return response

    return app


class _Webhooks:
    """What Twilio asks. Every answer comes from the request alone: any process can give it."""

    def __init__(self, settings: Settings, documents: Documents, call_control: CallControl, calls: CallLog) -> None:
        self._settings = settings
        self._documents = documents
        self._call_control = call_control
        self._calls = calls
        self._is_two_way = settings.reply_mode == "stream"

    def answer(self) -> Response:
        """A call comes in."""
        log = Log(call_sid=request.form.get("CallSid"))
        if refusal := self._calls.refusal:
            log.warning("call-refused", why=refusal, live_calls=self._calls.live_calls)
            return _xml(self._documents.goodbye([Message(self._settings.sentences.busy)]))
        log.info("call-answered")
        greeting = "" if self._settings.welcome == "bot" else self._settings.greeting
        opening = Opening(stream_name(0), [*_call_facts(self._settings), _stream_token(self._settings, greeting)])
        return _xml(self._documents.answer(greeting, opening))

    def resume(self) -> Response:
        """The call's stream is gone, or a document ran out because no update came: another stream goes on with it."""
        log = Log(call_sid=request.form.get("CallSid"))
        lost = _whole(request.args.get("lost"), 1)
        ran_out_after = request.args.get("after")
        log.warning("call-resumed", streams_lost=lost, ran_out=ran_out_after is not None)
        if lost > MAX_STREAMS_LOST:
            log.error("call-given-up", streams_lost=lost)
            return _xml(self._documents.goodbye([Message(self._settings.sentences.not_available)]))
        if ran_out_after is not None:
            # It may still be alive in another process, and would answer too.
            sids = request.form.get("AccountSid", ""), request.form.get("CallSid", "")
            gevent.spawn(self._stop_stream, *sids, ran_out_after, log)
        resumed = [(RESUMED_PARAMETER, LOST), (STREAMS_LOST_PARAMETER, str(lost)), _stream_token(self._settings)]
        resumed += _call_facts(self._settings)
        opening = Opening(stream_name(lost, ran_out_after or request.args.get("of", "")), resumed)
        waits = self._settings.sentences.one_moment if lost >= WAITS_AFTER_LOST else ""
        # Where the stream is connected its document goes on as soon as it is lost, and does not run out.
        more = 1 if self._is_two_way else RUN_OUT_COUNTS
        return _xml(self._documents.answer(waits, opening, lost + more))

    def keys(self) -> Response:
        """The caller has pressed keys while a document gathered them: another stream takes them to the bot."""
        log = Log(call_sid=request.form.get("CallSid"))
        keys, of = request.form.get("Digits", "")[:MAX_GATHERED_KEYS], request.args.get("of", "")
        log.info("keys-gathered", keys=len(keys))
        if not keys:
            return _xml(self._documents.reply([], of))
        keyed = [(RESUMED_PARAMETER, KEYED), (KEYS_PARAMETER, keys), _stream_token(self._settings)]
        opening = Opening(
            stream_name(0, f"{of}-{time.time_ns() // 1_000_000 % 10**8}"), keyed + _call_facts(self._settings)
        )
        return _xml(self._documents.reply([], of, opening))

    def stream_status(self) -> Response:
        """Twilio reports on a stream. A call whose stream is lost goes on with another one at once."""
        form = request.form
        call_sid, stream_sid = form.get("CallSid", ""), form.get("StreamSid", "")
        is_lost = form.get("StreamEvent") == STREAM_ERROR
        log = Log(call_sid=call_sid, stream_sid=stream_sid)
        reported = (("StreamEvent", "what"), ("StreamError", "error"))
        fields = {ours: form[theirs][:200] for theirs, ours in reported if theirs in form}
        log.write("error" if is_lost else "debug", "stream-status", fields)
        if is_lost and self._calls.lost(call_sid, stream_sid) and not self._is_two_way:
            # Before the answer: if this process dies meanwhile, Twilio asks another.
            document = self._documents.recover(streams_lost(form.get("StreamName", "")) + 1, stream_sid)
            try:
                self._call_control.update(form.get("AccountSid", ""), call_sid, document.twiml, log)
            except CallGone:
                log.info("call-gone")
            except CallControlError as error:
                log.error("call-update-failed", error=str(error))  # it goes on when its document runs out
        return Response(status=204)

    def _stop_stream(self, account_sid: str, call_sid: str, stream: str, log: Log) -> None:
        """A greenlet. Raises nothing: nobody would hear of it."""
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
        except Exception:
            log.bug("stream-stop-broken")


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,4}", text) else default


def _xml(document: Document) -> Response:
    return Response(document.twiml, mimetype="text/xml")


def _call_facts(settings: Settings) -> list[tuple[str, str]]:
    """What the webhook knows of the call and the bot may want: `<Parameter>`s, and so session attributes."""
    # In a call that we placed, `To` is the person.
    is_outbound = request.form.get("Direction", "").startswith("outbound")
    called, caller = ("From", "To") if is_outbound else ("To", "From")
    facts = [(CALLED_NUMBER_ATTRIBUTE, called), (DIRECTION_ATTRIBUTE, "Direction")]
    if settings.share_caller_number:
        facts.append((CALLER_NUMBER_ATTRIBUTE, caller))
    return [(name, request.form[field]) for name, field in facts if request.form.get(field)]


def _stream_token(settings: Settings, spoken: str = "") -> tuple[str, str]:
    """The `<Parameter>` without which no stream is served. `spoken`: what the document says before it opens it."""
    form = request.form
    sids = form.get("CallSid", ""), form.get("AccountSid", "")
    spoken_s = speaking_ms(spoken) / 1000
    return TOKEN_PARAMETER, make_stream_token(settings.twilio_auth_token, *sids, time.time(), spoken_s)


def make_admission(signatures: Signatures, calls: CallLog) -> Callable[[Mapping[str, Any]], tuple[str, str] | None]:
    """The rule by which a media socket is let in, before it is: None, or an HTTP status line and what to log."""

    def admit(environ: Mapping[str, Any]) -> tuple[str, str] | None:
        if not signatures.socket_passes(dict(EnvironHeaders(dict(environ)))):
            return "403 Forbidden", "unsigned"
        if refusal := calls.stream_refusal:
            return "503 Service Unavailable", refusal
        return None

    return admit


def _signed(signatures: Signatures) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """A decorator: 403 unless Twilio signed the request."""

    def decorate(view: Callable[[], Response]) -> Callable[[], Response]:
        """`view` for Twilio alone."""

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
