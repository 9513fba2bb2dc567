"""The door: what Twilio and the load balancer ask for."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import gevent
from flask import Flask, Response, abort, jsonify, request

from lexbridge.bridge.call_story import KEYS
from lexbridge.bridge.live_call import Bridge, WebSocket
from lexbridge.bridge.live_calls import CallLog
from lexbridge.call.attributes import CALLED_NUMBER_ATTRIBUTE, CALLER_NUMBER_ATTRIBUTE, DIRECTION_ATTRIBUTE
from lexbridge.call.documents import Document, Opening, speaking_ms
from lexbridge.call.stream_parameters import (
    KEYED,
    KEYS_PARAMETER,
    LOST,
    RESUMED_PARAMETER,
    STREAMS_LOST_PARAMETER,
    TOKEN_PARAMETER,
    CallProgress,
)
from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError, CallGone
from lexbridge.lex.model import Message
from lexbridge.logs import Log
from lexbridge.net.flask_sockets_compat import Sockets
from lexbridge.net.http_request import MAX_BODY_BYTES
from lexbridge.twilio.refusals import SOCKET_PATH
from lexbridge.twilio.rest import CallControl
from lexbridge.twilio.signatures import Signatures, make_stream_token
from lexbridge.twilio.twiml import Documents, stream_name, streams_lost
from lexbridge.web.admission import VERIFIED_FORM, WEBHOOK_METHODS, WebhookRefused, probe, verified_form

STREAM_ERROR = "stream-error"


MAX_STREAMS_LOST = 60
"""In a row, without a turn that was answered in between: then the call ends in words. Where no stream opens at all that
is after some thirty seconds."""

MAX_GATHERED_KEYS = 400
"""A `<Parameter>` has 500 characters, its name among them."""

WAITS_AFTER_LOST = 3
"""From so many on the caller is told to wait."""

LASTED_MS = 2000
"""A turn may have been answered over a bidirectional stream that lasted so long: those lost before are not in a row
with it. No document tells, for no update followed."""

OPENED_MS = 500
"""One that lasted so long did open, and the caller was heard. They are again the sooner if nothing is said before the
next one opens."""

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
    # A number may be set to GET, and what is redirected on its way is asked for by GET.
    for rule, view in (
        ("/twiml", webhooks.answer),
        ("/twiml/", webhooks.answer),
        ("/twiml/resume", webhooks.resume),
        ("/twiml/keys", webhooks.keys),
        ("/stream-status", webhooks.stream_status),
    ):
        app.add_url_rule(rule, rule, signed(view), methods=WEBHOOK_METHODS)

    @app.get("/ping")
    @app.get("/ready")
    def probed() -> Response:
        """Answers a probe, where the server has not done so already."""
        told = probe(request.path, calls)
        if told is None:
            raise AssertionError(f"{request.path} is no probe")
        status, state = told
        response = jsonify(state)
        response.status = status
        return response

    @sockets.route(SOCKET_PATH)  # type: ignore[untyped-decorator]  # flask-sockets has no types
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
        self._counts = settings.max_call_s is not None or settings.max_turns is not None

    def answer(self) -> Response:
        """A call comes in."""
        log = Log(call_sid=_form().get("CallSid"))
        if refusal := self._calls.refusal:
            log.warning("call-refused", why=refusal, live_calls=self._calls.live_calls)
            return _xml(self._documents.goodbye([Message(self._settings.phrases.busy)]))
        log.info("call-answered")
        greeting = "" if self._settings.welcome == "bot" else self._settings.greeting
        progress = CallProgress(round(time.time())) if self._counts else CallProgress()
        told = [
            *_call_facts(self._settings),
            _stream_token(self._settings, greeting),
            *self._counted(progress, greeting),
        ]
        return _xml(self._documents.answer(greeting, Opening(stream_name(0), told), query=progress.query))

    def resume(self) -> Response:
        """The call's stream is gone, or a document ran out because no update came: another stream goes on with it."""
        log = Log(call_sid=_form().get("CallSid"))
        ran_out_after = _named("after") or None
        if request.args.get("silent") and self._is_heard(ran_out_after):
            return self._leave_silent_caller(log)
        lost = _whole(request.args.get("lost"), 1)
        lasted_ms = _lasted_ms(request.args.get("opens"))
        if lasted_ms >= LASTED_MS:
            lost = 1
        log.warning("call-resumed", streams_lost=lost, ran_out=ran_out_after is not None)
        if lost > MAX_STREAMS_LOST:
            log.error("call-given-up", streams_lost=lost)
            return _xml(self._documents.goodbye([Message(self._settings.phrases.not_available)]))
        if ran_out_after is not None:
            # It may still be alive in another process, and would answer too.
            sids = _form().get("AccountSid", ""), _form().get("CallSid", "")
            self._calls.leaves(sids[1], "document ran out")
            gevent.spawn(self._stop_stream, *sids, ran_out_after, log)
        is_told = lost >= WAITS_AFTER_LOST and lasted_ms < OPENED_MS
        waits = self._settings.phrases.one_moment if is_told else ""
        resumed = [(RESUMED_PARAMETER, LOST), (STREAMS_LOST_PARAMETER, str(lost)), _stream_token(self._settings)]
        progress = self._progress()
        resumed += [*_call_facts(self._settings), *self._counted(progress, waits)]
        opening = Opening(stream_name(lost, ran_out_after or _named("of")), resumed)
        # Where the stream is connected its document goes on as soon as it is lost, and does not run out.
        more = 1 if self._is_two_way else RUN_OUT_COUNTS
        opens_ms = round(time.time() * 1000) + speaking_ms(waits)
        return _xml(self._documents.answer(waits, opening, lost + more, opens_ms, progress.query))

    def _is_heard(self, stream: str | None) -> bool:
        """Whether somebody would have heard the caller speak: their `stream` is alive, here or in another process. That
        one is stopped. Where Twilio does not tell, nobody is taken to have heard them."""
        call_sid, account_sid = _form().get("CallSid", ""), _form().get("AccountSid", "")
        if stream is None or self._calls.is_live(call_sid):
            return True
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError:
            return False
        return True

    def _leave_silent_caller(self, log: Log) -> Response:
        """A document that asks for keys has asked again by itself, as often as it may."""
        log.info("silent-caller-left")
        phrases, voice = self._settings.phrases, request.args.get("voice")
        return _xml(self._documents.goodbye([Message(f"{phrases.not_heard} {phrases.goodbye}")], voice))

    def keys(self) -> Response:
        """The caller has pressed keys while a document gathered them: another stream takes them to the bot. So does
        one after a lone end character, should Twilio tell of it, where the document asked for keys."""
        log = Log(call_sid=_form().get("CallSid"))
        keys, of = _form().get("Digits", "")[:MAX_GATHERED_KEYS], _named("of")
        log.info("keys-gathered", keys=len(keys))
        progress = self._progress()
        if not keys and not request.args.get("asks"):
            return _xml(self._documents.reply([], of, query=progress.query))
        self._calls.leaves(_form().get("CallSid", ""), KEYS)  # before the document stops it
        keyed = [(RESUMED_PARAMETER, KEYED), (KEYS_PARAMETER, keys), _stream_token(self._settings)]
        keyed += [*_call_facts(self._settings), *self._counted(progress)]
        opening = Opening(stream_name(0, f"{of}-{time.time_ns() // 1_000_000 % 10**8}"), keyed)
        return _xml(self._documents.reply([], of, opening, query=progress.query))

    def stream_status(self) -> Response:
        """Twilio reports on a stream. A call whose stream is lost goes on with another one at once."""
        form = _form()
        call_sid, stream_sid = form.get("CallSid", ""), form.get("StreamSid", "")
        is_lost = form.get("StreamEvent") == STREAM_ERROR
        log = Log(call_sid=call_sid, stream_sid=stream_sid)
        reported = (("StreamEvent", "what"), ("StreamError", "error"))
        fields = {ours: form[theirs][:200] for theirs, ours in reported if theirs in form}
        log.write("error" if is_lost else "debug", "stream-status", fields)
        if is_lost and self._calls.lost(call_sid, stream_sid) and not self._is_two_way:
            # Before the answer: if this process dies meanwhile, Twilio asks another.
            lost = streams_lost(form.get("StreamName", "")) + 1
            document = self._documents.recover(lost, stream_sid, self._progress().query)
            try:
                self._call_control.update(form.get("AccountSid", ""), call_sid, document.twiml, log)
            except CallGone:
                log.info("call-gone")
            except CallControlError as error:
                # It goes on when its document runs out.
                log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
        return Response(status=204)

    def _progress(self) -> CallProgress:
        """How far the call has come, as the document knew that Twilio asks from."""
        return (
            CallProgress.parse(request.args.get("began"), request.args.get("turns")) if self._counts else CallProgress()
        )

    def _counted(self, progress: CallProgress, spoken: str = "") -> list[tuple[str, str]]:
        """The same for a stream. `spoken`: what a document says before it connects it."""
        spoken_s = speaking_ms(spoken) / 1000 if self._is_two_way else 0
        return progress.parameters(max(0, time.time() - (progress.began_s or 0)) + spoken_s)

    def _stop_stream(self, account_sid: str, call_sid: str, stream: str, log: Log) -> None:
        """A greenlet. Raises nothing: nobody would hear of it."""
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
        except Exception:
            log.exception("stream-stop-broken")


