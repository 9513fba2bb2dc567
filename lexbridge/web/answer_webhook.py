"""Webhook of a new call: which line serves it, and the document that greets the caller and opens the first stream.

Every answer is made from the request alone, so any process of the service can give it.
"""

import time

from flask import Response

from lexbridge.bridge.lines import NO_LINE_WORDS, LineRuntime, LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.call.after import Outcome
from lexbridge.call.documents import NO_QUERY, Document, Opening, Query, speaking_ms
from lexbridge.call.stream_parameters import (
    CALLEE_HAS_SPOKEN,
    CALLEE_IS_AWAITED,
    GREETING_PARAMETER,
    HOOK_QUERY,
    CallProgress,
)
from lexbridge.config.settings import Settings
from lexbridge.lex.model import Message
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.telemetry.numbers import masked
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.stream_names import stream_name
from lexbridge.web.call_routing import CallRouting, RoutedCall
from lexbridge.web.hook_answer import CallRefusal
from lexbridge.web.kept_query import first_query, kept_parameters
from lexbridge.web.last_document import last_document
from lexbridge.web.machine_webhooks import MachineWebhooks
from lexbridge.web.webhook_views import (
    Facts,
    WebhookViews,
    facts_with,
    form,
    has_limits,
    incoming_call,
    log_of,
    progress_parameters,
    sids,
    xml,
)

_telling_faults = RateLimitedLog("telling-fault")


class AnswerWebhook(WebhookViews):
    """The Flask view of new calls."""

    def __init__(
        self,
        settings: Settings,
        lines: LineRuntimes,
        routing: CallRouting,
        machines: MachineWebhooks,
        calls: CallRegistry,
        teller: Teller | None = None,
    ) -> None:
        """`machines`: answers the calls that a machine has answered. `teller`: tells of new calls, or None."""
        super().__init__(settings, lines)
        self._routing = routing
        self._machines = machines
        self._calls = calls
        self._teller = teller

    def answer(self) -> Response:
        """Answer a new call: greet the caller and open a stream, or say why not."""
        log = Log(call_sid=form().get("CallSid"))
        routed = self._routing.route(incoming_call(), log, asks_hook=self._calls.admission.refusal is None)
        line = routed.line
        if routed.refusal is not None:
            return self._refuse(routed.refusal, line, log)
        if line is None:
            log.warning("call-refused", why="no line", live_calls=self._calls.live_calls)
            return xml(self._refusal.goodbye([NO_LINE_WORDS]))
        log = log_of(line)
        if refusal := self._calls.admission.refusal or self._line_refusal(line):
            log.warning("call-refused", why=refusal, live_calls=self._calls.live_calls)
            return xml(last_document(line, log, line.rules.phrases.busy, Outcome.FAILED))
        facts = facts_with(line, routed.attributes)
        if document := self._machines.answer(line, facts, _hook_query(routed)):
            return xml(document)
        log.info("call-answered")
        self._tell_of_call(line)
        return xml(self._first_document(line, routed, facts))

    def _refuse(self, refusal: CallRefusal, line: LineRuntime | None, log: Log) -> Response:
        """Refuse a call as the routing hook says."""
        log.info("call-refused", why="routing hook", live_calls=self._calls.live_calls)
        documents = self._refusal if line is None else line.documents
        if refusal.words is None:
            return xml(documents.reject(refusal.reason))
        return xml(documents.goodbye([Message(refusal.words)]))

    def _line_refusal(self, line: LineRuntime) -> str | None:
        """Return why the line takes no more calls in this process, or None if it does."""
        return self._calls.line_refusal(line.route.line, line.settings.line_max_calls, *sids())

    def _tell_of_call(self, line: LineRuntime) -> None:
        """Tell those who watch the calls of the new one."""
        if self._teller is None:
            return
        numbers = {"caller": masked(form().get("From")), "called": masked(form().get("To"))}
        fields = {**numbers, **line.route.log_fields}
        try:
            self._teller.tell("call-described", fields, call_sid=form().get("CallSid", ""))
        except Exception as error:  # a bug of those who watch must not keep the call from being answered
            _telling_faults.count("webhook", {"error": type(error).__name__})

    def _first_document(self, line: LineRuntime, routed: RoutedCall, facts: Facts) -> Document:
        """Return the document that greets the caller, unless the callee speaks first, and opens the first stream."""
        notice = self._settings.notice(line.settings)
        callee = _callee(notice)
        words = routed.greeting or ("" if line.rules.welcome == "bot" else line.rules.greeting)
        greeting = "" if callee else words
        self._calls.expected.add(form().get("CallSid", ""), line.route.line, speaking_ms(notice + greeting) / 1000)
        so_far = CallProgress(round(time.time())) if has_limits(line) else CallProgress()
        kept = first_query(dict(facts), callee=callee)
        parameters = [
            *facts,
            *kept_parameters(kept),
            *([(GREETING_PARAMETER, routed.greeting)] if routed.greeting else []),
            *self._proof(line, notice + greeting),
            *progress_parameters(line, so_far, greeting, notice),
        ]
        return line.documents.answer(
            greeting,
            Opening(stream_name(0), parameters),
            query={**so_far.query, **kept, **_hook_query(routed)},
            notice=notice,
            is_protected=line.rules.protect_first and bool(greeting),
        )


def _hook_query(routed: RoutedCall) -> Query:
    """Return the query by which later webhooks know that the routing hook has attributes for the bot."""
    return HOOK_QUERY if routed.attributes else NO_QUERY


def _callee(notice: str) -> str:
    """Return whether the callee of an outbound call is still to speak, or has spoken; "" for other calls.

    They speak first, and then hear the greeting over the stream. Where Twilio has waited until it knew who answers,
    they have spoken by now; a notice is an answer to their first word, too.
    """
    if not form().get("Direction", "").startswith("outbound"):
        return ""
    return CALLEE_HAS_SPOKEN if form().get("AnsweredBy") or notice else CALLEE_IS_AWAITED
