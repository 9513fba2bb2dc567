"""Calls as Twilio's REST API updates them.

Source: the OpenAPI of api.v2010 (twilio/twilio-oai), UpdateCall, and the page of each code.
"""

from collections.abc import Mapping
from dataclasses import replace

from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.events import EndReason
from lexbridge.offline.twilio.rest_resources import RestRefusal
from lexbridge.offline.twilio.twiml_document import parse_twiml
from lexbridge.offline.twilio.twiml_reading import is_http

LONGEST_TWIML = 4000  # characters in a REST request; above it 32018


def update_call(call: PhoneCall, fields: Mapping[str, str]) -> None:
    """UpdateCall. Raises RestRefusal."""
    twiml, url, status = fields.get("Twiml"), fields.get("Url"), fields.get("Status")
    _check_update(call, fields)
    call.record(happened.UpdateReceived(call.now_s(), dict(fields), twiml or ""))
    if "StatusCallback" in fields:
        call.progress = replace(call.progress, url=fields["StatusCallback"])
    if status is not None:
        if status == "canceled":
            call.refuse("canceled")
        call.end(EndReason.REST_COMPLETED)
    elif twiml is not None:
        call.replace_document(lambda: parse_twiml(twiml, None))
    elif url is not None:
        call.replace_document(lambda: call.fetch(url, fields.get("Method", "POST").upper()))


def _check_update(call: PhoneCall, fields: Mapping[str, str]) -> None:
    """Raise RestRefusal if this update is not possible now."""
    status, method = fields.get("Status"), fields.get("Method", "POST")
    if call.over is not None:
        raise RestRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")
    check_document(fields.get("Twiml"), fields.get("Url"))
    if method.upper() not in ("POST", "GET"):
        raise RestRefusal(400, 21209, f"Method {method!r} is neither GET nor POST")
    if status not in (None, "completed", "canceled"):
        raise RestRefusal(400, 20001, f"Status {status} is neither completed nor canceled")
    if status == "canceled" and call.answered:
        raise RestRefusal(400, 21220, "Call is not queued or ringing. Cannot cancel.")
    if status is None and call.direction == "outbound-api" and not call.answered:
        raise RestRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")


def check_document(twiml: str | None, url: str | None) -> None:
    """Check the TwiML or the address of a document in a request. Raises RestRefusal."""
    if twiml is not None and url is not None:
        # [?] the two are mutually exclusive; with which code Twilio says so is not documented.
        raise RestRefusal(400, 20001, "Twiml and Url are mutually exclusive")
    if twiml is not None and len(twiml) > LONGEST_TWIML:
        raise RestRefusal(400, 32018, f"Twiml has {len(twiml)} characters, at most {LONGEST_TWIML} are allowed")
    if url is not None and not is_http(url):
        raise RestRefusal(400, 21205, f"Url is not a valid URL: {url}")
