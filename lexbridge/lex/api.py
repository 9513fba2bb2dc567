"""The API of one generation of Lex, as `client` uses it."""

from collections.abc import Mapping
from typing import Any, Protocol

from lexbridge.lex.model import Checkpoint, Message, Reply


class LexApi(Protocol):
    """A bot of one generation of Lex. Each method raises what boto3 raises."""

    settings: str
    """The settings to check when Lex rejects a request."""

    @property
    def endpoint_url(self) -> str:
        """The address of Lex."""
        ...

    @property
    def alias(self) -> str:
        """The bot, its version and its language: the name in log lines, different for each bot."""
        ...

    def send_input(
        self, session_id: str, attributes: Mapping[str, str] | None, content_type: str, body: Any, accept: str
    ) -> Mapping[str, Any]:
        """Send the caller's audio or keys as `body`, and return boto3's response.

        `attributes`: the new session attributes; None leaves them as they are. `accept`: TEXT or PCM.
        """
        ...

    def begin_intent(
        self, session_id: str, attributes: Mapping[str, str] | None, intent: str, accept: str
    ) -> Mapping[str, Any]:
        """Make the bot begin the dialog with `intent`, and return boto3's response."""
        ...

    def read_reply(self, response: Mapping[str, Any]) -> Reply:
        """Decode a response to `send_input` or `begin_intent`, without its audio. Raise LexUnreadable."""
        ...

    def get_session(self, session_id: str) -> Reply:
        """Return what the bot said last, with the position of the dialog. Raise LexUnreadable."""
        ...

    def restore_session(self, session_id: str, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """Put the session back to `checkpoint`, and return boto3's response."""
        ...

    def speak(self, session_id: str, message: Message) -> Mapping[str, Any]:
        """Make the bot say `message`, and return boto3's response with its audio."""
        ...
