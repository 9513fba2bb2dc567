"""Runs one CallSession over one WebSocket: one inbox, one loop, no lock.

    reader greenlet ----text---->  inbox  ---> loop: CallSession.receive() ... actions() ---> carried out
    a greenlet each Lex request -->  "             |-> utterance appended to (its greenlet sends it)
    updates' greenlet --failed---->  "             `-> document for the updates' greenlet

Only the loop touches the CallSession, and nothing between a way in and `actions()` switches greenlets.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import gevent
from gevent.queue import Empty, Queue

from lexbridge.call import (
    TOKEN_PARAMETER,
    AppendAudio,
    CallSession,
    CallState,
    CancelUtterance,
    CloseUtterance,
    Note,
    OpenUtterance,
    UpdateCall,
)
from lexbridge.call_control import ATTEMPT_DEADLINE_S, CallControl
from lexbridge.call_log import CallLog, LiveStream
from lexbridge.config import Settings
from lexbridge.dialog import Reply
from lexbridge.errors import CallControlError, CallGone, LexError, LexRejected, LexUnavailable, MediaStreamError
from lexbridge.lex import Deadlines, LexRuntime, Utterance
from lexbridge.logs import Log
from lexbridge.media_stream import Started
from lexbridge.signatures import stream_token_passes
from lexbridge.twiml import Documents
from lexbridge.vad import AmplitudeDetector

INBOX_SIZE = 1000
"""Messages: 20 s of media. A full inbox makes the reader wait, and with it the peer."""

START_DEADLINE_S = 10.0
"""From the open socket to `start`, which Twilio sends at once."""

# RFC 6455, section 7.4.1
NORMAL = 1000
GOING_AWAY = 1001
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011


def make_documents(settings: Settings, deadlines: Deadlines) -> Documents:
    """The documents of a service with these settings."""
    # From a prompt's end to the next update: the caller is silent, speaks, is recognized, and Twilio is told twice.
    longest_s = settings.no_input_s + settings.max_utterance_ms / 1000 + deadlines.turn_s + 2 * ATTEMPT_DEADLINE_S + 1
    return Documents(settings.url, settings.stream_url, math.ceil(longest_s), settings.say_voice, settings.say_language)


class WebSocket(Protocol):
    """What is used of lexbridge.websocket's socket."""

    def receive(self) -> str | None:
        """The next message; None once closed. Raises nothing."""
        ...

    def close(self, code: int = ..., message: bytes = ...) -> None:
        """Closes it; nothing happens if it is closed."""
        ...


@dataclass(frozen=True, slots=True)
class _LexReplied:
    turn: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class _LexFailed:
    turn: int
    error: LexError


@dataclass(frozen=True, slots=True)
class _UpdateFailed:
    number: int
    error: CallControlError


@dataclass(frozen=True, slots=True)
class _SocketClosed:
    pass


@dataclass(frozen=True, slots=True)
class _TakenOver:
    """A newer stream has the call."""


_Item = str | _LexReplied | _LexFailed | _UpdateFailed | _SocketClosed | _TakenOver


class Bridge:
    """Runs the calls of one process."""

    def __init__(
        self,
        settings: Settings,
        documents: Documents,
        lex: LexRuntime,
        call_control: CallControl,
        calls: CallLog,
        start_deadline_s: float = START_DEADLINE_S,
    ) -> None:
        self._start_deadline_s = start_deadline_s
        self._settings = settings
        self._documents = documents
        self._lex = lex
        self._call_control = call_control
        self._calls = calls

    def run(self, websocket: WebSocket) -> None:
        """Serves one media socket to its end, and closes it. Never raises: what goes wrong is logged."""
        detector = AmplitudeDetector(self._settings.voice_threshold)
        session = CallSession(self._settings, self._documents, detector)
        start_by_s = time.monotonic() + self._start_deadline_s
        secrets = self._settings.twilio_auth_tokens
        _Call(session, websocket, secrets, start_by_s, self._lex, self._call_control, self._calls).run()


class _Refused(Exception):
    """The stream is not one that we opened. The message says why."""