def _form() -> Mapping[str, str]:
    """The fields of the webhook that is answered: just those whose signature was checked."""
    form: Mapping[str, str] = request.environ[VERIFIED_FORM]
    return form


def _named(argument: str) -> str:
    """A stream's name or SID in the address of the webhook; "" where there is none."""
    name = request.args.get(argument, "")
    return name if re.fullmatch("[A-Za-z0-9_.-]{1,256}", name) else ""


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,4}", text) else default


def _lasted_ms(opened_ms: str | None) -> int:
    """How long a stream has lasted that opened then, Unix time as we wrote it; 0 if it is not known."""
    if not opened_ms or not re.fullmatch("[0-9]{13}", opened_ms):
        return 0
    return max(0, round(time.time() * 1000) - int(opened_ms))


def _xml(document: Document) -> Response:
    return Response(document.twiml, mimetype="text/xml")


def _call_facts(settings: Settings) -> list[tuple[str, str]]:
    """What the webhook knows of the call and the bot may want: `<Parameter>`s, and so session attributes."""
    # In a call that we placed, `To` is the person.
    is_outbound = _form().get("Direction", "").startswith("outbound")
    called, caller = ("From", "To") if is_outbound else ("To", "From")
    facts = [(CALLED_NUMBER_ATTRIBUTE, called), (DIRECTION_ATTRIBUTE, "Direction")]
    if settings.share_caller_number:
        facts.append((CALLER_NUMBER_ATTRIBUTE, caller))
    return [(name, _form()[field]) for name, field in facts if _form().get(field)]


