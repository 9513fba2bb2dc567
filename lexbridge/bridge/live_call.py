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

from gevent import get_hub

from lexbridge.bridge import stream_stop
from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.call_updates import HandedOver, Released
from lexbridge.bridge.inbox import CloseRequested, InboxItem, SocketClosed, TakenOver, ends_stream
from lexbridge.bridge.lines import LineRuntime
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.media_count import MediaCount
from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.bridge.media_turns import MediaTurns
from lexbridge.bridge.model_batches import ModelBatches
from lexbridge.bridge.pacing import Pacing
from lexbridge.bridge.stream_check import StreamRefused
from lexbridge.bridge.stream_stop import StreamStop
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import ClearAudio, HearMore, JudgeVoice
from lexbridge.call.events import (
    CallEvent,
    CallReleased,
    LeaveRequested,
    LexReplied,
    MoreToHear,
    NextStreamOpened,
    Started,
    StreamLost,
    UpdateFailed,
    VoiceJudged,
)
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.call.stream_parameters import STREAMS_LOST_PARAMETER, parse_count
from lexbridge.config.route import CallRoute
from lexbridge.errors import MediaStreamError
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.receiver import Message
from lexbridge.net.rfc6455 import Pong
from lexbridge.twilio.media_messages import parse

MANY_STREAMS_LOST = 5
"""The number of streams lost in a row after which a call that works again moves to a new stream.

The name of its present stream counts the lost ones, and after many of them the call ends at the next loss.
"""

