"""The heart: one call, from the start of its media stream to its end.

`CallSession` takes events in, by its methods, and gives actions out, by `actions`. It does no I/O and has no clock:
time is media time. Nothing in it switches greenlets. A message may bring much media, or skip much time: the session
hears a slice of it, and `catch_up` hears the next one, so that the other calls need not wait for all slices.

Two machines run side by side, for a caller may speak while Lex thinks: the call's, in `call_state`, and a turn's, in
`turns`. Both diagrams in docs/call.md are drawn from their tables. How the bot is heard is up to the `ReplyMode`.
"""

from collections import Counter, deque
from collections.abc import Mapping

import numpy as np

from lexbridge.audio.endpointing import (
    Endpointer,
    EndpointingRules,
    EndReason,
    Listening,
    SpeechContinued,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from lexbridge.audio.pcm import FRAME_MS, PCM_BYTES_PER_MS, decode_mulaw, frame_levels_dbfs
from lexbridge.audio.vad import Detector
from lexbridge.call.actions import Action, CancelUtterance
from lexbridge.call.context import CallContext
from lexbridge.call.documents import CallDocuments, Opening
from lexbridge.call.events import (
    Dtmf,
    Mark,
    Media,
    OddMessage,
    Started,
    Stopped,
    StreamEvent,
    UnknownMessage,
)
from lexbridge.call.inbound_audio import InboundAudio
from lexbridge.call.joining import Joining
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, ReplyMode
from lexbridge.call.output.call_update import CallUpdateMode
from lexbridge.call.output.stream import StreamMode
from lexbridge.call.replies import Replies
from lexbridge.call.resumption import Resumption
from lexbridge.call.states import CallMove, CallState, TurnMove
from lexbridge.call.turns import Turn
from lexbridge.config.call_rules import CallRules
from lexbridge.errors import LexError, MediaStreamError, SessionNotRestored
from lexbridge.lex.model import Reply

SLICE_MS = 500
"""Media that is heard in one go. With VAD=silero it costs 2 to 5 ms of CPU, and a minute 0.2 to 0.6 s."""

JUMP_MS = 1000
"""Missing audio from which on it is no sign that the caller is silent: they may have spoken meanwhile, or the
timestamps are wrong."""


class CallSession:
    """One call's rules. After each way in, take `actions()` and carry them out in order, then `catch_up()` while
    `is_behind`, and carry out the actions of each slice. Should that not happen, the next way in catches up first.

    A MediaStreamError out of `receive` means that the peer broke the protocol: close the socket and call
    `stream_lost()`. A CallStateError is a bug.
    """

    def __init__(
        self, rules: CallRules, documents: CallDocuments, detector: Detector, voiced: Mapping[str, bytes] | None = None
    ) -> None:
        """`voiced`: phrases of lexbridge's own as audio (mu-law, whole frames), for bidirectional streams. One that
        is not there, or not yet, is spoken by Twilio."""
        endpointing = EndpointingRules(
            onset_ms=rules.onset_ms,
            pre_roll_ms=rules.pre_roll_ms,
            hangover_ms=rules.hangover_ms,
            hangover_min_ms=rules.hangover_min_ms,
            hangover_max_ms=rules.hangover_max_ms,
            max_utterance_ms=rules.max_utterance_ms,
            no_input_ms=round(rules.no_input_s * 1000),
            longest_onset_ms=max(rules.onset_ms, rules.barge_in_ms + PAUSE_WITHIN_ONSET_MS),
        )
        self._rules = rules
        self._audio = InboundAudio()
        self._unheard: deque[bytes] = deque()  # frames, mu-law
        self._odd_messages: Counter[str] = Counter()
        self._endpointer = Endpointer(detector, endpointing)
        self._call = CallContext(rules, documents, self._endpointer)
        self._turns, self._keys = self._call.turns, self._call.keys
        self._mode: ReplyMode = (
            StreamMode(self._call, {} if voiced is None else voiced)
            if rules.reply_mode == "stream"
            else CallUpdateMode(self._call)
        )
        self._answering = Replies(self._call, self._mode)
        self._joining = Joining(self._call, self._mode)
        self._resuming = Resumption(self._call, self._mode, self._answering)
        self._filler_ms = round(rules.filler_s * 1000)

    @property
    def state(self) -> CallState:
        """Where the call stands."""
        return self._call.state

    @property
    def started(self) -> Started | None:
        """Whose stream it is; None before `start`."""
        return self._call.started

    @property
    def turns(self) -> int:
        """Turns so far; also the number of the newest."""
        return self._turns.count

    @property
    def is_leaving(self) -> bool:
        """See Call."""
        return self._call.is_leaving

    @is_leaving.setter
    def is_leaving(self, is_leaving: bool) -> None:
        self._catch_up_whole()
        self._call.is_leaving = is_leaving

    @property
    def next_stream(self) -> Opening | None:
        """See Call."""
        return self._call.next_stream

    @next_stream.setter
    def next_stream(self, opening: Opening | None) -> None:
        self._catch_up_whole()
        self._call.next_stream = opening

    @property
    def heard_ms(self) -> int:
        """Media time that was heard, silence where time was skipped too."""
        return self._endpointer.now_ms

    @property
    def media_ms(self) -> int:
        """Media time that has come: what was heard, and what is behind."""
        return self._endpointer.now_ms + len(self._unheard) * FRAME_MS

    @property
    def is_behind(self) -> bool:
        """Whether media has come that was not heard yet."""
        return bool(self._unheard)

    def actions(self) -> list[Action]:
        """What is to be done now, in order. Each action is returned once."""
        return self._call.take_actions()

    def receive(self, event: StreamEvent) -> None:
        """Take an event of the media stream; of its media hear the first SLICE_MS. Raises MediaStreamError if the
        event cannot come at this point of a stream."""
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
                self._mode.marked(event.name)
            case Dtmf():
                self._key(event.digit)
            case UnknownMessage():
                self._call.note("debug", "unknown-event")
            case OddMessage():
                self._odd(event.why)
            case _:
                pass  # Connected

    def silence_passed(self, ms: int) -> None:
        """For `ms` no media came, and none is on its way: the caller's phone sends nothing while they are silent. It is
        heard as silence, the first SLICE_MS at once. Nothing happens before the stream starts, or after its end."""
        if self.state in (CallState.CONNECTING, CallState.ENDED):
            return
        self._unheard.extend(self._audio.silence(ms))
        self._hear()

    def catch_up(self) -> None:
        """Hears the next SLICE_MS of what is behind."""
        if self._unheard:
            self._hear()

    def lex_replied(self, number: int, reply: Reply, speaks: bool = False) -> None:
        """Lex answered the turn `number`. A reply to a turn that is over is dropped.

        `speaks`: the reply's audio follows, by `lex_spoke` until `lex_speech_ended` or `lex_speech_failed`.
        """
        self._catch_up_whole()
        turn = self._turns.finish(number, TurnMove.REPLIED)
        if turn is None:
            return
        self._call.failed_turns = 0
        self._call.note(
            "info",
            "turn-answered",
            turn=number,
            dialog_state=reply.dialog_state.value,
            intent=reply.intent,
            slot_to_elicit=reply.slot_to_elicit,
            messages=len(reply.messages),
        )
        if not self._joining.answered(turn, reply, lambda: self._answered(turn, reply, speaks)):
            self._answered(turn, reply, speaks)
        if speaks and not self._mode.wants_voice(number):
            self._call.act(CancelUtterance(number))  # nobody will hear it
        self._next_turn()

    def lex_failed(self, number: int, error: LexError) -> None:
        """Lex did not answer the turn `number`, for good. The caller hears the error's apology; unless they go on."""
        self._catch_up_whole()
        if isinstance(error, SessionNotRestored):
            self._joining.not_put_back(number)
            self._next_turn()
            return
        turn = self._turns.finish(number, TurnMove.LEX_FAILED)
        if turn is None:
            return
        if not self._joining.failed(turn, error, lambda: self._failed(turn, error)):
            self._failed(turn, error)
        self._next_turn()

    def lex_spoke(self, number: int, mulaw: bytes) -> None:
        """More of the audio of Lex's reply to the turn `number`: whole frames. Dropped if it is of no use any more."""
        self._catch_up_whole()
        self._mode.spoke(number, mulaw)

    def lex_speech_ended(self, number: int) -> None:
        """There is no more of it."""
        self._catch_up_whole()
        self._mode.spoke_all(number)

    def lex_speech_failed(self, number: int) -> None:
        """There is no more of it, but there ought to be."""
        self._catch_up_whole()
        self._mode.speech_failed(number)

    def session_fetched(self, reply: Reply | None) -> None:
        """Lex told what it answered last in this session; None: it knows no such session, nothing was said yet."""
        self._catch_up_whole()
        self._resuming.session_fetched(reply)

    def session_fetch_failed(self) -> None:
        """Lex did not tell."""
        self._catch_up_whole()
        self._resuming.session_fetch_failed()

    def update_failed(self, number: int) -> None:
        """Twilio did not carry out the UpdateCall `number`. The next turn goes on, even after last words."""
        self._catch_up_whole()
        if self._mode.is_finishing or number != self._call.updates:
            return  # there is another document since, or will be
        if self.state in (CallState.CLOSING, CallState.LEAVING):
            self._call.move(CallMove.NOT_CARRIED_OUT)
            self._mode.await_input()
        elif self._mode.reprompts:  # nor does it ask by itself
            self._mode.await_input()

    def call_gone(self) -> None:
        """Twilio says that the call is over, before its stream was. What is behind is heard no more."""
        if self.state is not CallState.ENDED:
            self._end("gone")

    def stream_lost(self) -> None:
        """The socket is closed, whoever closed it; what is behind is heard no more. Nothing is done if the stream had
        stopped before."""
        if self.state is not CallState.ENDED:
            self._end("lost")

    # -- the stream

    def _start(self, started: Started) -> None:
        if self.state is not CallState.CONNECTING:
            raise MediaStreamError("start came twice")
        self._resuming.start(started)

    def _media(self, media: Media) -> None:
        if self.state is CallState.CONNECTING:
            raise MediaStreamError("media came before start")
        filled_ms = self._audio.filled_ms
        self._unheard.extend(self._audio.push(media))
        missing_ms = self._audio.filled_ms - filled_ms
        if missing_ms >= JUMP_MS:
            self._endpointer.wait_longer(missing_ms)
        self._hear()

    def _odd(self, why: str) -> None:
        """A message that nobody can read, and nobody needs."""
        self._odd_messages[why] += 1
        if self._odd_messages[why] == 1:
            self._call.note("warning", "odd-message", why=why)

    def _catch_up_whole(self) -> None:
        while self._unheard:
            self._hear()

    def _hear(self) -> None:
        """A slice, and what it is time for after it."""
        unheard = self._unheard
        for _ in range(min(len(unheard), SLICE_MS // FRAME_MS)):
            for event in self._endpointer.push(decode_mulaw(unheard.popleft()), self._listening()):
                self._speech(event)
        now_ms = self._endpointer.now_ms
        self._mode.tick()
        if self._keys.is_collecting and (keys := self._keys.tick(now_ms)):
            self._call.send_keys(keys)
        is_filler_due = now_ms >= self._call.quiet_from_ms + self._filler_ms
        if self._turns.in_flight and self._turns.open is None and is_filler_due:
            self._mode.fill()
        else:
            self._resuming.tick()
            self._answering.tick()

    def _answered(self, turn: Turn, reply: Reply, speaks: bool) -> None:
        """The reply counts: the caller hears it; or the rest of what they interrupted, if Lex heard no words."""
        self._turns.first_attributes = None
        has_no_words = turn.keys is None and reply.heard_nothing and not reply.dialog_state.is_closed
        if has_no_words and self._mode.resumes():
            self._call.checkpoint = reply.checkpoint
            self._call.note("info", "false-alarm", turn=turn.number)
        else:
            self._mode.forget_interrupted()
            self._call.turns_answered += turn.intent is None
            self._answering.answer(reply, turn.number if speaks else None, turn=turn)

    def _failed(self, turn: Turn, error: LexError) -> None:
        self._mode.forget_interrupted()
        self._answering.failed(turn, error)

    def _end(self, how: str) -> None:
        self._unheard.clear()
        self._call.move(CallMove.OVER)
        self._turns.drop_all("the call is over")
        self._mode.end()
        self._call.note(
            "info",
            "stream-ended",
            how=how,
            turns=self.turns,
            media_ms=self._endpointer.now_ms,
            late_messages=self._audio.late_messages,
            filled_ms=self._audio.filled_ms,
            silent_ms=self._audio.silent_ms,
            odd_messages=self._odd_messages.total(),
        )

    # -- what the caller says

    def _listening(self) -> Listening | None:
        """How the next frame is listened to; None: as usual."""
        return Listening(onset_ms=None) if self._keys.is_collecting else self._mode.listening()

    def _speech(self, event: SpeechEvent) -> None:
        if self.state is not CallState.LIVE:
            # Said over the last words it goes to nobody, while the call is handed over to the other stream. Where a
            # stream was lost it is the rest of something that was cut off: the caller is asked for all of it.
            if isinstance(event, SpeechStarted):
                self._call.note("info", "speech-ignored", at_ms=event.at_ms, call=self.state.value)
            return
        match event:
            case SpeechStarted():
                goes_on = self._joining.goes_on(event)  # before what plays now takes the unheard answer along
                self._interrupt()
                if not goes_on:
                    self._turns.speech_started(event.at_ms, event.pre_roll)
            case SpeechContinued():
                self._speech_continued(event)
            case SpeechEnded():
                self._speech_ended(event)
            case _:  # NoInput
                self._no_input()

    def _speech_continued(self, event: SpeechContinued) -> None:
        now_ms, turn = self._endpointer.now_ms, self._turns.open
        if turn is not None and self._turns.is_full:
            self._note_utterance(turn, SpeechEnded(now_ms, EndReason.MAX_LENGTH, silent_ms=0))
            self._turns.split(now_ms, event.pcm)
        else:
            self._turns.speech_continued(event.pcm)

    def _speech_ended(self, event: SpeechEnded) -> None:
        turn = self._turns.open
        if turn is None:
            return
        self._call.quiet_from_ms = max(self._call.quiet_from_ms, event.at_ms - event.silent_ms)
        self._note_utterance(turn, event)
        if turn.is_overflow and len(turn.audio) <= event.silent_ms * PCM_BYTES_PER_MS:
            self._drop_silence()
        else:
            self._turns.speech_ended(event.at_ms, may_continue=event.reason is EndReason.HANGOVER)

    def _drop_silence(self) -> None:
        """What did not fit into the turn before is only silence. If that turn has been answered meanwhile, the answer
        took the caller for busy: it is their turn now, or the false alarm that it was is over."""
        call = self._call
        self._turns.drop_open("nothing is said in it")
        if call.is_idle and not self._mode.resumes() and self._mode.may_ask_again:
            call.await_input(max(0, call.quiet_from_ms - call.now_ms))

    def _note_utterance(self, turn: Turn, ended: SpeechEnded) -> None:
        levels = frame_levels_dbfs(bytes(turn.audio))
        self._call.note(
            "info",
            "utterance-ended",
            turn=turn.number,
            started_ms=turn.started_ms,
            ended_ms=ended.at_ms,
            silent_ms=ended.silent_ms,
            reason=ended.reason.value,
            # How loud voice and line are: what VOICE_THRESHOLD has to lie between.
            voice_dbfs=round(float(np.percentile(levels, 90)), 1),
            line_dbfs=round(float(np.percentile(levels, 10)), 1),
        )

    def _interrupt(self) -> None:
        """The caller begins."""
        self._call.no_inputs = 0
        self._resuming.caller_begins()
        self._mode.interrupt()

    def _key(self, key: str) -> None:
        """A key of the caller's. Its tone is on the line too, and may have been taken for speech."""
        if self.state is not CallState.LIVE or not self._mode.hears_keys:
            return
        self._endpointer.drop()
        self._endpointer.expect_nothing()
        self._turns.drop_open("a key was pressed")
        self._joining.dropped()
        self._interrupt()
        self._mode.forget_interrupted()
        was_collecting = self._keys.is_collecting
        if keys := self._keys.press(key, self._endpointer.now_ms, self._call.directives.keys):
            self._call.send_keys(keys)
        elif was_collecting and self._call.is_idle:
            self._answering.ask_anew()
        elif not self._keys.is_collecting:
            self._mode.await_input()

    def _no_input(self) -> None:
        if not self._mode.may_ask_again:
            return
        self._call.no_inputs += 1
        ends_call = self._call.no_inputs > self._call.no_input_limit
        by_document = self._mode.reprompted()
        self._call.note("info", "no-input", times=self._call.no_inputs, ends_call=ends_call, by_document=by_document)
        phrases = self._rules.phrases
        if by_document:
            return
        if ends_call:
            self._answering.say_goodbye(f"{phrases.not_heard} {phrases.goodbye}")
        else:
            self._resuming.ask_again()

    def _next_turn(self) -> None:
        if self.state is CallState.LIVE:
            self._turns.send_next()
