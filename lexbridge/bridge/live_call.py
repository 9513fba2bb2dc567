"""One live call: a CallSession over one media socket, with one inbox, one loop and no lock.

    reader greenlet -text, pong->  inbox  ---> loop: CallSession.receive() ... actions() ---> ActionRunner
    greenlets of Lex requests --->   "            |-> audio to the utterance (its greenlet sends it)
    greenlet of call updates ---->   "            `-> document to the greenlet of call updates
    pulse of all calls --silence->   "

Only the loop touches the CallSession. Between an event and the actions that follow from it no other greenlet runs.
After some media the loop gives other calls their turn, whatever waits in its own inbox.
"""

import math
import time
from collections.abc import Mapping

import gevent
from gevent.queue import Empty, Queue

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.bridge import stream_stop
from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_updates import CallUpdates, HandedOver
from lexbridge.bridge.inbox import (
    INBOX_SIZE,
    CloseRequested,
    InboxItem,
    SocketClosed,
    TakenOver,
)
from lexbridge.bridge.lex_requests import LexRequests
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.media_watch import MediaWatch
from lexbridge.bridge.next_stream import NextStream
from lexbridge.bridge.stream_check import StreamCheck, StreamRefused
from lexbridge.bridge.stream_stop import StreamStop
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import (
    CallEvent,
    LeaveRequested,
    LexReplied,
    NextStreamOpened,
    SilencePassed,
    Started,
    StreamLost,
    UpdateFailed,
)
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import STREAMS_LOST_PARAMETER, parse_count
from lexbridge.config.settings import Settings
from lexbridge.errors import MediaStreamError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.refused import refused
from lexbridge.net.rfc6455 import Pong
from lexbridge.net.token_bucket import TokenBucket
from lexbridge.twilio.media_messages import parse
from lexbridge.twilio.used_tokens import UsedTokens

MEDIA_BURST_S = 120.0
"""The most media time that may arrive at once, in seconds, skipped time included.

A network that stalls lets go some 16 s at its end, and Twilio may skip time then. In the long run a stream may bring as
many frames a second as messages, which is 8 times what a call has.
"""

MANY_STREAMS_LOST = 5
"""The number of streams lost in a row after which a call that works again moves to a new stream.

The name of its present stream counts the lost ones, and after many of them the call ends at the next loss.
"""

_REASONS = {
    close_codes.GOING_AWAY: "service stopped",
    close_codes.INVALID_PAYLOAD: "bad message",
    close_codes.POLICY_VIOLATION: "stream refused",
    close_codes.INTERNAL_ERROR: "bug",
}
"""What `call-left` says of a stream that was closed with each of these codes."""


