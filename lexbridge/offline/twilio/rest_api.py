"""Twilio's REST API, as far as a bridge and those who call by it use it.

It places a call, fetches it, updates it, ends it and stops one of its streams. `server.py --check=live` reads the
account and its numbers.

Source: the OpenAPI of api.v2010 (twilio/twilio-oai), CreateCall, UpdateCall and UpdateStream; error codes:
https://www.twilio.com/docs/api/errors .
Its client is the real twilio client.
"""

import base64
import binascii
import json
import re
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote

import gevent
from gevent.event import Event

from lexbridge.offline.loopback_server import ConnectionDropped
from lexbridge.offline.odd_answers import PIECE_BYTES, bomb, send_endless
from lexbridge.offline.twilio import events as happened
from lexbridge.offline.twilio.call import PhoneCall
from lexbridge.offline.twilio.rest_calls import update_call
from lexbridge.offline.twilio.rest_resources import (
    OwnedNumber,
    RestRefusal,
    call_resource,
    error_document,
    now_text,
    page_of_numbers,
    problem_document,
)

LONGEST_FORM = 1 << 20  # bytes
_CALL_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Calls/([^/]+?)(?:/Streams/([^/]+))?\.json")
_CALLS_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Calls\.json")
_ACCOUNT_PATH = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})(/IncomingPhoneNumbers)?\.json")


@dataclass(frozen=True, slots=True)
class RestFault:
    """A fault that befalls the next request (with `call_sid`: the next for that call), or with `always` every one.

    `answer`: `status` and `code` as Twilio's error; `hang`: no answer at all; `drip`: the answer comes a byte every
    `drip_s`; `reset`: the connection is reset; `close`: it is closed without an answer, as one that was kept alive a
    moment too long is; `slow`: the right answer, and what it answers to, come `slow_s` late; `odd`: `status` and
    `body`, whatever it is; `redirect`: 302 and an address; `endless`: `status` and a body without end; `bomb`: one that
    unpacks to 100 MB. `carried_out` says whether the update happens all the same. `as_problem`: the error is told in
    RFC 9457's words, as Twilio's newer services do.
    """

    kind: Literal["answer", "hang", "drip", "reset", "close", "slow", "odd", "redirect", "endless", "bomb"] = "answer"
    status: int = 500
    code: int = 20500
    message: str = "Internal Server Error"
    always: bool = False
    carried_out: bool = False
    drip_s: float = 0.5
    slow_s: float = 1.0
    as_problem: bool = False
    body: bytes = b""
    call_sid: str | None = None


