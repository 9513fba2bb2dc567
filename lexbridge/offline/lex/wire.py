"""Lex's own request and response shapes, both generations: pure encoding, no socket.

V1 (lex-runtime, 2016-11-28): JSON in headers is base64; the message and the transcript come twice, plain (deprecated)
and base64. V2 (lexv2-runtime, 2020-08-07): JSON in headers is gzipped, then base64; boto3 gives it back as it is.
"""

import base64
import gzip
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from lexbridge.offline.lex.bots import CARD, Bot, Card, Message
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
    headers = {**_request_id(), "Content-Type": "application/json", "x-amzn-ErrorType": name}
    return Response(status, headers, json.dumps({key: error.message}).encode())


def _request_id() -> Headers:
    return {"x-amzn-RequestId": str(uuid.uuid4())}


def json_response(document: Json) -> Response:
    """A response of the operations that answer JSON in the body."""
    return Response(200, {**_request_id(), "Content-Type": "application/json"}, json.dumps(document).encode())


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


def _plain(text: str) -> str | None:
    """A text as a header of its own, or None when a header cannot carry it."""
    return text if text.isascii() and text.isprintable() and text else None


# --- V1 ---


def v1_slots(bot: Bot, conversation: Conversation) -> dict[str, str | None]:
    """Every slot of the intent, null while it is open."""
    intent = bot.intent(conversation.intent)
    filled = {name: filling.value for name, filling in conversation.fillings.items()}
    return {slot.name: filled.get(slot.name) for slot in intent.slots} if intent else {}


def v1_message(messages: Sequence[Message]) -> tuple[str, str]:
    """(text, format): several messages are one Composite. PostContent has no place for a response card."""
    messages = [message for message in messages if message.card is None]
    if len(messages) == 1:
        return messages[0].text, messages[0].kind
    composite = [{"type": m.kind, "group": number, "value": m.text} for number, m in enumerate(messages)]
    return json.dumps({"messages": composite}), "Composite"


def v1_headers(bot: Bot, turn: Turn, session_id: str, version: str, transcript: str | None) -> Headers:
    """The response headers of PostContent; of PutSession when there is no transcript."""
    conversation = turn.conversation
    headers = {
        **_request_id(),
        "x-amz-lex-dialog-state": conversation.state.value,
        "x-amz-lex-session-id": session_id,
        "x-amz-lex-session-attributes": base64_json(dict(conversation.attributes)),
        "x-amz-lex-active-contexts": base64_json([]),
    }
    if conversation.intent:
        headers["x-amz-lex-intent-name"] = conversation.intent
        headers["x-amz-lex-slots"] = base64_json(v1_slots(bot, conversation))
    if conversation.state is DialogState.ELICIT_SLOT and conversation.slot_to_elicit:
        headers["x-amz-lex-slot-to-elicit"] = conversation.slot_to_elicit
    if any(message.text for message in turn.messages):
        text, message_format = v1_message(turn.messages)
        headers["x-amz-lex-encoded-message"] = base64_text(text)
        headers["x-amz-lex-message-format"] = message_format
        headers |= {"x-amz-lex-message": plain} if (plain := _plain(text)) else {}
    if transcript is not None:
        headers["x-amz-lex-bot-version"] = version
        headers["x-amz-lex-encoded-input-transcript"] = base64_text(transcript)
        headers |= {"x-amz-lex-input-transcript": plain} if (plain := _plain(transcript)) else {}
        if turn.confidence is not None:
            headers["x-amz-lex-nlu-intent-confidence"] = base64_json({"score": turn.confidence})
    return headers


def v1_text_reply(bot: Bot, turn: Turn, session_id: str, version: str) -> Json:
    """The response body of PostText."""
    conversation = turn.conversation
    reply: Json = {
        "dialogState": conversation.state.value,
        "sessionId": session_id,
        "sessionAttributes": dict(conversation.attributes),
        "botVersion": version,
        "activeContexts": [],
    }
    if conversation.intent:
        reply |= {"intentName": conversation.intent, "slots": v1_slots(bot, conversation)}
    if turn.confidence is not None:
        reply["nluIntentConfidence"] = {"score": turn.confidence}
    if conversation.slot_to_elicit:
        reply["slotToElicit"] = conversation.slot_to_elicit
    if any(message.text for message in turn.messages):
        reply["message"], reply["messageFormat"] = v1_message(turn.messages)
    return reply


_V1_CLOSED = (DialogState.FULFILLED, DialogState.FAILED, DialogState.READY_FOR_FULFILLMENT)


