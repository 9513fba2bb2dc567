"""The heart: one call, from the start of its media stream to its end.

`CallSession` has few ways in (`receive`; `lex_replied` or `lex_failed`; `lex_spoke` and how that ended; `recalled` or
`not_recalled`; `update_failed`; `call_is_gone`; `stream_lost`) and one way out (`actions`). It does no I/O and has no
clock: time is media time. Nothing in it switches greenlets.

Two machines run side by side, for a caller may speak while Lex thinks: the call's, below, and a turn's, in `turns`.
Everything that changes a state goes through `moved`. Both diagrams in docs/call.md are drawn from the tables.

How the bot is heard is up to REPLY_MODE. call-update: each answer is a document by which Twilio speaks; how long that
takes is an estimate. stream: Lex's own audio goes out over the socket, and marks tell what has been heard (`prompt`); a
document ends such a stream, so one that speaks opens the next.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np

from lexbridge.actions import Action, CancelUtterance, Note, Recall, SendMessage, UpdateCall
from lexbridge.audio import decode_mulaw, frame_levels_dbfs
from lexbridge.config import Settings
from lexbridge.dialog import Message, Reply
from lexbridge.directives import CALL_SID_ATTRIBUTE, CallAction, Directives, directives_of
from lexbridge.endpointing import (
    Endpointer,
    EndpointingRules,
    EndReason,
    Listening,
    SpeechContinued,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from lexbridge.errors import CallStateError, LexError, MediaStreamError
from lexbridge.keys import KeyCollector
from lexbridge.media_stream import Dtmf, InboundAudio, Marked, Media, Started, Stopped, Unknown, parse
from lexbridge.prompt import Playback, Prompt
from lexbridge.turns import TurnMove, Turns, moved
from lexbridge.twiml import SPOKEN_PARAMETER, Document, Documents, Opening, speaking_ms
from lexbridge.vad import Detector

RESUMED_PARAMETER = "lexbridge:resumed"
STREAMS_LOST_PARAMETER = "lexbridge:streams-lost"
NO_INPUTS_PARAMETER = "lexbridge:no-inputs"
FAILED_TURNS_PARAMETER = "lexbridge:failed-turns"
PROMPT_PARAMETER = "lexbridge:prompt"
KEYS_PARAMETER = "lexbridge:keys"
TOKEN_PARAMETER = "lexbridge:token"  # noqa: S105 - its name, not its value
LOST = "lost"
HANDED_OVER = "handed-over"
KEYED = "keyed"
_OURS = (
    RESUMED_PARAMETER,
    STREAMS_LOST_PARAMETER,
    NO_INPUTS_PARAMETER,
    FAILED_TURNS_PARAMETER,
    PROMPT_PARAMETER,
    KEYS_PARAMETER,
    SPOKEN_PARAMETER,
    TOKEN_PARAMETER,
)
"""`<Parameter>`s that are not for the bot: why the stream goes on with a call that was greeted before (its last one was
lost, or handed over, or made way for keys), what it takes over, and that a document of ours opened it."""

RECALL_AGAIN_MS = 1000
"""After the dialog was looked up: Lex may still have been busy with the last words that the lost stream brought it."""

MAX_FAILED_TURNS = 3
"""In a row: then the call ends in words."""

UNINTERRUPTED_MS = 500
"""A prompt's beginning, which nothing interrupts: what is heard then was begun before it, or is its echo."""

PAUSE_WITHIN_ONSET_MS = 120
"""Words have pauses this long, as around a "t": they do not start the count of BARGE_IN_MS anew. An "s" counts as one
where it is no louder than the echo might be."""

SURELY_SPEAKING = 0.6
"""Share of the estimated length of a `<Say>` in which it is surely still heard. After it a short "yes" may be the
answer to it, and is taken for one."""


class CallState(Enum):
    """Where the call stands."""

    CONNECTING = "connecting"  # the socket is open, `start` has not come
    RESUMING = "resuming"  # the stream before was lost: what the bot asked last is being looked up
    LIVE = "live"
    LEAVING = "leaving"  # the call is being handed over to another stream
    CLOSING = "closing"  # the last document is on its way: the caller hears it out, the bot hears no more
    ENDED = "ended"


class CallMove(Enum):
    """What moves the call."""

    STARTED = "the stream starts"
    RESUMED = "it starts where another was lost"
    RECALLED = "Lex has told where the dialog stands, or cannot"
    HANDED_OVER = "the call is handed over"
    LAST_WORDS = "the last document is sent"
    NOT_CARRIED_OUT = "Twilio does not carry it out"
    OVER = "the stream stops or is lost"


