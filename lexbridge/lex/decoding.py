"""The decoding of Lex's answers that both generations share: messages and checkpoints.

The fields of an answer are those of the service models lex-runtime 2016-11-28 (PostContent) and lexv2-runtime
2020-08-07 (RecognizeUtterance). boto3 decodes neither V1's `encoded...` fields (base64) nor V2's compressed ones (gzip,
then base64): `v1` and `v2` do. They use what can be read of an answer, whatever else is in it.
"""

from collections.abc import Mapping
from typing import Any

from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.model import Checkpoint, DialogState, Message, MessageFormat
from lexbridge.lex.spoken_payload import speakable_words, top_level_names

TRANSCRIPT = "inputTranscript"
"""The part of an answer that holds what Lex understood, because it does not belong to the dialog's position."""

ELICITING = {
    "ElicitIntent": DialogState.ELICIT_INTENT,
    "ConfirmIntent": DialogState.CONFIRM_INTENT,
    "ElicitSlot": DialogState.ELICIT_SLOT,
}
"""Dialog actions of both generations that ask the caller something."""


class ReplyMessages:
    """The messages of one answer that have something to say."""

    def __init__(self, parts: AnswerParts) -> None:
        self._parts = parts
        self._messages: list[Message] = []
        self._unspoken_payloads: list[tuple[str, ...]] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages so far, in the order in which the caller hears them."""
        return tuple(self._messages)

    @property
    def unspoken_payloads(self) -> tuple[tuple[str, ...], ...]:
        """The custom payloads without any words: of each the names of its top-level members."""
        return tuple(self._unspoken_payloads)

    def add(self, text: str | None, message_format: str, name: str) -> None:
        """Add a message, unless it is blank. `name`: of the part of the answer that holds it."""
        if message_format not in ("PlainText", "SSML", "CustomPayload"):
            self._parts.mark_odd(name)
        elif text and text.strip():
            if message_format == "CustomPayload":
                self._add_payload(text)
            else:
                self._messages.append(Message(text, MessageFormat(message_format)))

    def add_unvoiced(self, text: str) -> None:
        """Add a text of which Lex's audio has nothing, unless it is empty."""
        if text:
            self._messages.append(Message(text, is_unvoiced=True))

    def _add_payload(self, payload: str) -> None:
        words = speakable_words(payload)
        if words is None:
            self._unspoken_payloads.append(top_level_names(payload))
        else:
            kind = MessageFormat.SSML if words.is_ssml else MessageFormat.PLAIN_TEXT
            self._messages.append(Message(words.text, kind, is_unvoiced=True))


def make_checkpoint(session: Mapping[str, Any], parts: AnswerParts) -> Checkpoint | None:
    """Return the arguments `session` of PutSession without nulls, or None if a part of the answer could not be read.

    A checkpoint with a part missing would restore another position of the dialog.
    """
    try:
        checkpoint = {name: _without_nulls(value) for name, value in session.items() if value is not None}
    except RecursionError:
        parts.mark_odd("slots")
        return None
    return None if set(parts.odd) - {TRANSCRIPT} else checkpoint


def _without_nulls(value: Any) -> Any:
    """Return JSON without the null members of its objects, such as open slots, because boto3 refuses them."""
    if isinstance(value, Mapping):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
