"""Resources and errors of Twilio's REST API, as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from lexbridge.offline.twilio.call import PhoneCall

LONGEST_PAGE = 1000  # of a list


@dataclass(frozen=True, slots=True)
class OwnedNumber:
    """A phone number of the account, and where its calls go: to its webhook, unless an app or a trunk has them."""

    number: str
    voice_url: str = ""
    voice_method: str = "POST"
    application_sid: str = ""
    trunk_sid: str = ""


def page_of_numbers(account_sid: str, numbers: Sequence[OwnedNumber], query: Mapping[str, str]) -> dict[str, Any]:
    """A page of the numbers, as the REST API lists them. Raises RestRefusal."""
    try:
        size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    except ValueError as error:
        raise RestRefusal(400, 20001, "PageSize and Page are numbers") from error
    size = max(1, min(size, LONGEST_PAGE))
    path = f"/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers.json"
    first = page * size
    is_last = first + size >= len(numbers)
    return {
        "incoming_phone_numbers": [_number(account_sid, each) for each in numbers[first : first + size]],
        "page": page,
        "page_size": size,
        "first_page_uri": f"{path}?PageSize={size}&Page=0",
        "next_page_uri": None if is_last else f"{path}?PageSize={size}&Page={page + 1}",
        "uri": f"{path}?PageSize={size}&Page={page}",
    }


def _number(account_sid: str, owned: OwnedNumber) -> dict[str, Any]:
    sid = f"PN{sha256(owned.number.encode()).hexdigest()[:32]}"
    return {
        "sid": sid,
        "account_sid": account_sid,
        "friendly_name": owned.number,
        "phone_number": owned.number,
        "voice_url": owned.voice_url,
        "voice_method": owned.voice_method,
        "voice_application_sid": owned.application_sid or None,
        "trunk_sid": owned.trunk_sid or None,
        "capabilities": {"voice": True, "sms": True, "mms": False, "fax": False},
        "status": "in-use",
        "api_version": "2010-04-01",
        "date_created": now_text(),
        "date_updated": now_text(),
        "uri": f"/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{sid}.json",
    }


def error_document(status: int, code: int, message: str) -> dict[str, Any]:
    """Return the JSON of a REST error. Source: Twilio, "Error and Warning Dictionary", `more_info`."""
    more = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more, "status": status}


def problem_document(status: int, code: int, message: str) -> dict[str, Any]:
    """Return the JSON of an error of the newer APIs: RFC 9457, with `code` for the number of the error."""
    return {"type": f"https://www.twilio.com/docs/errors/{code}", "title": message, "status": status, "code": code}


def now_text() -> str:
    """Return the time as the REST API writes it: RFC 2822, in UTC."""
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def call_resource(call: PhoneCall) -> dict[str, Any]:
    """The call as the REST API shows it."""
    now = now_text()
    return {
        "sid": call.sid,
        "account_sid": call.account_sid,
        "api_version": "2010-04-01",
        "status": call.status,
        "direction": call.direction,
        "from": call.number.caller,
        "from_formatted": call.number.caller,
        "to": call.number.called,
        "to_formatted": call.number.called,
        "date_created": now,
        "date_updated": now,
        "start_time": now if call.answered else None,
        "end_time": now if call.over is not None else None,
        "duration": str(call.line.now_ms // 1000) if call.over is not None else None,
        "uri": f"/2010-04-01/Accounts/{call.account_sid}/Calls/{call.sid}.json",
    }


class RestRefusal(Exception):
    """A request that Twilio refuses: the HTTP status, its code and its words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
