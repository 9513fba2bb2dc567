"""The release of a call: another program takes it, and lexbridge does not touch it again."""

from collections.abc import Callable
from functools import wraps

from flask import Response, jsonify, request

from lexbridge.bridge.live_calls import CallRegistry
from lexbridge.bridge.released_calls import ReleasedCalls
from lexbridge.logs import Log
from lexbridge.twilio.routes import STREAM_STATUS_PATH
from lexbridge.web.webhook_views import form

NO_MORE = '<?xml version="1.0" encoding="UTF-8"?>\n<Response/>\n'
"""Document for a released call that still executes one of lexbridge's: nothing more is done with it."""


class ReleaseWebhooks:
    """The Flask view that lets a call go."""

    def __init__(self, calls: CallRegistry) -> None:
        self._calls = calls

    def release(self) -> Response:
        """Let the call of this request go. Return 200 once its stream hears nothing more, or 202 if none is here."""
        account_sid, call_sid = form()["AccountSid"], form()["CallSid"]
        is_found = self._calls.release(account_sid, call_sid)
        Log(call_sid=call_sid).info("call-released", by="request", found=is_found)
        response = jsonify({"released": is_found, "noted": True})
        response.status_code = 200 if is_found else 202
        return response


def unless_released(released: ReleasedCalls, view: Callable[[], Response]) -> Callable[[], Response]:
    """Wrap a view of a live call: it does nothing for a call that was let go."""

    @wraps(view)
    def checked() -> Response:
        if not released.has(form()["AccountSid"], form()["CallSid"]):
            return view()
        if request.path == STREAM_STATUS_PATH:
            return Response(status=204)
        return Response(NO_MORE, mimetype="text/xml")

    return checked


def taken_back(released: ReleasedCalls, view: Callable[[], Response]) -> Callable[[], Response]:
    """Wrap the view of a call's first webhook: a call that was let go, and comes there again, is served again."""

    @wraps(view)
    def checked() -> Response:
        sids = form()["AccountSid"], form()["CallSid"]
        if released.has(*sids):
            released.take_back(*sids)
        return view()

    return checked
