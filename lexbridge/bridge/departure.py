"""The departure of a stream from its call, which goes on without it: with a newer stream, or with another program."""

import math
import time
from collections.abc import Callable

from lexbridge.bridge import stream_stop
from lexbridge.bridge.action_runner import ActionRunner
from lexbridge.bridge.call_control import CallControl
from lexbridge.bridge.inbox import CloseRequested
from lexbridge.bridge.served_stream import ServedStream
from lexbridge.bridge.stream_stop import StreamStop
from lexbridge.call.actions import ClearAudio
from lexbridge.call.events import CallReleased, StreamLost
from lexbridge.call.session import CallSession
from lexbridge.call.states import CallState

RELEASED_STREAM_S = 600.0
"""The longest time for which a bidirectional stream stays open after its call was let go, in seconds.

Twilio ends it as soon as the other program redirects the call. If the socket were closed before, the call would end.
"""


class Departure:
    """Departure of a stream from its call. From then on the stream hears and says nothing, and waits for its end."""

    __slots__ = ("_actions", "_call_control", "_is_two_way", "_session", "_stop", "_stream", "due_s")

    def __init__(
        self,
        session: CallSession,
        actions: ActionRunner,
        stream: ServedStream,
        call_control: CallControl,
        is_two_way: bool,
    ) -> None:
        """`is_two_way`: whether the stream is bidirectional."""
        self._session = session
        self._actions = actions
        self._stream = stream
        self._call_control = call_control
        self._is_two_way = is_two_way
        self._stop: StreamStop | None = None  # once a newer stream has the call
        self.due_s = math.inf
        """When the stream has to be over, in monotonic seconds."""

    def expect(self) -> None:
        """Give the stream a moment to end: Twilio has the document by which another one goes on with the call."""
        self.due_s = time.monotonic() + stream_stop.STOP_DEADLINE_S

    def give_way(self, post: Callable[[CloseRequested], object]) -> None:
        """Leave the call to a newer stream, and wait until Twilio has stopped this one.

        `post`: takes the notice that Twilio will not stop it. It does not block.
        """
        # Twilio stops it without being asked if the document that handed the call to a stream, or to a bot, does so. A
        # bidirectional stream was stopped or lost before the call got another.
        is_stopping = self._is_two_way or self._session.state in (CallState.LEAVING, CallState.CLOSING)
        self._stop = StreamStop(self._call_control, post)
        self.due_s = time.monotonic() + stream_stop.STOP_DEADLINE_S
        self._actions.cancel_updates()
        self._session.receive(StreamLost())
        self._actions.run(self._session.actions())
        if not is_stopping and self._session.started is not None:
            self._stop.request(self._session.started, self._actions.log)

    def let_go(self) -> bool:
        """Leave the call to another program. Return whether the socket stays open, because the call would end with it.

        What is said in the call from now on is not for the bot.
        """
        self.due_s = time.monotonic() + RELEASED_STREAM_S
        self._session.receive(CallReleased())
        self._actions.run(self._session.actions())
        self._actions.cancel_all()
        if self._is_two_way:
            self._actions.run([ClearAudio()])
        self._stream.leave_released()
        return self._is_two_way

    def cancel(self) -> None:
        """Break off the request that Twilio stop the stream, because it is over."""
        if self._stop is not None:
            self._stop.cancel()
