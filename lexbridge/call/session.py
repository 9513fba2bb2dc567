"""Rules of one call, from the start of its media stream to its end.

`CallSession` has one way in, `receive` (`receive_all` for several events), and one way out, `actions`. It does no I/O
and has no clock: time is media time. Nothing in it switches greenlets.

How a call works is told at the head of `states`. `parts` makes the rules, and connects them. What is heard goes through
`hearing` to `caller_input`; `event_router` takes the other events to the rules that they concern. The rules share the
state of the call, in `context`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from lexbridge.audio.pcm import FRAME_MS
from lexbridge.audio.vad import Detector
from lexbridge.call.actions import Action
from lexbridge.call.documents import CallDocuments
from lexbridge.call.event_router import EventRouter
from lexbridge.call.events import CallEvent, CallNotFound, CallReleased, Media, SilencePassed, Started, StreamLost
from lexbridge.call.hearing import Answer
from lexbridge.call.parts import make_parts
from lexbridge.call.quiet_lane import NEVER_MS, QuietLane
from lexbridge.call.states import CallState
from lexbridge.call.switching import Switchboard
from lexbridge.config.call_rules import CallRules
from lexbridge.errors import MediaStreamError

NO_ACTIONS: Sequence[Action] = ()
"""Actions after nearly every frame: none."""

LATE_MS = 120
"""Time by which media may be worked on late, where nothing is due before, milliseconds."""

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
        "_backlog",
        "_call",
        "_caller",
        "_due_ms",
        "_endpointer",
        "_hearing",
        "_lane",
        "_router",
        "_rules",
        "_speaker",
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
        parts = make_parts(rules, documents, detector, {} if phrase_audio is None else phrase_audio, switchboard)
        self._call = parts.call
        self._endpointer = parts.call.endpointer
        self._hearing, self._backlog = parts.hearing, parts.backlog
        self._caller, self._speaker = parts.caller, parts.speaker
        self._rules = parts.timed_rules
        self._router = EventRouter(parts)
        self._due_ms = UNKNOWN_MS  # media time up to which no rule is due, unless something happens
        self._lane = QuietLane(self._hearing, self._endpointer)

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
        return self._call.turns.count

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
        elif isinstance(event, SilencePassed):
            self._pass_silence(event.ms)
        else:
            self._router.take(event)

    def _hear(self) -> None:
        """Hear a slice, and do what is due after it."""
        endpointer = self._endpointer
        did_more = self._hearing.hear(self._caller.listening, self._caller.speech_heard)
        # A caller who goes on to speak changes no due time. One who may be about to begin does.
        if did_more or not endpointer.is_open or endpointer.now_ms >= self._due_ms:
            for rule in self._rules:
                rule.tick()
            self._due_ms = UNKNOWN_MS

    def _pass_silence(self, ms: int) -> None:
        """Hear `ms` of silence, unless the stream has not started."""
        if self._call.state is not CallState.CONNECTING:
            self._hearing.push_silence(ms)
            self._hear()
