"""One live call: a CallSession over one media socket, without a greenlet and without a lock.

    read tick ----texts, pongs---> received() --.
    greenlets of Lex requests --->  inbox  -----+--> CallSession.receive() ... actions() --> ActionRunner
    greenlet of call updates ---->    "         |        |-> audio to the utterance (its greenlet sends it)
    other streams, the drain ---->    "         |        |-> document to the greenlet of call updates
    media turns --what is behind--> hear_more() +        `-> HearMore: back to the media turns
    pulse of all calls ----------> pulse() -----'

All of it runs in callbacks of the hub, and nothing in it switches greenlets: each way in is a round, which hands its
events to the session and carries out the actions that follow, before anything else happens in the process. Whatever has
to wait runs on a greenlet of its own, and posts what comes of it to the inbox. So a silent call has no greenlet.

A bug in one round ends its call, with close code 1011, and no other call.
"""

import math
import time
from collections.abc import Callable, Mapping

import gevent
from gevent import get_hub

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.bridge import stream_stop
from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_updates import CallUpdates, HandedOver
from lexbridge.bridge.inbox import CloseRequested, InboxItem, SocketClosed, TakenOver, ends_stream
from lexbridge.bridge.lex_requests import LexRequests
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.media_watch import MediaWatch
from lexbridge.bridge.model_batches import ModelBatches
from lexbridge.bridge.next_stream import NextStream
from lexbridge.bridge.stream_check import StreamCheck, StreamRefused
from lexbridge.bridge.stream_stop import StreamStop
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import HearMore, JudgeVoice
from lexbridge.call.events import (
    CallEvent,
    LeaveRequested,
    LexReplied,
    MoreToHear,
    NextStreamOpened,
    SilencePassed,
    Started,
    StreamLost,
    UpdateFailed,
    VoiceJudged,
)
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import STREAMS_LOST_PARAMETER, parse_count
from lexbridge.config.settings import Settings
from lexbridge.errors import MediaStreamError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.receiver import Message
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

WAITING_MESSAGES = 100
"""The most messages that a session keeps while a model is asked, before its socket is not read any more."""

_REASONS = {
    close_codes.GOING_AWAY: "service stopped",
    close_codes.INVALID_PAYLOAD: "bad message",
    close_codes.POLICY_VIOLATION: "stream refused",
    close_codes.INTERNAL_ERROR: "bug",
}
"""What `call-left` says of a stream that was closed with each of these codes."""


