"""Lex's own request and response shapes, both generations: pure encoding, no socket.

V1 (lex-runtime, 2016-11-28): JSON in headers is base64; the message and the transcript come twice, plain (deprecated)
and base64. V2 (lexv2-runtime, 2020-08-07): JSON in headers is gzipped, then base64; boto3 gives it back as it is.
"""

import base64
import gzip
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from lexbridge.offline.lex.bots import Bot, Message
from lexbridge.offline.lex.dialogue import (
    Confirmation,
    Conversation,
    DialogState,
    Turn,
    advance,
    ask_confirmation,
    ask_slot,
    begin,
    clarify,
)
from lexbridge.offline.lex.understanding import SlotFilling

Headers = dict[str, str]
Json = dict[str, Any]

TEXT_TYPE = "text/plain;charset=utf-8"
LPCM_8KHZ = "audio/lpcm; sample-rate=8000; sample-size-bits=16; channel-count=1; is-big-endian=false"


# --- errors ---


class LexErrorKind(Enum):
    """(HTTP status, V1's exception, V2's). V2 answers ValidationException to whatever is wrong with a request."""

    BAD_REQUEST = (400, "BadRequestException", "ValidationException")
    ACCESS_DENIED = (403, "AccessDeniedException", "AccessDeniedException")
    NOT_FOUND = (404, "NotFoundException", "ResourceNotFoundException")
    NOT_ACCEPTABLE = (406, "NotAcceptableException", "ValidationException")
    TOO_LONG = (408, "RequestTimeoutException", "ValidationException")
    CONFLICT = (409, "ConflictException", "ConflictException")
    UNSUPPORTED_MEDIA_TYPE = (415, "UnsupportedMediaTypeException", "ValidationException")
    DEPENDENCY_FAILED = (424, "DependencyFailedException", "DependencyFailedException")
    THROTTLED = (429, "LimitExceededException", "ThrottlingException")
    INTERNAL = (500, "InternalFailureException", "InternalServerException")
    BAD_GATEWAY = (502, "BadGatewayException", "BadGatewayException")


_CAPITAL_MESSAGE = (LexErrorKind.DEPENDENCY_FAILED, LexErrorKind.BAD_GATEWAY)  # V1's model spells these "Message"


