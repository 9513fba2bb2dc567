"""Lex V2 (RecognizeUtterance, PutSession and GetSession of its reference): the requests. Its answers: `dialog`."""

from collections.abc import Mapping
from typing import Any

from lexbridge.config.settings import LexV2Bot
from lexbridge.lex.decoding import pack, reply_from_recognize_utterance, reply_from_v2_session
from lexbridge.lex.model import Checkpoint, Message, Reply
from lexbridge.lex.runtime import PCM, TEXT, Question

_ELICIT_INTENT = {"type": "ElicitIntent"}
_BEGUN: Checkpoint = {
    "sessionState": {"dialogAction": _ELICIT_INTENT, "sessionAttributes": {}, "activeContexts": []},
}
"""A session in which nothing was said."""


class LexV2:
    """A Lex V2 bot. See LexApi for what each method is."""

    settings = "LEX_BOT_ID, LEX_BOT_ALIAS_ID, LEX_LOCALE_ID, AWS_REGION"

    def __init__(self, client: Any, bot: LexV2Bot) -> None:
        """`client`: boto3's "lexv2-runtime"."""
        self.client = client
        self._ids = {"botId": bot.bot_id, "botAliasId": bot.alias_id, "localeId": bot.locale_id}

    @property
    def endpoint_url(self) -> str:
        """See LexApi."""
        return str(self.client.meta.endpoint_url)

    @property
    def alias(self) -> str:
        """See LexApi."""
        return "/".join(self._ids.values())

    def ask(self, question: Question, body: Any, accept: str) -> Mapping[str, Any]:
        """See LexApi."""
        attributes = question.session_attributes
        state: dict[str, Any] = {} if attributes is None else {"sessionAttributes": dict(attributes)}
        if question.intent is not None:
            state |= {"dialogAction": {"type": "Delegate"}, "intent": {"name": question.intent}}
            return self._put_session(question.session_id, accept, sessionState=state)
        names = {**self._ids, "sessionId": question.session_id}
        more = {"sessionState": pack(state)} if state else {}
        return self.client.recognize_utterance(  # type: ignore[no-any-return]
            **names,
            **more,
            requestContentType=question.utterance.content_type,
            responseContentType=accept,
            inputStream=body,
        )

    def reply(self, response: Mapping[str, Any]) -> Reply:
        """See LexApi."""
        return reply_from_recognize_utterance(response)

    def session(self, session_id: str) -> Reply:
        """See LexApi."""
        return reply_from_v2_session(self.client.get_session(**self._ids, sessionId=session_id))

    def put(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """See LexApi."""
        return self._put_session(session_id, TEXT, **(checkpoint or _BEGUN))

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        """See LexApi."""
        said = [{"content": message.text, "contentType": message.format.value}]
        return self._put_session(session_id, PCM, sessionState={"dialogAction": _ELICIT_INTENT}, messages=said)

    def _put_session(self, session_id: str, accept: str, **session: Any) -> Mapping[str, Any]:
        return self.client.put_session(  # type: ignore[no-any-return]
            **self._ids, sessionId=session_id, responseContentType=accept, **session
        )