RELEASED_STREAM_S = 600.0
"""The longest time for which a bidirectional stream stays open after its call was let go, in seconds.

Twilio ends it as soon as the other program redirects the call. If the socket were closed before, the call would end.
"""

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
        "_call_control",
        "_calls",
        "_due_s",
        "_inbox",
        "_is_over",
        "_is_two_way",
        "_log",
        "_media",
        "_on_end",
        "_pacing",
        "_parse",
        "_route",
        "_session",
        "_started_s",
        "_stop",
        "_stream",
        "_streams_lost",
        "_tap",
        "_websocket",
        "look_from_s",
    )

    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        line: LineRuntime,
        auth_token: str,
        call_control: CallControl,
        calls: CallRegistry,
        turns: MediaTurns,
        batches: ModelBatches,
        on_end: Callable[["LiveCall"], object],
        find_lex: Callable[[CallRoute], LexRuntime | None],
        tap: CallTap | None = None,
    ) -> None:
        """`auth_token`: Twilio's, with which tokens of streams are signed.

        `turns`, `batches`: those of all calls. `on_end`: called once, when the call is over. `find_lex`: returns the
        bot of another route of the call's line, or None if there is none. `tap`: tells of the call, if somebody watches
        the process.
        """
        self._session = session
        self._websocket = websocket
        self._route = line.route
        self._is_two_way = line.is_two_way
        self._calls = calls
        self._call_control = call_control
        self._on_end = on_end
        self._tap = tap
        self._parse = parse if tap is None else tap.parse
        self.look_from_s = 0.0
        """When there may be something for `pulse` to look at. Most streams bring media all the time."""
        self._due_s = math.inf  # when the stream has to be over
        self._started_s = 0.0
        self._streams_lost = 0
        self._stream: LiveStream | None = None
        self._is_over = False
        self._stop: StreamStop | None = None  # once another stream has the call
        self._log = Log()
        self._inbox: list[InboxItem] = []
        self._media = MediaCount(session, websocket)
        self._pacing = Pacing(websocket, turns, batches)
        self._actions = ActionRunner(websocket, line, auth_token, call_control, calls, self.post, find_lex, tap)

    def begin(self, started: Started, kept: list[list[Message]], log: Log) -> None:
        """Begin to serve a stream that has started. `kept`: the reads that came after its start."""
        self._log = log
        self._actions.use_log(log)
        self._pacing.kept = kept
        self._websocket.deliver_to(self)
        self._round(self._begin, started)
        self._go_on()

    # -- ways in

    def received(self, messages: list[Message], now_s: float) -> bool:
        """Take the messages of one read. Return whether nothing happens on the line."""
        if self._is_over:
            return True
        if self._pacing.kept is not None:
            self._pacing.kept.append(messages)
            return False
        try:
            if self._stop is not None:
                self._take_after_stop(messages)
            elif type(messages[0]) is Pong:
                self._take_pong(messages[0], now_s)
            elif self._session.receive_all(map(self._parse, messages)):  # type: ignore[arg-type]  # no bytes come in a call
                self._media.quiet_messages += len(messages)
                self._media.quiet_s = now_s
                return True
            else:
                self._take_long(messages, now_s)
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
        if self._stream is not None and (opening := self._actions.next_stream.renew(self._session.started)):
            self._round(self._session.receive, NextStreamOpened(opening))
        if now_s >= self._due_s:
            self._round(self._close)
        elif self._stop is None and self._pacing.is_free:
            self._round(self._media.pulse, now_s, self._log)
        self.look_from_s = min(self._due_s, self._media.watch.look_from_s, self._actions.next_stream.renew_from_s)

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
        if isinstance(asked := actions[-1], HearMore | JudgeVoice):  # no other can be, because the call waits for it
            self._pacing.wait_for(asked, self.hear_more, self.voice_judged)
        if self._session.state is CallState.ENDED and self._stop is None:
            self._end(close_codes.NORMAL)
            return
        if opening := self._actions.next_stream.renew(self._session.started):
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
        self._leave_stream(_REASONS.get(code))
        self._on_end(self)

    def _leave_stream(self, why: str | None) -> None:
        """Tell how the stream ended, if it has started, and count it no longer. `why`: the reason, if it lies here."""
        if self._stream is None:
            return
        self._calls.remove(self._stream)
        self._actions.story.stream_ended(time.monotonic(), why)
        if self._tap is not None:
            self._tap.stream_ended()
        # It refers back to this call, which only the garbage collector could free then, and that hardly ever looks.
        self._stream = self._actions.stream = None

    def _end_session(self) -> None:
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())

    def _clean_up(self) -> None:
        """Break off what is under way for the call, so that nothing of it is left."""
        self._inbox.clear()
        if self._stream is not None:
            self._calls.remove(self._stream)
        self._actions.cancel_all()
        if self._stop is not None:
            self._stop.cancel()

    # -- messages of the socket

    def _take_long(self, messages: list[Message], now_s: float) -> None:
        """Do what follows from messages that the session has taken, and in which something may have happened."""
        if self._pacing.is_judged:
            self._media.waits(now_s)
            self._pacing.session_keeps(len(messages))
        self._media.look(now_s)
        self._carry_out()

    def _take_pong(self, pong: Pong, now_s: float) -> None:
        self._media.pong_arrived(pong.payload, now_s)
        if self._pacing.is_judged:
            self._pacing.session_keeps(1)
        self._carry_out()

    def _take_after_stop(self, messages: list[Message]) -> None:
        """Take messages after another stream has taken the call."""
        if any(ends_stream(message) for message in messages if isinstance(message, str)):
            self._end(close_codes.NORMAL)

    def _go_on(self) -> None:
        """Take the reads that were kept, and read again, unless they bring too much media once more."""
        for messages in self._pacing.take_kept():
            self.received(messages, time.monotonic())
        if self._pacing.kept is None and not self._is_over:
            self._websocket.resume_reading()
            self._take_inbox()

    def hear_more(self) -> None:
        """Hear the next slice of what is behind, after other calls had their turn."""
        self._pacing.turn_came()
        self._hear(MoreToHear())

    def voice_judged(self, probability: float | None) -> None:
        """Go on with the model's answer to what the call hears next, or with None if the model failed."""
        self._pacing.model_answered()
        self._hear(VoiceJudged(probability))

    def _hear(self, event: MoreToHear | VoiceJudged) -> None:
        """Hand over what the session waits for, and go on with what was kept if it waits for nothing more."""
        self._round(self._session.receive, event)
        if self._is_over or self._pacing.awaits_answer:
            return
        self._pacing.session_is_on()
        if self._pacing.kept is None:
            self._take_inbox()
        else:
            self._go_on()

    # -- items of the inbox

    def _take_inbox(self) -> None:
        """Take what has come, unless there is media to be heard before it, or a start to be checked."""
        while self._inbox and self._pacing.is_free:
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
            case Released():
                self._let_go()
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
                self._actions.story.update_failed(event.number)
            case _:
                pass
        self._session.receive(event)
        self._actions.event_came(event)
        if self._tap is not None:
            self._tap.came(event)

    def _close(self) -> None:
        """Close the stream, because the process asks for it or its time is over."""
        self._end(close_codes.GOING_AWAY if self._stop is None else close_codes.NORMAL)

    # -- the stream

    def _begin(self, started: Started) -> None:
        """Register the stream, which is served from now on, and tell the session of its start."""
        self._streams_lost = parse_count(started.parameters.get(STREAMS_LOST_PARAMETER))
        self._started_s = time.monotonic()
        self._stream = self._actions.stream = LiveStream(
            started.call_sid,
            started.stream_sid,
            take_over=lambda: self.post(TakenOver()),
            leave=lambda: self.post(LeaveRequested()),
            close=lambda: self.post(CloseRequested()),
            describe=self._describe,
            media=self._media_figures,
            note_reason=self._actions.story.note_reason,
            release=lambda: self.post(Released()),
            account_sid=started.account_sid,
            line=self._route.line,
        )
        self._calls.add(self._stream)
        if self._calls.released.has(started.account_sid, started.call_sid):
            self.post(Released())  # the document of this stream was made before
        self._media.watch.start(self._started_s)
        if self._tap is not None:
            mode = "stream" if self._is_two_way else "call-update"
            self._tap.stream_served(started, mode, self._route.log_fields)
        self._session.receive(started)

    def _describe(self) -> Mapping[str, object]:
        """Return the position of the call, as fields of a log line."""
        age_s = round(time.monotonic() - self._started_s, 1)
        state, turns = self._session.state.value, self._session.turn_count
        return {**self._route.log_fields, "age_s": age_s, "state": state, "turns": turns}

    def _media_figures(self) -> MediaFigures:
        """Return what the stream has brought so far."""
        return MediaFigures(*self._session.frame_counts, *self._websocket.traffic())

    def _let_go(self) -> None:
        """Hear and say nothing more: another program has the call."""
        stream, self._stop = self._stream, StreamStop(self._call_control, self.post)
        self._due_s = time.monotonic() + RELEASED_STREAM_S
        self._session.receive(CallReleased())
        self._actions.run(self._session.actions())
        self._actions.cancel_all()
        if self._is_two_way:
            self._actions.run([ClearAudio()])
        self._leave_stream(None)
        if stream is not None:
            self._calls.note_left(stream)
        if not self._is_two_way:
            # What is said in the call from now on is not for the bot. The call goes on without this stream.
            self._end(close_codes.NORMAL)

    def _give_way(self) -> None:
        """Leave the call to another stream, and wait until Twilio has stopped this one."""
        # Twilio stops it without being asked if the document that handed the call to a stream, or to a bot, does so. A
        # bidirectional stream was stopped or lost before the call got another.
        is_stopping = self._is_two_way or self._session.state in (CallState.LEAVING, CallState.CLOSING)
        self._stop = StreamStop(self._call_control, self.post)
        self._due_s = time.monotonic() + stream_stop.STOP_DEADLINE_S
        self._actions.cancel_updates()
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())
        if not is_stopping and self._session.started is not None:
            self._stop.request(self._session.started, self._log)
