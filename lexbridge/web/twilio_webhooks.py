"""Twilio's webhooks: what Twilio asks during a call, and the documents that answer it.

Every answer is made from the request alone, so any process of the service can give it.
"""

import re
import secrets
import time
from collections.abc import Mapping

import gevent
from flask import Response, request

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import KEYS
from lexbridge.bridge.live_calls import CallRegistry
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
from lexbridge.config.parsers import parse_whole
from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError, CallGone
from lexbridge.lex.model import Message
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.telemetry.numbers import masked
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.stream_token import make_stream_token
from lexbridge.twilio.twiml import TwimlDocuments, stream_name, streams_lost
from lexbridge.web.auth import VERIFIED_FORM

STREAM_ERROR = "stream-error"
"""Value of Twilio's field StreamEvent for a stream that has failed."""

MAX_STREAMS_LOST = 60
"""Streams that a call may lose in a row, without an answered turn in between, before it is ended in words.

If no stream opens at all, that takes some thirty seconds.
"""

MAX_GATHERED_KEYS = 400
"""Keys that are passed on to the next stream, because a `<Parameter>` has 500 characters, its name among them."""

WAITS_AFTER_LOST = 3
"""Streams lost in a row from which on the caller is asked to wait."""

LASTED_MS = 2000
"""Age at which a lost bidirectional stream starts the count of lost streams anew, in milliseconds.

A turn may have been answered over it. The document cannot tell, because a turn does not update it.
"""

OPENED_MS = 500
"""Age from which on a lost stream is taken to have opened, in milliseconds.

Its caller was heard, and is heard again sooner if nothing is said before the next stream opens.
"""

RUN_OUT_COUNTS = 20
"""Lost streams for which a document that has run out counts, because that took most of a minute."""


_telling_faults = RateLimitedLog("telling-fault")


