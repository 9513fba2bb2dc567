"""Execution of a session's actions: at Lex, at Twilio, on the media socket and in the log."""

import time
from collections.abc import Iterable
from contextlib import suppress

from geventwebsocket.exceptions import WebSocketError

from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_updates import CallUpdates
from lexbridge.bridge.lex_requests import LexRequests
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.next_stream import NextStream
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
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
from lexbridge.logs import Log
from lexbridge.twilio.media_messages import encode


class ActionRunner:
    """The executor of one call's actions. It neither blocks nor switches greenlets."""

    __slots__ = (
        "_calls",
        "_is_two_way",
        "_lex_requests",
        "_next_stream",
        "_story",
        "_updates",
        "_websocket",
        "log",
        "stream",
    )

    def __init__(
        self,
        websocket: WebSocket,
        lex_requests: LexRequests,
        updates: CallUpdates,
        next_stream: NextStream,
        story: CallStory,
        calls: CallRegistry,
        *,
        is_two_way: bool,
    ) -> None:
        """`is_two_way`: whether the call's stream is bidirectional."""
        self._websocket = websocket
        self._lex_requests = lex_requests
        self._updates = updates
        self._next_stream = next_stream
        self._story = story
        self._calls = calls
        self._is_two_way = is_two_way
        self.stream: LiveStream | None = None
        """The stream that has started, or None if none has."""
        self.log = Log()

    def run(self, actions: Iterable[Action]) -> None:
        """Carry out `actions` in order."""
        for action in actions:
            match action:
                case FlushUtterance():
                    self._lex_requests.flush(action.turn)
                case SendAudio() | SendMark() | ClearAudio():
                    with suppress(WebSocketError):  # the inbox will tell that the socket is closed
                        self._websocket.send(encode(action, self.stream.stream_sid if self.stream else ""))
                case UpdateCall():
                    self._update_call(action)
                case Note():
                    self.log.write(action.level, action.event, action.fields)
                    self._story.line_logged(action, time.monotonic())
                case HearMore() | JudgeVoice():
                    pass  # the owner of the call goes on with it
                case _:
                    self._ask_lex(action)

    def _update_call(self, action: UpdateCall) -> None:
        self._story.update_made(action.number, time.monotonic(), asks_for_keys=action.asks_for_keys)
        self._updates.put(action)
        if action.hands_over:
            self._next_stream.mark_used()
        # A bidirectional stream has ended before the next one begins, so its loss concerns no other.
        if self.stream is not None and not self._is_two_way:
            self._calls.set_handed_over(self.stream, action.hands_over)

    def _ask_lex(
        self,
        action: OpenUtterance
        | SendKeys
        | BeginDialog
        | CloseUtterance
        | CancelUtterance
        | SynthesizeSpeech
        | FetchSession,
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
            case _:
                if isinstance(action, BeginDialog):
                    self._story.welcome_asked(action.turn, time.monotonic())
                else:
                    self._story.caller_began()
                self._lex_requests.open(action)
