"""Rules of one call, from the start of its media stream to its end.

`CallSession` takes events in, by its methods, and gives actions out, by `actions`. It does no I/O and has no clock:
time is media time. Nothing in it switches greenlets.

The states of the call and of a turn are in `states`; what all rules share is in `context`. What the caller does goes
through `hearing` and `caller_input`, what Lex answers through `lex_answers`, `joining` and `replies`. How the caller
hears the bot is up to the `ReplyMode`, in `output`. `resumption` goes on with a call that another stream began.
"""

from collections import Counter
from collections.abc import Mapping

from lexbridge.audio.endpointing import Endpointer, EndpointingRules
from lexbridge.audio.vad import Detector
from lexbridge.call.actions import Action
from lexbridge.call.caller_input import CallerInput
from lexbridge.call.context import CallContext
from lexbridge.call.documents import CallDocuments, Opening
from lexbridge.call.events import Dtmf, Mark, Media, OddMessage, Started, Stopped, StreamEvent, UnknownMessage
from lexbridge.call.hearing import Hearing
from lexbridge.call.joining import Joining
from lexbridge.call.lex_answers import LexAnswers
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, ReplyMode
from lexbridge.call.output.call_update import CallUpdateMode
from lexbridge.call.output.stream import StreamMode
from lexbridge.call.replies import Replies
from lexbridge.call.resumption import Resumption
from lexbridge.call.states import CallMove, CallState
from lexbridge.config.call_rules import CallRules
from lexbridge.errors import LexError, MediaStreamError
from lexbridge.lex.model import Reply


