"""Lex V1: its requests and its answers (PostContent, PutSession and GetSession of the Lex V1 guide)."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from lexbridge.config.bots import LexV1Bot
from lexbridge.errors import LexUnreadable
from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.api import LexApi
from lexbridge.lex.content_types import PCM, TEXT
from lexbridge.lex.decoding import ELICITING, TRANSCRIPT, ReplyMessages, make_checkpoint
from lexbridge.lex.model import Checkpoint, DialogState, Message, Reply

UNREADABLE_HEADERS = "lexbridge.unreadableHeaders"
"""The member of a response of boto3's that names the fields which were dropped because boto3 cannot read them."""

_EMPTY_SESSION: Checkpoint = {
    "dialogAction": {"type": "ElicitIntent"},
    "sessionAttributes": {},
    "activeContexts": [],
    "recentIntentSummaryView": [],
}
"""A session in which the caller has not said anything yet."""


class LexV1(LexApi):
    """A Lex V1 bot."""

    settings = "LEX_BOT_NAME, LEX_BOT_ALIAS, AWS_REGION"

    def __init__(self, client: Any, bot: LexV1Bot) -> None:
        """Take over boto3's client of "lex-runtime"."""
        self.client = client
        client.meta.events.register("before-parse.lex-runtime-service", _drop_unreadable_headers)
        self._names = {"botName": bot.name, "botAlias": bot.alias}

    @property
    def endpoint_url(self) -> str:
        return str(self.client.meta.endpoint_url)

    @property
    def alias(self) -> str:
        return f"{self._names['botName']}/{self._names['botAlias']}"

    def send_input(
        self, session_id: str, attributes: Mapping[str, str] | None, content_type: str, body: Any, accept: str
    ) -> Mapping[str, Any]:
        names = {**self._names, "userId": session_id}
        return self.client.post_content(  # type: ignore[no-any-return]
            **names, **_as_member(attributes), contentType=content_type, accept=accept, inputStream=body
        )

    def begin_intent(
        self, session_id: str, attributes: Mapping[str, str] | None, intent: str, accept: str
    ) -> Mapping[str, Any]:
        action = {"type": "Delegate", "intentName": intent}
        return self._put_session(session_id, accept, **_as_member(attributes), dialogAction=action)

    def read_reply(self, response: Mapping[str, Any]) -> Reply:
        return reply_from_post_content(response)

    def get_session(self, session_id: str) -> Reply:
        return reply_from_session(self.client.get_session(**self._names, userId=session_id))

    def restore_session(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        return self._put_session(session_id, TEXT, **(checkpoint or _EMPTY_SESSION))

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        action = {"type": "ElicitIntent", "message": message.text, "messageFormat": message.format.value}
        return self._put_session(session_id, PCM, dialogAction=action)

    def _put_session(self, session_id: str, accept: str, **session: Any) -> Mapping[str, Any]:
        return self.client.put_session(  # type: ignore[no-any-return]
            **self._names, userId=session_id, accept=accept, **session
        )


def _as_member(attributes: Mapping[str, str] | None) -> dict[str, Any]:
    """Return session attributes as a member of a request, which is left out to keep those of the session."""
    return {} if attributes is None else {"sessionAttributes": dict(attributes)}


def reply_from_post_content(response: Mapping[str, Any]) -> Reply:
    """Decode boto3's PostContent response, without its audio stream.

    Raise LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    for name in response.get(UNREADABLE_HEADERS, ()):
        parts.mark_odd(name)
    state_name = parts.text(response.get("dialogState"), "dialogState")
    state = _known_state(state_name, "dialogState", parts) if state_name else None
    # The encoded fields are newer than the plain ones, and may be missing.
    text = parts.text_of_base64(response.get("encodedMessage"), "encodedMessage")
    text = text or parts.text(response.get("message"), "message")
    transcript = parts.text_of_base64(response.get("encodedInputTranscript"), TRANSCRIPT)
    if transcript is None:
        transcript = parts.text(response.get("inputTranscript"), TRANSCRIPT)
    message_format = parts.text(response.get("messageFormat"), "messageFormat") or "PlainText"
    said = _read_message(text, message_format, parts)
    intent = parts.text(response.get("intentName"), "intentName")
    slot_to_elicit = parts.text(response.get("slotToElicit"), "slotToElicit")
    attributes = parts.texts(response.get("sessionAttributes"), "sessionAttributes")
    if not (state_name or said.messages or intent or attributes):
        raise LexUnreadable(parts.odd)
    if not state_name:
        parts.mark_odd("dialogState")
    state = state or DialogState.ELICIT_INTENT
    slots = parts.object(response.get("slots"), "slots")
    action = {
        "type": "Close" if state.is_closed else state.value,
        "fulfillmentState": state.value if state.is_closed else None,
        "intentName": intent,
        "slots": slots or None,
        "slotToElicit": slot_to_elicit,
        "message": text or None,
        "messageFormat": message_format if text else None,
    }
    return Reply(
        dialog_state=state,
        messages=said.messages,
        intent=intent,
        slot_to_elicit=slot_to_elicit,
        session_attributes=attributes,
        transcript=transcript,
        checkpoint=_checkpoint(action, response, parts),
        slots=_slot_values(slots),
        raw=_without_audio(response),
        odd_parts=parts.odd,
        unspoken_payloads=said.unspoken_payloads,
    )


def reply_from_session(response: Mapping[str, Any]) -> Reply:
    """Decode boto3's GetSession response as the Reply that Lex gave last.

    Raise LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    action = parts.object(response.get("dialogAction"), "dialogAction")
    kind = parts.text(action.get("type"), "dialogAction.type")
    state = ELICITING.get(kind or "", DialogState.ELICIT_INTENT)
    if kind == "Close":
        fulfilled = parts.text(action.get("fulfillmentState"), "dialogAction.fulfillmentState")
        state = _known_state(fulfilled, "dialogAction.fulfillmentState", parts) or DialogState.FAILED
    message_format = parts.text(action.get("messageFormat"), "dialogAction.messageFormat")
    text = parts.text(action.get("message"), "dialogAction.message")
    said = _read_message(text, message_format or "PlainText", parts)
    if parts.odd and not (kind or said.messages):
        raise LexUnreadable(parts.odd)
    return Reply(
        dialog_state=state,
        messages=said.messages,
        intent=parts.text(action.get("intentName"), "dialogAction.intentName"),
        slot_to_elicit=parts.text(action.get("slotToElicit"), "dialogAction.slotToElicit"),
        session_attributes=parts.texts(response.get("sessionAttributes"), "sessionAttributes"),
        checkpoint=_checkpoint(action, response, parts),
        slots=_slot_values(parts.object(action.get("slots"), "dialogAction.slots")),
        odd_parts=parts.odd,
        unspoken_payloads=said.unspoken_payloads,
    )


def _read_message(text: str | None, message_format: str, parts: AnswerParts) -> ReplyMessages:
    """Return the messages in V1's one message field."""
    said = ReplyMessages(parts)
    if message_format != "Composite":
        said.add(text, message_format, "message")
        return said
    # A group of messages as one JSON text: {"messages": [{"type": "PlainText", "group": 0, "value": "..."}]}
    composite = parts.object(parts.json(text or "", "message"), "message")
    for name, part in parts.objects(composite.get("messages"), "message.messages"):
        value = parts.required_text(part.get("value"), f"{name}.value")
        said.add(value, parts.required_text(part.get("type"), f"{name}.type") or "PlainText", name)
    return said


def _known_state(name: str | None, part: str, parts: AnswerParts) -> DialogState | None:
    """Return the dialog state `name`, or None if Lex V1 has no such state: then `part` is odd."""
    known = {state.value: state for state in DialogState}
    if name not in known:
        parts.mark_odd(part)
    return known.get(name or "")


def _checkpoint(action: Mapping[str, Any], response: Mapping[str, Any], parts: AnswerParts) -> Checkpoint | None:
    """Return the position of the dialog after a response of PostContent or GetSession."""
    session = {
        "dialogAction": action,
        # PutSession leaves a missing member as it is, so what the answer does not have is emptied.
        "sessionAttributes": response.get("sessionAttributes") or {},
        "activeContexts": response.get("activeContexts") or [],
        # PostContent does not tell the recent intents.
        "recentIntentSummaryView": response.get("recentIntentSummaryView"),
    }
    return make_checkpoint(session, parts)


def _drop_unreadable_headers(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Drop the headers that botocore would fail to decode, because it then gives up the whole answer.

    Their names go into the response, as UNREADABLE_HEADERS.
    """
    output, headers = operation_model.output_shape, response_dict["headers"]
    dropped = []
    for name, shape in (output.members if output is not None else {}).items():
        header = shape.serialization.get("name", "")
        if not shape.serialization.get("jsonvalue") or header not in headers:
            continue
        try:
            json.loads(base64.b64decode(headers[header]).decode())
        except (ValueError, RecursionError):
            del headers[header]
            dropped.append(name)
    if dropped:
        customized_response_dict[UNREADABLE_HEADERS] = tuple(dropped)


def _slot_values(slots: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the value of each slot, which V1 gives as text, or null while it is empty."""
    return {str(name): value if isinstance(value, str) else None for name, value in slots.items()}


def _without_audio(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parts of an answer that are no stream and not boto3's own."""
    return {name: value for name, value in response.items() if name not in ("audioStream", "ResponseMetadata")}
