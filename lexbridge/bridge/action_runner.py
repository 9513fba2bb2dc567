"""Execution of a session's actions: at Lex, at Twilio, on the media socket and in the log."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from geventwebsocket.exceptions import WebSocketError

from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.call_updates import CallUpdates, HandedOver, Released
from lexbridge.bridge.lex_requests import LexRequests
from lexbridge.bridge.lines import LineRuntime
from lexbridge.bridge.next_stream import NextStream
from lexbridge.bridge.served_stream import ServedStream
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
    FetchAttributes,
    FetchSession,
    FlushUtterance,
    HearMore,
    JudgeVoice,
    Note,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.events import CallEvent, UpdateFailed
from lexbridge.config.route import CallRoute
from lexbridge.lex.runtime import LexRuntime
from lexbridge.logs import Log
from lexbridge.twilio.media_messages import encode


class ActionRunner:
    """The executor of one call's actions. It neither blocks nor switches greenlets."""

    __slots__ = (
        "_find_lex",
        "_is_two_way",
        "_lex_requests",
        "_story",
        "_stream",
        "_tap",
        "_updates",
        "_websocket",
        "log",
        "next_stream",
    )

    def __init__(
        self,
        websocket: WebSocket,
        line: LineRuntime,
        auth_token: str,
        call_control: CallControl,
        stream: ServedStream,
        story: CallStory,
        post: Callable[[CallEvent | HandedOver | Released], object],
        find_lex: Callable[[CallRoute], LexRuntime | None],
        tap: CallTap | None = None,
    ) -> None:
        """`auth_token`: Twilio's, with which tokens of streams are signed. `story`: the account of the call in the log.

        `post`: takes what comes of the actions. It does not block. `find_lex`: returns the bot of another route of the
        call's line, or None if there is none. `tap`: tells of the actions, or None.
        """
        self._websocket = websocket
        self._stream = stream
        self._story = story
        self._find_lex = find_lex
        self._is_two_way = line.is_two_way
        self._lex_requests = LexRequests(line.lex, post)
        self._updates = CallUpdates(call_control, post, self._update_taken)
        self._tap = tap
        self.log = Log()
        """The log of the call."""
        self.next_stream = NextStream(auth_token, line.route)
        """The maker of the opening of the call's next stream."""

    def use_log(self, log: Log) -> None:
        """Write to `log` from now on, whose lines name the call."""
        self.log = self._lex_requests.log = self._updates.log = self._story.log = log

    def event_came(self, event: CallEvent) -> None:
        """Take in what `event`, which the session has got, means for the requests and updates that are under way."""
        if isinstance(event, UpdateFailed):
            self._story.update_failed(event.number)
        self._lex_requests.forget_finished(event)
        if self._tap is not None:
            self._tap.came(event)

    def cancel_updates(self) -> None:
        """Make no more updates of the call, because another stream goes on with it."""
        self._updates.cancel()

    def cancel_all(self) -> None:
        """Break off all that is under way, because the call is over."""
        self._lex_requests.cancel_all()
        # Another stream may go on with the call and repeat what the bot said last: no document of this stream may come
        # between.
        self._updates.cancel()

    def run(self, actions: Iterable[Action]) -> None:
        """Carry out `actions` in order."""
        for action in actions:
            if self._tap is not None:
                self._tap.done(action)
            match action:
                case FlushUtterance():
                    self._lex_requests.flush(action.turn)
                case SendAudio() | SendMark() | ClearAudio():
                    with suppress(WebSocketError):  # the inbox will tell that the socket is closed
                        self._websocket.send(encode(action, self._stream.sid))
                case UpdateCall():
                    self._update_call(action)
                case Note():
                    self.log.write(action.level, action.event, action.fields)
                    self._story.line_logged(action, time.monotonic())
                case HearMore() | JudgeVoice():
                    pass  # the owner of the call goes on with it
                case _:
                    self._ask_lex(action)

    def _update_taken(self, number: int) -> None:
        """Note that Twilio has taken the call update `number`. It does not go through the inbox: the time counts."""
        self._story.update_taken(number, time.monotonic())

    def _update_call(self, action: UpdateCall) -> None:
        self._story.update_made(action.number, time.monotonic(), asks_for_keys=action.asks_for_keys)
        self._updates.put(action)
        if action.hands_over:
            self.next_stream.mark_used()
        # A bidirectional stream has ended before the next one begins, so its loss concerns no other.
        if not self._is_two_way:
            self._stream.set_handed_over(action.hands_over)

    def _ask_lex(
        self,
        action: OpenUtterance
        | SendKeys
        | BeginDialog
        | CloseUtterance
        | CancelUtterance
        | SynthesizeSpeech
        | FetchSession
        | FetchAttributes,
    ) -> None:
        match action:
            case SynthesizeSpeech():
                self._lex_requests.speak(action.turn, action.messages)
            case CloseUtterance():
                self._lex_requests.close(action.turn)
            case CancelUtterance():
                self._lex_requests.cancel(action.turn)
            case FetchSession():
                self._lex_requests.fetch_session(action.session_id)
            case FetchAttributes():
                self._lex_requests.fetch_attributes(action.session_id, self._find_lex(action.origin))
            case _:
                if isinstance(action, BeginDialog):
                    self._story.welcome_asked(action.turn, time.monotonic())
                else:
                    self._story.turn_asked(action.turn, time.monotonic())
                self._lex_requests.open(action)
