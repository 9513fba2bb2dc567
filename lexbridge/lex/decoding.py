"""Lex's words: what a bot answered, from either generation, as one `Reply`.

Sources: the service models of lex-runtime 2016-11-28 (PostContent) and lexv2-runtime 2020-08-07 (RecognizeUtterance).
boto3 decodes neither V1's `encoded...` fields (base64) nor V2's compressed ones (gzip, then base64): that is done here.
What can be read of an answer is used, whatever else it holds.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from lexbridge.errors import LexUnreadable
from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.model import Checkpoint, DialogState, Message, MessageFormat, Reply
from lexbridge.lex.spoken_payload import keys_of_payload, one_line, sentences_of, spoken_of

TRANSCRIPT = "inputTranscript"
"""The part of an answer that has what Lex heard."""

UNREADABLE_HEADERS = "lexbridge.unreadableHeaders"
"""In a response of boto3's: the names of fields that were left out, for boto3 could not have read them."""


def reply_from_post_content(response: Mapping[str, Any]) -> Reply:
    """Lex V1: boto3's PostContent response, without its audio stream, as a Reply.

    Raises LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    for name in response.get(UNREADABLE_HEADERS, ()):
        parts.is_odd(name)
    told = parts.text(response.get("dialogState"), "dialogState")
    state = _known_state(told, "dialogState", parts) if told else None
    # The encoded fields are newer than the plain ones, and need not be there.
    text = parts.text_of_base64(response.get("encodedMessage"), "encodedMessage")
    text = text or parts.text(response.get("message"), "message")
    transcript = parts.text_of_base64(response.get("encodedInputTranscript"), TRANSCRIPT)
    if transcript is None:
        transcript = parts.text(response.get("inputTranscript"), TRANSCRIPT)
    message_format = parts.text(response.get("messageFormat"), "messageFormat") or "PlainText"
    said = _Said(parts)
    said.v1(text or "", message_format)
    intent = parts.text(response.get("intentName"), "intentName")
    slot_to_elicit = parts.text(response.get("slotToElicit"), "slotToElicit")
    attributes = parts.texts(response.get("sessionAttributes"), "sessionAttributes")
    if not (told or said.messages or intent or attributes):
        raise LexUnreadable(parts.odd)
    if not told:
        parts.is_odd("dialogState")
    state = state or DialogState.ELICIT_INTENT
    action = {
        "type": "Close" if state.is_closed else state.value,
        "fulfillmentState": state.value if state.is_closed else None,
        "intentName": intent,
        "slots": parts.object(response.get("slots"), "slots") or None,
        "slotToElicit": slot_to_elicit,
        "message": text or None,
        "messageFormat": message_format if text else None,
    }
    return Reply(
        dialog_state=state,
        messages=tuple(said.messages),
        intent=intent,
        slot_to_elicit=slot_to_elicit,
        session_attributes=attributes,
        transcript=transcript,
        checkpoint=_v1_checkpoint(action, response, parts),
        odd_parts=parts.odd,
        unspoken_payloads=tuple(said.unspoken_payloads),
    )


def _v1_checkpoint(action: Mapping[str, Any], response: Mapping[str, Any], parts: AnswerParts) -> Checkpoint | None:
    """`response`: of PostContent or GetSession."""
    put = {
        "dialogAction": action,
        # What is left out stays as it is. PostContent does not tell of the recent intents.
        "sessionAttributes": response.get("sessionAttributes") or {},
        "activeContexts": response.get("activeContexts") or [],
        "recentIntentSummaryView": response.get("recentIntentSummaryView"),
    }
    return _checkpoint(put, parts)


def _checkpoint(put: Mapping[str, Any], parts: AnswerParts) -> Checkpoint | None:
    """`put` for PutSession; None where something of the answer could not be read: the dialog would not stand there."""
    try:
        checkpoint = {name: _without_nulls(value) for name, value in put.items() if value is not None}
    except RecursionError:
        parts.is_odd("slots")
        return None
    return None if set(parts.odd) - {TRANSCRIPT} else checkpoint


def _without_nulls(value: Any) -> Any:
    """JSON without the null members of its objects, such as slots that are open: boto3 refuses them."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def reply_from_recognize_utterance(response: Mapping[str, Any]) -> Reply:
    """Lex V2: boto3's RecognizeUtterance response, without its audio stream, as a Reply.

    Raises LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    state = parts.packed(response.get("sessionState"), "sessionState")
    messages = parts.packed(response.get("messages"), "messages")
    transcript = parts.packed(response.get("inputTranscript"), TRANSCRIPT)
    return _v2_reply(state, messages, transcript, parts)


def _v2_reply(state: Any, messages: Any, transcript: Any, parts: AnswerParts) -> Reply:
    session_state = parts.object(state, "sessionState")
    intent = parts.object(session_state.get("intent"), "sessionState.intent")
    action = parts.object(session_state.get("dialogAction"), "sessionState.dialogAction")
    action_type = parts.text(action.get("type"), "sessionState.dialogAction.type")
    intent_state = parts.text(intent.get("state"), "sessionState.intent.state")
    said = _Said(parts)
    raw_messages = []
    for name, part in parts.objects(messages, "messages"):
        said.v2(part, name)
        raw_messages.append(part)
    attributes = parts.texts(session_state.get("sessionAttributes"), "sessionState.sessionAttributes")
    if not (said.messages or session_state):
        raise LexUnreadable(parts.odd)
    if not session_state:
        parts.is_odd("sessionState")
    return Reply(
        dialog_state=_v2_dialog_state(action_type, intent_state, parts),
        messages=tuple(said.messages),
        intent=parts.text(intent.get("name"), "sessionState.intent.name"),
        slot_to_elicit=parts.text(action.get("slotToElicit"), "sessionState.dialogAction.slotToElicit"),
        session_attributes=attributes,
        transcript=parts.text(transcript, TRANSCRIPT),
        checkpoint=_v2_checkpoint(session_state, intent, raw_messages, parts),
        odd_parts=parts.odd,
        unspoken_payloads=tuple(said.unspoken_payloads),
    )


def _v2_checkpoint(
    state: Mapping[str, Any], intent: Mapping[str, Any], messages: list[Mapping[str, Any]], parts: AnswerParts
) -> Checkpoint | None:
    put = {
        "dialogAction": state.get("dialogAction"),
        # What is left out stays as it is.
        "sessionAttributes": state.get("sessionAttributes") or {},
        "activeContexts": state.get("activeContexts") or [],
    }
    if intent:
        put["intent"] = {name: intent.get(name) for name in ("name", "slots", "state", "confirmationState")}
    return _checkpoint({"sessionState": put, "messages": messages or None}, parts)


class _Said:
    """The messages of one answer that have something to say."""

    def __init__(self, parts: AnswerParts) -> None:
        self.messages: list[Message] = []
        self.unspoken_payloads: list[tuple[str, ...]] = []
        self._parts = parts

    def v1(self, text: str, message_format: str) -> None:
        """Adds the message of V1."""
        if message_format != "Composite":
            self._add(text, message_format, "message")
            return
        # A group of messages as one JSON text: {"messages": [{"type": "PlainText", "group": 0, "value": "..."}]}
        composite = self._parts.object(self._parts.json(text, "message"), "message")
        for name, part in self._parts.objects(composite.get("messages"), "message.messages"):
            self._add(self._needed(part, "value", name), self._needed(part, "type", name) or "PlainText", name)

    def v2(self, part: Mapping[str, Any], name: str) -> None:
        """Adds one message of V2's."""
        message_format = self._needed(part, "contentType", name)
        if message_format == "ImageResponseCard" or ("content" not in part and "imageResponseCard" in part):
            card = self._parts.object(part.get("imageResponseCard"), f"{name}.imageResponseCard")
            # A picture with buttons that a telephone cannot show.
            if text := self._text_of_card(card, f"{name}.imageResponseCard"):
                self.messages.append(Message(text, is_unvoiced=True))
        else:
            self._add(self._needed(part, "content", name), message_format or "PlainText", name)

    def _needed(self, part: Mapping[str, Any], member: str, name: str) -> str | None:
        """A member of a message, which Lex has in each."""
        text = self._parts.text(part.get(member), f"{name}.{member}")
        if text is None:
            self._parts.is_odd(f"{name}.{member}")
        return text

    def _add(self, text: str | None, message_format: str, name: str) -> None:
        """Adds a message, unless it has nothing to say."""
        if message_format not in ("PlainText", "SSML", "CustomPayload"):
            self._parts.is_odd(name)
        elif text and text.strip():
            if message_format == "CustomPayload":
                self._add_payload(text)
            else:
                self.messages.append(Message(text, MessageFormat(message_format)))

    def _add_payload(self, payload: str) -> None:
        spoken = spoken_of(payload)
        if spoken is None:
            self.unspoken_payloads.append(keys_of_payload(payload))
        else:
            kind = MessageFormat.SSML if spoken.is_ssml else MessageFormat.PLAIN_TEXT
            self.messages.append(Message(spoken.text, kind, is_unvoiced=True))

    def _text_of_card(self, card: Mapping[str, Any], name: str) -> str:
        """What a card says aloud: "Flowers. Fresh today. Roses, lilies, tulips."

        The buttons are an answer's words, so they come last. Between them stand commas and no "or": the bot may speak
        any language. A button's `value` is what Lex would get in its place: it is for no ear, and so is the picture's
        address.
        """
        parts = self._parts
        buttons = [
            one_line(parts.text(button.get("text"), f"{which}.text") or "")
            for which, button in parts.objects(card.get("buttons"), f"{name}.buttons")
        ]
        title, subtitle = (parts.text(card.get(line), f"{name}.{line}") or "" for line in ("title", "subtitle"))
        return sentences_of([title, subtitle, ", ".join(filter(None, buttons))])


