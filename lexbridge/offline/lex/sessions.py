"""The sessions of the local Lex: each keeps the state of one dialog until its time to live is over."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lexbridge.offline.lex import wire, wire_v1
from lexbridge.offline.lex.dialogue import Conversation, Turn
from lexbridge.offline.lex.requests import ReceivedRequest
from lexbridge.offline.lex.wire import LexError, LexErrorKind


@dataclass(slots=True)
class Session:
    """A session's state. `busy` while a request for it is under way; `used_s` is when it last was, by the clock."""

    session_id: str
    used_s: float
    last: Turn = field(default_factory=lambda: Turn(Conversation(), ()))
    recent: list[wire.Json] = field(default_factory=list)
    busy: bool = False
    kept: bool = False  # something was said or put: GetSession knows it


class Sessions:
    """All sessions, each found by the request for it. clock: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[tuple[str, ...], Session] = {}

    def find(self, call: ReceivedRequest) -> Session | None:
        """Return the session, or None if there is none, or its time to live is over."""
        session = self._sessions.get(_key(call))
        if session and not session.busy and self._clock() - session.used_s > call.bot.session_ttl_s:
            del self._sessions[_key(call)]
            return None
        return session

    @contextmanager
    def taken(self, call: ReceivedRequest) -> Iterator[Session]:
        """Give the session, perhaps a new one, to one request at a time. Raises LexError when another has it."""
        session = self.find(call)
        if session is None:
            session = self._sessions[_key(call)] = Session(str(uuid.uuid4()), self._clock())
        if session.busy:
            raise LexError(LexErrorKind.CONFLICT, "another request for this session is under way")
        session.busy = True
        try:
            yield session
        finally:
            session.busy = False

    def keep(self, call: ReceivedRequest, session: Session, turn: Turn) -> None:
        """Keep the state of the dialog after a turn, in the session and in the record of the request."""
        session.last, session.used_s, session.kept = turn, self._clock(), True
        call.record.intent = turn.conversation.intent
        call.record.dialog_state = turn.conversation.state.value
        call.record.attributes = turn.conversation.attributes
        call.record.slots = {name: filling.value for name, filling in turn.conversation.fillings.items()}
        call.record.said = " ".join(message.text for message in turn.messages if message.text)
        if turn.conversation.intent:
            summary = wire_v1.v1_intent_summary(call.bot, turn.conversation)
            others = [one for one in session.recent if one["intentName"] != summary["intentName"]]
            session.recent = [summary, *others][:3]

    def delete(self, call: ReceivedRequest) -> Session:
        """Forget the session and return it. Raises LexError if there is none, or if a request has it."""
        session = self.find(call)
        if session is None:
            raise LexError(LexErrorKind.NOT_FOUND, f"no session {call.record.session_id}")
        if session.busy:
            raise LexError(LexErrorKind.CONFLICT, "a request for this session is under way")
        del self._sessions[_key(call)]
        return session


def _key(call: ReceivedRequest) -> tuple[str, ...]:
    return call.record.api, call.bot.name, call.alias, call.record.locale_id or "", call.record.session_id
