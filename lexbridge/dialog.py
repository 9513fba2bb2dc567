"""Lex's words: what a bot answered, from either generation, as one `Reply`.

Sources: the service models of lex-runtime 2016-11-28 (PostContent) and lexv2-runtime 2020-08-07 (RecognizeUtterance).
boto3 decodes neither V1's `encoded...` fields (base64) nor V2's compressed ones (gzip, then base64): that is done here.
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from lexbridge.errors import LexUnavailable

_Enum = TypeVar("_Enum", bound=Enum)

Checkpoint = Mapping[str, Any]
"""Where a dialog stood after an answer, as JSON: what boto3's PutSession is told to put it there again. To all but this
module, `lex_v1` and `lex_v2` it is opaque. How often a slot was asked for is not in it: neither generation tells."""

NO_DIALOG: Checkpoint = {}
"""Where it stands before anything was said."""

MAX_UNPACKED_BYTES = 1 << 18
MAX_PARTS = 20_000
"""Lex's headers are 16 KB; a compressed field that unpacks to more bytes than this, or has more commas and brackets, is
not one of Lex's. It is unpacked and read in one go, in which no other call is heard."""


class DialogState(Enum):
    """Where the dialog stands, in Lex V1's words. V2's dialog actions and intent states are told in them too."""

    ELICIT_INTENT = "ElicitIntent"
    CONFIRM_INTENT = "ConfirmIntent"
    ELICIT_SLOT = "ElicitSlot"
    FULFILLED = "Fulfilled"
    READY_FOR_FULFILLMENT = "ReadyForFulfillment"
    FAILED = "Failed"

    @property
    def is_closed(self) -> bool:
        """The intent is done with, well or badly: the bot waits for nothing more on it."""
        return self in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT, DialogState.FAILED)


class MessageFormat(Enum):
    """How a message's text is to be read. V1's Composite is taken apart into the others."""

    PLAIN_TEXT = "PlainText"
    SSML = "SSML"
    CUSTOM_PAYLOAD = "CustomPayload"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing for the caller to hear."""

    text: str = field(repr=False)
    format: MessageFormat = MessageFormat.PLAIN_TEXT


@dataclass(frozen=True, slots=True)
class Reply:
    """What Lex answered to one utterance. `transcript` is what it heard; `messages` may be empty. `checkpoint`: where
    the dialog stands with it."""

    dialog_state: DialogState
    messages: tuple[Message, ...] = ()
    intent: str | None = None
    slot_to_elicit: str | None = None
    session_attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    transcript: str | None = field(default=None, repr=False)
    # Not compared: two answers are the same though the contexts of one have less time to live.
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)

    @property
    def is_fulfilled(self) -> bool:
        """The intent was understood to its end. Without a Lambda of its own a bot stops at ReadyForFulfillment."""
        return self.dialog_state in (DialogState.FULFILLED, DialogState.READY_FOR_FULFILLMENT)


def reply_from_post_content(response: Mapping[str, Any]) -> Reply:
    """Lex V1: boto3's PostContent response, without its audio stream, as a Reply.

    Raises LexUnavailable if it is cut short or is not what PostContent answers.
    """
    state = _enum(DialogState, response.get("dialogState"), "dialogState")
    encoded = response.get("encodedMessage")
    message = _text_from_base64(encoded, "encodedMessage") if encoded else response.get("message")
    encoded = response.get("encodedInputTranscript")
    transcript = _text_from_base64(encoded, "encodedInputTranscript") if encoded else response.get("inputTranscript")
    message_format = response.get("messageFormat") or "PlainText"
    action = {
        "type": "Close" if state.is_closed else state.value,
        "fulfillmentState": state.value if state.is_closed else None,
        "intentName": response.get("intentName"),
        "slots": response.get("slots"),
        "slotToElicit": response.get("slotToElicit"),
        "message": message or None,
        "messageFormat": message_format if message else None,
    }
    return Reply(
        dialog_state=state,
        messages=tuple(_v1_messages(message or "", message_format)),
        intent=response.get("intentName"),
        slot_to_elicit=response.get("slotToElicit"),
        session_attributes=_attributes(response.get("sessionAttributes")),
        transcript=transcript,
        checkpoint=_v1_checkpoint(action, response),
    )


def _v1_checkpoint(action: Mapping[str, Any], response: Mapping[str, Any]) -> Checkpoint:
    """`response`: of PostContent or GetSession."""
    put = {
        "dialogAction": action,
        # What is left out stays as it is. PostContent does not tell of the recent intents.
        "sessionAttributes": response.get("sessionAttributes") or {},
        "activeContexts": response.get("activeContexts") or [],
        "recentIntentSummaryView": response.get("recentIntentSummaryView"),
    }
    return _checkpoint(put)


def _checkpoint(put: Mapping[str, Any]) -> Checkpoint:
    try:
        return {name: _without_nulls(value) for name, value in put.items() if value is not None}
    except RecursionError as error:
        raise LexUnavailable("Lex's answer is nested too deep") from error


def _without_nulls(value: Any) -> Any:
    """JSON without the null members of its objects, such as slots that are open: boto3 refuses them."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _v1_messages(text: str, message_format: str) -> Iterable[Message]:
    if message_format != "Composite":
        return _messages([(text, message_format)])
    # A group of messages as one JSON text: {"messages": [{"type": "PlainText", "group": 0, "value": "..."}]}
    composite = _object(_json(text, "message"), "message")
    parts = _objects(composite.get("messages"), "message.messages")
    return _messages((part.get("value"), part.get("type")) for part in parts)