def reply_from_v1_session(response: Mapping[str, Any]) -> Reply:
    """Lex V1: boto3's GetSession response as the Reply that Lex gave last.

    Raises LexUnreadable if nothing of it can be used.
    """
    parts = AnswerParts()
    action = parts.object(response.get("dialogAction"), "dialogAction")
    kind = parts.text(action.get("type"), "dialogAction.type")
    state = _ELICITING.get(kind or "", DialogState.ELICIT_INTENT)
    if kind == "Close":
        fulfilled = parts.text(action.get("fulfillmentState"), "dialogAction.fulfillmentState")
        state = _known_state(fulfilled, "dialogAction.fulfillmentState", parts) or DialogState.FAILED
    said = _Said(parts)
    message_format = parts.text(action.get("messageFormat"), "dialogAction.messageFormat")
    said.v1(parts.text(action.get("message"), "dialogAction.message") or "", message_format or "PlainText")
    if parts.odd and not (kind or said.messages):
        raise LexUnreadable(parts.odd)
    return Reply(
        dialog_state=state,
        messages=tuple(said.messages),
        intent=parts.text(action.get("intentName"), "dialogAction.intentName"),
        slot_to_elicit=parts.text(action.get("slotToElicit"), "dialogAction.slotToElicit"),
        session_attributes=parts.texts(response.get("sessionAttributes"), "sessionAttributes"),
        checkpoint=_v1_checkpoint(action, response, parts),
        odd_parts=parts.odd,
        unspoken_payloads=tuple(said.unspoken_payloads),
    )


