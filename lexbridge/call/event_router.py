"""Way of the events that are no sound: each goes to the rule that it concerns, or moves the call itself."""

from collections import Counter
from collections.abc import Mapping

from lexbridge.call.events import (
    AnswerEvent,
    AttributesFetched,
    CallNotFound,
    CallReleased,
    Dtmf,
    LeaveRequested,
    Mark,
    MoreToHear,
    NextStreamOpened,
    OddMessage,
    SessionFetched,
    SessionFetchFailed,
    Started,
    Stopped,
    StreamEvent,
    StreamLost,
    UnknownMessage,
    UpdateFailed,
    VoiceJudged,
)
from lexbridge.call.parts import CallParts
from lexbridge.call.resumption import Session
from lexbridge.call.states import CallMove, CallState
from lexbridge.errors import MediaStreamError

ProcessEvent = (
    SessionFetched
    | SessionFetchFailed
    | AttributesFetched
    | StreamLost
    | CallNotFound
    | CallReleased
    | UpdateFailed
    | NextStreamOpened
    | LeaveRequested
    | MoreToHear
    | VoiceJudged
)
"""Events that neither the stream brings nor Lex by an answer to a turn."""

_ENDS: Mapping[type[StreamLost | CallNotFound | CallReleased], str] = {
    StreamLost: "lost",
    CallNotFound: "gone",
    CallReleased: "released",
}
"""Ends of a stream that Twilio has not stopped, as the log has them."""


class EventRouter:
    """Taker of the events of one call that are no sound."""

    __slots__ = (
        "_answers",
        "_backlog",
        "_call",
        "_caller",
        "_hearing",
        "_odd_messages",
        "_speaker",
        "_start",
        "_voice",
    )

    def __init__(self, parts: CallParts) -> None:
        self._call = parts.call
        self._hearing, self._backlog = parts.hearing, parts.backlog
        self._speaker, self._voice = parts.speaker, parts.voice
        self._answers, self._caller, self._start = parts.answers, parts.caller, parts.start
        self._odd_messages: Counter[str] = Counter()

    def take(self, event: AnswerEvent | StreamEvent | ProcessEvent) -> None:
        """Take an event. Raise MediaStreamError if it cannot come at this point of a stream."""
        if isinstance(event, AnswerEvent):
            self._answers.take(event)
        elif isinstance(event, StreamEvent):
            self._take_from_stream(event)
        else:
            self._take_from_process(event)

    def _take_from_stream(self, event: StreamEvent) -> None:
        match event:
            case Started():
                self._begin(event)
            case Stopped():
                self._end("stopped")
            case Mark() if self._voice is not None:
                self._call.take_reports(self._voice.mark_reached(event.name))
            case Dtmf():
                self._caller.key_pressed(event.digit)
            case UnknownMessage():
                self._call.note("debug", "unknown-event")
            case OddMessage():
                self._odd(event.why)
            case _:
                pass  # Connected; or a mark of a stream that has none

    def _take_from_process(self, event: ProcessEvent) -> None:
        match event:
            case SessionFetched():
                self._start.session_fetched(Session(event.reply))
            case SessionFetchFailed():
                self._start.session_fetched(Session(None, is_told=False))
            case AttributesFetched():
                self._start.attributes_fetched(event.attributes)
            case StreamLost() | CallNotFound() | CallReleased():
                self._end(_ENDS[type(event)])
            case UpdateFailed():
                self._update_failed(event.number)
            case NextStreamOpened():
                self._call.next_stream_opened(event.opening)
            case LeaveRequested():
                self._call.leave_requested()
            case _:
                pass  # MoreToHear, VoiceJudged: nothing waits any more

    def _begin(self, started: Started) -> None:
        if self._call.state is not CallState.CONNECTING:
            raise MediaStreamError("start came twice")
        self._start.start(started)

    def _update_failed(self, number: int) -> None:
        """Note that Twilio did not carry out the UpdateCall `number`. The call goes on, even after last words."""
        if (self._voice is not None and self._voice.is_finishing) or number != self._call.updates:
            return  # there is a newer document, or will be
        if self._call.state in (CallState.CLOSING, CallState.LEAVING):
            self._call.move(CallMove.NOT_CARRIED_OUT)
            self._call.take_reports(self._speaker.await_input())
        elif self._speaker.has_reprompts:  # the document does not ask the caller again either
            self._call.take_reports(self._speaker.await_input())

    def _odd(self, why: str) -> None:
        """Count a message that cannot be read, and log the first of its kind."""
        self._odd_messages[why] += 1
        if self._odd_messages[why] == 1:
            self._call.note("warning", "odd-message", why=why)

    def _end(self, how: str) -> None:
        self._backlog.drop()
        self._call.move(CallMove.OVER)
        self._call.turns.drop_all("its stream has ended")
        self._speaker.end()
        self._call.note(
            "info",
            "stream-ended",
            how=how,
            turns=self._call.turns.count,
            media_ms=self._hearing.heard_ms,
            late_messages=self._hearing.audio.late_messages,
            filled_ms=self._hearing.audio.filled_ms,
            silent_ms=self._hearing.audio.silent_ms,
            odd_messages=self._odd_messages.total(),
        )