class TwilioWebhooks:
    """The Flask views of Twilio's webhooks."""

    def __init__(
        self,
        settings: Settings,
        documents: TwimlDocuments,
        call_control: CallControl,
        calls: CallRegistry,
        teller: Teller | None = None,
    ) -> None:
        """`teller`: tells of new calls, or None if nobody watches them."""
        self._teller = teller
        self._settings = settings
        self._documents = documents
        self._call_control = call_control
        self._calls = calls
        self._is_two_way = settings.reply_mode == "stream"
        self._has_limits = settings.max_call_s is not None or settings.max_turns is not None

    def answer(self) -> Response:
        """Answer an incoming call: greet the caller and open a stream, or say that all lines are busy."""
        log = Log(call_sid=_form().get("CallSid"))
        if refusal := self._calls.admission.refusal:
            log.warning("call-refused", why=refusal, live_calls=self._calls.live_calls)
            return _xml(self._documents.goodbye([Message(self._settings.phrases.busy)]))
        log.info("call-answered")
        self._tell_of_call()
        greeting = "" if self._settings.welcome == "bot" else self._settings.greeting
        notice = self._settings.notice
        progress = CallProgress(round(time.time())) if self._has_limits else CallProgress()
        parameters = [
            *_call_facts(self._settings),
            _stream_token(self._settings, notice + greeting),
            *self._progress_parameters(progress, greeting, notice),
        ]
        opening = Opening(stream_name(0), parameters)
        return _xml(self._documents.answer(greeting, opening, query=progress.query, notice=notice))

    def _tell_of_call(self) -> None:
        if self._teller is not None:
            form = _form()
            fields = {"caller": masked(form.get("From")), "called": masked(form.get("To"))}
            try:
                self._teller.tell("call-described", fields, call_sid=form.get("CallSid", ""))
            except Exception as error:  # a bug of those who watch must not keep the call from being answered
                _telling_faults.count("webhook", {"error": type(error).__name__})

    def resume(self) -> Response:
        """Open another stream for a call whose stream was lost, or whose document ran out without an update."""
        log = Log(call_sid=_form().get("CallSid"))
        ran_out_after = _stream_argument("after") or None
        if request.args.get("silent") and self._was_heard(ran_out_after):
            return self._end_silent_call(log)
        lost = parse_whole(request.args.get("lost"), 0, 9999)
        age_ms = _age_ms(request.args.get("opens"))
        if lost is None or age_ms >= LASTED_MS:
            lost = 1
        log.warning("call-resumed", streams_lost=lost, ran_out=ran_out_after is not None)
        if lost > MAX_STREAMS_LOST:
            log.error("call-given-up", streams_lost=lost)
            return _xml(self._documents.goodbye([Message(self._settings.phrases.not_available)]))
        if ran_out_after is not None:
            # The stream may still be alive in another process, which would then answer the caller, too.
            sids = _form().get("AccountSid", ""), _form().get("CallSid", "")
            self._calls.note_reason(sids[1], "document ran out")
            gevent.spawn(self._stop_stream, *sids, ran_out_after, log)
        is_asked_to_wait = lost >= WAITS_AFTER_LOST and age_ms < OPENED_MS
        spoken = self._settings.phrases.one_moment if is_asked_to_wait else ""
        parameters = [(RESUMED_PARAMETER, LOST), (STREAMS_LOST_PARAMETER, str(lost)), _stream_token(self._settings)]
        progress = self._progress()
        parameters += [*_call_facts(self._settings), *self._progress_parameters(progress, spoken)]
        opening = Opening(stream_name(lost, ran_out_after or _stream_argument("of")), parameters)
        # A document with <Connect> goes on as soon as the stream is lost, so it does not run out.
        more = 1 if self._is_two_way else RUN_OUT_COUNTS
        opens_ms = round(time.time() * 1000) + speaking_ms(spoken)
        return _xml(self._documents.answer(spoken, opening, lost + more, opens_ms, progress.query))

    def _was_heard(self, stream: str | None) -> bool:
        """Return whether a silent caller would have been heard: their stream is alive, here or in another process.

        A stream of another process is stopped, which shows whether it was alive. If Twilio does not answer, the caller
        is taken not to have been heard.
        """
        call_sid, account_sid = _form().get("CallSid", ""), _form().get("AccountSid", "")
        if stream is None or self._calls.is_live(call_sid):
            return True
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError:
            return False
        return True

    def _end_silent_call(self, log: Log) -> Response:
        """Say goodbye to a caller whom a document that asks for keys has asked as often as it may."""
        log.info("silent-caller-left")
        phrases, voice = self._settings.phrases, request.args.get("voice")
        return _xml(self._documents.goodbye([Message(f"{phrases.not_heard} {phrases.goodbye}")], voice))

    def keys(self) -> Response:
        """Open another stream, which takes the keys that a `<Gather>` has collected to the bot.

        Twilio may report an end character alone. It counts as input where the document has asked for keys.
        """
        log = Log(call_sid=_form().get("CallSid"))
        keys, stream = _form().get("Digits", "")[:MAX_GATHERED_KEYS], _stream_argument("of")
        log.info("keys-gathered", keys=len(keys))
        progress = self._progress()
        if not keys and not request.args.get("asks"):
            return _xml(self._documents.reply([], stream, query=progress.query))
        self._calls.note_reason(_form().get("CallSid", ""), KEYS)  # before the document stops the stream
        parameters = [(RESUMED_PARAMETER, KEYED), (KEYS_PARAMETER, keys), _stream_token(self._settings)]
        parameters += [*_call_facts(self._settings), *self._progress_parameters(progress)]
        opening = Opening(stream_name(0, f"{stream}-{time.time_ns() // 1_000_000 % 10**8}"), parameters)
        return _xml(self._documents.reply([], stream, opening, query=progress.query))

    def stream_status(self) -> Response:
        """Log Twilio's report on a stream. If the stream is lost, update the call to open another one at once."""
        form = _form()
        call_sid, stream_sid = form.get("CallSid", ""), form.get("StreamSid", "")
        is_lost = form.get("StreamEvent") == STREAM_ERROR
        log = Log(call_sid=call_sid, stream_sid=stream_sid)
        log_fields = (("StreamEvent", "what"), ("StreamError", "error"))
        fields = {name: form[field][:200] for field, name in log_fields if field in form}
        log.write("error" if is_lost else "debug", "stream-status", fields)
        if is_lost and self._calls.stream_lost(call_sid, stream_sid) and not self._is_two_way:
            # Before the answer: if this process dies meanwhile, Twilio asks another one.
            lost = streams_lost(form.get("StreamName", "")) + 1
            document = self._documents.recover(lost, stream_sid, self._progress().query)
            try:
                self._call_control.update(form.get("AccountSid", ""), call_sid, document.twiml, log)
            except CallGone:
                log.info("call-gone")
            except CallControlError as error:
                # The call goes on when its document runs out.
                log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
        return Response(status=204)

    def _progress(self) -> CallProgress:
        """Return how far the call has come, as the address of this webhook tells."""
        if not self._has_limits:
            return CallProgress()
        return CallProgress.parse(request.args.get("began"), request.args.get("turns"))

    def _progress_parameters(self, progress: CallProgress, spoken: str = "", notice: str = "") -> list[tuple[str, str]]:
        """Return `progress` as a stream's parameters.

        `spoken`: what the document says before a two-way stream opens; `notice`: before that, and before any stream.
        """
        spoken_s = speaking_ms(notice + (spoken if self._is_two_way else "")) / 1000
        return progress.parameters(max(0, time.time() - (progress.began_s or 0)) + spoken_s)

    def _stop_stream(self, account_sid: str, call_sid: str, stream: str, log: Log) -> None:
        """Stop a stream, in a greenlet of its own. Log every error: nothing else would notice it."""
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
        except Exception:
            log.exception("stream-stop-broken")


