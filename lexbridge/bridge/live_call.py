"""One live call: a CallSession over one media socket, without a greenlet and without a lock.

    read tick ----texts, pongs---> received() --.
    greenlets of Lex requests --->  inbox  -----+--> CallSession.receive() ... actions() --> ActionRunner
    greenlet of call updates ---->    "         |        |-> audio to the utterance (its greenlet sends it)
    other streams, the drain ---->    "         |        |-> document to the greenlet of call updates
    turns, models of all calls ---> hear() -----+        `-> HearMore, JudgeVoice: back to those of all calls
    pulse of all calls -----------> pulse() ----'

All of it runs in callbacks of the hub, and nothing in it switches greenlets: each way in is a round, which hands its
events to the session and carries out the actions that follow, before anything else happens in the process. Whatever has
to wait runs on a greenlet of its own, and posts what comes of it to the inbox. So a silent call has no greenlet.

A bug in one round ends its call, with close code 1011, and no other call.

Parts of a call: MediaCount and Pacing look at what its socket brings, ServedStream is its stream in the registry,
ActionRunner does what the session decides, Departure and CallEnding what has to be done when stream or call is over.
"""

import time
from collections.abc import Callable

from gevent import get_hub

from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.call_ending import CallEnding
from lexbridge.bridge.call_services import CallServices
from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.call_updates import HandedOver, Released
from lexbridge.bridge.departure import Departure
from lexbridge.bridge.inbox import CloseRequested, InboxItem, SocketClosed, TakenOver, ends_stream
from lexbridge.bridge.lines import LineRuntime
from lexbridge.bridge.media_count import MediaCount
from lexbridge.bridge.pacing import Pacing
from lexbridge.bridge.served_stream import ServedStream
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import HearMore, JudgeVoice
from lexbridge.call.events import (
    CallEvent,
    LeaveRequested,
    LexReplied,
    MoreToHear,
    NextStreamOpened,
    Started,
    VoiceJudged,
)
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState
from lexbridge.config.route import CallRoute
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.net import close_codes
from lexbridge.net.receiver import Message
from lexbridge.net.rfc6455 import Pong
from lexbridge.twilio.media_messages import parse


class LiveCall:
    """One call, from the open media socket to the closed one. No method waits, switches greenlets, or raises."""

    __slots__ = (
        "__weakref__",
        "_actions",
        "_departure",
        "_ending",
        "_has_left",
        "_inbox",
        "_is_over",
        "_media",
        "_on_end",
        "_pacing",
        "_parse",
        "_session",
        "_stream",
        "_websocket",
        "look_from_s",
    )

    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        line: LineRuntime,
        services: CallServices,
        on_end: Callable[["LiveCall"], object],
        find_lex: Callable[[CallRoute], LexRuntime | None],
        tap: CallTap | None = None,
    ) -> None:
        """`on_end`: called once, when the call is over. `find_lex`: returns the bot of another route of the call's
        line, or None if there is none. `tap`: tells of the call, if somebody watches the process.
        """
        self._session = session
        self._websocket = websocket
        self._on_end = on_end
        self._parse = parse if tap is None else tap.parse
        self.look_from_s = 0.0
        """When there may be something for `pulse` to look at. Most streams bring media all the time."""
        self._is_over = False
        self._has_left = False  # whether the call goes on without this stream
        self._inbox: list[InboxItem] = []
        self._media = MediaCount(session, websocket)
        self._pacing = Pacing(websocket, services.turns, services.batches)
        story, control = CallStory(line.is_two_way), services.call_control
        self._stream = ServedStream(session, websocket, line, services.calls, story, tap)
        self._actions = ActionRunner(
            websocket, line, services.auth_token, control, self._stream, story, self.post, find_lex, tap
        )
        self._departure = Departure(session, self._actions, self._stream, control, line.is_two_way)
        self._ending = CallEnding(session, websocket, self._actions, self._stream, self._departure)

    def begin(self, started: Started, kept: list[list[Message]], log: Log) -> None:
        """Begin to serve a stream that has started. `kept`: the reads that came after its start."""
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
            if self._has_left:
                self._take_after_leaving(messages)
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
        if self._stream.is_served and (opening := self._actions.next_stream.renew(self._session.started)):
            self._round(self._session.receive, NextStreamOpened(opening))
        if now_s >= self._departure.due_s:
            self._round(self._close)
        elif not self._has_left and self._pacing.is_free:
            self._round(self._media.pulse, now_s, self._actions.log)
        self.look_from_s = min(
            self._departure.due_s, self._media.watch.look_from_s, self._actions.next_stream.renew_from_s
        )

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

    def _begin(self, started: Started) -> None:
        """Serve the stream from now on, and tell the session of its start."""
        self._stream.begin(started, self.post)
        self._media.watch.start(time.monotonic())
        self._session.receive(started)

    def _carry_out(self) -> None:
        """Carry out what the session has decided, and ask for what it waits for."""
        actions = self._session.actions()
        if not actions:
            return
        self.look_from_s = 0.0
        self._actions.run(actions)
        if isinstance(asked := actions[-1], HearMore | JudgeVoice):  # no other can be, because the call waits for it
            self._pacing.wait_for(asked, self.hear)
        if self._session.state is CallState.ENDED and not self._has_left:
            self._end(close_codes.NORMAL)
            return
        if opening := self._actions.next_stream.renew(self._session.started):
            self._session.receive(NextStreamOpened(opening))

    def _fail(self, error: Exception) -> None:
        """End the call after `error`, which is being handled: a fault of the peer, or a bug."""
        self._end(self._ending.code_after(error))

    def _close(self) -> None:
        """Close the stream, because the process asks for it or its time is over."""
        self._end(close_codes.NORMAL if self._has_left else close_codes.GOING_AWAY)

    def _end(self, code: int) -> None:
        """End the call, and close its socket with `code`, or with another code after a bug."""
        if self._is_over:
            return
        self._is_over = True
        self._inbox.clear()
        self._ending.end(code)
        self._on_end(self)

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

    def _take_after_leaving(self, messages: list[Message]) -> None:
        """Take messages after the stream has left the call."""
        if any(ends_stream(message) for message in messages if isinstance(message, str)):
            self._end(close_codes.NORMAL)

    def _go_on(self) -> None:
        """Take the reads that were kept, and read again, unless they bring too much media once more."""
        for messages in self._pacing.take_kept():
            self.received(messages, time.monotonic())
        if self._pacing.kept is None and not self._is_over:
            self._websocket.resume_reading()
            self._take_inbox()

    def hear(self, event: MoreToHear | VoiceJudged) -> None:
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
            case _ if self._has_left:
                pass  # the call is another's
            case TakenOver():
                self._has_left = True
                self._departure.give_way(self.post)
            case Released():
                self._has_left = True
                if not self._departure.let_go():
                    self._end(close_codes.NORMAL)
            case HandedOver():
                self._departure.expect()
            case _:
                self._hand_over(item)

    def _hand_over(self, event: CallEvent) -> None:
        """Hand an event to the session that came of a request of the call, or of the process."""
        if isinstance(event, LexReplied) and self._stream.follows_many_lost:
            # The call works again, so it moves to a stream whose name says that none was lost.
            self._session.receive(LeaveRequested())
        self._session.receive(event)
        self._actions.event_came(event)