class LiveCall:
    """One call, from the open media socket to the closed one. No method waits, switches greenlets, or raises."""

    __slots__ = (
        "__weakref__",
        "_actions",
        "_awaits_turn",
        "_batches",
        "_call_control",
        "_calls",
        "_due_s",
        "_inbox",
        "_is_judged",
        "_is_over",
        "_is_two_way",
        "_kept",
        "_lex_requests",
        "_log",
        "_media_ms",
        "_media_s",
        "_media_watch",
        "_next_stream",
        "_on_end",
        "_owed_ms",
        "_quiet_messages",
        "_quiet_s",
        "_session",
        "_started_s",
        "_stop",
        "_story",
        "_stream",
        "_stream_check",
        "_streams_lost",
        "_turns",
        "_updates",
        "_waiting",
        "_websocket",
        "look_from_s",
    )

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
        turns: MediaTurns,
        batches: ModelBatches,
        on_end: Callable[["LiveCall"], object],
    ) -> None:
        """`start_by_s`: when the stream has to have started, in monotonic seconds.

        `turns`, `batches`: those of all calls. `on_end`: called once, when the call is over.
        """
        self._session = session
        self._websocket = websocket
        self._is_two_way = settings.reply_mode == "stream"
        self._calls = calls
        self._call_control = call_control
        self._turns = turns
        self._batches = batches
        self._on_end = on_end
        self.look_from_s = 0.0
        """When there may be something for `pulse` to look at. Most streams bring media all the time."""
        self._due_s = start_by_s  # when the stream has to have started, or has to be over
        self._started_s = 0.0
        self._streams_lost = 0
        self._stream: LiveStream | None = None
        # Reads behind a start that is being checked, or behind much media.
        self._kept: list[list[Message]] | None = None
        self._is_judged = False  # whether the detector's model is being asked about what this call hears next
        self._waiting = 0  # messages that the session keeps meanwhile
        self._awaits_turn = False  # whether other calls are to have their turn before this one hears on
        self._is_over = False
        self._stop: StreamStop | None = None  # once another stream has the call
        self._stream_check = StreamCheck(settings.twilio_auth_tokens, used_tokens, calls.admission)
        self._next_stream = NextStream(settings.twilio_auth_tokens[0])
        self._media_s = TokenBucket(websocket.limits.rate_hz * FRAME_MS / 1000, MEDIA_BURST_S)
        self._owed_ms = 0  # silence that waits in the session
        self._media_ms = 0  # the session's media at the last look
        self._quiet_messages = 0  # of 20 ms each, that came since the last look and in which nothing happened
        self._quiet_s = 0.0  # when the last of them came
        self._log = Log()
        self._inbox: list[InboxItem] = []
        self._media_watch = MediaWatch(websocket)
        self._lex_requests = LexRequests(lex, self.post)
        self._story = CallStory(self._is_two_way)
        self._updates = CallUpdates(call_control, self.post, self._update_taken)
        self._actions = ActionRunner(
            websocket,
            self._lex_requests,
            self._updates,
            self._next_stream,
            self._story,
            calls,
            is_two_way=self._is_two_way,
        )

    def start(self) -> None:
        """Begin to serve the media socket."""
        self._websocket.deliver_to(self)

    # -- ways in

    def received(self, messages: list[Message], now_s: float) -> bool:
        """Take the messages of one read. Return whether nothing happens on the line."""
        if self._is_over:
            return True
        if self._kept is not None:
            self._kept.append(messages)
            return False
        try:
            if self._stream is None or self._stop is not None:
                self._take_outside(messages)
            elif type(messages[0]) is Pong:
                self._take_pong(messages[0], now_s)
                self._carry_out()
            elif self._session.receive_all(map(parse, messages)):  # type: ignore[arg-type]  # no bytes come in a call
                self._quiet_messages += len(messages)
                self._quiet_s = now_s
                return True
            else:
                self._take_long(messages, now_s)
                self._carry_out()
        except Exception as error:
            self._fail(error)
        return self._session.is_quiet

    def ended(self) -> None:
        """Note that the socket has ended. It may be the call itself that has closed it, in the middle of a round."""
        self.post(SocketClosed())

    def post(self, item: InboxItem) -> None:
        """Take `item` in a round of its own, once what runs now is done."""
        if self._is_over:
            return
        self._inbox.append(item)
        get_hub().loop.run_callback(self._take_inbox)

    def pulse(self, now_s: float) -> None:
        """Look at the clock. This is needed from `look_from_s` on."""
        if self._stream is not None and (opening := self._next_stream.renew(self._session.started)):
            self._round(self._session.receive, NextStreamOpened(opening))
        if now_s >= self._due_s:
            self._round(self._deadline_passed)
        elif self._stop is None and self._kept is None and not self._is_judged:
            self._round(self._pulse, now_s)
        self.look_from_s = min(self._due_s, self._media_watch.look_from_s, self._next_stream.renew_from_s)

    # -- rounds

    def _round(self, take: Callable[..., object], *arguments: object) -> None:
        """Hand something to the session, by `take`, and carry out what follows from it. End the call after a fault."""
        if self._is_over:
            return
        self.look_from_s = 0.0
        try:
            take(*arguments)
            self._carry_out()
        except Exception as error:
            self._fail(error)

    def _carry_out(self) -> None:
        actions = self._session.actions()
        if not actions:
            return
        self.look_from_s = 0.0
        self._actions.run(actions)
        match actions[-1]:  # no other can be one of these two, because the call waits for the answer
            case HearMore():
                self._await_turn()
            case JudgeVoice(window=window):
                self._is_judged = True
                self._batches.ask(window, self.voice_judged)
        if self._session.state is CallState.ENDED and self._stop is None:
            self._end(close_codes.NORMAL)
            return
        if opening := self._next_stream.renew(self._session.started):
            self._session.receive(NextStreamOpened(opening))

    def _fail(self, error: Exception) -> None:
        """End the call after `error`, which is being handled: a fault of the peer, or a bug."""
        match error:
            case MediaStreamError():
                self._log.warning("bad-message", error=str(error))
                self._end(close_codes.INVALID_PAYLOAD)
            case StreamRefused():
                self._session.actions()  # none of them is carried out
                self._log.warning("stream-refused", why=str(error), **error.hints)
                self._end(error.code)
            case _:
                self._log.exception("call-broken")
                self._end(close_codes.INTERNAL_ERROR)

    def _end(self, code: int) -> None:
        """End the call, and close its socket with `code`, or with another code after a bug."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if code != close_codes.INTERNAL_ERROR:
                self._end_session()
        except Exception:
            self._log.exception("call-broken")
            code = close_codes.INTERNAL_ERROR
        try:
            self._clean_up()
        except Exception:
            self._log.exception("call-broken")
        self._websocket.close(code)
        if self._stream is not None:
            self._story.stream_ended(time.monotonic(), _REASONS.get(code))
            # It refers back to this call, which only the garbage collector could free then, and that hardly ever looks.
            self._stream = self._actions.stream = None
        self._on_end(self)

    def _end_session(self) -> None:
        if self._stream is None:
            self._session.actions()  # those of a start that was not checked are not carried out
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())

    def _clean_up(self) -> None:
        """Break off what is under way for the call, so that nothing of it is left."""
        self._inbox.clear()
        if self._stream is not None:
            self._calls.remove(self._stream)
        self._lex_requests.cancel_all()
        # Another stream may go on with the call and repeat what the bot said last: no document of this stream may come
        # between.
        self._updates.cancel()
        if self._stop is not None:
            self._stop.cancel()

    # -- messages of the socket

    def _take_long(self, messages: list[Message], now_s: float) -> None:
        """Do what follows from messages that the session has taken, and in which something may have happened."""
        self._count_quiet()
        if self._is_judged:
            self._media_watch.media_arrived(now_s)  # it may be in what the session keeps
            self._note_waiting(len(messages))
        self._count_media(now_s)

    def _take_pong(self, pong: Pong, now_s: float) -> None:
        self._count_quiet()
        self._count_media(now_s)
        self._pass_silence(self._media_watch.pong_arrived(pong.payload))
        if self._is_judged:
            self._note_waiting(1)

    def _note_waiting(self, count: int) -> None:
        """Note that the session keeps `count` more messages while a model is asked."""
        self._waiting += count
        if self._waiting > WAITING_MESSAGES:
            self._keep()

    def _take_outside(self, messages: list[Message]) -> None:
        """Take messages before the stream is served, or after another stream has taken the call."""
        if self._stop is not None:
            if any(ends_stream(message) for message in messages if isinstance(message, str)):
                self._end(close_codes.NORMAL)
            return
        for at, message in enumerate(messages):
            if isinstance(message, str):
                self._session.receive(parse(message))
            if (started := self._session.started) is not None:
                self._keep(messages[at + 1 :])
                gevent.spawn(self._start, started)
                return

    def _keep(self, rest: list[Message] | None = None) -> None:
        """Keep what comes for later, `rest` of the present read first, and read no more until `_go_on`."""
        self._kept = [rest] if rest else []
        self._websocket.pause_reading()

    def _go_on(self) -> None:
        """Take the reads that were kept, and read again, unless they bring too much media once more."""
        kept, self._kept = self._kept or [], None
        for messages in kept:
            self.received(messages, time.monotonic())
        if self._kept is None and not self._is_over:
            self._websocket.resume_reading()
            self._take_inbox()

    def hear_more(self) -> None:
        """Hear the next slice of what is behind, after other calls had their turn."""
        self._awaits_turn = False
        self._round(self._session.receive, MoreToHear())
        if not (self._awaits_turn or self._is_judged or self._is_over):
            self._go_on()

    def voice_judged(self, probability: float | None) -> None:
        """Go on with the model's answer to what the call hears next, or with None if the model failed."""
        self._is_judged = False
        self._round(self._session.receive, VoiceJudged(probability))
        if not (self._awaits_turn or self._is_judged or self._is_over):
            self._waiting = 0
            if self._kept is None:
                self._take_inbox()
            else:
                self._go_on()

    def _await_turn(self) -> None:
        """Give other calls their turn before the next slice."""
        self._awaits_turn = True
        if self._kept is None:
            self._keep()
        self._turns.add(self.hear_more)

    def _count_quiet(self) -> None:
        """Note the media that `received` has only counted. Raise StreamRefused if it is too much."""
        if self._quiet_messages:
            quiet_ms, self._quiet_messages = self._quiet_messages * FRAME_MS, 0
            self._media_ms += quiet_ms
            self._media_came(quiet_ms, self._quiet_s)

    def _count_media(self, now_s: float) -> None:
        """Note the media that has come since the last look. Raise StreamRefused if it is too much."""
        media_ms = self._session.media_ms
        if media_ms != self._media_ms:
            new_ms, self._media_ms = media_ms - self._media_ms, media_ms
            self._media_came(new_ms, now_s)

    def _media_came(self, ms: int, now_s: float) -> None:
        paid_ms = min(self._owed_ms, ms)
        self._owed_ms -= paid_ms
        if not (ms := ms - paid_ms):
            return
        self._media_watch.media_arrived(now_s)
        if not self._media_s.take(now_s, ms / 1000):
            refused.count("too much media")
            raise StreamRefused("too much media", close_codes.POLICY_VIOLATION)

    # -- the clock

    def _deadline_passed(self) -> None:
        if self._stream is None:
            self._log.warning("stream-refused", why="no start")
            self._end(close_codes.POLICY_VIOLATION)
        else:
            self._close()

    def _pulse(self, now_s: float) -> None:
        self._count_quiet()
        if now_s >= self._media_watch.look_from_s:
            self._pass_silence(self._media_watch.pulse(now_s, self._log))

    def _pass_silence(self, ms: int) -> None:
        if ms:
            before_ms = self._session.media_ms
            self._session.receive(SilencePassed(ms))
            self._owed_ms += ms - (self._session.media_ms - before_ms)
            self._media_ms = self._session.media_ms  # silence that passed is no media that came

    # -- items of the inbox

    def _take_inbox(self) -> None:
        """Take what has come, unless there is media to be heard before it, or a start to be checked."""
        while self._inbox and self._kept is None and not self._is_judged:
            self._round(self._take, self._inbox.pop(0))

    def _take(self, item: InboxItem) -> None:
        match item:
            case SocketClosed():
                self._end(close_codes.NORMAL)
            case CloseRequested():
                self._close()
            case _ if self._stop is not None:
                pass  # the call is another stream's
            case TakenOver():
                self._give_way()
            case HandedOver():
                self._due_s = time.monotonic() + stream_stop.STOP_DEADLINE_S
            case _:
                self._hand_over(item)

    def _hand_over(self, event: CallEvent) -> None:
        """Hand an event to the session that came of a request of the call, or of the process."""
        match event:
            case LexReplied() if self._streams_lost >= MANY_STREAMS_LOST:
                # The call works again, so it moves to a stream whose name says that none was lost.
                self._session.receive(LeaveRequested())
            case UpdateFailed():
                self._story.update_failed(event.number)
            case _:
                pass
        self._session.receive(event)
        self._lex_requests.forget_finished(event)

    def _update_taken(self, number: int) -> None:
        """Note that Twilio has taken the call update `number`. It does not go through the inbox: the time counts."""
        self._story.update_taken(number, time.monotonic())

    def _close(self) -> None:
        """Close the stream, because the process asks for it or its time is over."""
        self._end(close_codes.GOING_AWAY if self._stop is None else close_codes.NORMAL)

    # -- the stream

    def _start(self, started: Started) -> None:
        """Check the stream that has started, on a greenlet of its own, because the check may wait. Then serve it."""
        self._log = self._actions.log = self._log.bind(call_sid=started.call_sid, stream_sid=started.stream_sid)
        try:
            self._stream_check.check(started)
        except Exception as error:
            self._fail(error)
        if self._is_over:
            return
        self._round(self._register, started)
        self._go_on()

    def _register(self, started: Started) -> None:
        """Register the stream, which is served from now on."""
        self._lex_requests.log = self._updates.log = self._story.log = self._log
        self._streams_lost = parse_count(started.parameters.get(STREAMS_LOST_PARAMETER))
        self._started_s = time.monotonic()
        self._due_s = math.inf
        self._stream = self._actions.stream = LiveStream(
            started.call_sid,
            started.stream_sid,
            take_over=lambda: self.post(TakenOver()),
            leave=lambda: self.post(LeaveRequested()),
            close=lambda: self.post(CloseRequested()),
            describe=self._describe,
            note_reason=self._story.note_reason,
        )
        self._calls.add(self._stream)
        self._media_watch.start(self._started_s)

    def _describe(self) -> Mapping[str, object]:
        """Return the position of the call, as fields of a log line."""
        age_s = round(time.monotonic() - self._started_s, 1)
        return {"age_s": age_s, "state": self._session.state.value, "turns": self._session.turn_count}

    def _give_way(self) -> None:
        """Leave the call to another stream, and wait until Twilio has stopped this one."""
        # Twilio stops it without being asked if the document that handed the call over does so. A bidirectional stream
        # was stopped or lost before the call got another.
        is_stopping = self._is_two_way or self._session.state is CallState.LEAVING
        self._stop = StreamStop(self._call_control, self.post)
        self._due_s = time.monotonic() + stream_stop.STOP_DEADLINE_S
        self._updates.cancel()
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())
        if not is_stopping and self._session.started is not None:
            self._stop.request(self._session.started, self._log)
