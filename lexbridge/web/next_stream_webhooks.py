"""Webhooks that open another stream for a call that goes on: after a loss, with another bot, or with gathered keys.

Every answer is made from the request alone, so any process of the service can give it.
"""

import re
import time
from dataclasses import replace

import gevent
from flask import Response, request

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import KEYS
from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.switch_greeting import greeting_after_switch
from lexbridge.call.after import Outcome
from lexbridge.call.documents import Opening, speaking_ms
from lexbridge.call.stream_parameters import (
    KEYED,
    KEYS_PARAMETER,
    LOST,
    RESUMED_PARAMETER,
    SPOKEN_PARAMETER,
    STREAMS_LOST_PARAMETER,
    SWITCHED,
)
from lexbridge.config.parsers import parse_whole
from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError
from lexbridge.logs import Log
from lexbridge.twilio.stream_names import stream_name
from lexbridge.web.call_routing import CallRouting
from lexbridge.web.kept_query import kept_parameters
from lexbridge.web.last_document import last_document
from lexbridge.web.webhook_views import (
    Facts,
    WebhookViews,
    facts_with,
    form,
    has_limits,
    incoming_call,
    log_of,
    next_query,
    progress,
    progress_parameters,
    sids,
    xml,
)

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


class NextStreamWebhooks(WebhookViews):
    """The Flask views of calls that get another stream."""

    def __init__(
        self,
        settings: Settings,
        lines: LineRuntimes,
        routing: CallRouting,
        call_control: CallControl,
        calls: CallRegistry,
    ) -> None:
        super().__init__(settings, lines)
        self._routing = routing
        self._call_control = call_control
        self._calls = calls

    def resume(self) -> Response:
        """Open another stream for a call whose stream was lost, or whose document ran out without an update."""
        line = self._line()
        log = log_of(line)
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
            return xml(last_document(line, log, line.rules.phrases.not_available, Outcome.FAILED))
        if ran_out_after is not None:
            # The stream may still be alive in another process, which would then answer the caller, too.
            self._calls.note_reason(*sids(), "document ran out")
            gevent.spawn(self._stop_stream, *sids(), ran_out_after, log)
        is_asked_to_wait = lost >= WAITS_AFTER_LOST and age_ms < OPENED_MS
        spoken = line.rules.phrases.one_moment if is_asked_to_wait else ""
        parameters = [(RESUMED_PARAMETER, LOST), (STREAMS_LOST_PARAMETER, str(lost)), *self._proof(line)]
        parameters += self._parameters_again(line, log, spoken)
        opening = Opening(stream_name(lost, ran_out_after or _stream_argument("of")), parameters)
        # A document with <Connect> goes on as soon as the stream is lost, so it does not run out.
        more = 1 if line.is_two_way else RUN_OUT_COUNTS
        opens_ms = round(time.time() * 1000) + speaking_ms(spoken)
        return xml(line.documents.answer(spoken, opening, lost + more, opens_ms, next_query(line)))

    def keys(self) -> Response:
        """Open another stream, which takes the keys that a `<Gather>` has collected to the bot.

        Twilio may report an end character alone. It counts as input where the document has asked for keys.
        """
        line = self._line()
        log = log_of(line)
        keys, stream = form().get("Digits", "")[:MAX_GATHERED_KEYS], _stream_argument("of")
        log.info("keys-gathered", keys=len(keys))
        if not keys and not request.args.get("asks"):
            return xml(line.documents.reply([], stream, query=next_query(line)))
        self._calls.note_reason(*sids(), KEYS)  # before the document stops the stream
        parameters = [(RESUMED_PARAMETER, KEYED), (KEYS_PARAMETER, keys), *self._proof(line)]
        parameters += self._parameters_again(line, log)
        opening = Opening(stream_name(0, f"{stream}-{time.time_ns() // 1_000_000 % 10**8}"), parameters)
        return xml(line.documents.reply([], stream, opening, query=next_query(line)))

    def _begin_with_next_bot(self, line: LineRuntime, log: Log) -> Response:
        """Open a stream to the bot that another one has handed the call to."""
        so_far = progress(line)
        if has_limits(line) and so_far.began_s is None:  # only this bot has limits: they count from now on
            so_far = replace(so_far, began_s=round(time.time()))
        origin = so_far.switches.origin
        before = None if origin is None else self._lines.find(origin, form().get("AccountSid", ""))
        greeting = greeting_after_switch(line, before, is_wordless=bool(request.args.get("wordless")))
        parameters = [(RESUMED_PARAMETER, SWITCHED), *self._proof(line, greeting), *self._facts_again(line, log)]
        parameters += progress_parameters(line, so_far, greeting)
        if not line.is_two_way:
            parameters.append((SPOKEN_PARAMETER, str(speaking_ms(greeting))))
        opening = Opening(stream_name(0, f"s{so_far.switches.count}"), parameters)
        return xml(line.documents.answer(greeting, opening, query=so_far.query))

    def _parameters_again(self, line: LineRuntime, log: Log, spoken: str = "") -> list[tuple[str, str]]:
        """Return what the next stream of the same bot is told of the call. `spoken`: said before the stream opens."""
        facts, kept = self._facts_again(line, log), kept_parameters(request.args)
        return [*facts, *kept, *progress_parameters(line, progress(line), spoken)]

    def _facts_again(self, line: LineRuntime, log: Log) -> Facts:
        """Return the facts of a call that goes on. If the bot has none of them yet, those of the routing hook too."""
        has_hook = "hook" in request.args
        return facts_with(line, self._routing.attributes_of(incoming_call(), line, log) if has_hook else {})

    def _was_heard(self, stream: str | None) -> bool:
        """Return whether a silent caller would have been heard: their stream is alive, here or in another process.

        A stream of another process is stopped, which shows whether it was alive. If Twilio does not answer, the caller
        is taken not to have been heard.
        """
        if stream is None or self._calls.is_live(*sids()):
            return True
        try:
            self._call_control.stop_stream(*sids(), stream)
        except CallControlError:
            return False
        return True

    def _stop_stream(self, account_sid: str, call_sid: str, stream: str, log: Log) -> None:
        """Stop a stream, in a greenlet of its own. Log every error: nothing else would notice it."""
        try:
            self._call_control.stop_stream(account_sid, call_sid, stream)
        except CallControlError as error:
            log.write("debug", "stream-not-stopped", {"error": str(error)})
        except Exception:
            log.exception("stream-stop-broken")


def _end_silent_call(line: LineRuntime, log: Log) -> Response:
    """Say goodbye to a caller whom a document that asks for keys has asked as often as it may."""
    log.info("silent-caller-left")
    phrases, voice = line.rules.phrases, request.args.get("voice")
    return xml(last_document(line, log, f"{phrases.not_heard} {phrases.goodbye}", Outcome.SILENT, voice))


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