def v1_intent_summary(bot: Bot, conversation: Conversation) -> Json:
    """An element of GetSession's recentIntentSummaryView."""
    closed = conversation.state in _V1_CLOSED
    summary: Json = {
        "intentName": conversation.intent,
        "slots": v1_slots(bot, conversation),
        "confirmationStatus": conversation.confirmation.value,
        "dialogActionType": "Close" if closed else conversation.state.value,
    }
    if closed:
        summary["fulfillmentState"] = conversation.state.value
    if conversation.slot_to_elicit:
        summary["slotToElicit"] = conversation.slot_to_elicit
    return summary


def v1_session(bot: Bot, turn: Turn, session_id: str, recent: Sequence[Json]) -> Json:
    """The response body of GetSession."""
    conversation = turn.conversation
    summary = v1_intent_summary(bot, conversation)
    action: Json = {"type": summary["dialogActionType"]}
    if conversation.intent:
        action |= {key: summary[key] for key in ("intentName", "slots")}
    action |= {key: summary[key] for key in ("fulfillmentState", "slotToElicit") if key in summary}
    if any(message.text for message in turn.messages):
        action["message"], action["messageFormat"] = v1_message(turn.messages)
    return {
        "recentIntentSummaryView": list(recent),
        "sessionAttributes": dict(conversation.attributes),
        "sessionId": session_id,
        "dialogAction": action,
        "activeContexts": [],
    }


def v1_put_session(bot: Bot, conversation: Conversation, body: Json) -> Turn:
    """The turn that PutSession's body asks for. Raises LexError."""
    if body.get("sessionAttributes") is not None:
        conversation = replace(conversation, attributes=body["sessionAttributes"])
    action = body.get("dialogAction")
    if not action:
        return Turn(conversation, ())
    slots = {name: SlotFilling(value, value, value) for name, value in (action.get("slots") or {}).items() if value}
    directive = Directive(
        type=action.get("type") or "",
        intent=action.get("intentName"),
        fillings=slots,
        slot_to_elicit=action.get("slotToElicit"),
        state=action.get("fulfillmentState"),
        confirmation=Confirmation.NONE,
    )
    said = (Message(action["message"], action.get("messageFormat") or "PlainText"),) if action.get("message") else ()
    return directed(bot, conversation, directive, said)


# --- V2 ---

_V2_ACTIONS = {
    DialogState.ELICIT_INTENT: ("ElicitIntent", "InProgress"),
    DialogState.ELICIT_SLOT: ("ElicitSlot", "InProgress"),
    DialogState.CONFIRM_INTENT: ("ConfirmIntent", "InProgress"),
    DialogState.FULFILLED: ("Close", "Fulfilled"),
    DialogState.READY_FOR_FULFILLMENT: ("Close", "ReadyForFulfillment"),
    DialogState.FAILED: ("Close", "Failed"),
}


def v2_slots(bot: Bot, conversation: Conversation) -> Json:
    """Every slot of the intent, null while it is open."""
    intent = bot.intent(conversation.intent)
    return {slot.name: _v2_slot(conversation.fillings.get(slot.name)) for slot in intent.slots} if intent else {}


def _v2_slot(filling: SlotFilling | None) -> Json | None:
    if filling is None:
        return None
    resolved = [filling.resolved] if filling.resolved is not None else []
    value = {"originalValue": filling.original, "interpretedValue": filling.value, "resolvedValues": resolved}
    return {"shape": "Scalar", "value": value}


def v2_intent(bot: Bot, conversation: Conversation) -> Json:
    """The intent being talked about."""
    return {
        "name": conversation.intent,
        "slots": v2_slots(bot, conversation),
        "state": _V2_ACTIONS[conversation.state][1],
        "confirmationState": conversation.confirmation.value,
    }


def v2_session_state(bot: Bot, conversation: Conversation) -> Json:
    """sessionState, as every V2 operation answers it."""
    action: Json = {"type": _V2_ACTIONS[conversation.state][0]}
    if conversation.state is DialogState.ELICIT_SLOT:
        action["slotToElicit"] = conversation.slot_to_elicit
    state: Json = {
        "dialogAction": action,
        "activeContexts": [],
        "sessionAttributes": dict(conversation.attributes),
        "originatingRequestId": str(uuid.uuid4()),
    }
    if conversation.intent:
        state["intent"] = v2_intent(bot, conversation)
    return state


