"""The heart: one call, from the start of its media stream to its end.

`CallSession` has few ways in (`receive`; `lex_replied` or `lex_failed`; `recalled` or `not_recalled`; `update_failed`;
`call_is_gone`; `stream_lost`) and one way out (`actions`). It does no I/O and has no clock: time is media time. Nothing
in it switches greenlets.

Two machines run side by side, for a caller may speak while Lex thinks. Their moves stand in the two tables below;
everything that changes a state goes through `_moved`. Both diagrams in docs/call.md are drawn from the tables.
"""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from lexbridge.audio import decode_mulaw, frame_levels_dbfs
from lexbridge.config import Settings
from lexbridge.dialog import Message, Reply
from lexbridge.endpointing import (
    Endpointer,
    EndpointingRules,
    EndReason,
    SpeechContinued,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
)
from lexbridge.errors import CallStateError, LexError, MediaStreamError
from lexbridge.media_stream import InboundAudio, Media, Started, Stopped, Unknown, parse
from lexbridge.twiml import SPEAKING_MS_PER_CHARACTER, SPOKEN_PARAMETER, Document, Documents, Opening
from lexbridge.vad import Detector

ACTION_ATTRIBUTE = "lexbridge:action"
TRANSFER_TO_ATTRIBUTE = "lexbridge:transfer-to"
CALL_SID_ATTRIBUTE = "lexbridge:call-sid"
RESUMED_PARAMETER = "lexbridge:resumed"
STREAMS_LOST_PARAMETER = "lexbridge:streams-lost"
NO_INPUTS_PARAMETER = "lexbridge:no-inputs"
TOKEN_PARAMETER = "lexbridge:token"  # noqa: S105 - its name, not its value
LOST = "lost"
HANDED_OVER = "handed-over"
_OURS = (RESUMED_PARAMETER, STREAMS_LOST_PARAMETER, NO_INPUTS_PARAMETER, SPOKEN_PARAMETER, TOKEN_PARAMETER)
"""`<Parameter>`s that are not for the bot: why the stream goes on with a call that was greeted before (its last one was
lost, or handed over), what it takes over, and that a document of ours opened it."""

RECALL_AGAIN_MS = 1000
"""After the dialog was looked up: Lex may still have been busy with the last words that the lost stream brought it."""

MAX_FAILED_TURNS = 3
"""In a row: then the call ends in words."""

MAX_HELD_TURNS = 3
"""Utterances kept while Lex is still busy with an earlier one. A further one pushes the oldest out."""


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


class TurnState(Enum):
    """Where one turn of the caller stands: an utterance, and Lex's answer to it."""

    HEARING = "hearing"  # it goes to Lex as it is spoken
    RECOGNIZING = "recognizing"  # all of it is at Lex
    HELD = "held"  # Lex is busy with the turn before: it is kept, and still being spoken
    WAITING = "waiting"  # the same, spoken to its end
    ANSWERED = "answered"
    FAILED = "failed"
    DROPPED = "dropped"


class TurnMove(Enum):
    """What moves a turn."""

    SPEECH_ENDED = "the utterance ends"
    LEX_FREE = "Lex is free for it"
    REPLIED = "Lex replies"
    LEX_FAILED = "Lex fails"
    DROPPED = "the call goes on without it"


TURN_MOVES: Mapping[tuple[TurnState, TurnMove], TurnState] = {
    (TurnState.HEARING, TurnMove.SPEECH_ENDED): TurnState.RECOGNIZING,
    (TurnState.HELD, TurnMove.SPEECH_ENDED): TurnState.WAITING,
    (TurnState.HELD, TurnMove.LEX_FREE): TurnState.HEARING,
    (TurnState.WAITING, TurnMove.LEX_FREE): TurnState.RECOGNIZING,
    (TurnState.RECOGNIZING, TurnMove.REPLIED): TurnState.ANSWERED,
    # Lex need not wait for the end of what it is sent.
    (TurnState.HEARING, TurnMove.REPLIED): TurnState.ANSWERED,
    (TurnState.HEARING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.RECOGNIZING, TurnMove.LEX_FAILED): TurnState.FAILED,
    (TurnState.HEARING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.HELD, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.WAITING, TurnMove.DROPPED): TurnState.DROPPED,
    (TurnState.RECOGNIZING, TurnMove.DROPPED): TurnState.DROPPED,
}


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Start a request to Lex for `turn`. `session_attributes` None: leave those of the session alone."""

    turn: int
    session_id: str
    session_attributes: Mapping[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """Send more of the utterance: PCM, 8 kHz, 16-bit little-endian, whole frames."""

    turn: int
    pcm: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseUtterance:
    """The utterance is complete: end the request's body and await the answer."""

    turn: int


