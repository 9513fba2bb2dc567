"""Lex V2: its requests and its answers (RecognizeUtterance, PutSession and GetSession of its API reference)."""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from lexbridge.config.bots import LexV2Bot
from lexbridge.errors import LexUnreadable
from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.api import LexApi
from lexbridge.lex.content_types import PCM, TEXT
from lexbridge.lex.decoding import ELICITING, TRANSCRIPT, ReplyMessages, make_checkpoint
from lexbridge.lex.model import Checkpoint, DialogState, Message, Reply
from lexbridge.lex.spoken_payload import join_sentences, one_line

_ELICIT_INTENT = {"type": "ElicitIntent"}
_EMPTY_SESSION: Checkpoint = {
    "sessionState": {"dialogAction": _ELICIT_INTENT, "sessionAttributes": {}, "activeContexts": []},
}
"""A session in which the caller has not said anything yet."""

_FINISHED_INTENTS = {
    "Fulfilled": DialogState.FULFILLED,
    "ReadyForFulfillment": DialogState.READY_FOR_FULFILLMENT,
    "Failed": DialogState.FAILED,
}
INTERPRETATIONS = "interpretations"
"""The part of an answer with the intents that Lex thought of, which only people look at. It stays packed."""

_OPEN_INTENTS = ("InProgress", "Waiting", "FulfillmentInProgress")