def _form() -> Mapping[str, str]:
    """Return the fields of this webhook whose signature was checked."""
    form: Mapping[str, str] = request.environ[VERIFIED_FORM]
    return form


def _stream_argument(name: str) -> str:
    """Return the stream's name or SID that stands in this webhook's address under `name`, or "" if none does."""
    stream = request.args.get(name, "")
    return stream if re.fullmatch("[A-Za-z0-9_.-]{1,256}", stream) else ""


def _age_ms(opened_ms: str | None) -> int:
    """Return how long ago a stream opened, in milliseconds, or 0 if that is not known.

    `opened_ms`: Unix time in milliseconds, as this service wrote it into the address.
    """
    if not opened_ms or not re.fullmatch("[0-9]{13}", opened_ms):
        return 0
    return max(0, round(time.time() * 1000) - int(opened_ms))


def _xml(document: Document) -> Response:
    return Response(document.twiml, mimetype="text/xml")


def _call_facts(settings: Settings) -> list[tuple[str, str]]:
    """Return what the webhook tells about the call and a bot may use: `<Parameter>`s that become session attributes."""
    # In a call that this service's operator has placed, `To` is the person.
    is_outbound = _form().get("Direction", "").startswith("outbound")
    called, caller = ("From", "To") if is_outbound else ("To", "From")
    facts = [(CALLED_NUMBER_ATTRIBUTE, called), (DIRECTION_ATTRIBUTE, "Direction")]
    if settings.share_caller_number:
        facts.append((CALLER_NUMBER_ATTRIBUTE, caller))
    return [(name, _form()[field]) for name, field in facts if _form().get(field)]


def _stream_token(settings: Settings, spoken: str = "") -> tuple[str, str]:
    """Return the `<Parameter>` without which no stream is served.

    `spoken`: what the document says before the stream opens; the token is valid for that much longer.
    """
    form = _form()
    sids = form.get("CallSid", ""), form.get("AccountSid", "")
    spoken_s = speaking_ms(spoken) / 1000
    nonce = secrets.token_hex(8)
    return TOKEN_PARAMETER, make_stream_token(settings.twilio_auth_token, *sids, time.time(), spoken_s, nonce)