class LexError(Exception):
    """A request that Lex answers with one of its errors."""

    def __init__(self, kind: LexErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: status, headers without Content-Length, body. `speech_hz`: the rate of a body that is PCM."""

    status: int
    headers: Headers
    body: bytes = b""
    speech_hz: int = 0


def response_of_status(api: str, status: int) -> Response:
    """Lex's error with that HTTP status. One that it has none for (503, 504) is a page of some proxy before it."""
    kinds = {kind.value[0]: kind for kind in LexErrorKind}
    if status in kinds:
        return error_response(api, LexError(kinds[status], f"asked for: HTTP status {status}"))
    return Response(status, {"Content-Type": "text/html"}, f"<html><body>{status}</body></html>".encode())


def error_response(api: str, error: LexError) -> Response:
    """`api` is "v1" or "v2"."""
    status, v1_name, v2_name = error.kind.value
    if api == "v2" and v2_name == "ValidationException":
        status = 400
    name, key = (v1_name, "message") if api == "v1" else (v2_name, "message")
    if api == "v1" and error.kind in _CAPITAL_MESSAGE:
        key = "Message"
    headers = {**request_id(), "Content-Type": "application/json", "x-amzn-ErrorType": name}
    return Response(status, headers, json.dumps({key: error.message}).encode())


def request_id() -> Headers:
    """Return the header by which AWS names a request, with a new id."""
    return {"x-amzn-RequestId": str(uuid.uuid4())}


def json_response(document: Json) -> Response:
    """A response of the operations that answer JSON in the body."""
    return Response(200, {**request_id(), "Content-Type": "application/json"}, json.dumps(document).encode())


# --- header encodings ---


def base64_json(value: Any) -> str:
    """V1's encoding of structured headers."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def base64_text(text: str) -> str:
    """V1's encoding of texts that need not be ASCII."""
    return base64.b64encode(text.encode()).decode()


def gzip_json(value: Any) -> str:
    """V2's encoding of structured headers."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode(), mtime=0)).decode()


def read_base64_json(header: str | None, name: str) -> Any:
    """Return the value of a V1 client's structured header, or None without the header. Raises LexError."""
    if not header:
        return None
    try:
        return json.loads(base64.b64decode(header, validate=True))
    except ValueError as error:
        raise LexError(LexErrorKind.BAD_REQUEST, f"{name} is not base64 of JSON") from error


def read_gzip_json(header: str | None, name: str) -> Any:
    """Return the value of a V2 client's structured header, or None without the header. Raises LexError."""
    if not header:
        return None
    try:
        return json.loads(gzip.decompress(base64.b64decode(header, validate=True)))
    except (ValueError, OSError, EOFError) as error:
        raise LexError(LexErrorKind.BAD_REQUEST, f"{name} is not base64 of gzipped JSON") from error


# --- V1 ---


V1_CLOSED = (DialogState.FULFILLED, DialogState.FAILED, DialogState.READY_FOR_FULFILLMENT)


# --- V2 ---

V2_ACTIONS = {
    DialogState.ELICIT_INTENT: ("ElicitIntent", "InProgress"),
    DialogState.ELICIT_SLOT: ("ElicitSlot", "InProgress"),
    DialogState.CONFIRM_INTENT: ("ConfirmIntent", "InProgress"),
    DialogState.FULFILLED: ("Close", "Fulfilled"),
    DialogState.READY_FOR_FULFILLMENT: ("Close", "ReadyForFulfillment"),
    DialogState.FAILED: ("Close", "Failed"),
}


# --- what a client may tell Lex to do next, both generations ---


@dataclass(frozen=True, slots=True)
class Directive:
    """A dialogAction with the intent it is about. `state` counts for Close only."""

    type: str
    intent: str | None
    fillings: Mapping[str, SlotFilling]
    slot_to_elicit: str | None
    state: str | None
    confirmation: Confirmation


def directed(bot: Bot, conversation: Conversation, directive: Directive, said: tuple[Message, ...]) -> Turn:
    """The turn that a client's dialogAction makes; `said` stands for the bot's own prompt. Raises LexError."""
    begun = Conversation(
        intent=directive.intent,
        fillings=directive.fillings,
        confirmation=directive.confirmation,
        attributes=conversation.attributes,
    )
    turn = _directed(bot, begun, directive)
    return replace(turn, messages=said) if said else turn


def _directed(bot: Bot, begun: Conversation, directive: Directive) -> Turn:
    if directive.type == "ElicitIntent":
        asking = Conversation(attributes=begun.attributes)
        # A bot of V2 has no prompt of its own for that: nothing is said but what the client gave.
        return clarify(bot, asking) if bot.clarification else Turn(asking, ())
    intent = bot.intent(directive.intent)
    if directive.type == "Close":
        closed = {state.value: state for state in V1_CLOSED}.get(directive.state or "Fulfilled")
        if closed is None:
            raise LexError(LexErrorKind.BAD_REQUEST, f"a dialog cannot be closed as {directive.state}")
        return Turn(replace(begun, state=closed), ())
    if intent is None:
        raise LexError(LexErrorKind.BAD_REQUEST, f"the bot has no intent {directive.intent}")
    if directive.type == "ElicitSlot":
        slot = intent.slot(directive.slot_to_elicit)
        if slot is None:
            raise LexError(LexErrorKind.BAD_REQUEST, f"intent {intent.name} has no slot {directive.slot_to_elicit}")
        return ask_slot(bot, begun, intent, slot)
    if directive.type == "ConfirmIntent":
        return ask_confirmation(bot, begun, intent)
    if directive.type in ("Delegate", "None"):
        return begin(bot, begun) if not begun.fillings else advance(bot, begun)
    raise LexError(LexErrorKind.BAD_REQUEST, f"unknown dialogAction type {directive.type!r}")
