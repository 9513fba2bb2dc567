"""The update of a call by a webhook: a new document takes the place of the one that Twilio executes."""

from lexbridge.bridge.call_control import CallControl
from lexbridge.call.documents import Document
from lexbridge.errors import CallControlError, CallGone
from lexbridge.logs import Log
from lexbridge.web.webhook_views import sids


def update_call(call_control: CallControl, document: Document, log: Log) -> None:
    """Give the call of this webhook a new document, or log why Twilio does not take it.

    The webhook is answered after that. If this process dies meanwhile, Twilio asks another one, or logs the fault.
    """
    try:
        call_control.update(*sids(), document.twiml, log)
    except CallGone:
        log.info("call-gone")
    except CallControlError as error:
        log.error("call-update-failed", error=str(error), host=error.host, check=error.check)
