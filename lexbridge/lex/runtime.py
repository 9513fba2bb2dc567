"""The interface of a Lex bot to the rest of lexbridge: requests of a call, and the responses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lexbridge.lex.model import Checkpoint, Message, Reply
from lexbridge.lex.speech import Speech
from lexbridge.lex.utterance import Utterance
from lexbridge.logs import Log


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The time limits of requests to Lex, in seconds.

    `connect_s`: for opening a connection. `answer_s`: from the end of the utterance to the end of Lex's answer, however
    slowly it arrives; restoring the session and a second request are included. `session_s`: for reading or restoring a
    session, and for the beginning of a message that Lex is to speak.
    """

    connect_s: float = 2.0
    answer_s: float = 5.0
    session_s: float = 1.5


@dataclass(frozen=True, slots=True)
class LexRequest:
    """One turn for Lex. `session_attributes` replace those of the session; None leaves them as they are."""

    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)
    utterance: Utterance
    intent: str | None = None
    """The intent with which the bot begins the dialog. The utterance is then not sent."""
    checkpoint: Checkpoint | None = field(default=None, repr=False)
    """The position of the dialog that is restored before the turn is sent."""
    waited_s: float = 0.0
    """The time in seconds that the caller has already waited: it is taken off the deadline."""


@dataclass(frozen=True, slots=True)
class LexResponse:
    """Lex's reply to a turn, and its voice if audio was asked for."""

    reply: Reply
    speech: Speech | None = None


class LexRuntime(Protocol):
    """A Lex bot that answers the turns of many calls.

    Each method blocks the calling greenlet only, and raises LexUnavailable, LexRejected or LexUnreadable.
    """

    def ask(self, request: LexRequest, log: Log) -> LexResponse:
        """Send a turn, its audio while the caller speaks, and return the bot's answer.

        Also raises SessionNotRestored, without sending the turn, if `request.checkpoint` cannot be restored.
        """
        ...

    def fetch_session(self, session_id: str) -> Reply | None:
        """Return what the bot said last in a session, with its position, or None if there is no such session."""
        ...

    def speak(self, message: Message) -> Speech:
        """Return `message` in the bot's voice while it arrives. The bot speaks it in a session of its own.

        A caller is waiting, so the beginning has to come within `Deadlines.session_s`, and so do all pauses together.
        """
        ...

    def synthesize(self, text: str) -> bytes:
        """Return `text` in the bot's voice, as whole mu-law frames. The bot speaks it in a session of its own."""
        ...
