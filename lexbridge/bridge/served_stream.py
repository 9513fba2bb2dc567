"""The stream of a live call as the process knows it: in the registry from its start on, until it has left its call."""

import time
from collections.abc import Callable, Mapping

from lexbridge.bridge.call_story import CallStory
from lexbridge.bridge.call_tap import CallTap
from lexbridge.bridge.call_updates import Released
from lexbridge.bridge.inbox import CloseRequested, InboxItem, TakenOver
from lexbridge.bridge.lines import LineRuntime
from lexbridge.bridge.live_calls import CallRegistry, LiveStream
from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.bridge.web_socket import WebSocket
from lexbridge.call.events import LeaveRequested, Started
from lexbridge.call.session import CallSession
from lexbridge.call.stream_parameters import STREAMS_LOST_PARAMETER, parse_count

MANY_STREAMS_LOST = 5
"""The number of streams lost in a row after which a call that works again moves to a new stream.

The name of its present stream counts the lost ones, and after many of them the call ends at the next loss.
"""


class ServedStream:
    """The media stream of one call, while it is served."""

    __slots__ = (
        "_calls",
        "_line",
        "_live",
        "_session",
        "_started_s",
        "_story",
        "_streams_lost",
        "_tap",
        "_websocket",
        "sid",
    )

    def __init__(
        self,
        session: CallSession,
        websocket: WebSocket,
        line: LineRuntime,
        calls: CallRegistry,
        story: CallStory,
        tap: CallTap | None = None,
    ) -> None:
        """`tap`: tells of the stream, if somebody watches the process."""
        self._session = session
        self._websocket = websocket
        self._line = line
        self._calls = calls
        self._story = story
        self._tap = tap
        self._live: LiveStream | None = None  # while the stream is served
        self._started_s = 0.0
        self._streams_lost = 0
        self.sid = ""
        """Twilio's StreamSid while the stream is served, or ""."""

    @property
    def is_served(self) -> bool:
        """Whether the stream has started and has not left its call."""
        return self._live is not None

    @property
    def follows_many_lost(self) -> bool:
        """Whether so many streams were lost before this one that its call is to move once it works again."""
        return self._streams_lost >= MANY_STREAMS_LOST

    def begin(self, started: Started, post: Callable[[InboxItem], object]) -> None:
        """Register the stream, which is served from now on. `post`: takes what others want of its call."""
        self._streams_lost = parse_count(started.parameters.get(STREAMS_LOST_PARAMETER))
        self._started_s = time.monotonic()
        self.sid = started.stream_sid
        self._live = LiveStream(
            started.call_sid,
            started.stream_sid,
            take_over=lambda: post(TakenOver()),
            leave=lambda: post(LeaveRequested()),
            close=lambda: post(CloseRequested()),
            describe=self._describe,
            media=self._media_figures,
            note_reason=self._story.note_reason,
            release=lambda: post(Released()),
            account_sid=started.account_sid,
            line=self._line.route.line,
        )
        self._calls.add(self._live)
        if self._calls.released.has(started.account_sid, started.call_sid):
            post(Released())  # the document of this stream was made before
        if self._tap is not None:
            mode = "stream" if self._line.is_two_way else "call-update"
            self._tap.stream_served(started, mode, self._line.route.log_fields)

    def set_handed_over(self, is_handed_over: bool) -> None:
        """Record whether the call's newest document opens another stream, which takes the call over."""
        if self._live is not None:
            self._calls.set_handed_over(self._live, is_handed_over)

    def unregister(self) -> None:
        """Take the stream out of the registry, if it is there. Its figures are added up while its socket is open."""
        if self._live is not None:
            self._calls.remove(self._live)

    def leave(self, why: str | None = None) -> None:
        """Tell how the stream ended, if it is served, and serve it no longer. `why`: the reason, if it lies here."""
        if self._live is None:
            return
        self._calls.remove(self._live)
        self._story.stream_ended(time.monotonic(), why)
        if self._tap is not None:
            self._tap.stream_ended()
        # It refers back to its call, which only the garbage collector could free then, and that hardly ever looks.
        self._live = None
        self.sid = ""

    def leave_released(self) -> None:
        """Leave the call to the program that has it, and tell whoever waits for that."""
        if (live := self._live) is not None:
            self.leave()
            self._calls.note_left(live)

    def _describe(self) -> Mapping[str, object]:
        """Return the position of the call, as fields of a log line."""
        age_s = round(time.monotonic() - self._started_s, 1)
        state, turns = self._session.state.value, self._session.turn_count
        return {**self._line.route.log_fields, "age_s": age_s, "state": state, "turns": turns}

    def _media_figures(self) -> MediaFigures:
        """Return what the stream has brought so far."""
        return MediaFigures(*self._session.frame_counts, *self._websocket.traffic())