def reply_from_recognize_utterance(response: Mapping[str, Any]) -> Reply:
    """Lex V2: boto3's RecognizeUtterance response, without its audio stream, as a Reply.

    Raises LexUnavailable if it is cut short or is not what RecognizeUtterance answers.
    """
    if not response.get("sessionState"):
        raise LexUnavailable("Lex's answer has no sessionState")
    return _v2_reply(
        _packed(response, "sessionState"), _packed(response, "messages"), _packed(response, "inputTranscript")
    )


def _v2_reply(state: Any, messages: Any, transcript: Any) -> Reply:
    session_state = _object(state, "sessionState")
    intent = _object(session_state.get("intent"), "sessionState.intent")
    action = _object(session_state.get("dialogAction"), "sessionState.dialogAction")
    parts = _objects(messages, "messages")
    return Reply(
        dialog_state=_v2_dialog_state(
            _name(action.get("type"), "sessionState.dialogAction.type"),
            _name(intent.get("state"), "sessionState.intent.state"),
        ),
        messages=tuple(_messages(_v2_message(part) for part in parts)),
        intent=_name(intent.get("name"), "sessionState.intent.name"),
        slot_to_elicit=_name(action.get("slotToElicit"), "sessionState.dialogAction.slotToElicit"),
        session_attributes=_attributes(session_state.get("sessionAttributes")),
        transcript=transcript if isinstance(transcript, str) else None,
        checkpoint=_v2_checkpoint(session_state, intent, parts),
    )


def _v2_checkpoint(
    state: Mapping[str, Any], intent: Mapping[str, Any], messages: list[Mapping[str, Any]]
) -> Checkpoint:
    put = {
        "dialogAction": state.get("dialogAction"),
        # What is left out stays as it is.
        "sessionAttributes": state.get("sessionAttributes") or {},
        "activeContexts": state.get("activeContexts") or [],
    }
    if intent:
        put["intent"] = {name: intent.get(name) for name in ("name", "slots", "state", "confirmationState")}
    return _checkpoint({"sessionState": put, "messages": messages or None})


def _v2_message(part: Mapping[str, Any]) -> tuple[Any, Any]:
    """(text, format) of a message. A card, a picture with buttons that a telephone cannot show, is read as text."""
    if part.get("contentType") != "ImageResponseCard":
        return part.get("content"), part.get("contentType")
    return _text_of_card(_object(part.get("imageResponseCard"), "imageResponseCard")), MessageFormat.PLAIN_TEXT


def _text_of_card(card: Mapping[str, Any]) -> str:
    """What a card says aloud: "Flowers. Fresh today. Roses, lilies, tulips."

    The buttons are an answer's words, so they come last. Between them stand commas and no "or": the bot may speak any
    language. A button's `value` is what Lex would get in its place: it is for no ear, and so is the picture's address.
    """
    buttons = _objects(card.get("buttons"), "imageResponseCard.buttons")
    texts = [_one_line(_name(button.get("text"), "imageResponseCard.buttons.text")) for button in buttons]
    sentences = [
        _one_line(_name(card.get("title"), "imageResponseCard.title")),
        _one_line(_name(card.get("subtitle"), "imageResponseCard.subtitle")),
        ", ".join(text for text in texts if text),
    ]
    return " ".join(text if text.endswith(_MARKS) else f"{text}." for text in sentences if text)


