"""The requests by which the check of AWS examines a Lex bot; none of them changes anything."""

import secrets
from collections.abc import Mapping
from typing import Any

NO_LOCALE = "xx_XX"
"""A locale that cannot exist, although it has the form of one."""


class CheckedBot:
    """A bot of either generation, and the requests to it. `names`: parameters of boto3 that name the bot."""

    variables: str
    where: str
    resource: str
    recognize_action: str

    def __init__(self, client: Any, names: Mapping[str, str]) -> None:
        self.client = client
        self.names = names
        # The id must not contain the word "session": the check searches Lex's error texts for it.
        self.session_id = f"check-{secrets.token_hex(8)}"

    def get_session(self) -> object:
        """Ask for a session that does not exist."""
        raise NotImplementedError

    def recognize(self) -> object:
        """Send speech of a type that Lex does not accept: it is refused for that reason if the permission is there."""
        raise NotImplementedError

    def put_session(self) -> object:
        """Put a session that Lex does not accept: it is refused for that reason if the permission is there."""
        raise NotImplementedError

    def get_session_elsewhere(self) -> object:
        """Ask for the same session in a locale that cannot exist. Raises LookupError for a bot without locales."""
        raise LookupError


class CheckedV2Bot(CheckedBot):
    """A Lex V2 bot."""

    variables = "LEX_BOT_ID, LEX_BOT_ALIAS_ID, LEX_LOCALE_ID and AWS_REGION"
    recognize_action = "lex:RecognizeUtterance"

    def __init__(self, client: Any, bot: Any) -> None:
        super().__init__(client, {"botId": bot.bot_id, "botAliasId": bot.alias_id, "localeId": bot.locale_id})
        self.where = f"bot {bot.bot_id}, alias {bot.alias_id}, locale {bot.locale_id}"
        self.resource = f"bot-alias/{bot.bot_id}/{bot.alias_id}"

    def get_session(self) -> object:
        return self.client.get_session(**self.names, sessionId=self.session_id)

    def recognize(self) -> object:
        unknown_type = {"requestContentType": "application/x-none", "inputStream": b""}
        return self.client.recognize_utterance(**self.names, sessionId=self.session_id, **unknown_type)

    def put_session(self) -> object:
        without_slot = {"dialogAction": {"type": "ElicitSlot"}}
        return self.client.put_session(**self.names, sessionId=self.session_id, sessionState=without_slot)

    def get_session_elsewhere(self) -> object:
        return self.client.get_session(**{**self.names, "localeId": NO_LOCALE}, sessionId=self.session_id)


class CheckedV1Bot(CheckedBot):
    """A Lex V1 bot."""

    variables = "LEX_BOT_NAME, LEX_BOT_ALIAS and AWS_REGION"
    recognize_action = "lex:PostContent"

    def __init__(self, client: Any, bot: Any) -> None:
        super().__init__(client, {"botName": bot.name, "botAlias": bot.alias})
        self.where = f"bot {bot.name}, alias {bot.alias}"
        self.resource = f"bot:{bot.name}:{bot.alias}"

    def get_session(self) -> object:
        return self.client.get_session(**self.names, userId=self.session_id)

    def recognize(self) -> object:
        unknown_type = {"contentType": "application/x-none", "inputStream": b""}
        return self.client.post_content(**self.names, userId=self.session_id, **unknown_type)

    def put_session(self) -> object:
        return self.client.put_session(**self.names, userId=self.session_id, dialogAction={"type": "ElicitSlot"})