class LiveCall:
    """One call, from the open media socket to the closed one."""

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
        """`start_by_s`: when the stream has to have started, in monotonic seconds."""
        self._session = session
        self._websocket = websocket
        self._is_two_way = settings.reply_mode == "stream"
        self._calls = calls
        self._call_control = call_control
        self._start_by_s = start_by_s
        self._started_s = 0.0
        self._stop_by_s = math.inf
        self._streams_lost = 0
        self._stream: LiveStream | None = None
        self._stream_check = StreamCheck(settings.twilio_auth_tokens, used_tokens, calls.admission)
        self._next_stream = NextStream(settings.twilio_auth_tokens[0])
        self._media_s = TokenBucket(websocket.limits.rate_hz * FRAME_MS / 1000, MEDIA_BURST_S)
        self._turns = MediaTurns()
        self._log = Log()
        self._inbox: Queue[InboxItem] = Queue(maxsize=INBOX_SIZE)
        self._media_watch = MediaWatch(websocket, self._inbox)
        self._lex_requests = LexRequests(lex, self._inbox.put)
        self._story = CallStory(self._is_two_way)
        self._updates = CallUpdates(call_control, self._inbox.put, self._update_taken)
        self._actions = ActionRunner(
            websocket,
            self._lex_requests,
            self._updates,
            self._next_stream,
            self._story,
            calls,
            is_two_way=self._is_two_way,
        )

    def run(self) -> None:
        """Serve the call to its end, and close the socket. Raise nothing."""
        reader = gevent.spawn(self._read)
        code = close_codes.INTERNAL_ERROR
        try:
            code = self._loop()
            self._session.receive(StreamLost())
            self._actions.run(self._session.actions())
        except Exception:
            self._log.exception("call-broken")
        finally:
            self._lex_requests.cancel_all()
            # Another stream may go on with the call and repeat what the bot said last: no document of this stream may
            # come between.
            self._updates.cancel()
            if self._stream:
                self._calls.remove(self._stream)
            reader.kill()  # waited for, because it would fill the inbox again
            while not self._inbox.empty():  # else greenlets that wait for room in it would wait for ever
                self._inbox.get_nowait()
            self._websocket.close(code)
            if self._stream:
                self._story.stream_ended(time.monotonic(), _REASONS.get(code))

    def pulse(self, now_s: float) -> None:
        """Look at the clock. Neither waits nor raises."""
        self._media_watch.pulse(now_s, self._log)

    def _read(self) -> None:
        """Post the socket's messages to the inbox, in order, on a greenlet of its own."""
        try:
            while (message := self._websocket.receive()) is not None:
                self._inbox.put(message)
        except Exception:
            self._log.exception("reader-broken")
        self._inbox.put(SocketClosed())

    # -- the loop

    def _loop(self) -> int:
        """Take one item after the other until the stream is over. Return the code to close the socket with."""
        while self._session.state is not CallState.ENDED:
            try:
                item = self._next_item()
            except Empty:
                self._log.warning("stream-refused", why="no start")
                return close_codes.POLICY_VIOLATION
            if isinstance(item, (SocketClosed, CloseRequested)):
                return close_codes.GOING_AWAY if isinstance(item, CloseRequested) else close_codes.NORMAL
            if isinstance(item, TakenOver):
                self._give_way()
                return close_codes.NORMAL
            try:
                self._take(item)
            except MediaStreamError as error:
                self._log.warning("bad-message", error=str(error))
                return close_codes.INVALID_PAYLOAD
            except StreamRefused as error:
                self._session.actions()  # none of them is carried out
                self._log.warning("stream-refused", why=str(error), **error.hints)
                return error.code
            self._carry_out()
            while self._session.is_behind:
                self._session.catch_up()
                self._carry_out()
        return close_codes.NORMAL

    def _carry_out(self) -> None:
        self._actions.run(self._session.actions())
        self._turns.share(self._session.heard_ms)

    def _next_item(self) -> InboxItem:
        """Return the next item. Raise Empty if the stream has not started in time."""
        if self._inbox.empty():
            self._turns.restart()
        if self._stop_by_s < math.inf:
            try:
                return self._inbox.get(timeout=max(0.0, self._stop_by_s - time.monotonic()))
            except Empty:
                return CloseRequested()
        if self._stream is not None:
            return self._inbox.get()
        left_s = self._start_by_s - time.monotonic()
        if left_s <= 0:  # whatever the peer sends meanwhile
            raise Empty
        return self._inbox.get(timeout=left_s)

    # -- items of the inbox

    def _take(self, item: InboxItem) -> None:
        if opening := self._next_stream.renew(self._session.started):
            self._session.receive(NextStreamOpened(opening))
        match item:
            case str():
                self._take_message(item)
                if self._stream is None and self._session.started is not None:
                    self._start(self._session.started)
            case Pong():
                self._pass_silence(self._media_watch.pong_arrived(item.payload))
            case HandedOver():
                self._stop_by_s = time.monotonic() + stream_stop.STOP_DEADLINE_S
            case SocketClosed() | CloseRequested() | TakenOver():
                pass  # the loop ends with them
            case _:
                self._take_event(item)

    def _take_message(self, text: str) -> None:
        before_ms, now_s = self._session.media_ms, time.monotonic()
        self._session.receive(parse(text))
        media_ms = self._session.media_ms - before_ms
        if media_ms:
            self._media_watch.media_arrived(now_s)
        if not self._media_s.take(now_s, media_ms / 1000):
            refused.count("too much media")
            raise StreamRefused("too much media", close_codes.POLICY_VIOLATION)

    def _pass_silence(self, ms: int) -> None:
        if ms:
            self._session.receive(SilencePassed(ms))

    def _take_event(self, event: CallEvent) -> None:
        """Take what came of a request, of an update of the call, or of the process."""
        if isinstance(event, LexReplied) and self._streams_lost >= MANY_STREAMS_LOST:
            # The call works again, so it moves to a stream whose name says that none was lost.
            self._session.receive(LeaveRequested())
        if isinstance(event, UpdateFailed):
            self._story.update_failed(event.number)
        self._session.receive(event)
        self._lex_requests.forget_finished(event)

    def _update_taken(self, number: int) -> None:
        """Note that Twilio has taken the call update `number`. It does not go through the inbox: the time counts."""
        self._story.update_taken(number, time.monotonic())

    # -- the stream

    def _start(self, started: Started) -> None:
        """Register the stream that has started. Raise StreamRefused if it is not served."""
        self._log = self._actions.log = self._log.bind(call_sid=started.call_sid, stream_sid=started.stream_sid)
        self._stream_check.check(started)
        self._lex_requests.log = self._updates.log = self._story.log = self._log
        self._streams_lost = parse_count(started.parameters.get(STREAMS_LOST_PARAMETER))
        self._started_s = time.monotonic()
        self._stream = self._actions.stream = LiveStream(
            started.call_sid,
            started.stream_sid,
            take_over=lambda: self._post(TakenOver()),
            leave=lambda: self._post(LeaveRequested()),
            close=lambda: self._post(CloseRequested()),
            describe=self._describe,
            note_reason=self._story.note_reason,
        )
        self._calls.add(self._stream)
        self._media_watch.start(time.monotonic())

    def _describe(self) -> Mapping[str, object]:
        """Return the position of the call, as fields of a log line."""
        age_s = round(time.monotonic() - self._started_s, 1)
        return {"age_s": age_s, "state": self._session.state.value, "turns": self._session.turn_count}

    def _post(self, item: InboxItem) -> None:
        """Post `item` without waiting for room in the inbox."""
        gevent.spawn(self._inbox.put, item)

    def _give_way(self) -> None:
        """Leave the call to another stream: wait until Twilio has stopped this one."""
        # Twilio stops it without being asked if the document that handed the call over does so. A bidirectional stream
        # was stopped or lost before the call got another.
        is_stopping = self._is_two_way or self._session.state is CallState.LEAVING
        self._updates.cancel()
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())
        stop = StreamStop(self._call_control, self._inbox)
        stop.wait(
            None if is_stopping else self._session.started, lambda: self._turns.share(self._session.heard_ms), self._log
        )
