"""Webhooks of a transfer: how the call goes on when it is over, and what the person hears before they are connected.

Every answer is made from the request alone, so any process of the service can give it.
Source: https://www.twilio.com/docs/voice/twiml/dial#action, https://www.twilio.com/docs/voice/twiml/enqueue#action and
https://www.twilio.com/docs/voice/twiml/number#url .
"""

import time
from collections.abc import Sequence

from flask import Response, request

from lexbridge.bridge.lines import LineRuntime
from lexbridge.call.after import Outcome
from lexbridge.call.documents import Document, Opening
from lexbridge.call.stream_parameters import RESUMED_PARAMETER, RETURNED, CallProgress
from lexbridge.call.transfers import TransferEnd, transfer_end
from lexbridge.config.twilio_account import sid_of_other
from lexbridge.logs import Log
from lexbridge.twilio.stream_names import stream_name
from lexbridge.twilio.transfer_values import sealed_after, sealed_whisper
from lexbridge.web.last_document import last_document
from lexbridge.web.webhook_views import WebhookViews, call_facts, form, log_of, progress, progress_parameters, xml


class TransferWebhooks(WebhookViews):
    """The Flask views of a transfer's webhooks."""

    def transferred(self) -> Response:
        """Say goodbye to a caller whom a person has had, or open another stream for one whom nobody took."""
        line = self._line()
        log, fields = log_of(line), form()
        result = fields.get("DialCallStatus") or fields.get("QueueResult", "")
        end, status = transfer_end(result, fields.get("CallStatus", ""), fields.get("DialBridged", ""))
        log.info("transfer-ended", status=status)
        if end is TransferEnd.GONE:
            return xml(line.documents.gone())
        return xml(self._goodbye(line, log) if end is TransferEnd.COMPLETED else self._take_back(line, status))

    def whisper(self) -> Response:
        """Say the bot's words to the person who has answered; nothing if the address does not hold words of ours."""
        line = self._line()
        words = sealed_whisper(*self._seal_of(line), request.args.get("words", ""))
        if words is None:
            log = log_of(line)
            log.warning("whisper-refused")
        return xml(line.documents.whisper(words or "", request.args.get("voice") or None))

    def _goodbye(self, line: LineRuntime, log: Log) -> Document:
        query = sealed_after(*self._seal_of(line), request.args.get("after", ""))
        words = "" if line.rules.after_url else line.rules.phrases.goodbye
        return last_document(line, log, words, Outcome.TRANSFERRED, request.args.get("voice") or None, query)

    def _seal_of(self, line: LineRuntime) -> tuple[Sequence[str], str]:
        """Return the secrets of a text that was sealed for calls of the line, and the account that it is for."""
        own = self._settings.service.account
        return own.auth_tokens, sid_of_other(line.settings.account, own)

    def _take_back(self, line: LineRuntime, status: str) -> Document:
        """Return the document that opens a stream for the same Lex session, which is told the `status`."""
        counted = progress(line)
        so_far = CallProgress(counted.began_s, counted.turns, status)
        parameters = [(RESUMED_PARAMETER, RETURNED), *self._proof(line), *call_facts(line.settings)]
        opens_ms = round(time.time() * 1000)
        # No other stream of the call has this name.
        opening = Opening(stream_name(0, f"back{opens_ms % 10**8}"), [*parameters, *progress_parameters(line, so_far)])
        return line.documents.answer("", opening, opens_ms=opens_ms, query=so_far.query)