class _Call:
    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        secrets: Sequence[str],
        start_by_s: float,
        lex: LexRuntime,
        call_control: CallControl,
        calls: CallLog,
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._secrets = secrets
        self._lex = lex
        self._calls = calls
        self._stream: LiveStream | None = None
        self._start_by_s = start_by_s
        self._log = Log()
        self._inbox: Queue[_Item] = Queue(maxsize=INBOX_SIZE)
        self._utterances: dict[int, tuple[Utterance, gevent.Greenlet[..., None]]] = {}
        self._updates = _Updates(call_control, self._inbox)

    def run(self) -> None:
        """The call, from the open socket to the closed one. Raises nothing."""
        reader = gevent.spawn(self._read)
        code = INTERNAL_ERROR
        try:
            code = self._loop()
            if self._session.state is CallState.ENDED:
                self._updates.drop()
            self._session.stream_lost()
            self._carry_out()
        except Exception:
            self._log.bug("call-broken")
        finally:
            for _, asked in self._utterances.values():  # alive only after a bug: nobody else would end them
                asked.kill(block=False)
            if self._stream:
                self._calls.ended(self._stream)
            reader.kill()  # waited for: it would fill again what is emptied next
            while not self._inbox.empty():  # whoever waits to put something there must not wait for ever
                self._inbox.get_nowait()
            self._websocket.close(code)

    def _read(self) -> None:
        """The reader: the socket's messages into the inbox, in order."""
        try:
            while (message := self._websocket.receive()) is not None:
                self._inbox.put(message)
        except Exception:
            self._log.bug("reader-broken")
        self._inbox.put(_SocketClosed())

    def _loop(self) -> int:
        """Takes one item at a time until the stream is over. Returns the code to close the socket with."""
        while self._session.state is not CallState.ENDED:
            try:
                item = self._next_item()
            except Empty:
                self._log.warning("stream-refused", why="no start")
                return POLICY_VIOLATION
            if isinstance(item, (_SocketClosed, _TakenOver)):
                if isinstance(item, _TakenOver):
                    self._updates.drop()
                return NORMAL
            try:
                self._take(item)
            except MediaStreamError as error:
                self._log.warning("bad-message", error=str(error))
                return INVALID_PAYLOAD
            except _Refused as error:
                self._log.warning("stream-refused", why=str(error))
                return POLICY_VIOLATION
            self._carry_out()
        return NORMAL

    def _next_item(self) -> _Item:
        if self._stream is not None:
            return self._inbox.get()
        left_s = self._start_by_s - time.monotonic()
        if left_s <= 0:  # whatever else it sends meanwhile
            raise Empty
        return self._inbox.get(timeout=left_s)

    def _take(self, item: str | _LexReplied | _LexFailed | _UpdateFailed) -> None:
        session = self._session
        match item:
            case str():
                session.receive(item)
                if self._stream is None and session.started is not None:
                    self._begin(session.started)
            case _LexReplied():
                self._utterances.pop(item.turn, None)
                session.lex_replied(item.turn, item.reply)
            case _LexFailed():
                self._utterances.pop(item.turn, None)
                session.lex_failed(item.turn, item.error)
            case _UpdateFailed(error=CallGone()):
                session.call_is_gone()
            case _UpdateFailed():
                session.update_failed(item.number)

    def _begin(self, started: Started) -> None:
        """The stream starts: it has to be one that a document of ours opened, for just this call."""
        self._log = self._log.bind(call_sid=started.call_sid, stream_sid=started.stream_sid)
        token = started.parameters.get(TOKEN_PARAMETER, "")
        if not stream_token_passes(self._secrets, token, started.call_sid, started.account_sid, time.time()):
            self._session.actions()  # nothing of what it wants is done
            raise _Refused("no valid token")
        self._updates.log = self._log
        self._stream = LiveStream(
            started.call_sid,
            started.stream_sid,
            self._give_way,
            lambda: None,
            lambda: self._websocket.close(GOING_AWAY),
        )
        self._calls.began(self._stream)

    def _give_way(self) -> None:
        """For the newer stream, whose greenlet must not wait for our inbox."""
        gevent.spawn(self._inbox.put, _TakenOver())

    def _carry_out(self) -> None:
        for action in self._session.actions():
            match action:
                case AppendAudio():
                    self._utterances[action.turn][0].append(action.pcm)
                case OpenUtterance():
                    utterance = Utterance()
                    self._utterances[action.turn] = (utterance, gevent.spawn(self._ask, action, utterance))
                case CloseUtterance():
                    self._utterances[action.turn][0].close()
                case CancelUtterance():
                    self._utterances.pop(action.turn)[1].kill(block=False)
                case UpdateCall():
                    self._updates.put(action)
                case Note():
                    self._log.write(action.level, action.event, action.fields)

    def _ask(self, action: OpenUtterance, utterance: Utterance) -> None:
        """A greenlet each request: the utterance to Lex, its outcome into the inbox."""
        log = self._log.bind(turn=action.turn)
        result: _Item
        try:
            reply = self._lex.recognize(action.session_id, action.session_attributes, utterance, log)
            result = _LexReplied(action.turn, reply)
        except LexError as error:
            if isinstance(error, LexRejected):
                log.error("lex-rejected", error=str(error))
            result = _LexFailed(action.turn, error)
        except Exception as error:
            log.bug("lex-request-broken")
            result = _LexFailed(action.turn, LexUnavailable(type(error).__name__))
        self._inbox.put(result)


class _Updates:
    """Carries out a call's updates one at a time, in order, on a greenlet that lives while there are any.

    Of several that wait the newest counts: each document replaces the one before it anyway.
    """

    def __init__(self, call_control: CallControl, inbox: "Queue[_Item]") -> None:
        self._call_control = call_control
        self._inbox = inbox
        self._next: UpdateCall | None = None
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.log = Log()

    def put(self, update: UpdateCall) -> None:
        """The call's document from now on."""
        self._next = update
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def drop(self) -> None:
        """The call is over, or somebody else's: nothing of ours may reach it, a second attempt least of all."""
        self._next = None
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _run(self) -> None:
        while (update := self._next) is not None:
            self._next = None
            self._carry_out(update)
        self._greenlet = None

    def _carry_out(self, update: UpdateCall) -> None:
        try:
            self._call_control.update(update.account_sid, update.call_sid, update.twiml, self.log)
        except CallGone as error:
            self._next = None
            self.log.info("call-gone")
            self._inbox.put(_UpdateFailed(update.number, error))
        except CallControlError as error:
            self.log.error("call-update-failed", error=str(error))
            self._inbox.put(_UpdateFailed(update.number, error))
        except Exception as error:
            self.log.bug("call-update-broken")
            self._inbox.put(_UpdateFailed(update.number, CallControlError(type(error).__name__)))