def _stream_token(settings: Settings, spoken: str = "") -> tuple[str, str]:
    """The `<Parameter>` without which no stream is served. `spoken`: what the document says before it opens it."""
    form = _form()
    sids = form.get("CallSid", ""), form.get("AccountSid", "")
    spoken_s = speaking_ms(spoken) / 1000
    nonce = secrets.token_hex(8)
    return TOKEN_PARAMETER, make_stream_token(settings.twilio_auth_token, *sids, time.time(), spoken_s, nonce)


def _signed(signatures: Signatures) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    """A decorator: 403 unless Twilio signed the request."""

    def decorate(view: Callable[[], Response]) -> Callable[[], Response]:
        """`view` for Twilio alone."""

        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Response:
            if request.method not in WEBHOOK_METHODS:  # Flask lets a HEAD go where a GET may
                abort(405)
            if VERIFIED_FORM not in request.environ:  # the server in front has not checked it
                query = request.query_string.decode("latin-1")
                target = request.path + (f"?{query}" if query else "")
                headers = {name.lower(): value for name, value in request.headers.items()}
                try:
                    if not signatures.may_be_signed(headers):
                        abort(403)  # before its body is read
                    form = verified_form(signatures, request.method, target, headers, request.get_data())
                    request.environ[VERIFIED_FORM] = form
                except WebhookRefused as error:
                    abort(int(error.refusal.status[:3]))
            return view(*args, **kwargs)

        return checked

    return decorate