class LexV2(LexApi):
    """A Lex V2 bot."""

    settings = "LEX_BOT_ID, LEX_BOT_ALIAS_ID, LEX_LOCALE_ID, AWS_REGION"

    def __init__(self, client: Any, bot: LexV2Bot) -> None:
        """Take over boto3's client of "lexv2-runtime"."""
        self.client = client
        self._ids = {"botId": bot.bot_id, "botAliasId": bot.alias_id, "localeId": bot.locale_id}

    @property
    def endpoint_url(self) -> str:
        return str(self.client.meta.endpoint_url)

    @property
    def alias(self) -> str:
        return "/".join(self._ids.values())

    def send_input(
        self, session_id: str, attributes: Mapping[str, str] | None, content_type: str, body: Any, accept: str
    ) -> Mapping[str, Any]:
        state = _as_member(attributes)
        more = {"sessionState": pack(state)} if state else {}
        return self.client.recognize_utterance(  # type: ignore[no-any-return]
            **self._ids,
            **more,
            sessionId=session_id,
            requestContentType=content_type,
            responseContentType=accept,
            inputStream=body,
        )

    def begin_intent(
        self, session_id: str, attributes: Mapping[str, str] | None, intent: str, accept: str
    ) -> Mapping[str, Any]:
        state = {**_as_member(attributes), "dialogAction": {"type": "Delegate"}, "intent": {"name": intent}}
        return self._put_session(session_id, accept, sessionState=state)

    def read_reply(self, response: Mapping[str, Any]) -> Reply:
        return reply_from_recognize_utterance(response)

    def get_session(self, session_id: str) -> Reply:
        return reply_from_session(self.client.get_session(**self._ids, sessionId=session_id))

    def restore_session(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        return self._put_session(session_id, TEXT, **(checkpoint or _EMPTY_SESSION))

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        messages = [{"content": message.text, "contentType": message.format.value}]
        return self._put_session(session_id, PCM, sessionState={"dialogAction": _ELICIT_INTENT}, messages=messages)

    def _put_session(self, session_id: str, accept: str, **session: Any) -> Mapping[str, Any]:
        return self.client.put_session(  # type: ignore[no-any-return]
            **self._ids, sessionId=session_id, responseContentType=accept, **session
        )


def _as_member(attributes: Mapping[str, str] | None) -> dict[str, Any]:
    """Return session attributes as a member of a request, which is left out to keep those of the session."""
    return {} if attributes is None else {"sessionAttributes": dict(attributes)}


def pack(value: Any) -> str:
    """Return JSON as Lex V2 expects it in its headers: gzip, then base64."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode("ascii")


def reply_from_recognize_utterance(response: Mapping[str, Any]) -> Reply:
    """Decode boto3's RecognizeUtterance response, without its audio stream.

    Raise LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    state = parts.packed(response.get("sessionState"), "sessionState")
    messages = parts.packed(response.get("messages"), "messages")
    transcript = parts.packed(response.get("inputTranscript"), TRANSCRIPT)
    raw = {"sessionState": state, "messages": messages, "inputTranscript": transcript}
    return _reply(state, messages, transcript, parts, {**raw, INTERPRETATIONS: response.get(INTERPRETATIONS)})


def reply_from_session(response: Mapping[str, Any]) -> Reply:
    """Decode boto3's GetSession response as the Reply that Lex gave last.

    Raise LexUnreadable if nothing of it can be used.
    """
    state, messages = response.get("sessionState"), response.get("messages")
    return _reply(state, messages, None, AnswerParts(), {"sessionState": state, "messages": messages})


def _reply(state: Any, messages: Any, transcript: Any, parts: AnswerParts, raw: Mapping[str, Any]) -> Reply:
    session_state = parts.object(state, "sessionState")
    intent = parts.object(session_state.get("intent"), "sessionState.intent")
    action = parts.object(session_state.get("dialogAction"), "sessionState.dialogAction")
    action_type = parts.text(action.get("type"), "sessionState.dialogAction.type")
    intent_state = parts.text(intent.get("state"), "sessionState.intent.state")
    said = ReplyMessages(parts)
    raw_messages = []
    for name, part in parts.objects(messages, "messages"):
        _add_message(said, part, name, parts)
        raw_messages.append(part)
    attributes = parts.texts(session_state.get("sessionAttributes"), "sessionState.sessionAttributes")
    if not (said.messages or session_state):
        raise LexUnreadable(parts.odd)
    if not session_state:
        parts.mark_odd("sessionState")
    return Reply(
        dialog_state=_dialog_state(action_type, intent_state, parts),
        messages=said.messages,
        intent=parts.text(intent.get("name"), "sessionState.intent.name"),
        slot_to_elicit=parts.text(action.get("slotToElicit"), "sessionState.dialogAction.slotToElicit"),
        session_attributes=attributes,
        transcript=parts.text(transcript, TRANSCRIPT),
        checkpoint=_checkpoint(session_state, intent, raw_messages, parts),
        slots=_slot_values(intent.get("slots")),
        raw=raw,
        odd_parts=parts.odd,
        unspoken_payloads=said.unspoken_payloads,
    )


def _slot_values(slots: Any) -> dict[str, str | None]:
    """Return the value of each slot, as far as it can be read. A slot with several values has them between commas."""
    return {str(name): _slot_value(slot) for name, slot in slots.items()} if isinstance(slots, dict) else {}


def _slot_value(slot: Any) -> str | None:
    if not isinstance(slot, dict):
        return None
    if isinstance(values := slot.get("values"), list) and values:
        # A value of the list has no list of its own in Lex's answers, and none is looked for here.
        found = [_slot_value({**one, "values": None}) for one in values if isinstance(one, dict)]
        return ", ".join(filter(None, found)) or None
    value = slot.get("value")
    interpreted = value.get("interpretedValue") if isinstance(value, dict) else None
    return interpreted if isinstance(interpreted, str) else None


def _add_message(said: ReplyMessages, part: Mapping[str, Any], name: str, parts: AnswerParts) -> None:
    """Add one message of the answer to `said`."""
    message_format = parts.required_text(part.get("contentType"), f"{name}.contentType")
    if message_format == "ImageResponseCard" or ("content" not in part and "imageResponseCard" in part):
        card = parts.object(part.get("imageResponseCard"), f"{name}.imageResponseCard")
        said.add_unvoiced(_words_of_card(card, f"{name}.imageResponseCard", parts))
    else:
        content = parts.required_text(part.get("content"), f"{name}.content")
        said.add(content, message_format or "PlainText", name)


def _words_of_card(card: Mapping[str, Any], name: str, parts: AnswerParts) -> str:
    """Return the words of a card, a picture with buttons: "Flowers. Fresh today. Roses, lilies, tulips."

    A button's `value`, which the bot would receive if it were pressed, and the picture's address are left out.
    """
    buttons = [
        one_line(parts.text(button.get("text"), f"{which}.text") or "")
        for which, button in parts.objects(card.get("buttons"), f"{name}.buttons")
    ]
    title, subtitle = (parts.text(card.get(line), f"{name}.{line}") or "" for line in ("title", "subtitle"))
    # The caller answers with the words of a button, so they come last. They are joined by commas and without "or",
    # because the bot may speak any language.
    return join_sentences([title, subtitle, ", ".join(filter(None, buttons))])


def _dialog_state(action: str | None, intent_state: str | None, parts: AnswerParts) -> DialogState:
    """Translate the dialog action of V2, and the intent's state if the dialog is closed, to V1's dialog state."""
    if intent_state is not None and intent_state not in (*_FINISHED_INTENTS, *_OPEN_INTENTS):
        parts.mark_odd("sessionState.intent.state")
    if action in ELICITING:
        return ELICITING[action]
    if action == "Close":
        # A dialog that was closed while its intent was open has not succeeded.
        return _FINISHED_INTENTS.get(intent_state or "", DialogState.FAILED)
    if action in ("Delegate", "None", None):
        # The bot asks nothing. Unless the intent is finished, it waits for the caller to begin another one.
        return _FINISHED_INTENTS.get(intent_state or "", DialogState.ELICIT_INTENT)
    # An action that is newer than this code: the dialog is not closed, so the bot listens.
    parts.mark_odd("sessionState.dialogAction.type")
    return DialogState.ELICIT_INTENT


def _checkpoint(
    state: Mapping[str, Any], intent: Mapping[str, Any], messages: list[Mapping[str, Any]], parts: AnswerParts
) -> Checkpoint | None:
    """Return the position of the dialog after an answer."""
    session_state = {
        "dialogAction": state.get("dialogAction"),
        # PutSession leaves a missing member as it is, so what the answer does not have is emptied.
        "sessionAttributes": state.get("sessionAttributes") or {},
        "activeContexts": state.get("activeContexts") or [],
    }
    if intent:
        session_state["intent"] = {name: intent.get(name) for name in ("name", "slots", "state", "confirmationState")}
    return make_checkpoint({"sessionState": session_state, "messages": messages or None}, parts)