def v2_interpretations(bot: Bot, turn: Turn) -> list[Json]:
    """The intent that was understood, then the fallback intent, as Lex lists them."""
    found: list[Json] = []
    name = turn.conversation.intent
    if name:
        best: Json = {"intent": v2_intent(bot, turn.conversation), "interpretationSource": "Lex"}
        if turn.confidence is not None:
            best["nluConfidence"] = {"score": turn.confidence}
        found.append(best)
    if bot.fallback and bot.fallback.name != name:
        found.append({"intent": {"name": bot.fallback.name, "slots": {}}, "interpretationSource": "Lex"})
    return found


def v2_messages(messages: Sequence[Message]) -> list[Json]:
    """Messages as every V2 operation answers them."""
    return [_v2_message(message) for message in messages]


def _v2_message(message: Message) -> Json:
    if message.card is None:
        return {"content": message.text, "contentType": message.kind}
    card: Json = {"title": message.card.title}
    card |= {"subtitle": message.card.subtitle} if message.card.subtitle else {}
    card |= {"imageUrl": message.card.image_url} if message.card.image_url else {}
    if message.card.buttons:
        card["buttons"] = [{"text": text, "value": value} for text, value in message.card.buttons]
    # [?] whether Lex gives it a `content` is not documented: the model does not require one.
    return {"contentType": message.kind, "imageResponseCard": card}


def _said_by_client(raw: Json) -> Message:
    """A message that a V2 client gives. Raises KeyError, TypeError."""
    card = raw.get("imageResponseCard")
    if not card:
        return Message(raw.get("content") or "", raw.get("contentType") or "PlainText")
    buttons = tuple((button["text"], button["value"]) for button in card.get("buttons") or ())
    return Message("", CARD, card=Card(card["title"], card.get("subtitle") or "", card.get("imageUrl") or "", buttons))


def v2_headers(
    bot: Bot,
    turn: Turn,
    session_id: str,
    request_attributes: Mapping[str, str],
    heard: tuple[str, str] | None,
) -> Headers:
    """The response headers of RecognizeUtterance, where `heard` is (input mode, transcript); of PutSession without."""
    headers = {
        **_request_id(),
        "x-amz-lex-session-id": session_id,
        "x-amz-lex-session-state": gzip_json(v2_session_state(bot, turn.conversation)),
        "x-amz-lex-request-attributes": gzip_json(dict(request_attributes)),
        "x-amz-lex-messages": gzip_json(v2_messages(turn.messages)),
    }
    if heard:
        mode, transcript = heard
        headers["x-amz-lex-input-mode"] = mode
        headers["x-amz-lex-interpretations"] = gzip_json(v2_interpretations(bot, turn))
        headers["x-amz-lex-input-transcript"] = gzip_json(transcript)
    return headers


def v2_session(bot: Bot, turn: Turn, session_id: str) -> Json:
    """The response body of GetSession."""
    return {
        "sessionId": session_id,
        "messages": v2_messages(turn.messages),
        "interpretations": v2_interpretations(bot, turn),
        "sessionState": v2_session_state(bot, turn.conversation),
    }


def v2_apply_state(bot: Bot, conversation: Conversation, state: Json | None, messages: Sequence[Json] = ()) -> Turn:
    """The turn that a request's sessionState asks for. Raises LexError."""
    if not state:
        return Turn(conversation, ())
    if state.get("sessionAttributes") is not None:
        conversation = replace(conversation, attributes=state["sessionAttributes"])
    said = tuple(map(_said_by_client, messages))
    action, intent = state.get("dialogAction") or {}, state.get("intent") or {}
    if action.get("type", "None") == "None" and not intent:
        return Turn(conversation, said)
    directive = Directive(
        type=action.get("type") or "Delegate",
        intent=intent.get("name"),
        fillings=_v2_fillings(intent.get("slots") or {}),
        slot_to_elicit=action.get("slotToElicit"),
        state=intent.get("state"),
        confirmation=Confirmation(intent.get("confirmationState") or "None"),
    )
    return directed(bot, conversation, directive, said)


def _v2_fillings(slots: Json) -> dict[str, SlotFilling]:
    fillings = {}
    for name, slot in slots.items():
        value = (slot or {}).get("value") or {}
        if value.get("interpretedValue"):
            interpreted = value["interpretedValue"]
            fillings[name] = SlotFilling(interpreted, value.get("originalValue") or interpreted, interpreted)
    return fillings


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
        closed = {state.value: state for state in _V1_CLOSED}.get(directive.state or "Fulfilled")
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