class CallSession:
    """Rules of one call.

    After each event, take `actions()` and carry them out in order. Then call `catch_up()` while `is_behind`, and carry
    out the actions of each slice. Where that is left out, the next event catches up first.

    A MediaStreamError out of `receive` means that the peer broke the protocol: close the socket and call
    `stream_lost()`. A CallStateError is a bug.
    """

    def __init__(
        self,
        rules: CallRules,
        documents: CallDocuments,
        detector: Detector,
        phrase_audio: Mapping[str, bytes] | None = None,
    ) -> None:
        """`phrase_audio`: lexbridge's own phrases as audio (mu-law, whole frames), for bidirectional streams.

        Twilio says a phrase that is missing, or not there yet.
        """
        self._odd_messages: Counter[str] = Counter()
        endpointer = Endpointer(_endpointing_rules(rules))
        self._hearing = Hearing(detector, endpointer)
        self._call = CallContext(rules, documents, endpointer)
        self._turns = self._call.turns
        self._mode: ReplyMode = (
            StreamMode(self._call, {} if phrase_audio is None else phrase_audio)
            if rules.reply_mode == "stream"
            else CallUpdateMode(self._call)
        )
        self._replies = Replies(self._call, self._mode)
        self._joining = Joining(self._call, self._mode)
        self._answers = LexAnswers(self._call, self._mode, self._joining, self._replies)
        self._resumption = Resumption(self._call, self._mode, self._replies)
        self._input = CallerInput(self._call, self._mode, self._joining, self._replies, self._resumption)
        self._filler_ms = round(rules.filler_s * 1000)

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
    def is_leaving(self) -> bool:
        """Whether the call is to go on over another stream as soon as it can, because this process is to end."""
        return self._call.is_leaving

    @is_leaving.setter
    def is_leaving(self, is_leaving: bool) -> None:
        self._catch_up_whole()
        self._call.is_leaving = is_leaving

    @property
    def next_stream(self) -> Opening | None:
        """The stream over which the call may go on, for a document that opens it."""
        return self._call.next_stream

    @next_stream.setter
    def next_stream(self, opening: Opening | None) -> None:
        self._catch_up_whole()
        self._call.next_stream = opening

    @property
    def heard_ms(self) -> int:
        """Media time that was heard, milliseconds; skipped time was heard as silence."""
        return self._hearing.heard_ms

    @property
    def media_ms(self) -> int:
        """Media time that has come, heard or not, milliseconds."""
        return self._hearing.arrived_ms

    @property
    def is_behind(self) -> bool:
        """Whether media has come that was not heard yet."""
        return self._hearing.is_behind

    def actions(self) -> list[Action]:
        """Return what is to be done now, in order. Each action is returned once."""
        return self._call.take_actions()

    # -- the stream

    def receive(self, event: StreamEvent) -> None:
        """Take an event of the media stream, and hear the first slice of its media.

        Raise MediaStreamError if the event cannot come at this point of a stream.
        """
        self._catch_up_whole()
        if self.state is CallState.ENDED:
            return  # Twilio may have media on its way when it sends `stop`
        match event:
            case Media():
                self._media(event)
            case Started():
                self._start(event)
            case Stopped():
                self._end("stopped")
            case Mark():
                self._mode.mark_reached(event.name)
            case Dtmf():
                self._input.key_pressed(event.digit)
            case UnknownMessage():
                self._call.note("debug", "unknown-event")
            case OddMessage():
                self._odd(event.why)
            case _:
                pass  # Connected

    def silence_passed(self, ms: int) -> None:
        """Hear `ms` of silence, in which no media came and none is on its way.

        Some phones send nothing while the caller is silent. Before the stream starts, and after its end, nothing is
        done.
        """
        if self.state in (CallState.CONNECTING, CallState.ENDED):
            return
        self._hearing.push_silence(ms)
        self._hear()

    def catch_up(self) -> None:
        """Hear the next slice of what was not heard yet."""
        if self._hearing.is_behind:
            self._hear()

    def stream_lost(self) -> None:
        """End the stream, whose socket was closed, unless it had stopped before. What is unheard is dropped."""
        if self.state is not CallState.ENDED:
            self._end("lost")

    def call_gone(self) -> None:
        """End the call: Twilio says that it is over, although its stream is not. What is unheard is dropped."""
        if self.state is not CallState.ENDED:
            self._end("gone")

    def update_failed(self, number: int) -> None:
        """Note that Twilio did not carry out the UpdateCall `number`. The call goes on, even after last words."""
        self._catch_up_whole()
        if self._mode.is_finishing or number != self._call.updates:
            return  # there is a newer document, or will be
        if self.state in (CallState.CLOSING, CallState.LEAVING):
            self._call.move(CallMove.NOT_CARRIED_OUT)
            self._mode.await_input()
        elif self._mode.has_reprompts:  # the document does not ask the caller again either
            self._mode.await_input()

    # -- Lex

    def lex_replied(self, number: int, reply: Reply, speaks: bool = False) -> None:
        """Take Lex's reply to the turn `number`. It is dropped if the turn is over.

        `speaks`: the reply's audio follows, by `lex_spoke` until `lex_speech_ended` or `lex_speech_failed`.
        """
        self._catch_up_whole()
        self._answers.reply_arrived(number, reply, speaks)

    def lex_failed(self, number: int, error: LexError) -> None:
        """Apologise for the turn `number`, which Lex did not answer, for good; unless the caller goes on with it."""
        self._catch_up_whole()
        self._answers.turn_failed(number, error)

    def lex_spoke(self, number: int, mulaw: bytes) -> None:
        """Take more of Lex's audio for the turn `number`: whole frames. It is dropped if the prompt is of no use."""
        self._catch_up_whole()
        self._mode.speech_arrived(number, mulaw)

    def lex_speech_ended(self, number: int) -> None:
        """Note that all of Lex's audio for the turn `number` has come."""
        self._catch_up_whole()
        self._mode.speech_ended(number)

    def lex_speech_failed(self, number: int) -> None:
        """Note that Lex's audio for the turn `number` broke off."""
        self._catch_up_whole()
        self._mode.speech_failed(number)

    def session_fetched(self, reply: Reply | None) -> None:
        """Take the last answer in Lex's session, or None if Lex knows no session because nothing was said yet."""
        self._catch_up_whole()
        self._resumption.session_fetched(reply)

    def session_fetch_failed(self) -> None:
        """Note that Lex did not tell where the dialog stands."""
        self._catch_up_whole()
        self._resumption.session_fetch_failed()

    def _start(self, started: Started) -> None:
        if self.state is not CallState.CONNECTING:
            raise MediaStreamError("start came twice")
        self._resumption.start(started)

    def _media(self, media: Media) -> None:
        if self.state is CallState.CONNECTING:
            raise MediaStreamError("media came before start")
        self._hearing.push(media)
        self._hear()

    def _odd(self, why: str) -> None:
        """Count a message that cannot be read, and log the first of its kind."""
        self._odd_messages[why] += 1
        if self._odd_messages[why] == 1:
            self._call.note("warning", "odd-message", why=why)

    def _catch_up_whole(self) -> None:
        while self._hearing.is_behind:
            self._hear()

    def _hear(self) -> None:
        """Hear a slice, and do what is due after it."""
        for event in self._hearing.next_slice(self._input.listening):
            self._input.speech_heard(event)
        self._mode.tick()
        self._input.tick()
        is_filler_due = self._call.now_ms >= self._call.quiet_from_ms + self._filler_ms
        if self._turns.in_flight and self._turns.open is None and is_filler_due:
            self._mode.play_filler()
        else:
            self._resumption.tick()
            self._replies.tick()

    def _end(self, how: str) -> None:
        self._hearing.drop()
        self._call.move(CallMove.OVER)
        self._turns.drop_all("the call is over")
        self._mode.end()
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


def _endpointing_rules(rules: CallRules) -> EndpointingRules:
    return EndpointingRules(
        onset_ms=rules.onset_ms,
        pre_roll_ms=rules.pre_roll_ms,
        hangover_ms=rules.hangover_ms,
        hangover_min_ms=rules.hangover_min_ms,
        hangover_max_ms=rules.hangover_max_ms,
        max_utterance_ms=rules.max_utterance_ms,
        no_input_ms=round(rules.no_input_s * 1000),
        longest_onset_ms=max(rules.onset_ms, rules.barge_in_ms + PAUSE_WITHIN_ONSET_MS),
    )