CALL_MOVES: Mapping[tuple[CallState, CallMove], CallState] = {
    (CallState.CONNECTING, CallMove.STARTED): CallState.LIVE,
    (CallState.CONNECTING, CallMove.RESUMED): CallState.RESUMING,
    (CallState.RESUMING, CallMove.RECALLED): CallState.LIVE,
    (CallState.LIVE, CallMove.LAST_WORDS): CallState.CLOSING,
    (CallState.CLOSING, CallMove.NOT_CARRIED_OUT): CallState.LIVE,
    (CallState.LIVE, CallMove.HANDED_OVER): CallState.LEAVING,
    (CallState.LEAVING, CallMove.NOT_CARRIED_OUT): CallState.LIVE,
    (CallState.CONNECTING, CallMove.OVER): CallState.ENDED,
    (CallState.RESUMING, CallMove.OVER): CallState.ENDED,
    (CallState.LIVE, CallMove.OVER): CallState.ENDED,
    (CallState.LEAVING, CallMove.OVER): CallState.ENDED,
    (CallState.CLOSING, CallMove.OVER): CallState.ENDED,
}


class CallSession:
    """One call's rules. After each way in, take `actions()` and carry them out in order.

    A MediaStreamError out of `receive` means that the peer broke the protocol: close the socket and call
    `stream_lost()`. A CallStateError is a bug.
    """

    def __init__(
        self, settings: Settings, documents: Documents, detector: Detector, voiced: Mapping[str, bytes] | None = None
    ) -> None:
        """`voiced`: sentences of lexbridge's own as audio (mu-law, whole frames), for bidirectional streams. One that
        is not there, or not yet, is spoken by Twilio."""
        self._voiced = {} if voiced is None else voiced
        self._settings = settings
        self._documents = documents
        self._audio = InboundAudio()
        self._endpointer = Endpointer(
            detector,
            EndpointingRules(
                onset_ms=settings.onset_ms,
                pre_roll_ms=settings.pre_roll_ms,
                hangover_ms=settings.hangover_ms,
                max_utterance_ms=settings.max_utterance_ms,
                no_input_ms=round(settings.no_input_s * 1000),
                longest_onset_ms=max(settings.onset_ms, settings.barge_in_ms + PAUSE_WITHIN_ONSET_MS),
            ),
        )
        self.state = CallState.CONNECTING
        self.started: Started | None = None
        self._turns = Turns(lambda action: self._actions.append(action))
        self._keys = KeyCollector()
        self.next_stream: Opening | None = None
        """Where the call may go on: given by the shell, and renewed, for a document that opens another stream."""
        self.is_leaving = False
        """The call is to go on over another stream as soon as it can: this process wants to be rid of it."""
        self._directives = Directives()  # of the bot's last answer
        self._last_prompt: tuple[Message, ...] | None = ()  # None: a stream before this one spoke it
        self._recalled: Reply | None = None  # where the dialog stood when this stream began
        self._recall_again_at_ms: int | None = None
        self._is_handed_over = False  # by the stream before
        self._asks_again = False  # when the dialog's last prompt is known
        self._prompt_before: str | None = None  # the fingerprint of what a stream before this one asked last
        self._keyed: str | None = None  # keys that this stream was opened for
        self._no_inputs = 0
        self._failed_turns = 0  # in a row
        self._filler_ms = round(settings.filler_s * 1000)
        self._quiet_from_ms = 0  # since then, or from then on, neither the caller nor the bot speaks
        self._said = (0, 0)  # call-update: from when to when the last document surely speaks
        self._playback: Playback | None = None  # stream: what is to be heard
        self._last_answer: Prompt | None = None  # stream: the bot's last answer, to be heard again
        self._recited = 0  # stream: prompts that were nobody's answer
        self._last_words: Callable[[Sequence[Message]], Document] | None = (
            None  # stream: what ends the call, once heard
        )
        self._updates = 0  # documents made so far; also the number of the newest
        self._actions: list[Action] = []

    def actions(self) -> list[Action]:
        """What is to be done now, in order. Each action is returned once."""
        actions, self._actions = self._actions, []
        return actions

    @property
    def turns(self) -> int:
        """Turns so far; also the number of the newest."""
        return self._turns.count

    def receive(self, text: str) -> None:
        """One message of the media socket. Raises MediaStreamError if it is not what Twilio would send here."""
        event = parse(text)
        if self.state is CallState.ENDED:
            return  # Twilio may have media on its way when it sends `stop`
        match event:
            case Media():
                self._media(event)
            case Started():
                self._start(event)
            case Stopped():
                self._end("stopped")
            case Marked():
                if self._playback is not None:
                    self._playback.marked(event.name, self._endpointer.now_ms)
                    self._play()
            case Dtmf():
                self._key(event.digit)
            case Unknown():
                self._note("debug", "unknown-event")
            case _:
                pass  # Connected

    def lex_replied(self, number: int, reply: Reply, speaks: bool = False) -> None:
        """Lex answered the turn `number`. A reply to a turn that is over is dropped.

        `speaks`: the reply's audio follows, by `lex_spoke` until `lex_spoke_all` or `lex_speech_failed`.
        """
        turn = self._turns.over_at_lex(number, TurnMove.REPLIED)
        if turn is None:
            return
        self._turns.first_attributes = None
        self._failed_turns = 0
        self._note(
            "info",
            "turn-answered",
            turn=number,
            dialog_state=reply.dialog_state.value,
            intent=reply.intent,
            slot_to_elicit=reply.slot_to_elicit,
            messages=len(reply.messages),
        )
        playback = self._playback
        has_no_words = turn.keys is None and not reply.transcript and not reply.dialog_state.is_closed
        if playback is not None and playback.was_interrupted and has_no_words:
            self._note("info", "false-alarm", turn=number)
            if self._is_idle:  # else what was said since then tells whether it was one
                playback.resume()
                self._play()
        else:
            self._forget_interrupted()
            self._answer(reply, number if speaks else None)
        if speaks and (playback is None or playback.prompt_of(number) is None):
            self._actions.append(CancelUtterance(number))  # nobody will hear it
        self._next_turn()

    def lex_failed(self, number: int, error: LexError) -> None:
        """Lex did not answer the turn `number`, for good. The caller hears the error's apology."""
        turn = self._turns.over_at_lex(number, TurnMove.LEX_FAILED)
        if turn is None:
            return
        self._forget_interrupted()
        sentences = self._settings.sentences
        self._failed_turns += turn.intent is None
        ends_call = error.ends_call or self._failed_turns >= MAX_FAILED_TURNS
        self._note("warning", "turn-failed", turn=number, error=type(error).__name__, ends_call=ends_call)
        if ends_call:
            words = sentences.named(error.apology) if error.ends_call else sentences.not_available
            self._close([Message(words)], self._goodbye)
        elif turn.intent is not None:  # the bot does not welcome the caller
            self._prompt([Message(self._settings.greeting)])
        else:
            self._prompt([Message(sentences.named(error.apology))])
        self._next_turn()

    def lex_spoke(self, number: int, mulaw: bytes) -> None:
        """More of the audio of Lex's reply to the turn `number`: whole frames. Dropped if it is of no use any more."""
        prompt = self._playback.prompt_of(number) if self._playback else None
        if prompt is not None:
            prompt.push(mulaw)
            self._play()

    def lex_spoke_all(self, number: int) -> None:
        """There is no more of it."""
        prompt = self._playback.prompt_of(number) if self._playback else None
        if prompt is None:
            return
        if prompt.messages and not prompt.arrived_ms:
            self.lex_speech_failed(number)  # words that Lex has no voice for, such as a custom payload
            return
        prompt.complete()
        self._play()

    def lex_speech_failed(self, number: int) -> None:
        """There is no more of it, but there ought to be: Twilio says the words."""
        prompt = self._playback.prompt_of(number) if self._playback else None
        if self._playback is None or prompt is None:
            return
        self._note("warning", "reply-audio-failed", turn=number, arrived_ms=prompt.arrived_ms)
        if prompt.messages:
            self._send(self._playback.mute(prompt, self._endpointer.now_ms))
        else:
            prompt.complete()
        self._play()

    def recalled(self, reply: Reply | None) -> None:
        """Lex told what it answered last in this session; None: it knows no such session, nothing was said yet."""
        if reply is not None:
            self._turns.first_attributes = None
        if self.state is CallState.RESUMING:
            self._resume(reply)
        elif self.state is not CallState.LIVE or self._turns.spoken or self._turns.at_lex:
            self._asks_again = False  # the call went on in the meantime
        elif self._last_prompt is None:
            self._recalled = reply
            self._catch_up(reply)
        elif reply is not None and reply != self._recalled and not self.turns and self._is_idle:
            self._note("info", "answered-late")
            self._recalled = reply
            self._answer(reply)

    def _catch_up(self, reply: Reply | None) -> None:
        """What the bot said last is known now: to the caller it was said over another stream."""
        self._last_prompt = reply.messages if reply else ()
        if (
            reply is not None
            and self._last_prompt
            and self._prompt_before not in (None, _fingerprint(self._last_prompt))
        ):
            self._note("info", "answered-late")
            self._answer(reply)
            return
        if reply is not None:
            self._directives = directives_of(reply)
        if self._asks_again:
            self._ask_again()
        elif self._playback is not None and self._is_idle:
            self._await_input()

    def not_recalled(self) -> None:
        """Lex did not tell. The call facts are not sent on, for they would replace what it knows; unless the stream
        before handed them over, which had not told Lex."""
        if not self._is_handed_over:
            self._turns.first_attributes = None
        self.recalled(None)

    def update_failed(self, number: int) -> None:
        """Twilio did not carry out the UpdateCall `number`. The next turn goes on, even after last words."""
        if self._last_words is not None or number != self._updates:
            return  # there is another document since, or will be
        if self.state in (CallState.CLOSING, CallState.LEAVING):
            self.state = moved(CALL_MOVES, self.state, CallMove.NOT_CARRIED_OUT)
            self._await_input()

    def call_is_gone(self) -> None:
        """Twilio says that the call is over, before its stream was."""
        if self.state is not CallState.ENDED:
            self._end("gone")

    def stream_lost(self) -> None:
        """The socket is closed, whoever closed it. Nothing is done if the stream had stopped before."""
        if self.state is not CallState.ENDED:
            self._end("lost")

    # -- the stream

    def _start(self, started: Started) -> None:
        if self.state is not CallState.CONNECTING:
            raise MediaStreamError("start came twice")
        parameters = started.parameters
        how = parameters.get(RESUMED_PARAMETER)
        looks_up = how is not None and how != HANDED_OVER
        self.state = moved(CALL_MOVES, self.state, CallMove.RESUMED if looks_up else CallMove.STARTED)
        self.started = started
        self._turns.session_id = started.call_sid
        if self._settings.reply_mode == "stream":
            self._playback = Playback(started.stream_sid)
        self._note("info", "stream-started", resumed=how)
        facts = {name: value for name, value in parameters.items() if name not in _OURS}
        if facts or how is None:  # a stream that is handed over has them only if Lex does not
            # On the first turn only: attributes that are sent replace those of the session.
            self._turns.first_attributes = {**facts, CALL_SID_ATTRIBUTE: started.call_sid}
        if how == KEYED:
            self._keyed = parameters.get(KEYS_PARAMETER)
        if looks_up:
            self._actions.append(Recall(started.call_sid))
        elif how == HANDED_OVER:
            self._is_handed_over = True
            self._no_inputs = whole(parameters.get(NO_INPUTS_PARAMETER))
            self._failed_turns = whole(parameters.get(FAILED_TURNS_PARAMETER))
            self._last_prompt = None
            self._prompt_before = parameters.get(PROMPT_PARAMETER)
            if self._playback is not None:
                self._actions.append(Recall(started.call_sid))  # the bot's directives, before they are needed
            self._await_input(whole(parameters.get(SPOKEN_PARAMETER)))
        elif self._settings.welcome == "bot":
            self._turns.begin(self._settings.welcome_intent or "")
        else:
            # On a bidirectional stream the greeting is over: its document had to speak before it could connect.
            speaks = self._playback is None
            self._await_input(speaking_ms(self._settings.greeting) if speaks else 0)
            self._said = (0, 0)  # it is no answer of the bot's: who speaks during it is heard at once, and it goes on

    def _media(self, media: Media) -> None:
        if self.state is CallState.CONNECTING:
            raise MediaStreamError("media came before start")
        for frame in self._audio.push(media):
            for event in self._endpointer.push(decode_mulaw(frame), self._listening()):
                self._speech(event)
        now_ms = self._endpointer.now_ms
        if self._playback is not None and not self._playback.is_empty:
            if self._playback.expire(now_ms):
                self._note("warning", "mark-missing")
            self._play()
        if self._keys.is_collecting and (keys := self._keys.tick(now_ms)):
            self._send_keys(keys)
        if self._turns.at_lex and self._turns.spoken is None and now_ms >= self._quiet_from_ms + self._filler_ms:
            self._fill()
        elif self._recall_again_at_ms is not None and now_ms >= self._recall_again_at_ms:
            self._recall_again()

    def _resume(self, reply: Reply | None) -> None:
        """The bot's last answer is given once more, for it may not have been heard: unless the caller keyed theirs."""
        self.state = moved(CALL_MOVES, self.state, CallMove.RECALLED)
        self._recalled = reply
        if reply is not None:
            self._directives = directives_of(reply)
        if self._keyed is not None:
            self._last_prompt = reply.messages if reply else ()
            self._send_gathered(self._keyed)
            return
        if reply is None and self._settings.welcome == "bot":  # it had not come to that
            self._turns.begin(self._settings.welcome_intent or "")
            return
        self._recall_again_at_ms = self._endpointer.now_ms + RECALL_AGAIN_MS
        if reply is None or not (reply.messages or self._hangs_up(reply, self._directives)):
            self._prompt([Message(self._settings.sentences.say_it_again)])
        else:
            self._answer(reply)

    def _recall_again(self) -> None:
        self._recall_again_at_ms = None
        if self.state is CallState.LIVE and not self.turns:
            self._actions.append(Recall(self._live_stream().call_sid))

    def _end(self, how: str) -> None:
        self.state = moved(CALL_MOVES, self.state, CallMove.OVER)
        self._turns.drop_all("the call is over")
        self._forget_interrupted()
        self._forget_prompts()
        self._note(
            "info",
            "stream-ended",
            how=how,
            turns=self.turns,
            media_ms=self._endpointer.now_ms,
            late_messages=self._audio.late_messages,
            filled_ms=self._audio.filled_ms,
        )

    # -- what the caller says

    def _listening(self) -> Listening | None:
        """How the next frame is listened to; None: as usual."""
        if self._keys.is_collecting:
            return Listening(onset_ms=None)
        now_ms = self._endpointer.now_ms
        if self._playback is None:
            from_ms, until_ms = self._said
            return self._interruption(now_ms - from_ms) if now_ms < until_ms and self._may_interrupt else None
        echo_rms = self._playback.echo_rms(now_ms)
        prompt = self._playback.playing
        if prompt is None:
            return Listening(self._settings.onset_ms, echo_rms=echo_rms) if echo_rms else None
        if not (self._settings.barge_in and prompt.may_interrupt):
            return Listening(None, echo_rms=echo_rms)
        return self._interruption(prompt.playing_ms(now_ms), echo_rms)

    def _interruption(self, playing_ms: int, echo_rms: int = 0) -> Listening:
        onset_ms = self._settings.barge_in_ms if playing_ms >= UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS, echo_rms)

    @property
    def _may_interrupt(self) -> bool:
        return self._settings.barge_in and self._directives.allow_interrupt

    def _speech(self, event: SpeechEvent) -> None:
        if self.state is not CallState.LIVE:
            # Said over the last words it goes to nobody, while the call is handed over to the other stream. Where a
            # stream was lost it is the rest of something that was cut off: the caller is asked for all of it.
            if self.state is CallState.RESUMING and isinstance(event, SpeechStarted):
                self._note("info", "speech-ignored", at_ms=event.at_ms)
            return
        match event:
            case SpeechStarted():
                self._interrupt()
                self._turns.speech_started(event.at_ms, event.pre_roll)
            case SpeechContinued():
                self._turns.speech_continued(event.pcm)
            case SpeechEnded():
                self._speech_ended(event)
            case _:  # NoInput
                self._no_input()

    def _speech_ended(self, event: SpeechEnded) -> None:
        turn = self._turns.spoken
        if turn is None:
            return
        silent_ms = self._settings.hangover_ms if event.reason is EndReason.HANGOVER else 0
        self._quiet_from_ms = max(self._quiet_from_ms, event.at_ms - silent_ms)
        levels = frame_levels_dbfs(bytes(turn.audio))
        self._note(
            "info",
            "utterance-ended",
            turn=turn.number,
            started_ms=turn.started_ms,
            ended_ms=event.at_ms,
            reason=event.reason.value,
            # How loud voice and line are: what VOICE_THRESHOLD has to lie between.
            voice_dbfs=round(float(np.percentile(levels, 90)), 1),
            line_dbfs=round(float(np.percentile(levels, 10)), 1),
        )
        self._turns.speech_ended(event.at_ms)

    def _interrupt(self) -> None:
        """The caller begins, and whatever is said to them stops; unless they must hear it out."""
        self._no_inputs = 0
        self._asks_again = False
        now_ms = self._endpointer.now_ms
        if self._playback is not None:
            prompt = self._playback.playing
            if prompt is not None and self._settings.barge_in and prompt.may_interrupt:
                self._note("info", "barged-in", heard_ms=prompt.position_ms(now_ms))
                self._send(self._playback.interrupt(now_ms))
        elif self._said[0] + UNINTERRUPTED_MS <= now_ms < self._said[1] and self._may_interrupt:
            self._note("info", "barged-in", heard_ms=now_ms - self._said[0])
            self._update(self._documents.reply([], self._live_stream().stream_sid, keys=self._directives.keys))
            self._said = (0, 0)
            self._quiet_from_ms = now_ms

    def _key(self, key: str) -> None:
        """A key of the caller's. Its tone is on the line too, and may have been taken for speech."""
        if self.state is not CallState.LIVE or self._playback is None:
            return  # where the stream is not bidirectional a document gathers them
        self._endpointer.drop()
        self._endpointer.expect_nothing()
        self._turns.drop_spoken("a key was pressed")
        self._interrupt()
        self._forget_interrupted()
        if keys := self._keys.press(key, self._endpointer.now_ms, self._directives.keys):
            self._send_keys(keys)
        elif not self._keys.is_collecting:
            self._await_input()

    def _send_gathered(self, keys: str) -> None:
        """Keys that Twilio collected. It knows no deletion."""
        collector, whole_input = KeyCollector(), None
        for key in keys:
            whole_input = whole_input or collector.press(key, 0, self._directives.keys)
        whole_input = whole_input or collector.tick(self._directives.keys.end_timeout_ms)
        if whole_input:
            self._send_keys(whole_input)
        else:
            self._ask_again()

    def _send_keys(self, keys: str) -> None:
        if self.state is CallState.LIVE:
            self._note("info", "keys-complete", keys=len(keys))
            self._quiet_from_ms = max(self._quiet_from_ms, self._endpointer.now_ms)
            self._turns.keyed(self._endpointer.now_ms, keys)

    def _no_input(self) -> None:
        if self._playback is not None and not (self._playback.is_empty and self._is_idle):
            return
        self._no_inputs += 1
        limit = self._directives.no_input_limit
        ends_call = self._no_inputs > (self._settings.no_input_limit if limit is None else limit)
        self._note("info", "no-input", times=self._no_inputs, ends_call=ends_call)
        sentences = self._settings.sentences
        if ends_call:
            self._close([Message(f"{sentences.not_heard} {sentences.goodbye}")], self._goodbye)
        elif self._last_prompt is None:
            self._asks_again = True
            self._actions.append(Recall(self._live_stream().call_sid))
        else:
            self._ask_again()

    def _ask_again(self) -> None:
        self._prompt([Message(self._settings.sentences.not_heard), *(self._last_prompt or ())])

    def _next_turn(self) -> None:
        if self.state is CallState.LIVE:
            self._turns.next()

    def _await_input(self, after_ms: int = 0) -> None:
        """From `after_ms` from now on it is the caller's turn: what is spoken to them is over then."""
        now_ms = self._endpointer.now_ms
        self._quiet_from_ms = max(self._quiet_from_ms, now_ms + after_ms)
        self._said = (now_ms, now_ms + round(after_ms * SURELY_SPEAKING))
        no_input_s = self._directives.no_input_s
        self._endpointer.await_input(after_ms, None if no_input_s is None else round(no_input_s * 1000))

    # -- what the caller hears

    def _answer(self, reply: Reply, speaking_turn: int | None = None) -> None:
        """What a reply calls for: go on, hang up or transfer. `speaking_turn`: whose audio is Lex's voice for it."""
        ignored_before = self._directives.ignored
        directives = self._directives = directives_of(reply)
        if directives.ignored and directives.ignored != ignored_before:
            self._note("warning", "directives-ignored", attributes=list(directives.ignored))
        if self._hangs_up(reply, directives):
            goodbye = [Message(self._settings.sentences.goodbye)]
            self._close(
                reply.messages or goodbye,
                self._goodbye,
                speaking_turn if reply.messages else None,
            )
            return
        if directives.action is CallAction.TRANSFER and self._transfer(reply, directives, speaking_turn):
            return
        self._last_prompt = reply.messages
        self._prompt(reply.messages, speaking_turn)

    def _hangs_up(self, reply: Reply, directives: Directives) -> bool:
        is_goodbye = reply.is_fulfilled and reply.intent in self._settings.hangup_intents
        return is_goodbye or directives.action is CallAction.HANG_UP

    def _transfer(self, reply: Reply, directives: Directives, speaking_turn: int | None) -> bool:
        """Dials for the bot; False, and a log line, if it named no number that is allowed."""
        number = directives.transfer_to
        if number is None or number not in self._settings.transfer_numbers:
            self._note("error", "transfer-refused", check="TRANSFER_NUMBERS")
            return False
        # A bidirectional stream ends with its document.
        stream_sid = self._live_stream().stream_sid if self._playback is None else None
        goodbye = self._settings.sentences.goodbye
        self._note("info", "transferred")
        self._close(
            reply.messages,
            lambda messages: self._documents.transfer(messages, number, stream_sid, goodbye, directives.voice),
            speaking_turn,
        )
        return True

    def _prompt(self, messages: Sequence[Message], speaking_turn: int | None = None) -> None:
        """Speaks, and then expects the caller to: on the next stream, if there is one and nothing is under way."""
        if self._playback is not None:
            self._play_prompt(self._playback, messages, speaking_turn)
            return
        started = self._live_stream()
        is_waiting = self._turns.has_more
        opening = self._opening() if self.is_leaving and self._turns.is_idle else None
        directives = self._directives
        document = self._documents.reply(messages, started.stream_sid, opening, directives.voice, directives.keys)
        self._update(document, hands_over=opening is not None)
        if is_waiting:
            now_ms = self._endpointer.now_ms
            self._quiet_from_ms = now_ms + document.spoken_ms
            self._said = (now_ms, now_ms + round(document.spoken_ms * SURELY_SPEAKING))
        elif opening:
            self._leave()
        else:
            self._quiet_from_ms = 0
            self._await_input(document.spoken_ms)

    def _play_prompt(self, playback: Playback, messages: Sequence[Message], speaking_turn: int | None) -> None:
        if speaking_turn is not None:
            self._last_answer = Prompt(
                speaking_turn, self._live_stream().stream_sid, messages, self._directives.allow_interrupt
            )
            playback.add(self._last_answer)
        else:
            self._recite(playback, messages)
        self._play()

    def _voice_of(self, messages: Sequence[Message]) -> bytes | None:
        """`messages` as audio, if all of it is known: our own sentences, and the bot's last answer after them."""
        audio, rest = b"", tuple(messages)
        last = self._last_answer
        while rest:
            if last is not None and last.is_complete and not last.is_mute and rest == tuple(last.messages):
                return audio + last.audio
            voiced = self._voiced.get(rest[0].text)
            if voiced is None:
                return None
            audio, rest = audio + voiced, rest[1:]
        return audio

    def _recite(self, playback: Playback, messages: Sequence[Message], is_filler: bool = False) -> None:
        """Plays what is nobody's answer."""
        self._recited += 1
        stream_sid, may_interrupt = self._live_stream().stream_sid, self._directives.allow_interrupt
        prompt = Prompt(-self._recited, stream_sid, messages, may_interrupt, is_filler)
        audio = self._voice_of(messages)
        if audio is None:
            prompt.mute()
        else:
            prompt.push(audio)
            prompt.complete()
        playback.add(prompt)

    def _say_next(self, playback: Playback) -> None:
        """Has Twilio say what is to be heard next. On a bidirectional stream that is the end of it: all that was still
        to be heard is said, and another one goes on."""
        opening = self._opening()
        if self._last_words is not None:
            self._finish(self._last_words, self._forget_prompts())
        elif self._is_idle and opening is not None:
            self._hand_over(self._forget_prompts(), opening)
        else:
            playback.take_next()
            self._note("warning", "words-left-out", is_idle=self._is_idle)
            if playback.is_empty:
                self._heard()
            else:
                self._play()

    def _hand_over(self, messages: Sequence[Message], opening: Opening) -> None:
        self._update(self._documents.connect(messages, opening, voice=self._directives.voice), hands_over=True)
        self._leave()

    def _leave(self) -> None:
        self._note("info", "handed-over")
        self.state = moved(CALL_MOVES, self.state, CallMove.HANDED_OVER)

    def _play(self) -> None:
        """Sends what is due of the prompts, and goes on when they have been heard."""
        playback = self._playback
        if playback is None or self.state not in (CallState.LIVE, CallState.CLOSING):
            return
        was_empty = playback.is_empty
        is_busy = self._turns.spoken is not None or self._keys.is_collecting
        waits = is_busy and self._settings.barge_in and self.state is CallState.LIVE
        self._send(playback.send(self._endpointer.now_ms, waits))
        if playback.is_mute:
            self._say_next(playback)
        elif playback.is_empty and not was_empty:
            self._heard()

    def _heard(self) -> None:
        """All that was to be said has been heard: only now it is the caller's turn, or the end."""
        self._quiet_from_ms = self._endpointer.now_ms
        if self._last_words is not None:
            self._finish(self._last_words, [])
        elif not self._is_idle:
            pass  # the caller has gone on already
        elif self.is_leaving and not self._endpointer.is_voiced and (opening := self._opening()) is not None:
            self._hand_over([], opening)
        else:
            self._await_input()

    @property
    def _is_idle(self) -> bool:
        """The caller is at nothing, and waits for nothing."""
        return self._turns.is_idle and not self._keys.is_collecting

    def _send(self, messages: Sequence[str]) -> None:
        self._actions += [SendMessage(message) for message in messages]

    def _forget_interrupted(self) -> None:
        if self._playback is not None:
            self._actions += [CancelUtterance(turn) for turn in self._playback.forget_interrupted()]

    def _forget_prompts(self) -> list[Message]:
        """Nothing more is heard over this stream. Returns the words that were still to be."""
        prompts = self._playback.take_all() if self._playback is not None else []
        self._actions += [CancelUtterance(prompt.turn) for prompt in prompts if not prompt.is_complete]
        return [message for prompt in prompts for message in prompt.messages]

    def _opening(self) -> Opening | None:
        """The stream that takes over, with what it has to know."""
        if self.next_stream is None:
            return None
        facts = [(name, value) for name, value in self._live_stream().parameters.items() if name not in _OURS]
        counts = [(NO_INPUTS_PARAMETER, self._no_inputs), (FAILED_TURNS_PARAMETER, self._failed_turns)]
        known = [(RESUMED_PARAMETER, HANDED_OVER), *((name, str(count)) for name, count in counts if count)]
        if self._last_prompt is not None:
            known.append((PROMPT_PARAMETER, _fingerprint(self._last_prompt)))
        if self._turns.first_attributes is not None:
            known += facts
        return replace(self.next_stream, parameters=[*self.next_stream.parameters, *known])

    def _fill(self) -> None:
        """Says that the call is still there. It changes nothing else."""
        words = [Message(self._settings.sentences.one_moment)]
        if self._playback is not None:
            # A document would end the stream, and with it the turn.
            if self._playback.is_empty and self._voice_of(words) is not None:
                self._recite(self._playback, words, is_filler=True)
                self._play()
            return
        directives = self._directives
        stream_sid = self._live_stream().stream_sid
        document = self._documents.reply(words, stream_sid, voice=directives.voice, keys=directives.keys)
        self._update(document)
        self._quiet_from_ms = self._endpointer.now_ms + document.spoken_ms

    def _close(
        self,
        messages: Sequence[Message],
        last_words: Callable[[Sequence[Message]], Document],
        speaking_turn: int | None = None,
    ) -> None:
        """Speaks the last words: whatever the caller says from here on is not for the bot."""
        self.state = moved(CALL_MOVES, self.state, CallMove.LAST_WORDS)
        self._turns.drop_all("the call is over")
        if self._playback is None:
            self._update(last_words(messages))
        else:
            self._last_words = last_words
            self._play_prompt(self._playback, messages, speaking_turn)

    def _goodbye(self, messages: Sequence[Message]) -> Document:
        return self._documents.goodbye(messages, self._directives.voice)

    def _finish(self, last_words: Callable[[Sequence[Message]], Document], messages: Sequence[Message]) -> None:
        """The last words were heard, but for `messages`: the call ends, or goes to somebody else."""
        self._last_words = None
        self._update(last_words(messages))

    def _update(self, document: Document, hands_over: bool = False) -> None:
        started = self._live_stream()
        if document.characters_cut:
            self._note("warning", "reply-cut", characters=document.characters_cut)
        self._updates += 1
        self._actions.append(
            UpdateCall(self._updates, started.account_sid, started.call_sid, document.twiml, hands_over)
        )

    def _live_stream(self) -> Started:
        if self.started is None or self.state not in (CallState.LIVE, CallState.CLOSING):
            raise CallStateError(f"the call is {self.state.value}: there is nobody to answer")
        return self.started

    def _note(self, level: str, event: str, **fields: Any) -> None:
        self._actions.append(Note(level, event, fields))


def _fingerprint(messages: Sequence[Message]) -> str:
    """Tells one prompt from another, and nobody what it says."""
    return f"{zlib.crc32(repr([message.text for message in messages]).encode('utf-8', 'surrogatepass')):08x}"


def whole(text: str | None) -> int:
    """A number that we wrote ourselves; 0 if somebody else did."""
    return int(text) if text and re.fullmatch("[0-9]{1,6}", text) else 0
