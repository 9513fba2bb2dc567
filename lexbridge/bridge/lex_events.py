"""The events that come of a call's requests to Lex, and how the session takes them."""

from dataclasses import dataclass

from lexbridge.call.session import CallSession
from lexbridge.errors import LexError
from lexbridge.lex.model import Reply


@dataclass(frozen=True, slots=True)
class LexReplied:
    """Lex's answer to a turn. `speaks`: whether its audio follows."""

    turn: int
    reply: Reply
    speaks: bool


@dataclass(frozen=True, slots=True)
class LexSpoke:
    """More mu-law audio of a reply, or b"" at the end of the audio."""

    turn: int
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class LexSpeechFailed:
    """The end of a reply's audio that broke off."""

    turn: int


@dataclass(frozen=True, slots=True)
class LexFailed:
    """The failure of a turn, after all attempts."""

    turn: int
    error: LexError


@dataclass(frozen=True, slots=True)
class SessionFetched:
    """The answer of GetSession: what the bot said last, or None if Lex has no such session."""

    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SessionFetchFailed:
    """The failure of GetSession: the position of the dialog is unknown."""


LexEvent = LexReplied | LexSpoke | LexSpeechFailed | LexFailed | SessionFetched | SessionFetchFailed


def deliver(event: LexEvent, session: CallSession) -> int | None:
    """Hand `event` to the session. Return the turn whose request is finished by it, or None if none is."""
    match event:
        case LexReplied():
            session.lex_replied(event.turn, event.reply, event.speaks)
            return None if event.speaks else event.turn
        case LexFailed():
            session.lex_failed(event.turn, event.error)
            return event.turn
        case SessionFetched():
            session.session_fetched(event.reply)
        case SessionFetchFailed():
            session.session_fetch_failed()
        case _:
            return _deliver_speech(event, session)
    return None


def _deliver_speech(event: LexSpoke | LexSpeechFailed, session: CallSession) -> int | None:
    """Hand more of a reply's audio, or its end, to the session."""
    if isinstance(event, LexSpeechFailed):
        session.lex_speech_failed(event.turn)
    elif event.mulaw:
        session.lex_spoke(event.turn, event.mulaw)
        return None
    else:
        session.lex_speech_ended(event.turn)
    return event.turn