class RestApi:
    """The WSGI application of the REST API.

    calls: the calls of the account, by SID. faults: the faults of the next requests. api_keys: the secret of each
    API key of the account, by the key's SID. numbers: the account's numbers. account_type, account_status: as the API
    spells them.
    """

    def __init__(self, account_sid: str, auth_token: str, calls: Mapping[str, PhoneCall]) -> None:
        self.faults: list[RestFault] = []
        self.api_keys: dict[str, str] = {}
        self.numbers: list[OwnedNumber] = []
        self.account_type = "Full"
        self.account_status = "active"
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._calls = calls
        self.place: Callable[[Mapping[str, Sequence[str]]], PhoneCall] | None = None
        """Places a call as a form asks for it. Raises RestRefusal."""
        self.stopped = Event()
        """Set when the server ends, so that requests left hanging end too."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """A request."""
        fault = self._next_fault(environ["PATH_INFO"])
        status, answer = self._answer(environ) if fault is None else self._befall(fault, environ)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        if fault is not None and fault.kind == "bomb":
            headers.append(("Content-Encoding", "gzip"))
        if status == 302:
            headers.append(("Location", "http://127.0.0.1:9/"))
        if status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="Twilio API"'))
        start_response(f"{status} Twilio", headers)
        return _drip(body, fault.drip_s) if fault is not None and fault.kind == "drip" else [body]

    def _befall(self, fault: RestFault, environ: Mapping[str, Any]) -> tuple[int, dict[str, Any] | bytes]:
        """Return the answer to a request that has a fault."""
        if fault.kind == "slow":
            self.stopped.wait(fault.slow_s)
            return self._answer(environ)
        told = problem_document if fault.as_problem else error_document
        status, answer = fault.status, told(fault.status, fault.code, fault.message)
        if fault.carried_out:
            carried_out = self._answer(environ)
            if fault.kind == "drip":
                status, answer = carried_out
        else:
            self._note(fault, environ)
        if fault.kind == "hang":
            self.stopped.wait()
            raise ConnectionDropped
        if fault.kind in ("reset", "close"):
            if fault.kind == "reset":
                connection: socket.socket = environ["lexbridge.socket"]
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise ConnectionDropped
        if fault.kind == "endless":
            with suppress(OSError):  # the client has read enough
                headers = {"Content-Type": "application/json"}
                send_endless(environ["lexbridge.socket"], f"{fault.status} Twilio", headers, b" " * PIECE_BYTES)
            raise ConnectionDropped
        odd = {"odd": (status, fault.body), "redirect": (302, b""), "bomb": (status, bomb(b" "))}
        return odd.get(fault.kind, (status, answer))

    def _next_fault(self, path: str) -> RestFault | None:
        match = _CALL_PATH.fullmatch(path)
        for fault in self.faults:
            if fault.call_sid in (None, match[2] if match else ""):
                if not fault.always:
                    self.faults.remove(fault)
                return fault
        return None

    def _note(self, fault: RestFault, environ: Mapping[str, Any]) -> None:
        match = _CALL_PATH.fullmatch(environ["PATH_INFO"])
        call = self._calls.get(match[2]) if match else None
        if call is not None:
            words = f"a fault on demand: {fault.kind}"
            call.record(happened.UpdateRefused(call.now_s(), fault.status if fault.kind == "answer" else 0, 0, words))

    def _answer(self, environ: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        call = None
        not_found = RestRefusal(404, 20404, f"The requested resource {environ['PATH_INFO']} was not found")
        try:
            if own := _ACCOUNT_PATH.fullmatch(environ["PATH_INFO"]):
                return 200, self._account(environ, own[1], lists_numbers=own[2] is not None)
            if placing := _CALLS_PATH.fullmatch(environ["PATH_INFO"]):
                return 201, self._create(environ, placing[1])
            account_sid, call_sid, stream = self._addressed(environ)
            call = self._calls.get(call_sid)
            if call is None or account_sid != self._account_sid:
                raise not_found
            if stream is not None:
                return 200, self._stop_stream(call, stream, environ, not_found)
            if environ["REQUEST_METHOD"] == "POST":
                update_call(call, _last_of(_form(environ)))
        except RestRefusal as refusal:
            if refusal.status == 401:  # no complaint: a bridge may try its other token next
                self._note_sign_in(environ["PATH_INFO"], refusal)
            elif call is not None:
                call.record(happened.UpdateRefused(call.now_s(), refusal.status, refusal.code, refusal.message))
                # A call, or a stream, that has just ended is nobody's fault.
                if refusal.code not in (20404, 21220):
                    call.complain(refusal.code, f"REST: {refusal.message}")
            return refusal.status, error_document(refusal.status, refusal.code, refusal.message)
        return 200, call_resource(call)

    def _note_sign_in(self, path: str, refusal: RestRefusal) -> None:
        """Note in the requested call that a sign-in was refused."""
        match = _CALL_PATH.fullmatch(path)
        call = self._calls.get(match[2]) if match else None
        if call is not None:
            call.record(happened.UpdateRefused(call.now_s(), refusal.status, refusal.code, refusal.message))

    def _addressed(self, environ: Mapping[str, Any]) -> tuple[str, str, str | None]:
        """Account, call and stream of a request. Raises RestRefusal 20003, 20404 or 20004."""
        if not self._authenticated(environ.get("HTTP_AUTHORIZATION", "")):
            raise RestRefusal(401, 20003, "Authenticate")
        match = _CALL_PATH.fullmatch(environ["PATH_INFO"])
        if match is None:
            raise RestRefusal(404, 20404, f"The requested resource {environ['PATH_INFO']} was not found")
        if environ["REQUEST_METHOD"] not in ("GET", "POST"):
            raise RestRefusal(405, 20004, "Method not allowed")
        return match[1], match[2], None if match[3] is None else unquote(match[3])

    def _create(self, environ: Mapping[str, Any], sid: str) -> dict[str, Any]:
        """CreateCall. Raises RestRefusal."""
        if not self._authenticated(environ.get("HTTP_AUTHORIZATION", "")) or sid != self._account_sid:
            raise RestRefusal(401, 20003, "Authenticate")
        if environ["REQUEST_METHOD"] != "POST" or self.place is None:
            raise RestRefusal(405, 20004, "Method not allowed")
        return call_resource(self.place(_form(environ)))

    def _account(self, environ: Mapping[str, Any], sid: str, lists_numbers: bool) -> dict[str, Any]:
        """FetchAccount, or a page of ListIncomingPhoneNumber. Raises RestRefusal."""
        if not self._authenticated(environ.get("HTTP_AUTHORIZATION", "")) or sid != self._account_sid:
            raise RestRefusal(401, 20003, "Authenticate")
        if environ["REQUEST_METHOD"] != "GET":
            raise RestRefusal(405, 20004, "Method not allowed")
        if lists_numbers:
            return page_of_numbers(sid, self.numbers, dict(parse_qsl(environ.get("QUERY_STRING", ""))))
        return {
            "sid": sid,
            "auth_token": self._auth_token,  # Twilio's own answer has it too
            "friendly_name": "simulated account",
            "owner_account_sid": sid,
            "status": self.account_status,
            "type": self.account_type,
            "date_created": now_text(),
            "date_updated": now_text(),
            "uri": f"/2010-04-01/Accounts/{sid}.json",
        }

    def _authenticated(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        signs_in = {self._account_sid: self._auth_token, **self.api_keys}
        return scheme.lower() == "basic" and signs_in.get(user) == password

    @staticmethod
    def _stop_stream(call: PhoneCall, name: str, environ: Mapping[str, Any], not_found: RestRefusal) -> dict[str, Any]:
        """UpdateStream: `name` is its name or its SID. Raises RestRefusal."""
        if environ["REQUEST_METHOD"] != "POST":
            raise RestRefusal(405, 20004, "Method not allowed")
        if _last_of(_form(environ)).get("Status") != "stopped":
            raise RestRefusal(400, 20001, "Status of a stream can become stopped only")
        stream = call.media.stop_stream(name)
        if stream is None:
            raise not_found
        call.record(happened.StreamStopReceived(call.now_s(), name))
        return {
            "sid": stream.sid,
            "account_sid": call.account_sid,
            "call_sid": call.sid,
            "name": stream.stream.name or None,
            "status": "stopped",
            "date_updated": now_text(),
            "uri": f"/2010-04-01/Accounts/{call.account_sid}/Calls/{call.sid}/Streams/{stream.sid}.json",
        }


def _form(environ: Mapping[str, Any]) -> dict[str, list[str]]:
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > LONGEST_FORM:
            raise RestRefusal(413, 20001, "The request is too large")
        return parse_qs(environ["wsgi.input"].read(length).decode(), keep_blank_values=True)
    except ValueError as error:
        raise RestRefusal(400, 20001, "The request is not a form in UTF-8") from error


def _last_of(form: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name: values[-1] for name, values in form.items()}


def _drip(body: bytes, interval_s: float) -> Iterator[bytes]:
    for place in range(len(body)):
        yield body[place : place + 1]
        gevent.sleep(interval_s)
