"""Runs one CallSession over one WebSocket: one inbox, one loop, no lock.

    reader greenlet -text, pong->  inbox  ---> loop: CallSession.receive() ... actions() ---> carried out
    a greenlet each Lex request -->  "             |-> utterance appended to (its greenlet sends it)
    updates' greenlet --outcome--->  "             `-> document for the updates' greenlet
    pulse of all calls --silence-->  "

Only the loop touches the CallSession, and nothing between a way in and `actions()` switches greenlets. After TURN_MS of
media the loop gives the other calls their turn, wherever that media came from; its own inbox waits meanwhile.
"""

import math
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn, Protocol

import gevent
from gevent.queue import Empty, Queue
from geventwebsocket.exceptions import WebSocketError

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.vad import load_detector
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_updates import CallUpdates, HandedOver, UpdateFailed
from lexbridge.bridge.lex_requests import (
    FromLex,
    LexFailed,
    LexReplied,
    LexRequests,
    LexSpeechFailed,
    LexSpoke,
    SessionFetched,
    SessionFetchFailed,
)
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.phrase_audio import PhraseCache
from lexbridge.call.actions import (
    AppendAudio,
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
    FetchSession,
    Note,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.documents import SPEAKING_MS_PER_SYLLABLE, Opening
from lexbridge.call.events import Started, Stopped
from lexbridge.call.hearing import SLICE_MS
from lexbridge.call.media_clock import PULSE_S, MediaClock
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import RESUMED_PARAMETER, STREAMS_LOST_PARAMETER, TOKEN_PARAMETER, parse_count
from lexbridge.config.settings import Settings
from lexbridge.errors import CallControlError, CallGone, MediaStreamError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Limits, Pong
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.twilio.media_messages import encode, parse
from lexbridge.twilio.stream_token import find_token_fault, make_stream_token, token_expiry_s
from lexbridge.twilio.twiml import MAX_DOCUMENT_CHARACTERS, TwimlDocuments, stream_name
from lexbridge.twilio.used_tokens import UsedTokens

INBOX_SIZE = 1000
"""Messages: 20 s of media. A full inbox makes the reader wait, and with it the peer."""

TURN_MS = SLICE_MS
"""Of media, or as many items as that would be frames: then other greenlets have their turn. With the slice that is
begun just before, one turn is less than 1 s of media, some 9 ms of CPU with VAD=silero."""

PAUSE_S = 0.001
"""Then. A sleep of 0 would let other greenlets go on, but the sockets and the timers only after fifty of them: gevent
looks at the clock no sooner."""

MEDIA_BURST_S = 120.0
"""Of media time at once, skipped time too: a network that stalls lets go some 16 s at its end, and Twilio may skip time
then. In the long run a stream may bring as many frames a second as messages: 8 times what a call has."""

START_DEADLINE_S = 10.0
"""From the open socket to `start`, which Twilio sends at once."""

STOP_DEADLINE_S = 3.0
"""From the document that hands a call over to the `stop` of this stream; then the socket is closed from here."""

MANY_STREAMS_LOST = 5
"""In a row: from so many on, a call that comes on is given a stream that starts the count anew."""

TOKEN_KEPT_S = 20.0
"""A token for the next stream is made again after so long: it is good for TOKEN_LIFE_S."""

LONGEST_SPOKEN_S = MAX_DOCUMENT_CHARACTERS * SPEAKING_MS_PER_SYLLABLE / 1000
"""What a document can say before it connects the caller to the next stream."""

# RFC 6455, section 7.4.1
NORMAL = 1000
GOING_AWAY = 1001
INVALID_PAYLOAD = 1007
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
TRY_AGAIN_LATER = 1013  # of the registry that section 11.7 sets up

_WHY_LEFT = {
    GOING_AWAY: "service stopped",
    INVALID_PAYLOAD: "bad message",
    POLICY_VIOLATION: "stream refused",
    INTERNAL_ERROR: "bug",
}
"""What `call-left` says of a stream that was closed with this code."""


class WebSocket(Protocol):
    """What is used of lexbridge.net.websocket's socket."""

    @property
    def limits(self) -> Limits:
        """What the peer may send."""
        ...

    def receive(self) -> str | Pong | None:
        """The next message; None once closed. Raises nothing."""
        ...

    def send(self, message: str) -> None:
        """Sends a message, later what the peer does not take yet. Never waits. Raises WebSocketError if it is closed,
        or becomes so because too much waits."""
        ...

    def ping(self, payload: bytes) -> None:
        """Pings the peer. Raises WebSocketError if the socket is closed."""
        ...

    def close(self, code: int = ..., message: bytes = ...) -> None:
        """Closes it; nothing happens if it is closed."""
        ...


@dataclass(frozen=True, slots=True)
class _SocketClosed:
    pass


@dataclass(frozen=True, slots=True)
class _Silence:
    """No media has come for `ms`, and the peer answers no pings."""

    ms: int


@dataclass(frozen=True, slots=True)
class _TakenOver:
    """A newer stream has the call."""


@dataclass(frozen=True, slots=True)
class _Leave:
    """The process is about to end, and others are there."""


@dataclass(frozen=True, slots=True)
class _Close:
    """The process ends."""


_Item = str | Pong | _Silence | FromLex | UpdateFailed | HandedOver | _SocketClosed | _TakenOver | _Leave | _Close


class Bridge:
    """Runs the calls of one process."""

    def __init__(
        self,
        settings: Settings,
        documents: TwimlDocuments,
        lex: LexRuntime,
        call_control: CallControl,
        calls: CallRegistry,
        used_tokens: UsedTokens | None = None,
        start_deadline_s: float = START_DEADLINE_S,
    ) -> None:
        """`used_tokens`: those of all processes of the server; None: this one is alone."""
        self._used_tokens = used_tokens or UsedTokens()
        self._start_deadline_s = start_deadline_s
        self._settings = settings
        self._documents = documents
        self._lex = lex
        self._call_control = call_control
        self._calls = calls
        self._new_detector = load_detector(settings.vad, settings.detector_options)
        self._rules = settings.call_rules
        self._own_voice = PhraseCache(lex, settings.phrases, has_limit=settings.max_call_s is not None)
        self._running: set[_Call] = set()
        self._pulse: gevent.Greenlet[..., None] | None = None

    def run(self, websocket: WebSocket) -> None:
        """Serves one media socket to its end, and closes it. Never raises: what goes wrong is logged."""
        session = CallSession(self._rules, self._documents, self._new_detector(), self._own_voice.audio)
        if self._settings.reply_mode == "stream":
            self._own_voice.learn()
        start_by_s = time.monotonic() + self._start_deadline_s
        neighbours = self._lex, self._call_control, self._calls, self._used_tokens
        call = _Call(session, websocket, self._settings, start_by_s, *neighbours)
        self._running.add(call)
        if self._pulse is None:
            self._pulse = gevent.spawn(self._pulse_while_running)
        try:
            call.run()
        finally:
            self._running.discard(call)

    def _pulse_while_running(self) -> None:
        """A greenlet, one for all calls: each has a look at the clock now and then, and not with each message."""
        while self._running:
            gevent.sleep(PULSE_S)
            now_s = time.monotonic()
            for call in list(self._running):
                call.pulse(now_s)
        self._pulse = None


class _Refused(Exception):
    """The stream is not served. The message says why, `code` is that of the close, `hints` are for the log."""

    def __init__(self, why: str, code: int, hints: Mapping[str, str]) -> None:
        super().__init__(why)
        self.code = code
        self.hints = hints


class _Call:
    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        settings: Settings,
        start_by_s: float,
        lex: LexRuntime,
        call_control: CallControl,
        calls: CallRegistry,
        used_tokens: UsedTokens,
    ) -> None:
        self._session = session
        self._websocket = websocket
        self._used_tokens = used_tokens
        self._secrets = settings.twilio_auth_tokens
        self._is_two_way = settings.reply_mode == "stream"
        self._calls = calls
        self._stream: LiveStream | None = None
        self._stream_sid = ""
        self._start_by_s = start_by_s
        self._began_s = 0.0
        self._stop_by_s = math.inf
        self._streams_lost = 0
        self._token_made_s = -math.inf
        self._media_s = TokenBucket(websocket.limits.rate_hz * FRAME_MS / 1000, MEDIA_BURST_S)
        self._media_clock: MediaClock | None = None  # when the stream has started
        self._heard_ms = 0  # of the session's media, at the last look
        self._turn_ms = 0  # since other greenlets had their turn
        self._log = Log()
        self._inbox: Queue[_Item] = Queue(maxsize=INBOX_SIZE)
        self._call_control = call_control
        self._asking = LexRequests(lex, self._inbox.put)
        self._story = CallStory(self._is_two_way)
        self._updates = CallUpdates(call_control, self._inbox.put, self._taken)

    def run(self) -> None:
        """The call, from the open socket to the closed one. Raises nothing."""
        reader = gevent.spawn(self._read)
        code = INTERNAL_ERROR
        try:
            code = self._loop()
            self._session.stream_lost()
            self._carry_out()
        except Exception:
            self._log.exception("call-broken")
        finally:
            self._asking.drop()
            # Whoever goes on with the call says what the bot said last. A document of ours could come between.
            self._updates.drop()
            if self._stream:
                self._calls.remove(self._stream)
            reader.kill()  # waited for: it would fill again what is emptied next
            while not self._inbox.empty():  # whoever waits to put something there must not wait for ever
                self._inbox.get_nowait()
            self._websocket.close(code)
            if self._stream:
                self._story.over(time.monotonic(), _WHY_LEFT.get(code))

    def pulse(self, now_s: float) -> None:
        """Has a look at the clock. Neither waits nor raises."""
        if self._media_clock is None or not self._inbox.empty():  # what waits there may be media
            return
        try:
            ping, silence_ms = self._media_clock.pulse(now_s)
            if silence_ms:
                self._inbox.put_nowait(_Silence(silence_ms))
            if ping is not None:
                self._websocket.ping(ping)
        except WebSocketError:
            pass  # that it is closed comes by the inbox
        except Exception:
            self._log.exception("pulse-broken")

    def _read(self) -> None:
        """The reader: the socket's messages into the inbox, in order."""
        try:
            while (message := self._websocket.receive()) is not None:
                self._inbox.put(message)
        except Exception:
            self._log.exception("reader-broken")
        self._inbox.put(_SocketClosed())

    def _loop(self) -> int:
        """Takes one item at a time until the stream is over. Returns the code to close the socket with."""
        while self._session.state is not CallState.ENDED:
            try:
                item = self._next_item()
            except Empty:
                self._log.warning("stream-refused", why="no start")
                return POLICY_VIOLATION
            if isinstance(item, (_SocketClosed, _Close)):
                return GOING_AWAY if isinstance(item, _Close) else NORMAL
            if isinstance(item, _TakenOver):
                self._give_way()
                return NORMAL
            try:
                self._take(item)
            except MediaStreamError as error:
                self._log.warning("bad-message", error=str(error))
                return INVALID_PAYLOAD
            except _Refused as error:
                self._log.warning("stream-refused", why=str(error), **error.hints)
                return error.code
            self._carry_out()
            self._share()
            while self._session.is_behind:
                self._session.catch_up()
                self._carry_out()
                self._share()
        return NORMAL

    def _share(self) -> None:
        """Gives other greenlets their turn once this one has done enough."""
        heard_ms = self._session.heard_ms
        self._turn_ms += max(FRAME_MS, heard_ms - self._heard_ms)
        self._heard_ms = heard_ms
        if self._turn_ms >= TURN_MS:
            self._turn_ms = 0
            gevent.sleep(PAUSE_S)

    def _next_item(self) -> _Item:
        if self._inbox.empty():  # others have their turn while it is waited for
            self._turn_ms = 0
        if self._stop_by_s < math.inf:
            try:
                return self._inbox.get(timeout=max(0.0, self._stop_by_s - time.monotonic()))
            except Empty:
                return _Close()
        if self._stream is not None:
            return self._inbox.get()
        left_s = self._start_by_s - time.monotonic()
        if left_s <= 0:  # whatever else it sends meanwhile
            raise Empty
        return self._inbox.get(timeout=left_s)

    def _take(self, item: _Item) -> None:
        self._renew_next_stream()
        match item:
            case str():
                self._receive(item)
                if self._stream is None and self._session.started is not None:
                    self._begin(self._session.started)
            case Pong():
                self._silence_passed(self._media_clock.pong_arrived(item.payload) if self._media_clock else 0)
            case _Silence():
                self._silence_passed(item.ms)
            case _Leave():
                self._session.is_leaving = True
            case LexReplied() | LexFailed() | SessionFetched() | SessionFetchFailed():
                self._take_from_lex(item)
            case LexSpoke() | LexSpeechFailed():
                self._take_speech(item)
            case _:
                self._take_from_twilio(item)

    def _receive(self, text: str) -> None:
        come_ms, now_s = self._session.media_ms, time.monotonic()
        self._session.receive(parse(text))
        media_ms = self._session.media_ms - come_ms
        if media_ms and self._media_clock is not None:
            self._media_clock.media_arrived(now_s)
        if not self._media_s.take(now_s, media_ms / 1000):
            refused.count("too much media")
            self._refuse("too much media", POLICY_VIOLATION)

    def _silence_passed(self, ms: int) -> None:
        if ms:
            self._session.silence_passed(ms)

    def _take_from_lex(self, item: LexReplied | LexFailed | SessionFetched | SessionFetchFailed) -> None:
        session = self._session
        match item:
            case LexReplied():
                if not item.speaks:
                    self._asking.forget(item.turn)
                if self._streams_lost >= MANY_STREAMS_LOST:
                    # The call has come on since: it goes on over a stream whose name says that none was lost.
                    session.is_leaving = True
                session.lex_replied(item.turn, item.reply, item.speaks)
            case LexFailed():
                self._asking.forget(item.turn)
                session.lex_failed(item.turn, item.error)
            case SessionFetched():
                session.session_fetched(item.reply)
            case SessionFetchFailed():
                session.session_fetch_failed()

    def _take_speech(self, item: LexSpoke | LexSpeechFailed) -> None:
        """More of the audio of a reply, or its end."""
        if isinstance(item, LexSpoke) and item.mulaw:
            self._session.lex_spoke(item.turn, item.mulaw)
            return
        self._asking.forget(item.turn)
        if isinstance(item, LexSpoke):
            self._session.lex_speech_ended(item.turn)
        else:
            self._session.lex_speech_failed(item.turn)

    def _take_from_twilio(self, item: _Item) -> None:
        """What became of an update."""
        match item:
            case UpdateFailed(error=CallGone()):
                self._session.call_gone()
            case UpdateFailed():
                self._story.update_failed(item.number)
                self._session.update_failed(item.number)
            case HandedOver():
                self._stop_by_s = time.monotonic() + STOP_DEADLINE_S

    def _taken(self, number: int) -> None:
        """Twilio has taken the call update `number`. The updates' greenlet tells it at once, for the time counts."""
        self._story.update_taken(number, time.monotonic())

    def _begin(self, started: Started) -> None:
        """The stream starts: it has to be one that a document of ours opened, for just this call."""
        self._log = self._log.bind(call_sid=started.call_sid, stream_sid=started.stream_sid)
        token = started.parameters.get(TOKEN_PARAMETER, "")
        if fault := find_token_fault(self._secrets, token, started.call_sid, started.account_sid, time.time()):
            why, remedy = fault
            self._refuse(why, POLICY_VIOLATION, remedy)
        if not self._used_tokens.take(token, token_expiry_s(token), time.time()):
            self._refuse("token used before", POLICY_VIOLATION)
        if RESUMED_PARAMETER not in started.parameters and (refusal := self._calls.admission.refusal):
            self._refuse(refusal, TRY_AGAIN_LATER)  # it comes back as a call that goes on, and is served then
        self._asking.log = self._updates.log = self._story.log = self._log
        self._streams_lost = parse_count(started.parameters.get(STREAMS_LOST_PARAMETER))
        self._began_s = time.monotonic()
        self._stream_sid = started.stream_sid
        self._stream = LiveStream(
            started.call_sid,
            started.stream_sid,
            take_over=lambda: self._tell(_TakenOver()),
            leave=lambda: self._tell(_Leave()),
            close=lambda: self._tell(_Close()),
            describe=self._look,
            note_reason=self._story.leaves,
        )
        self._calls.add(self._stream)
        self._media_clock = MediaClock(time.monotonic())

    def _look(self) -> Mapping[str, object]:
        """How the call stands. See LiveStream."""
        age_s = round(time.monotonic() - self._began_s, 1)
        return {"age_s": age_s, "state": self._session.state.value, "turns": self._session.turn_count}

    def _give_way(self) -> None:
        """Has Twilio stop this stream. One that we close it takes for lost, and the call would get yet another.

        A bidirectional stream ends by itself before a call gets another: it has been stopped, or was lost.
        """
        # The document that handed the call over stops it.
        is_stopping = self._is_two_way or self._session.state is CallState.LEAVING
        self._updates.drop()
        self._session.stream_lost()
        self._carry_out()
        stopping = None if is_stopping else gevent.spawn(self._stop_stream)
        with suppress(TimeoutError), gevent.Timeout(STOP_DEADLINE_S, TimeoutError):
            while not _ends_stream(self._inbox.get()):
                self._share()
        if stopping is not None:
            stopping.kill(block=False)

    def _stop_stream(self) -> None:
        """A greenlet. Raises nothing: nobody would hear of it."""
        started = self._session.started
        if started is None:
            return
        try:
            self._call_control.stop_stream(started.account_sid, started.call_sid, started.stream_sid)
        except CallControlError as error:
            self._log.write("debug", "stream-not-stopped", {"error": str(error)})
            self._inbox.put(_Close())
        except Exception:
            self._log.exception("stream-stop-broken")
            self._inbox.put(_Close())

    def _refuse(self, why: str, code: int, remedy: str = "") -> NoReturn:
        self._session.actions()  # nothing of what it wants is done
        raise _Refused(why, code, {"remedy": remedy} if remedy else {})

    def _tell(self, item: _Item) -> None:
        """For whoever must not wait for our inbox."""
        gevent.spawn(self._inbox.put, item)

    def _renew_next_stream(self) -> None:
        """Where the call may go on, as the session has to know it before its next document."""
        started = self._session.started
        if started is None or time.monotonic() < self._token_made_s + TOKEN_KEPT_S:
            return
        self._token_made_s = time.monotonic()
        sids = started.call_sid, started.account_sid
        token = make_stream_token(self._secrets[0], *sids, time.time(), LONGEST_SPOKEN_S, secrets.token_hex(8))
        name = stream_name(0, started.stream_sid)
        self._session.next_stream = Opening(name, [(TOKEN_PARAMETER, token)])

    def _carry_out(self) -> None:
        for action in self._session.actions():
            match action:
                case AppendAudio():
                    self._asking.append(action.turn, action.pcm)
                case SendAudio() | SendMark() | ClearAudio():
                    with suppress(WebSocketError):  # that it is closed comes by the inbox
                        self._websocket.send(encode(action, self._stream_sid))
                case UpdateCall():
                    self._story.update_made(action.number, time.monotonic(), asks_for_keys=action.asks_for_keys)
                    self._updates.put(action)
                    if action.hands_over:
                        self._token_made_s = -math.inf  # its document has used that token
                    # A bidirectional stream has ended before the next one begins: if that is lost, it is on its own.
                    if self._stream is not None and not self._is_two_way:
                        self._calls.set_handed_over(self._stream, action.hands_over)
                case Note():
                    self._log.write(action.level, action.event, action.fields)
                    self._story.noted(action, time.monotonic())
                case FetchSession():
                    self._asking.recall(action.session_id)
                case _:
                    self._carry_out_at_lex(action)

    def _carry_out_at_lex(
        self, action: OpenUtterance | SendKeys | BeginDialog | CloseUtterance | CancelUtterance | SynthesizeSpeech
    ) -> None:
        match action:
            case SynthesizeSpeech():
                self._asking.voice(action.turn, action.messages)
            case CloseUtterance():
                self._asking.close(action.turn)
            case CancelUtterance():
                self._asking.cancel(action.turn)
            case _:
                if isinstance(action, BeginDialog):
                    self._story.welcome_asked(action.turn, time.monotonic())
                else:
                    self._story.caller_begins()
                self._asking.open(action)


def _ends_stream(item: _Item) -> bool:
    try:
        return isinstance(item, _SocketClosed | _Close) or (isinstance(item, str) and isinstance(parse(item), Stopped))
    except MediaStreamError:
        return True
