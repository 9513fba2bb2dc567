"""Webhooks of live calls: which line serves the call, what its form and address tell, and the proof of its streams."""

import secrets
import time
from collections.abc import Mapping, Sequence

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from lexbridge.bridge.lines import NO_LINE_WORDS, LineRuntime, LineRuntimes
from lexbridge.call.documents import NO_QUERY, Document, Query, speaking_ms
from lexbridge.call.stream_parameters import HOOK_PARAMETER, HOOK_QUERY, CallProgress, proof_parameters
from lexbridge.config.line_settings import LineSettings
from lexbridge.config.lines import IncomingCall
from lexbridge.config.settings import Settings
from lexbridge.logs import Log
from lexbridge.twilio.call_facts import CALLER_FIELD, MAX_FACTS, collect_facts
from lexbridge.twilio.route_seal import read_route, read_sealed
from lexbridge.twilio.routes import ANSWER_PATH, ANSWERED_BY_PATH
from lexbridge.twilio.stream_token import make_stream_token
from lexbridge.twilio.twiml import TwimlDocuments
from lexbridge.web.auth import VERIFIED_FORM
from lexbridge.web.kept_query import kept_query

Facts = Sequence[tuple[str, str]]
"""Facts of a call, as `<Parameter>`s of its stream."""


class UnservedCall(HTTPException):
    """A call that no line serves. `response` ends it in words."""

    def __init__(self, response: Response) -> None:
        super().__init__(response=response)


class WebhookViews:
    """Webhooks of calls that lines serve: what finds the line of a call, and opens its streams."""

    def __init__(self, settings: Settings, lines: LineRuntimes) -> None:
        self._settings = settings
        self._lines = lines

    @property
    def _refusal(self) -> TwimlDocuments:
        """The documents of calls that no line serves."""
        return TwimlDocuments(self._settings.service.url, self._settings.service.stream_url, 0)

    def _line(self) -> LineRuntime:
        """Return what serves the call of this webhook: the line in its address, or the one that is chosen anew.

        Raise UnservedCall, which ends the call in words, if there is none any more.
        """
        self._lines.catch_up()
        secrets = self._settings.service.account.auth_tokens
        g.switched = read_sealed(secrets, request.args.get("switched", ""))
        route = read_route(secrets, request.args.get("line", ""))
        line = None if route is None else self._lines.find(route, form().get("AccountSid", ""))
        if line is None:  # the table has changed meanwhile, or this process has another one
            line = self._lines.choose(incoming_call())
            text = "" if line is None else line.route.text
            Log(call_sid=form().get("CallSid")).warning("line-unknown", chosen=text)
        if line is None:
            raise UnservedCall(xml(self._refusal.goodbye([NO_LINE_WORDS])))
        return line

    def _proof(self, line: LineRuntime, spoken: str = "") -> list[tuple[str, str]]:
        """Return the `<Parameter>`s without which no stream is served.

        `spoken`: what the document says before the stream opens; the token is valid for that much longer.
        """
        account_sid, call_sid = sids()
        spoken_s = speaking_ms(spoken) / 1000
        secret, route = self._settings.service.account.twilio_auth_token, line.route.text
        token = make_stream_token(secret, call_sid, account_sid, time.time(), spoken_s, secrets.token_hex(8), route)
        return proof_parameters(token, route)


def incoming_call() -> IncomingCall:
    """Return what lines are told apart by."""
    return IncomingCall(form(), request.args, time.time())


def log_of(line: LineRuntime) -> Log:
    """Return the log of this webhook's call."""
    return Log(call_sid=form().get("CallSid"), **line.route.log_fields)


def has_limits(line: LineRuntime) -> bool:
    """Return whether it counts how far a call has come."""
    return line.rules.max_call_s is not None or line.rules.max_turns is not None


def progress(line: LineRuntime) -> CallProgress:
    """Return how far the call has come, as the address of this webhook tells."""
    counts = (request.args.get("began"), request.args.get("turns")) if has_limits(line) else (None, None)
    return CallProgress.parse(*counts, request.args.get("returned"), g.get("switched"))


def progress_parameters(
    line: LineRuntime, progress: CallProgress, spoken: str = "", notice: str = ""
) -> list[tuple[str, str]]:
    """Return `progress` as a stream's parameters.

    `spoken`: what the document says before a two-way stream opens; `notice`: before that, and before any stream.
    """
    spoken_s = speaking_ms(notice + (spoken if line.is_two_way else "")) / 1000
    return progress.parameters(max(0, time.time() - (progress.began_s or 0)) + spoken_s)


def form() -> Mapping[str, str]:
    """Return the fields of this webhook whose signature was checked."""
    fields: Mapping[str, str] = request.environ[VERIFIED_FORM]
    return fields


def next_query(line: LineRuntime) -> Query:
    """Return the query of the addresses in the document that this webhook of a call that goes on is answered with."""
    hook = HOOK_QUERY if "hook" in request.args else NO_QUERY
    return {**progress(line).query, **kept_query(request.args), **hook}


def sids() -> tuple[str, str]:
    """Return the Twilio account of this webhook's call, and the call."""
    return form().get("AccountSid", ""), form().get("CallSid", "")


def xml(document: Document) -> Response:
    """Return the answer that has a document."""
    return Response(document.twiml, mimetype="text/xml")


def call_facts(settings: LineSettings) -> list[tuple[str, str]]:
    """Return what this webhook tells about the call, as session attributes: `<Parameter>`s of the stream."""
    # The query of every other webhook is lexbridge's own.
    fields, is_first = form(), request.path.rstrip("/") in (ANSWER_PATH, ANSWERED_BY_PATH)
    shared = (CALLER_FIELD,) if settings.share_caller_number else ()
    query = request.args.to_dict()
    if request.method == "GET" and is_first:
        # Twilio's fields stand beside the address's own parameters. Twilio's begin with a capital letter.
        query = {name: value for name, value in query.items() if not name[:1].isupper()}
    facts = collect_facts(fields, query, (*shared, *settings.call_facts), is_first=is_first)
    if facts.left_out and is_first:
        count = sum(facts.left_out.values())
        Log(call_sid=fields.get("CallSid")).warning(
            "facts-left-out", entries=list(facts.left_out)[:MAX_FACTS], count=count
        )
    return list(facts.attributes.items())


def facts_with(line: LineRuntime, attributes: Mapping[str, str]) -> Facts:
    """Return the facts of the call, and `attributes` of the routing hook."""
    facts = {**dict(call_facts(line.settings)), **attributes}
    return [*facts.items(), *([(HOOK_PARAMETER, "1")] if attributes else [])]
