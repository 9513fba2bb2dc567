"""Lex V1's request and response shapes: pure encoding, no socket."""

import json
from collections.abc import Sequence
from dataclasses import replace

from lexbridge.offline.lex.bots import Bot, Message
from lexbridge.offline.lex.dialogue import (
    Confirmation,
    Conversation,
    DialogState,
    Turn,
)
from lexbridge.offline.lex.understanding import SlotFilling
from lexbridge.offline.lex.wire import (
    V1_CLOSED,
    Directive,
    Headers,
    Json,
    base64_json,
    base64_text,
    directed,
    request_id,
)


def _plain(text: str) -> str | None:
    """A text as a header of its own, or None when a header cannot carry it."""
    return text if text.isascii() and text.isprintable() and text else None


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
        **request_id(),
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


def v1_intent_summary(bot: Bot, conversation: Conversation) -> Json:
    """An element of GetSession's recentIntentSummaryView."""
    closed = conversation.state in V1_CLOSED
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