@dataclass(frozen=True, slots=True)
class CancelUtterance:
    """Break the request off; its answer is of no use any more."""

    turn: int


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask Lex where the dialog of this session stands."""

    session_id: str


@dataclass(frozen=True, slots=True)
class UpdateCall:
    """Give the live call a new document. One that was not carried out yet gives way to a newer one.

    `hands_over`: it stops this stream, and opens another that goes on with the call.
    """

    number: int
    account_sid: str
    call_sid: str
    twiml: str = field(repr=False)
    hands_over: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth a log line. `fields` holds no word that was spoken, no number, no secret."""

    level: str
    event: str
    fields: Mapping[str, Any]


Action = OpenUtterance | AppendAudio | CloseUtterance | CancelUtterance | Recall | UpdateCall | Note


@dataclass(slots=True)
class Turn:
    """One utterance and what became of it. `audio` is all of it so far, PCM; media time is in milliseconds."""

    number: int
    started_ms: int
    state: TurnState
    audio: bytearray = field(repr=False)
    ended_ms: int | None = None

    @property
    def is_spoken(self) -> bool:
        """Whether the caller is done with it."""
        return self.ended_ms is not None


class CallSession:
    """One call's rules. After each way in, take `actions()` and carry them out in order.

    A MediaStreamError out of `receive` means that the peer broke the protocol: close the socket and call
    `stream_lost()`. A CallStateError is a bug.
    """

    def __init__(self, settings: Settings, documents: Documents, detector: Detector) -> None:
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
            ),
        )
        self.state = CallState.CONNECTING
        self.started: Started | None = None
        self.turns = 0
        """Utterances heard so far; also the number of the newest turn."""
        self._spoken: Turn | None = None  # the turn the caller is speaking
        self._at_lex: Turn | None = None  # the turn Lex is busy with; it may be the same
        self._held: deque[Turn] = deque()  # the turns after it, in order
        self._first_attributes: Mapping[str, str] | None = None  # until Lex has replied for the first time
        self.next_stream: Opening | None = None
        """Where the call may go on: given by the shell when this process wants to be rid of it, or of this stream."""
        self._last_prompt: tuple[Message, ...] | None = ()  # None: a stream before this one spoke it
        self._recalled: Reply | None = None  # where the dialog stood when this stream began
        self._recall_again_at_ms: int | None = None
        self._no_inputs = 0
        self._failed_turns = 0  # in a row
        self._filler_ms = round(settings.filler_s * 1000)
        self._quiet_from_ms = 0  # since then, or from then on, neither the caller nor the bot speaks
        self._updates = 0  # documents made so far; also the number of the newest
        self._actions: list[Action] = []

    def actions(self) -> list[Action]:
        """What is to be done now, in order. Each action is returned once."""
        actions, self._actions = self._actions, []
        return actions

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
            case Unknown():
                self._note("debug", "unknown-event")
            case _:
                pass  # Connected; Dtmf and Marked come on bidirectional streams only, which we do not ask for

    def lex_replied(self, number: int, reply: Reply) -> None:
        """Lex answered the turn `number`. A reply to a turn that is over is dropped."""
        turn = self._over_at_lex(number, TurnMove.REPLIED)
        if turn is None:
            return
        self._first_attributes = None
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
        self._answer(reply)
        self._next_turn()

    def lex_failed(self, number: int, error: LexError) -> None:
        """Lex did not answer the turn `number`, for good. The caller hears the error's apology."""
        turn = self._over_at_lex(number, TurnMove.LEX_FAILED)
        if turn is None:
            return
        self._failed_turns += 1
        ends_call = error.ends_call or self._failed_turns >= MAX_FAILED_TURNS
        self._note("warning", "turn-failed", turn=number, error=type(error).__name__, ends_call=ends_call)
        if error.ends_call:
            self._close(self._documents.goodbye([Message(self._settings.sentences.named(error.apology))]))
        elif ends_call:
            self._close(self._documents.goodbye([Message(self._settings.sentences.not_available)]))
        else:
            self._prompt([Message(self._settings.sentences.named(error.apology))])
        self._next_turn()

    def recalled(self, reply: Reply | None) -> None:
        """Lex told what it answered last in this session; None: it knows no such session, nothing was said yet."""
        if reply is not None:
            self._first_attributes = None
        if self.state is CallState.RESUMING:
            self._resume(reply)
        elif self.state is not CallState.LIVE or self._spoken or self._at_lex:
            pass  # the call went on in the meantime
        elif self._last_prompt is None:
            self._last_prompt = reply.messages if reply else ()
            self._ask_again()
        elif reply is not None and reply != self._recalled:
            self._note("info", "answered-late")
            self._recalled = reply
            self._answer(reply)

    def not_recalled(self) -> None:
        """Lex did not tell. The call facts are not sent on, for they would replace what it knows."""
        self._first_attributes = None
        self.recalled(None)

    def update_failed(self, number: int) -> None:
        """Twilio did not carry out the UpdateCall `number`. The next turn goes on, even after last words."""
        if self.state in (CallState.CLOSING, CallState.LEAVING) and number == self._updates:
            self.state = _moved(CALL_MOVES, self.state, CallMove.NOT_CARRIED_OUT)
            self._endpointer.await_input(0)

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
        how = started.parameters.get(RESUMED_PARAMETER)
        is_lost = how is not None and how != HANDED_OVER
        self.state = _moved(CALL_MOVES, self.state, CallMove.RESUMED if is_lost else CallMove.STARTED)
        self.started = started
        self._note("info", "stream-started", resumed=how)
        facts = {name: value for name, value in started.parameters.items() if name not in _OURS}
        if facts or how is None:  # a stream that is handed over has them only if Lex does not
            # On the first turn only: attributes that are sent replace those of the session.
            self._first_attributes = {**facts, CALL_SID_ATTRIBUTE: started.call_sid}
        if is_lost:
            self._actions.append(Recall(started.call_sid))
            return
        spoken_ms = len(self._settings.greeting) * SPEAKING_MS_PER_CHARACTER
        if how == HANDED_OVER:
            spoken_ms = whole(started.parameters.get(SPOKEN_PARAMETER))
            self._no_inputs = whole(started.parameters.get(NO_INPUTS_PARAMETER))
            self._last_prompt = None
        self._quiet_from_ms = spoken_ms
        self._endpointer.await_input(spoken_ms)

    def _media(self, media: Media) -> None:
        if self.state is CallState.CONNECTING:
            raise MediaStreamError("media came before start")
        for frame in self._audio.push(media):
            for event in self._endpointer.push(decode_mulaw(frame)):
                self._speech(event)
        now_ms = self._endpointer.now_ms
        if self._at_lex is not None and self._spoken is None and now_ms >= self._quiet_from_ms + self._filler_ms:
            self._fill()
        elif self._recall_again_at_ms is not None and now_ms >= self._recall_again_at_ms:
            self._recall_again()

    def _resume(self, reply: Reply | None) -> None:
        """The bot's last answer is given once more, for it may not have been heard."""
        self.state = _moved(CALL_MOVES, self.state, CallMove.RECALLED)
        self._recalled = reply
        self._recall_again_at_ms = self._endpointer.now_ms + RECALL_AGAIN_MS
        if reply is None or not (reply.messages or self._hangs_up(reply)):
            self._prompt([Message(self._settings.sentences.say_it_again)])
        else:
            self._answer(reply)

    def _recall_again(self) -> None:
        self._recall_again_at_ms = None
        if self.state is CallState.LIVE and not self.turns:
            self._actions.append(Recall(self._live_stream().call_sid))

    def _end(self, how: str) -> None:
        self.state = _moved(CALL_MOVES, self.state, CallMove.OVER)
        self._drop_turns()
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

    def _speech(self, event: SpeechEvent) -> None:
        if self.state is not CallState.LIVE:
            # Said over the last words it goes to nobody, while the call is handed over to the other stream. Where a
            # stream was lost it is the rest of something that was cut off: the caller is asked for all of it.
            if self.state is CallState.RESUMING and isinstance(event, SpeechStarted):
                self._note("info", "speech-ignored", at_ms=event.at_ms)
            return
        match event:
            case SpeechStarted():
                self._speech_started(event)
            case SpeechContinued():
                self._speech_continued(event)
            case SpeechEnded():
                self._speech_ended(event)
            case _:  # NoInput
                self._no_input()

    def _speech_started(self, event: SpeechStarted) -> None:
        self.turns += 1
        self._no_inputs = 0
        turn = Turn(self.turns, event.at_ms, TurnState.HEARING, bytearray(event.pre_roll))
        self._spoken = turn
        if self._at_lex is None:
            self._send_to_lex(turn)
            return
        turn.state = TurnState.HELD
        if len(self._held) == MAX_HELD_TURNS:
            self._drop(self._held.popleft(), "too many utterances wait for Lex")
        self._held.append(turn)

    def _speech_continued(self, event: SpeechContinued) -> None:
        turn = self._spoken
        if turn is None:
            return  # its turn is over already: Lex answered or failed before the caller was done
        turn.audio += event.pcm
        if turn is self._at_lex:
            self._actions.append(AppendAudio(turn.number, event.pcm))

    def _speech_ended(self, event: SpeechEnded) -> None:
        turn, self._spoken = self._spoken, None
        if turn is None:
            return
        turn.ended_ms = event.at_ms
        silent_ms = self._settings.hangover_ms if event.reason is EndReason.HANGOVER else 0
        self._quiet_from_ms = max(self._quiet_from_ms, event.at_ms - silent_ms)
        turn.state = _moved(TURN_MOVES, turn.state, TurnMove.SPEECH_ENDED)
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
        if turn is self._at_lex:
            self._actions.append(CloseUtterance(turn.number))

    def _no_input(self) -> None:
        self._no_inputs += 1
        if self._no_inputs > self._settings.no_input_limit:
            self._note("info", "no-input", times=self._no_inputs, ends_call=True)
            said = self._settings.sentences
            self._close(self._documents.goodbye([Message(f"{said.not_heard} {said.goodbye}")]))
            return
        self._note("info", "no-input", times=self._no_inputs, ends_call=False)
        if self._last_prompt is None:
            self._actions.append(Recall(self._live_stream().call_sid))
        else:
            self._ask_again()

    def _ask_again(self) -> None:
        self._prompt([Message(self._settings.sentences.not_heard), *(self._last_prompt or ())])

    # -- turns at Lex, one at a time and in order

    def _send_to_lex(self, turn: Turn) -> None:
        started = self._live_stream()
        self._at_lex = turn
        # The CallSid alone names the Lex session: any process that has the call finds it.
        self._actions.append(OpenUtterance(turn.number, started.call_sid, self._first_attributes))
        self._actions.append(AppendAudio(turn.number, bytes(turn.audio)))
        if turn.is_spoken:
            self._actions.append(CloseUtterance(turn.number))

    def _over_at_lex(self, number: int, move: TurnMove) -> Turn | None:
        """The turn that Lex is done with; None if the call went on without it in the meantime."""
        turn = self._at_lex
        if turn is None or turn.number != number:
            return None
        turn.state = _moved(TURN_MOVES, turn.state, move)
        self._at_lex = None
        if turn is self._spoken:
            self._spoken = None  # the rest of it goes to nobody
            self._note("warning", "utterance-cut-off", turn=number)
        return turn

    def _next_turn(self) -> None:
        if self._at_lex is None and self._held and self.state is CallState.LIVE:
            turn = self._held.popleft()
            turn.state = _moved(TURN_MOVES, turn.state, TurnMove.LEX_FREE)
            self._send_to_lex(turn)

    def _drop_turns(self) -> None:
        """The call is closing or over: what is still on its way to Lex, or waits for it, is of no use."""
        if self._at_lex is not None:
            self._actions.append(CancelUtterance(self._at_lex.number))
            self._drop(self._at_lex, "the call is over")
        for turn in self._held:
            self._drop(turn, "the call is over")
        self._at_lex = self._spoken = None
        self._held.clear()

    def _drop(self, turn: Turn, why: str) -> None:
        turn.state = _moved(TURN_MOVES, turn.state, TurnMove.DROPPED)
        self._note("warning", "utterance-dropped", turn=turn.number, started_ms=turn.started_ms, why=why)

    # -- what the caller hears

    def _answer(self, reply: Reply) -> None:
        """The document that a reply calls for: go on, hang up or transfer."""
        if self._hangs_up(reply):
            self._close(self._documents.goodbye(reply.messages or [Message(self._settings.sentences.goodbye)]))
            return
        if _action(reply) == "transfer" and self._transfer(reply):
            return
        self._last_prompt = reply.messages
        self._prompt(reply.messages)

    def _hangs_up(self, reply: Reply) -> bool:
        is_goodbye = reply.is_fulfilled and reply.intent in self._settings.hangup_intents
        return is_goodbye or _action(reply) == "hangup"

    def _transfer(self, reply: Reply) -> bool:
        """Dials for the bot; False, and a log line, if it named no number that is allowed."""
        number = reply.session_attributes.get(TRANSFER_TO_ATTRIBUTE)
        if number is None or number not in self._settings.transfer_numbers:
            self._note("error", "transfer-refused", check="TRANSFER_NUMBERS")
            return False
        started = self._live_stream()
        self._note("info", "transferred")
        self._close(
            self._documents.transfer(reply.messages, number, started.stream_sid, self._settings.sentences.goodbye)
        )
        return True

    def _prompt(self, messages: Sequence[Message]) -> None:
        """Speaks, and then expects the caller to: on the next stream, if there is one and nothing is under way."""
        started = self._live_stream()
        is_waiting = self._spoken is not None or bool(self._held)
        opening = None if is_waiting or self._at_lex else self._opening(started)
        document = self._documents.reply(messages, started.stream_sid, opening)
        self._update(document, hands_over=opening is not None)
        self._quiet_from_ms = self._endpointer.now_ms + document.spoken_ms
        if opening:
            self._note("info", "handed-over")
            self.state = _moved(CALL_MOVES, self.state, CallMove.HANDED_OVER)
        elif not is_waiting:
            self._endpointer.await_input(document.spoken_ms)

    def _opening(self, started: Started) -> Opening | None:
        """The stream that takes over, with what it has to know."""
        if self.next_stream is None:
            return None
        facts = [(name, value) for name, value in started.parameters.items() if name not in _OURS]
        known = [(RESUMED_PARAMETER, HANDED_OVER), (NO_INPUTS_PARAMETER, str(self._no_inputs))]
        if self._first_attributes is not None:
            known += facts
        return replace(self.next_stream, parameters=[*self.next_stream.parameters, *known])

    def _fill(self) -> None:
        """Says that the call is still there. It changes nothing else."""
        document = self._documents.reply([Message(self._settings.sentences.one_moment)], self._live_stream().stream_sid)
        self._update(document)
        self._quiet_from_ms = self._endpointer.now_ms + document.spoken_ms

    def _close(self, document: Document) -> None:
        """Speaks the last words: whatever the caller says from here on is not for the bot."""
        self._update(document)
        self.state = _moved(CALL_MOVES, self.state, CallMove.LAST_WORDS)
        self._drop_turns()

    def _update(self, document: Document, hands_over: bool = False) -> None:
        started = self._live_stream()
        if document.characters_cut:
            self._note("warning", "reply-cut", characters=document.characters_cut)
        self._updates += 1
        self._actions.append(
            UpdateCall(self._updates, started.account_sid, started.call_sid, document.twiml, hands_over)
        )

    def _live_stream(self) -> Started:
        if self.started is None or self.state is not CallState.LIVE:
            raise CallStateError(f"the call is {self.state.value}: there is nobody to answer")
        return self.started

    def _note(self, level: str, event: str, **fields: Any) -> None:
        self._actions.append(Note(level, event, fields))


def _action(reply: Reply) -> str | None:
    """What the bot asks to be done with the call, now that the dialog is closed."""
    return reply.session_attributes.get(ACTION_ATTRIBUTE) if reply.dialog_state.is_closed else None


def whole(text: str | None) -> int:
    """A number that we wrote ourselves; 0 if somebody else did."""
    return int(text) if text and re.fullmatch("[0-9]{1,6}", text) else 0


def _moved(table: Mapping[tuple[Any, Any], Any], state: Any, move: Any) -> Any:
    """The state after `move`. Raises CallStateError if the table has no such move."""
    try:
        return table[state, move]
    except KeyError:
        raise CallStateError(f"{move.value!r} cannot happen while {state.value}") from None