def reply_from_v2_session(response: Mapping[str, Any]) -> Reply:
    """Lex V2: boto3's GetSession response as the Reply that Lex gave last.

    Raises LexUnreadable if nothing of it can be used.
    """
    return _v2_reply(response.get("sessionState"), response.get("messages"), None, AnswerParts())


_ELICITING = {
    "ElicitIntent": DialogState.ELICIT_INTENT,
    "ConfirmIntent": DialogState.CONFIRM_INTENT,
    "ElicitSlot": DialogState.ELICIT_SLOT,
}
_INTENT_DONE = {
    "Fulfilled": DialogState.FULFILLED,
    "ReadyForFulfillment": DialogState.READY_FOR_FULFILLMENT,
    "Failed": DialogState.FAILED,
}
_INTENT_OPEN = ("InProgress", "Waiting", "FulfillmentInProgress")


def _known_state(told: str | None, name: str, parts: AnswerParts) -> DialogState | None:
    """A dialog state of V1's; None, and noted as odd, if it is none."""
    known = {state.value: state for state in DialogState}
    if told not in known:
        parts.is_odd(name)
    return known.get(told or "")


def _v2_dialog_state(action: str | None, intent_state: str | None, parts: AnswerParts) -> DialogState:
    """V2 has no dialog state: it is the dialog action, and on a closed dialog the intent's own state."""
    if intent_state is not None and intent_state not in (*_INTENT_DONE, *_INTENT_OPEN):
        parts.is_odd("sessionState.intent.state")
    if action in _ELICITING:
        return _ELICITING[action]
    if action == "Close":
        # A dialog closed while its intent was still open has not succeeded.
        return _INTENT_DONE.get(intent_state or "", DialogState.FAILED)
    if action in ("Delegate", "None", None):
        # Lex decides by itself, or nobody asked anything: an intent that is done is, else the bot listens.
        return _INTENT_DONE.get(intent_state or "", DialogState.ELICIT_INTENT)
    # Something new: it was not closed, so the bot listens.
    parts.is_odd("sessionState.dialogAction.type")
    return DialogState.ELICIT_INTENT


def pack(value: Any) -> str:
    """JSON as Lex V2 wants it in its headers: gzip, then base64."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode("ascii")