# Where a voice pauses without our full stop. After the ASCII marks: an ellipsis; those of Chinese, Arabic and Hindi.
_MARKS = tuple(".!?:;,\u2026\u3002\uff01\uff1f\uff1a\u061f\u06d4\u0964")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def reply_from_v1_session(response: Mapping[str, Any]) -> Reply:
    """Lex V1: boto3's GetSession response as the Reply that Lex gave last.

    Raises LexUnavailable if it is not what GetSession answers.
    """
    action = _object(response.get("dialogAction"), "dialogAction")
    kind = _name(action.get("type"), "dialogAction.type")
    if kind == "Close":
        state = _enum(DialogState, action.get("fulfillmentState"), "dialogAction.fulfillmentState")
    else:
        state = _ELICITING.get(kind or "", DialogState.ELICIT_INTENT)
    message = _name(action.get("message"), "dialogAction.message")
    return Reply(
        dialog_state=state,
        messages=tuple(_v1_messages(message or "", action.get("messageFormat") or "PlainText")),
        intent=_name(action.get("intentName"), "dialogAction.intentName"),
        slot_to_elicit=_name(action.get("slotToElicit"), "dialogAction.slotToElicit"),
        session_attributes=_attributes(response.get("sessionAttributes")),
        checkpoint=_v1_checkpoint(action, response),
    )


def reply_from_v2_session(response: Mapping[str, Any]) -> Reply:
    """Lex V2: boto3's GetSession response as the Reply that Lex gave last.

    Raises LexUnavailable if it is not what GetSession answers.
    """
    return _v2_reply(response.get("sessionState"), response.get("messages"), None)


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


def _v2_dialog_state(action: str | None, intent_state: str | None) -> DialogState:
    """V2 has no dialog state: it is the dialog action, and on a closed dialog the intent's own state."""
    if action in _ELICITING:
        return _ELICITING[action]
    if action == "Close":
        # A dialog closed while its intent was still open has not succeeded.
        return _INTENT_DONE.get(intent_state or "", DialogState.FAILED)
    if action in ("Delegate", "None", None):
        # Lex decides by itself, or nobody asked anything: an intent that is done is, else the bot listens.
        return _INTENT_DONE.get(intent_state or "", DialogState.ELICIT_INTENT)
    raise LexUnavailable(f"Lex's answer has an unknown dialog action: {action[:50]!r}")


def _messages(parts: Iterable[tuple[Any, Any]]) -> Iterable[Message]:
    """Messages of (text, format), without those that have nothing to say."""
    for text, message_format in parts:
        if text is not None and not isinstance(text, str):
            raise LexUnavailable("Lex's answer has a message that is not a text")
        if text and text.strip():
            yield Message(text, _enum(MessageFormat, message_format, "message format"))


def _packed(response: Mapping[str, Any], name: str) -> Any:
    """A field of V2: base64 of gzip of JSON. None if it is not there or empty."""
    value = response.get(name)
    if not value:
        return None
    try:
        compressed = base64.b64decode(value, validate=True)
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: a gzip header
        unpacked = unpacker.decompress(compressed, MAX_UNPACKED_BYTES)
    except (ValueError, TypeError, zlib.error) as error:
        raise LexUnavailable(f"Lex's answer has a broken {name}") from error
    if not unpacker.eof or sum(map(unpacked.count, (b",", b"[", b"{"))) > MAX_PARTS:
        raise LexUnavailable(f"Lex's answer has a broken {name}")
    return _json(unpacked, name)


def pack(value: Any) -> str:
    """JSON as Lex V2 wants it in its headers: gzip, then base64."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode("ascii")


def _json(text: str | bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LexUnavailable(f"Lex's answer has a broken {name}") from error


def _text_from_base64(encoded: str, name: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise LexUnavailable(f"Lex's answer has a broken {name}") from error


def _object(value: Any, name: str) -> Mapping[str, Any]:
    """A JSON object; one that is missing is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LexUnavailable(f"Lex's answer has a broken {name}")
    return value


def _name(value: Any, name: str) -> str | None:
    """A text; it may be missing."""
    if value is not None and not isinstance(value, str):
        raise LexUnavailable(f"Lex's answer has a broken {name}")
    return value


def _objects(value: Any, name: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise LexUnavailable(f"Lex's answer has a broken {name}")
    return [_object(part, name) for part in value]


def _attributes(value: Any) -> Mapping[str, str]:
    return {str(name): str(text) for name, text in _object(value, "sessionAttributes").items()}


def _enum(kind: type[_Enum], value: Any, name: str) -> _Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise LexUnavailable(f"Lex's answer has an unknown {name}: {str(value)[:50]!r}") from error
