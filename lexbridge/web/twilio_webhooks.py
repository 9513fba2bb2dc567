"""Twilio's webhooks: what Twilio asks during a call, and the documents that answer it.

Every answer is made from the request alone, so any process of the service can give it.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import replace

import gevent
from flask import Response, request

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import KEYS
from lexbridge.bridge.lines import NO_LINE_WORDS, LineRuntime, LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.switch_greeting import greeting_after_switch
from lexbridge.call.after import Outcome
from lexbridge.call.documents import Opening, Query, speaking_ms
from lexbridge.call.stream_parameters import (
    CALLEE_HAS_SPOKEN,
    CALLEE_IS_AWAITED,
    GREETING_PARAMETER,
    HOOK_PARAMETER,
    HOOK_QUERY,
    KEYED,
    KEYS_PARAMETER,
    LOST,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    STREAMS_LOST_PARAMETER,
    SWITCHED,
    CallProgress,
)
from lexbridge.config.parsers import parse_whole
from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError, CallGone
from lexbridge.lex.model import Message
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.telemetry.numbers import masked
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.stream_names import stream_name, streams_lost
from lexbridge.web.call_routing import CallRouting
from lexbridge.web.hook_answer import CallRefusal
from lexbridge.web.kept_query import first_query, kept_parameters, kept_query
from lexbridge.web.last_document import last_document
from lexbridge.web.machine_webhooks import MachineWebhooks
from lexbridge.web.route_hook import RouteHook
from lexbridge.web.webhook_views import WebhookViews
from lexbridge.web.webhook_views import call_facts as _call_facts
from lexbridge.web.webhook_views import form as _form
from lexbridge.web.webhook_views import has_limits as _has_limits
from lexbridge.web.webhook_views import incoming_call as _incoming_call
from lexbridge.web.webhook_views import log_of as _log_of
from lexbridge.web.webhook_views import progress as _progress
from lexbridge.web.webhook_views import progress_parameters as _progress_parameters
from lexbridge.web.webhook_views import xml as _xml

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


class TwilioWebhooks(WebhookViews):
    """The Flask views of Twilio's webhooks."""

    def __init__(
        self,
        settings: Settings,
        lines: LineRuntimes,
        call_control: CallControl,
        calls: CallRegistry,
        teller: Teller | None = None,
        hook: RouteHook | None = None,
    ) -> None:
        """`teller`: tells of new calls, or None if nobody watches them. `hook`: the routing hook, if there is one."""
        super().__init__(settings, lines)
        self._teller = teller
        self._routing = CallRouting(lines, hook)
        self._call_control = call_control
        self._calls = calls
        self._machines = MachineWebhooks(settings, lines, call_control, calls)

    def answer(self) -> Response:
        """Answer an incoming call: greet the caller and open a stream, or say why not."""
        log = Log(call_sid=_form().get("CallSid"))
        routed = self._routing.route(_incoming_call(), log, asks_hook=self._calls.admission.refusal is None)
        line = routed.line
        if routed.refusal is not None:
            return self._refuse(routed.refusal, line, log)
        if line is None:
            log.warning("call-refused", why="no line", live_calls=self._calls.live_calls)
            return _xml(self._refusal.goodbye([NO_LINE_WORDS]))
        log = _log_of(line)
        if refusal := self._calls.admission.refusal or self._line_refusal(line):
            log.warning("call-refused", why=refusal, live_calls=self._calls.live_calls)
            return _xml(last_document(line, log, line.rules.phrases.busy, Outcome.FAILED))
        facts, hook = _facts(line, routed.attributes), HOOK_QUERY if routed.attributes else {}
        if document := self._machines.answer(line, facts, hook):
            return _xml(document)
        log.info("call-answered")
        self._tell_of_call(line)
        notice = self._settings.notice(line.settings)
        callee = _callee(notice)
        words = routed.greeting or ("" if line.rules.welcome == "bot" else line.rules.greeting)
        greeting = "" if callee else words
        self._calls.expected.add(_form().get("CallSid", ""), line.route.line, speaking_ms(notice + greeting) / 1000)
        progress = CallProgress(round(time.time())) if _has_limits(line) else CallProgress()
        kept = first_query(dict(facts), callee=callee)
        parameters = [
            *facts,
            *kept_parameters(kept),
            *([(GREETING_PARAMETER, routed.greeting)] if routed.greeting else []),
            *self._proof(line, notice + greeting),
            *_progress_parameters(line, progress, greeting, notice),
        ]
        opening = Opening(stream_name(0), parameters)
        document = line.documents.answer(
            greeting,
            opening,
            query={**progress.query, **kept, **hook},
            notice=notice,
            is_protected=line.rules.protect_first and bool(greeting),
        )
        return _xml(document)

    def answered_by(self) -> Response:
        """Take a call away from the bot that a machine has answered, as Twilio tells while the call goes on."""
        return self._machines.answered_by()

    def _refuse(self, refusal: CallRefusal, line: LineRuntime | None, log: Log) -> Response:
        """Refuse a call as the routing hook says."""
        log.info("call-refused", why="routing hook", live_calls=self._calls.live_calls)
        documents = self._refusal if line is None else line.documents
        if refusal.words is None:
            return _xml(documents.reject(refusal.reason))
        return _xml(documents.goodbye([Message(refusal.words)]))

    def _line_refusal(self, line: LineRuntime) -> str | None:
        """Return why the line takes no more calls in this process, or None if it does."""
        sids = _form().get("AccountSid", ""), _form().get("CallSid", "")
        return self._calls.line_refusal(line.route.line, line.settings.line_max_calls, *sids)

    def _tell_of_call(self, line: LineRuntime) -> None:
        if self._teller is not None:
            form = _form()
            numbers = {"caller": masked(form.get("From")), "called": masked(form.get("To"))}
            fields = {**numbers, **line.route.log_fields}
            try:
                self._teller.tell("call-described", fields, call_sid=form.get("CallSid", ""))
            except Exception as error:  # a bug of those who watch must not keep the call from being answered
                _telling_faults.count("webhook", {"error": type(error).__name__})

    def resume(self) -> Response:
        """Open another stream for a call whose stream was lost, or whose document ran out without an update."""
        line = self._line()
        log = _log_of(line)
        if request.args.get("begins"):
            return self._begin_with_next_bot(line, log)
        ran_out_after = _stream_argument("after") or None
        if request.args.get("silent") and self._was_heard(ran_out_after):
            return _end_silent_call(line, log)
        lost = parse_whole(request.args.get("lost"), 0, 9999)
        age_ms = _age_ms(request.args.get("opens"))
        if lost is None or age_ms >= LASTED_MS:
            lost = 1
        log.warning("call-resumed", streams_lost=lost, ran_out=ran_out_after is not None)
        if lost > MAX_STREAMS_LOST:
            log.error("call-given-up", streams_lost=lost)
            return _xml(last_document(line, log, line.rules.phrases.not_available, Outcome.FAILED))
        if ran_out_after is not None:
            # The stream may still be alive in another process, which would then answer the caller, too.
            sids = _form().get("AccountSid", ""), _form().get("CallSid", "")
            self._calls.note_reason(*sids, "document ran out")
            gevent.spawn(self._stop_stream, *sids, ran_out_after, log)
        is_asked_to_wait = lost >= WAITS_AFTER_LOST and age_ms < OPENED_MS
        spoken = line.rules.phrases.one_moment if is_asked_to_wait else ""
        parameters = [(RESUMED_PARAMETER, LOST), (STREAMS_LOST_PARAMETER, str(lost)), *self._proof(line)]
        progress = _progress(line)
        parameters += [*self._facts_again(line, log), *kept_parameters(request.args)]
        parameters += _progress_parameters(line, progress, spoken)
        opening = Opening(stream_name(lost, ran_out_after or _stream_argument("of")), parameters)
        # A document with <Connect> goes on as soon as the stream is lost, so it does not run out.
        more = 1 if line.is_two_way else RUN_OUT_COUNTS
        opens_ms = round(time.time() * 1000) + speaking_ms(spoken)
        return _xml(line.documents.answer(spoken, opening, lost + more, opens_ms, _query(line)))

    def _begin_with_next_bot(self, line: LineRuntime, log: Log) -> Response:
        """Open a stream to the bot that another one has handed the call to."""
        progress = _progress(line)
        if _has_limits(line) and progress.began_s is None:  # only this bot has limits: they count from now on
            progress = replace(progress, began_s=round(time.time()))
        origin = progress.switches.origin
        before = None if origin is None else self._lines.find(origin, _form().get("AccountSid", ""))
        greeting = greeting_after_switch(line, before, is_wordless=bool(request.args.get("wordless")))
        parameters = [(RESUMED_PARAMETER, SWITCHED), *self._proof(line, greeting), *self._facts_again(line, log)]
        parameters += _progress_parameters(line, progress, greeting)
        if not line.is_two_way:
            parameters.append((SPOKEN_PARAMETER, str(speaking_ms(greeting))))
        opening = Opening(stream_name(0, f"s{progress.switches.count}"), parameters)
        return _xml(line.documents.answer(greeting, opening, query=progress.query))

    def _was_heard(self, stream: str | None) -> bool:
        """Return whether a silent caller would have been heard: their stream is alive, here or in another process.

        A stream of another process is stopped, which shows whether it was alive. If Twilio does not answer, the caller
        is taken not to have been heard.
        """
        call_sid, account_sid = _form().get("CallSid", ""), _form().get("AccountSid", "")
        if stream is None or self._calls.is_live(account_sid, call_sid):
            return True
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError:
            return False
        return True

    def keys(self) -> Response:
        """Open another stream, which takes the keys that a `<Gather>` has collected to the bot.

        Twilio may report an end character alone. It counts as input where the document has asked for keys.
        """
        line = self._line()
        log = _log_of(line)
        keys, stream = _form().get("Digits", "")[:MAX_GATHERED_KEYS], _stream_argument("of")
        log.info("keys-gathered", keys=len(keys))
        progress = _progress(line)
        if not keys and not request.args.get("asks"):
            return _xml(line.documents.reply([], stream, query=_query(line)))
        self._calls.note_reason(
            _form().get("AccountSid", ""), _form().get("CallSid", ""), KEYS
        )  # before the document stops the stream
        parameters = [(RESUMED_PARAMETER, KEYED), (KEYS_PARAMETER, keys), *self._proof(line)]
        parameters += [*self._facts_again(line, log), *kept_parameters(request.args)]
        parameters += _progress_parameters(line, progress)
        opening = Opening(stream_name(0, f"{stream}-{time.time_ns() // 1_000_000 % 10**8}"), parameters)
        return _xml(line.documents.reply([], stream, opening, query=_query(line)))

    def stream_status(self) -> Response:
        """Log Twilio's report on a stream. If the stream is lost, update the call to open another one at once."""
        form = _form()
        call_sid, stream_sid = form.get("CallSid", ""), form.get("StreamSid", "")
        is_lost = form.get("StreamEvent") == STREAM_ERROR
        line = self._line()
        log = _log_of(line).bind(stream_sid=stream_sid)
        log_fields = (("StreamEvent", "what"), ("StreamError", "error"))
        fields = {name: form[field][:200] for field, name in log_fields if field in form}
        log.write("error" if is_lost else "debug", "stream-status", fields)
        if (
            is_lost
            and self._calls.stream_lost(form.get("AccountSid", ""), call_sid, stream_sid)
            and not line.is_two_way
        ):
            # Before the answer: if this process dies meanwhile, Twilio asks another one.
            lost = streams_lost(form.get("StreamName", "")) + 1
            document = line.documents.recover(lost, stream_sid, _query(line))
            try:
                self._call_control.update(form.get("AccountSid", ""), call_sid, document.twiml, log)
            except CallGone:
                log.info("call-gone")
            except CallControlError as error:
                # The call goes on when its document runs out.
                log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
        return Response(status=204)

    def _facts_again(self, line: LineRuntime, log: Log) -> list[tuple[str, str]]:
        """Return the facts of a call that goes on. If the bot has none of them yet, those of the routing hook too."""
        has_hook = "hook" in request.args
        return _facts(line, self._routing.attributes_of(_incoming_call(), line, log) if has_hook else {})

    def _stop_stream(self, account_sid: str, call_sid: str, stream: str, log: Log) -> None:
        """Stop a stream, in a greenlet of its own. Log every error: nothing else would notice it."""
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
        except Exception:
            log.exception("stream-stop-broken")


