"""REST API of the lightweight Twilio: updates and ends calls, and stops streams."""

import asyncio
import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from bench.harness.light_http import Request, Site
from bench.harness.twilio.call import Call
from bench.harness.twilio.party import End

if TYPE_CHECKING:
    from bench.harness.twilio.simulator import LightTwilio

LONGEST_TWIML = 4000
"""Most characters of a document: Twilio's limit."""
CALL_HAS_ENDED = 21220
"""Twilio's code for an update of a call that is over."""
_REST_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Calls/([^/]+?)(?:/Streams/([^/]+))?\.json")


class RestRefusal(Exception):
    """HTTP status and Twilio's code of a request that is refused."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RestApi(Site):
    """REST API of a `LightTwilio`, as its HTTP server calls it."""

    def __init__(self, twilio: "LightTwilio") -> None:
        self._twilio = twilio

    def began(self, request: Request) -> None:
        pass

    def broke_off(self, request: Request) -> None:
        pass

    def finished(self, request: Request) -> None:
        if self._twilio.pace.rest_s:
            asyncio.get_running_loop().call_later(self._twilio.pace.rest_s, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        try:
            status, resource = 200, self._carry_out(request)
        except RestRefusal as refusal:
            status, resource = refusal.status, {"code": refusal.code, "message": str(refusal), "status": refusal.status}
            if refusal.code != CALL_HAS_ENDED:  # the service cannot know yet
                self._twilio.complain(refusal.code, f"REST: {refusal}")
        request.connection.answer(status, {"Content-Type": "application/json"}, json.dumps(resource).encode())

    def _carry_out(self, request: Request) -> dict[str, Any]:
        given = request.headers.get("authorization", "")
        if (
            given
            != "Basic " + base64.b64encode(f"{self._twilio.account_sid}:{self._twilio.auth_token}".encode()).decode()
        ):
            raise RestRefusal(401, 20003, "Authenticate")
        found = _REST_PATH.fullmatch(request.path)
        if request.method != "POST" or found is None or found[1] != self._twilio.account_sid:
            raise RestRefusal(404, 20404, "The requested resource was not found")
        call = self._twilio.calls.get(found[2])
        if call is None and found[2] not in self._twilio.gone:
            raise RestRefusal(404, 20404, "The requested call was not found")
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        if found[3]:
            return self._stop_stream(call, unquote(found[3]), fields)
        if call is None:
            raise RestRefusal(400, CALL_HAS_ENDED, "Call is not in-progress. Cannot redirect.")
        self._update(call, fields)
        return _resource(call)

    def _stop_stream(self, call: "Call | None", name: str, fields: dict[str, str]) -> dict[str, Any]:
        if fields != {"Status": "stopped"}:
            raise RestRefusal(400, 20001, f"Streams: only Status=stopped is allowed, not {fields}")
        stopped = call.stop_streams(name) if call else []
        if call is None or not stopped:
            raise RestRefusal(404, 20404, "The requested stream was not found")
        now = _rfc2822()
        return {
            "sid": stopped[0].sid,
            "account_sid": self._twilio.account_sid,
            "call_sid": call.sid,
            "name": stopped[0].name,
            "status": "stopped",
            "date_updated": now,
            "uri": "",
        }

    def _update(self, call: "Call", fields: dict[str, str]) -> None:
        self._twilio.updates += 1
        if set(fields) == {"Status"} and fields["Status"] == "completed":
            call.end(End.REST)
            return
        if set(fields) != {"Twiml"}:
            raise RestRefusal(400, 20001, f"only Twiml or Status=completed are served here, not {sorted(fields)}")
        if len(fields["Twiml"]) > LONGEST_TWIML:
            raise RestRefusal(400, 32018, f"Twiml has {len(fields['Twiml'])} characters")
        call.replace_document(fields["Twiml"])


def _rfc2822() -> str:
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def _resource(call: Call) -> dict[str, Any]:
    return {"sid": call.sid, "status": "completed" if call.is_over else "in-progress", "date_updated": _rfc2822()}
