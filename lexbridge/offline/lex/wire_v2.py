"""Lex V2's request and response shapes: pure encoding, no socket."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lexbridge.offline.lex.bots import CARD, Bot, Card, Message
from lexbridge.offline.lex.dialogue import (
    Confirmation,
    Conversation,
    DialogState,
    Turn,
)
from lexbridge.offline.lex.understanding import SlotFilling
from lexbridge.offline.lex.wire import V2_ACTIONS, Directive, Headers, Json, directed, gzip_json, request_id


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
        "state": V2_ACTIONS[conversation.state][1],
        "confirmationState": conversation.confirmation.value,
    }


def v2_session_state(bot: Bot, conversation: Conversation) -> Json:
    """sessionState, as every V2 operation answers it."""
    action: Json = {"type": V2_ACTIONS[conversation.state][0]}
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
        **request_id(),
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
