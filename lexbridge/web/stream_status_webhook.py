"""Webhook by which Twilio reports on a media stream: a call whose one-way stream is lost gets another one at once.

Every answer is made from the request alone, so any process of the service can give it.
"""

from flask import Response

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.lines import LineRuntimes
from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.config.settings import Settings
from lexbridge.twilio.stream_names import streams_lost
from lexbridge.web.call_update import update_call
from lexbridge.web.webhook_views import WebhookViews, form, log_of, next_query, sids

STREAM_ERROR = "stream-error"
"""Value of Twilio's field StreamEvent for a stream that has failed."""


class StreamStatusWebhook(WebhookViews):
    """The Flask view of the reports on streams."""

    def __init__(self, settings: Settings, lines: LineRuntimes, call_control: CallControl, calls: CallRegistry) -> None:
        super().__init__(settings, lines)
        self._call_control = call_control
        self._calls = calls

    def stream_status(self) -> Response:
        """Log Twilio's report on a stream. If the stream is lost, update the call to open another one at once."""
        fields, stream_sid = form(), form().get("StreamSid", "")
        is_lost = fields.get("StreamEvent") == STREAM_ERROR
        line = self._line()
        log = log_of(line).bind(stream_sid=stream_sid)
        names = (("StreamEvent", "what"), ("StreamError", "error"))
        told = {name: fields[field][:200] for field, name in names if field in fields}
        log.write("error" if is_lost else "debug", "stream-status", told)
        if is_lost and self._calls.stream_lost(*sids(), stream_sid) and not line.is_two_way:
            # If Twilio does not take it, the call goes on when its document runs out.
            lost = streams_lost(fields.get("StreamName", "")) + 1
            update_call(self._call_control, line.documents.recover(lost, stream_sid, next_query(line)), log)
        return Response(status=204)
