"""Lex V1 (PostContent, PutSession and GetSession of the Lex V1 guide): the requests. Its answers: `dialog`."""

from collections.abc import Mapping
from typing import Any

from lexbridge.config import LexV1Bot
from lexbridge.dialog import Checkpoint, Message, Reply, reply_from_post_content, reply_from_v1_session
from lexbridge.lex import PCM, TEXT, Question

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
        self._names = {"botName": bot.name, "botAlias": bot.alias}

    @property
    def endpoint_url(self) -> str:
        """See LexApi."""
        return str(self.client.meta.endpoint_url)

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
