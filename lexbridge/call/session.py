"""Rules of one call, from the start of its media stream to its end.

`CallSession` has one way in, `receive` (`receive_all` for several events), and one way out, `actions`. It does no I/O
and has no clock: time is media time. Nothing in it switches greenlets.

How a call works is told at the head of `states`; its state is in `context`. What the caller does goes through `hearing`
and `caller_input`, what Lex answers through `lex_answers`. `stream_start` begins a stream, or goes on with a call that
another one began. These do what `replies`, `joining`, `limits` and `resumption` decide. `conversation` has words
spoken, and how the caller hears them is up to the `Speaker`, in `output`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.vad import Detector
from lexbridge.call.actions import Action
from lexbridge.call.backlog import Backlog
from lexbridge.call.caller_input import CallerInput
from lexbridge.call.context import CallContext
from lexbridge.call.conversation import Conversation
from lexbridge.call.documents import CallDocuments
from lexbridge.call.events import (
    AnswerEvent,
    AttributesFetched,
    CallEvent,
    CallNotFound,
    CallReleased,
    Dtmf,
    LeaveRequested,
    Mark,
    Media,
    MoreToHear,
    NextStreamOpened,
    OddMessage,
    SessionFetched,
    SessionFetchFailed,
    SilencePassed,
    Started,
    Stopped,
    StreamEvent,
    StreamLost,
    UnknownMessage,
    UpdateFailed,
    VoiceJudged,
)
from lexbridge.call.filler import Filler
from lexbridge.call.first_prompt import FirstPrompt
from lexbridge.call.hearing import Answer, Hearing, endpointing_rules
from lexbridge.call.lex_answers import LexAnswers
from lexbridge.call.output.base import Speaker
from lexbridge.call.output.call_update import CallUpdateSpeaker
from lexbridge.call.output.stream import StreamSpeaker
from lexbridge.call.quiet_lane import NEVER_MS, QuietLane
from lexbridge.call.resumption import Session
from lexbridge.call.speaking import Speaking
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.stream_start import StreamStart
from lexbridge.call.switching import Switchboard
from lexbridge.call.timed_rule import TimedRule
from lexbridge.config.call_rules import CallRules
from lexbridge.errors import MediaStreamError

NO_ACTIONS: Sequence[Action] = ()
"""Actions after nearly every frame: none."""

LATE_MS = 120
"""Time by which media may be worked on late, where nothing is due before, milliseconds."""

_ENDS: Mapping[type[StreamLost | CallNotFound | CallReleased], str] = {
    StreamLost: "lost",
    CallNotFound: "gone",
    CallReleased: "released",
}
"""Ends of a stream that Twilio has not stopped, as the log has them."""

UNKNOWN_MS = -math.inf
"""Due time of rules that have to be asked when they are due, milliseconds."""


class CallSession:
    """Rules of one call.

    After each event, take `actions()` and carry them out in order. Where media waits to be heard, one of them asks for
    a MoreToHear or a VoiceJudged: until that comes, further events are kept and taken in order afterwards. StreamLost,
    CallNotFound and CallReleased do not wait. They end the call, and drop what waits.

    A MediaStreamError out of `receive` means that the peer broke the protocol: close the socket, and hand over a
    StreamLost. A CallStateError is a bug.
    """

    __slots__ = (
        "__weakref__",
        "_answers",
        "_backlog",
        "_call",
        "_conversation",
        "_due_ms",
        "_endpointer",
        "_hearing",
        "_input",
        "_lane",
        "_odd_messages",
        "_rules",
        "_speaker",
        "_start",
        "_turns",
        "_voice",
    )

    def __init__(
        self,
        rules: CallRules,
        documents: CallDocuments,
        detector: Detector,
        phrase_audio: Mapping[str, bytes] | None = None,
        switchboard: Switchboard | None = None,
    ) -> None:
        """`phrase_audio`: lexbridge's own phrases as audio (mu-law, whole frames), for bidirectional streams.

        Twilio says a phrase that is missing, or not there yet. `switchboard`: the bots that the call may be handed to;
        without it there is no other.
        """
        self._odd_messages: Counter[str] = Counter()
        endpointer = self._endpointer = Endpointer(endpointing_rules(rules))
        self._call = CallContext(rules, documents, endpointer, switchboard)
        self._turns = self._call.turns
        # The speaker, if the bot is heard over the stream, in Lex's own voice.
        self._voice: StreamSpeaker | None = None
        if rules.reply_mode == "stream":
            self._voice = StreamSpeaker(self._call, {} if phrase_audio is None else phrase_audio)
        # Only of what is played over the stream it is known when its echo comes, and how loud.
        may_echo = None if self._voice is None else self._voice.may_echo
        self._hearing = Hearing(detector, endpointer, may_echo)
        self._speaker: Speaker = self._voice or CallUpdateSpeaker(self._call)
        self._conversation = Conversation(self._call, self._speaker)
        self._answers = LexAnswers(self._call, self._voice, self._conversation)
        first = FirstPrompt(self._call, self._speaker, self._conversation)
        self._start = StreamStart(self._call, self._speaker, self._conversation, first)
        self._input = CallerInput(
            self._call, self._speaker, self._voice, self._answers, self._conversation, self._start, first
        )
        self._backlog = Backlog(self._hearing, self._call.act)
        self._rules: tuple[TimedRule, ...] = (
            Speaking(self._call, self._speaker),
            self._input,
            Filler(self._call, self._speaker),
            self._start,
            first,
            self._conversation,
        )
        self._due_ms = UNKNOWN_MS  # media time up to which no rule is due, unless something happens
        self._lane = QuietLane(self._hearing, endpointer)

    @property
    def state(self) -> CallState:
        """State of the call."""
        return self._call.state

    @property
    def started(self) -> Started | None:
        """The event by which the stream started, or None before it."""
        return self._call.started

    @property
    def turn_count(self) -> int:
        """Number of turns so far, which is also that of the newest."""
        return self._turns.count

    @property
    def heard_ms(self) -> int:
        """Media time that was heard, milliseconds; skipped time was heard as silence."""
        return self._hearing.heard_ms + self._lane.taken_ms

    @property
    def media_ms(self) -> int:
        """Media time that has come, heard or not, milliseconds."""
        return self._hearing.arrived_ms + self._lane.taken_ms

    @property
    def frame_counts(self) -> tuple[int, int, int, int]:
        """Frames received, frames lost, frames of a phone that sends none in silence, and messages that came late."""
        audio = self._hearing.audio
        received_ms = self.heard_ms - audio.filled_ms - audio.silent_ms
        lost, silent = audio.filled_ms // FRAME_MS, audio.silent_ms // FRAME_MS
        return received_ms // FRAME_MS, lost, silent, audio.late_messages

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happens on the line that cannot wait for LATE_MS.

        The caller is silent, with no prompt on the stream, no keys and no turn. Or the caller is in the middle of an
        utterance, and nothing but its end is due.
        """
        return self._lane.is_quiet or (self._endpointer.is_open and self._is_in_mid_utterance())

    def _is_in_mid_utterance(self) -> bool:
        call, endpointer = self._call, self._endpointer
        return (
            min(endpointer.open_until_ms, self._due_ms) > endpointer.now_ms + LATE_MS
            and self._hearing.window is None
            and not self._backlog.is_behind
            and call.state is CallState.LIVE
            and not self._speaker.is_speaking
            and not call.keys.is_collecting
            and call.turns.in_flight in (None, call.turns.open)
        )

    def actions(self) -> Sequence[Action]:
        """Return what is to be done now, in order. Each action is returned once."""
        return self._call.take_actions() if self._call.actions else NO_ACTIONS

    def receive(self, event: CallEvent) -> None:
        """Take an event, and hear the first slice of its media, if it has any; or keep it, as the class says.

        After the call's end, drop it.

        Raise MediaStreamError if the event cannot come at this point of a stream.
        """
        self.receive_all((event,))

    def receive_all(self, events: Iterable[CallEvent]) -> bool:
        """Take each event as `receive` does. Return whether nothing happens in any of them, nor on the line.

        Then no action follows from them.
        """
        lane, coming = self._lane, iter(events)
        is_quiet = lane.is_quiet
        while (event := lane.take(coming)) is not None:  # nearly all events are taken
            is_quiet = False
            self._receive(event, lane.settle() if lane.is_open else None)
        return is_quiet

    def _receive(self, event: CallEvent, answer: Answer | None) -> None:
        """Take an event the long way. `answer`: the detector's to the frame of a Media, if it was asked already."""
        if self._call.state is CallState.ENDED:
            return  # Twilio may have media on its way when it sends `stop`
        if type(event) is not Media:
            self._due_ms = UNKNOWN_MS
        if self._backlog.is_behind and not isinstance(event, StreamLost | CallNotFound | CallReleased):
            self._backlog.receive(event, self._hear, self._take)
        else:
            self._take(event, answer)
            if self._hearing.is_behind:
                self._backlog.ask()
        if self._due_ms == UNKNOWN_MS or not self._endpointer.is_open:
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Find out when a rule is due next, and open the quiet lane until then if nothing happens on the line."""
        call, endpointer = self._call, self._endpointer
        self._due_ms = min((due for rule in self._rules if (due := rule.next_due_ms()) is not None), default=NEVER_MS)
        if (
            not endpointer.is_at_rest
            or call.state in (CallState.CONNECTING, CallState.ENDED)
            or self._backlog.is_behind
        ):
            return
        # Twilio may speak: the first voiced frame makes the line quick, long before BARGE_IN_MS (at least 100).
        # A prompt on the stream has marks that the call waits for.
        is_quiet = call.state is CallState.LIVE and call.is_idle and not self._speaker.is_speaking
        self._lane.open(self._due_ms, is_quiet=is_quiet)

    def _take(self, event: CallEvent, answer: Answer | None = None) -> None:
        """Take an event. `answer`: the detector's to the frame of a Media, if it was asked already."""
        if type(event) is Media:
            if self._call.state is CallState.CONNECTING:
                raise MediaStreamError("media came before start")
            self._hearing.push(event, answer)
            self._hear()
        elif isinstance(event, AnswerEvent):
            self._answers.take(event)
        elif isinstance(event, StreamEvent):
            self._take_from_stream(event)
        else:
            self._take_from_process(event)

    def _hear(self) -> None:
        """Hear a slice, and do what is due after it."""
        endpointer = self._endpointer
        did_more = self._hearing.hear(self._input.listening, self._input.speech_heard)
        # A caller who goes on to speak changes no due time. One who may be about to begin does.
        if did_more or not endpointer.is_open or endpointer.now_ms >= self._due_ms:
            for rule in self._rules:
                rule.tick()
            self._due_ms = UNKNOWN_MS

    def _take_from_stream(self, event: StreamEvent) -> None:
        match event:
            case Started():
                self._begin(event)
            case Stopped():
                self._end("stopped")
            case Mark() if self._voice is not None:
                self._call.take_reports(self._voice.mark_reached(event.name))
            case Dtmf():
                self._input.key_pressed(event.digit)
            case UnknownMessage():
                self._call.note("debug", "unknown-event")
            case OddMessage():
                self._odd(event.why)
            case _:
                pass  # Connected; or a mark of a stream that has none

    def _take_from_process(
        self,
        event: SessionFetched
        | SessionFetchFailed
        | AttributesFetched
        | SilencePassed
        | StreamLost
        | CallNotFound
        | CallReleased
        | UpdateFailed
        | NextStreamOpened
        | LeaveRequested
        | MoreToHear
        | VoiceJudged,
    ) -> None:
        match event:
            case SessionFetched():
                self._start.session_fetched(Session(event.reply))
            case SessionFetchFailed():
                self._start.session_fetched(Session(None, is_told=False))
            case AttributesFetched():
                self._start.attributes_fetched(event.attributes)
            case SilencePassed():
                self._pass_silence(event.ms)
            case StreamLost() | CallNotFound() | CallReleased():
                self._end(_ENDS[type(event)])
            case UpdateFailed():
                self._update_failed(event.number)
            case NextStreamOpened():
                self._call.next_stream = event.opening
            case LeaveRequested():
                self._call.is_leaving = True
            case _:
                pass  # MoreToHear, VoiceJudged: nothing waits any more

    def _update_failed(self, number: int) -> None:
        """Note that Twilio did not carry out the UpdateCall `number`. The call goes on, even after last words."""
        if (self._voice is not None and self._voice.is_finishing) or number != self._call.updates:
            return  # there is a newer document, or will be
        if self.state in (CallState.CLOSING, CallState.LEAVING):
            self._call.move(CallMove.NOT_CARRIED_OUT)
            self._call.take_reports(self._speaker.await_input())
        elif self._speaker.has_reprompts:  # the document does not ask the caller again either
            self._call.take_reports(self._speaker.await_input())

    def _pass_silence(self, ms: int) -> None:
        """Hear `ms` of silence, unless the stream has not started."""
        if self.state is not CallState.CONNECTING:
            self._hearing.push_silence(ms)
            self._hear()

    def _begin(self, started: Started) -> None:
        if self.state is not CallState.CONNECTING:
            raise MediaStreamError("start came twice")
        self._start.start(started)

    def _odd(self, why: str) -> None:
        """Count a message that cannot be read, and log the first of its kind."""
        self._odd_messages[why] += 1
        if self._odd_messages[why] == 1:
            self._call.note("warning", "odd-message", why=why)

    def _end(self, how: str) -> None:
        self._backlog.drop()
        self._call.move(CallMove.OVER)
        self._turns.drop_all("its stream has ended")
        self._speaker.end()
        self._call.note(
            "info",
            "stream-ended",
            how=how,
            turns=self.turn_count,
            media_ms=self._hearing.heard_ms,
            late_messages=self._hearing.audio.late_messages,
            filled_ms=self._hearing.audio.filled_ms,
            silent_ms=self._hearing.audio.silent_ms,
            odd_messages=self._odd_messages.total(),
        )
