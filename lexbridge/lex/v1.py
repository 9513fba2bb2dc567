"""Lex V1 (PostContent, PutSession and GetSession of the Lex V1 guide): the requests. Its answers: `dialog`."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from lexbridge.config.settings import LexV1Bot
from lexbridge.lex.decoding import UNREADABLE_HEADERS, reply_from_post_content, reply_from_v1_session
from lexbridge.lex.model import Checkpoint, Message, Reply
from lexbridge.lex.runtime import PCM, TEXT, Question

_BEGUN: Checkpoint = {
    "dialogAction": {"type": "ElicitIntent"},
    "sessionAttributes": {},
    "activeContexts": [],
    "recentIntentSummaryView": [],
}
"""A session in which nothing was said."""


class LexV1:
    """A Lex V1 bot. See LexApi for what each method is."""

    settings = "LEX_BOT_NAME, LEX_BOT_ALIAS, AWS_REGION"

    def __init__(self, client: Any, bot: LexV1Bot) -> None:
        """`client`: boto3's "lex-runtime"."""
        self.client = client
        client.meta.events.register("before-parse.lex-runtime-service", _drop_unreadable_headers)
        self._names = {"botName": bot.name, "botAlias": bot.alias}

    @property
    def endpoint_url(self) -> str:
        """See LexApi."""
        return str(self.client.meta.endpoint_url)

    @property
    def alias(self) -> str:
        """See LexApi."""
        return f"{self._names['botName']}/{self._names['botAlias']}"

    def ask(self, question: Question, body: Any, accept: str) -> Mapping[str, Any]:
        """See LexApi."""
        attributes = question.session_attributes
        more: dict[str, Any] = {} if attributes is None else {"sessionAttributes": dict(attributes)}
        if question.intent is not None:
            action = {"type": "Delegate", "intentName": question.intent}
            return self._put_session(question.session_id, accept, **more, dialogAction=action)
        names = {**self._names, "userId": question.session_id}
        return self.client.post_content(  # type: ignore[no-any-return]
            **names, **more, contentType=question.utterance.content_type, accept=accept, inputStream=body
        )

    def reply(self, response: Mapping[str, Any]) -> Reply:
        """See LexApi."""
        return reply_from_post_content(response)

    def session(self, session_id: str) -> Reply:
        """See LexApi."""
        return reply_from_v1_session(self.client.get_session(**self._names, userId=session_id))

    def put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """See LexApi."""
        return self._put_session(session_id, TEXT, **(checkpoint or _BEGUN))

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        """See LexApi."""
        action = {"type": "ElicitIntent", "message": message.text, "messageFormat": message.format.value}
        return self._put_session(session_id, PCM, dialogAction=action)

    def _put_session(self, session_id: str, accept: str, **session: Any) -> Mapping[str, Any]:
        return self.client.put_session(  # type: ignore[no-any-return]
            **self._names, userId=session_id, accept=accept, **session
        )


def _drop_unreadable_headers(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object
) -> None:
    """Takes out of an answer the headers that botocore would decode and cannot, for it then gives up the whole answer.
    Their names go into the response."""
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