def _callee(notice: str) -> str:
    """Return whether the callee of an outbound call is still to speak, or has spoken; "" for other calls.

    They speak first, and then hear the greeting over the stream. Where Twilio has waited until it knew who answers,
    they have spoken by now; a notice is an answer to their first word, too.
    """
    if not _form().get("Direction", "").startswith("outbound"):
        return ""
    return CALLEE_HAS_SPOKEN if _form().get("AnsweredBy") or notice else CALLEE_IS_AWAITED


def _query(line: LineRuntime) -> Query:
    """Return the query of the addresses in the document that this webhook is answered with."""
    hook = HOOK_QUERY if "hook" in request.args else {}
    return {**_progress(line).query, **kept_query(request.args), **hook}


def _end_silent_call(line: LineRuntime, log: Log) -> Response:
    """Say goodbye to a caller whom a document that asks for keys has asked as often as it may."""
    log.info("silent-caller-left")
    phrases, voice = line.rules.phrases, request.args.get("voice")
    return _xml(last_document(line, log, f"{phrases.not_heard} {phrases.goodbye}", Outcome.SILENT, voice))


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


def _facts(line: LineRuntime, attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the facts of the call, and `attributes` of the routing hook, as `<Parameter>`s."""
    return [
        *({**dict(_call_facts(line.settings)), **attributes}.items()),
        *([(HOOK_PARAMETER, "1")] if attributes else []),
    ]
