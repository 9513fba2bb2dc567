"""Outbound calls that a machine has answered: the documents for them, and the webhook that tells of it late."""

from dataclasses import replace

from flask import Response, request

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import MACHINE_ANSWERED
from lexbridge.bridge.lines import LineRuntime, LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.call.documents import Document, Opening, Query
from lexbridge.call.stream_parameters import MACHINE_PARAMETER
from lexbridge.config.route import CallRoute
from lexbridge.config.settings import Settings
from lexbridge.lex.model import Message
from lexbridge.twilio.answered_by import MachineCall, decide_machine
from lexbridge.twilio.stream_names import stream_name
from lexbridge.web.call_update import update_call
from lexbridge.web.kept_query import first_query
from lexbridge.web.webhook_views import Facts, WebhookViews, call_facts, form, incoming_call, log_of, sids

_DOES = {MachineCall.HANG_UP: "hang-up", MachineCall.LEAVE_TEXT: "text", MachineCall.LISTEN: "listen"}


class MachineWebhooks(WebhookViews):
    """Views, and parts of views, for calls that a machine has answered."""

    def __init__(self, settings: Settings, lines: LineRuntimes, call_control: CallControl, calls: CallRegistry) -> None:
        super().__init__(settings, lines)
        self._call_control = call_control
        self._calls = calls

    def answer(self, line: LineRuntime, facts: Facts, query: Query) -> Document | None:
        """Return the first document of a call that a machine has answered, or None if the bot talks with who has.

        `facts`: those of the call, as `<Parameter>`s. `query`: what else the addresses of its documents have.
        """
        return self._document(line, facts, query)

    def answered_by(self) -> Response:
        """Take a live call away from the bot, if Twilio has found out that a machine has answered it.

        Source: https://www.twilio.com/docs/voice/answering-machine-detection#asyncamdstatuscallback .
        """
        line = self._line_of_call()
        document = None if line is None else self._document(line, call_facts(line.settings), {}, is_async=True)
        if line is not None and document is not None:
            self._calls.note_reason(*sids(), MACHINE_ANSWERED)
            update_call(self._call_control, document, log_of(line))
        return Response(status=204)

    def _line_of_call(self) -> LineRuntime | None:
        """Return what serves the call. A call of another process is looked up by the line that the address names.

        Without a name it is looked up as a new one, by the query and as an outbound call.
        """
        self._lines.catch_up()
        stream = self._calls.stream_of(*sids())
        name = request.args.get("line") if stream is None else stream.line
        line = None if name is None else self._lines.find(CallRoute(name), form().get("AccountSid", ""))
        call = incoming_call()
        # Twilio tells no direction here, but finds out who answered only in calls that are placed.
        return line or self._lines.choose(replace(call, form={"Direction": "outbound-api", **call.form}))

    def _document(self, line: LineRuntime, facts: Facts, query: Query, *, is_async: bool = False) -> Document | None:
        """Return the document for the machine that this webhook tells of, or None if the bot is to talk with it."""
        answered_by = form().get("AnsweredBy", "")
        machine = decide_machine(answered_by, line.settings)
        if machine is None:
            return None
        log = log_of(line)
        log.info("machine-answered", answered_by=answered_by, does=_DOES[machine], is_async=is_async)
        # One-way streams outlive documents. That of another process is nearly always the first, whose name is known.
        stream = self._calls.stream_of(*sids())
        name = stream_name(0) if stream is None else stream.stream_sid
        replaces = name if is_async and not line.is_two_way else ""
        if machine is not MachineCall.LISTEN:
            text = line.rules.machine_text if machine is MachineCall.LEAVE_TEXT else None
            return line.documents.goodbye([Message(text)] if text else [], stream=replaces)
        if not is_async:
            self._calls.expected.add(form().get("CallSid", ""), line.route.line, 0)
        parameters = [*facts, *self._proof(line), (MACHINE_PARAMETER, answered_by)]
        opening = Opening(stream_name(0, "machine" if is_async else ""), parameters)
        query = {**query, **first_query(dict(facts), machine=answered_by)}
        return line.documents.answer("", opening, query=query, replaces=replaces)
