"""Where a call stands, what moves it, and what the rules of a call share: `Call`.

The moves stand in CALL_MOVES, from which docs/call.md draws its diagram; everything that changes the state goes through
`Call.move`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import PCM_BYTES_PER_MS
from lexbridge.call.actions import Action, Note, UpdateCall
from lexbridge.call.directives import Directives
from lexbridge.call.documents import CallDocuments, Document, Opening
from lexbridge.call.dtmf import KeyCollector
from lexbridge.call.events import Started
from lexbridge.call.stream_parameters import NO_INPUT_MS_PARAMETER, SoFar, handed_over, takeover_of
from lexbridge.call.turns import Turns, moved
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import is_phone_number
from lexbridge.errors import CallStateError
from lexbridge.lex.model import Checkpoint, Message, Reply

OVERDUE_S = 60
"""A caller who is speaking at the end of MAX_CALL_S is heard for at most so much longer."""


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


@dataclass(frozen=True, slots=True)
class Standing:
    """What the last answer made of the call; so it can be taken back. See the fields of Call, and Turns."""

    directives: Directives
    expected: Expected
    last_prompt: tuple[Message, ...] | None
    checkpoint: Checkpoint | None
    first_attributes: Mapping[str, str] | None
    turns_answered: int


class Call:
    """One call: where it stands, what the bot said last, and the means to act. Shared by CallSession, which has the
    rules, and the ReplyMode, by which the bot is heard."""

    def __init__(self, rules: CallRules, documents: CallDocuments, endpointer: Endpointer) -> None:
        self.rules = rules
        self.documents = documents
        self.endpointer = endpointer
        self.turns = Turns(self.act, rules.max_utterance_ms * PCM_BYTES_PER_MS if rules.join else 0)
        self.keys = KeyCollector()
        self.state = CallState.CONNECTING
        self.started: Started | None = None
        self.next_stream: Opening | None = None
        """Where the call may go on: given by the shell, and renewed, for a document that opens another stream."""
        self.is_leaving = False
        """The call is to go on over another stream as soon as it can: this process wants to be rid of it."""
        self.directives = Directives()
        """Of the bot's last answer."""
        self.expected = Expected.OPEN
        """What the caller was asked for, which tells how they pause."""
        self.last_prompt: tuple[Message, ...] | None = ()
        """What the bot said last; None: a stream before this one knows."""
        self.checkpoint: Checkpoint | None = None
        """Where Lex's session stands, but for the turn that Lex is busy with; None: that is not known."""
        self.no_inputs = 0
        """How often the caller was asked again, in a row."""
        self.failed_turns = 0
        """In a row."""
        self.began_s: int | None = None
        """Unix time; None: it does not matter."""
        self.age_before_s = 0
        """How long the call had lasted when this stream began."""
        self.turns_answered = 0
        """Of the caller's, over all streams of the call."""
        self.quiet_from_ms = 0
        """Since then, or from then on, neither the caller nor the bot speaks."""
        self.updates = 0
        """Documents made so far; also the number of the newest."""
        self._actions: list[Action] = []

    def take_actions(self) -> list[Action]:
        """What is to be done now, in order. Each action is returned once."""
        actions, self._actions = self._actions, []
        return actions

    def act(self, action: Action) -> None:
        """Has `action` done."""
        self._actions.append(action)

    def note(self, level: str, event: str, **fields: Any) -> None:
        """A log line."""
        self.act(Note(level, event, fields))

    def note_filler(self) -> None:
        """Tells that the caller is asked to wait for the answer to the turn that Lex is busy with."""
        at_lex = self.turns.at_lex
        self.note("info", "filler-said", turn=None if at_lex is None else at_lex.number)

    def move(self, move: CallMove) -> None:
        """Raises CallStateError if it cannot happen now."""
        self.state = moved(CALL_MOVES, self.state, move)

    @property
    def now_ms(self) -> int:
        """Media time."""
        return self.endpointer.now_ms

    @property
    def is_idle(self) -> bool:
        """The caller is at nothing, and waits for nothing."""
        return self.turns.is_idle and not self.keys.is_collecting

    @property
    def limit(self) -> str | None:
        """The setting by which the call has to end now."""
        rules = self.rules
        if rules.max_turns is not None and self.turns_answered >= rules.max_turns:
            return "MAX_TURNS"
        return "MAX_CALL_S" if rules.max_call_s is not None and self.age_s >= rules.max_call_s else None

    @property
    def is_overdue(self) -> bool:
        """The call has lasted longer than it may, so much that the caller is interrupted."""
        most_s = self.rules.max_call_s
        return most_s is not None and self.age_s >= most_s + OVERDUE_S

    @property
    def so_far(self) -> SoFar:
        """For whoever goes on with the call."""
        return SoFar(self.began_s, self.turns_answered)

    @property
    def age_s(self) -> float:
        """How long the call has lasted, over all its streams."""
        return self.age_before_s + self.now_ms / 1000

    @property
    def stream(self) -> Started:
        """The stream by which the caller is reached. Raises CallStateError if there is nobody to answer."""
        if self.started is None or self.state not in (CallState.LIVE, CallState.CLOSING):
            raise CallStateError(f"the call is {self.state.value}: there is nobody to answer")
        return self.started

    @property
    def may_interrupt(self) -> bool:
        """Whether what the bot says now may be interrupted."""
        return self.rules.barge_in and self.directives.allow_interrupt

    @property
    def no_input_ms(self) -> int:
        """How long the caller may be silent after a prompt."""
        asked_s = self.directives.no_input_s
        return round((self.rules.no_input_s if asked_s is None else asked_s) * 1000)

    @property
    def no_input_limit(self) -> int:
        """How often they are asked again, in a row."""
        asked = self.directives.no_input_limit
        return self.rules.no_input_limit if asked is None else asked

    def answered(self, reply: Reply) -> None:
        """`reply` is the bot's last answer: what it asks of the call and of the caller, and where the dialog stands."""
        self.directives, self.checkpoint = Directives.from_reply(reply), reply.checkpoint
        self.expect(self.directives.expected_after(reply, self.rules.slot_kinds))

    def expect(self, expected: Expected) -> None:
        """What the caller is asked for. How long they may pause and speak is up to the bot's last answer."""
        self.expected = expected
        self.endpointer.expect(expected, self.directives.hangover_ms, self.directives.max_utterance_ms)

    @property
    def standing(self) -> Standing:
        """For `go_back`."""
        answered = self.directives, self.expected, self.last_prompt, self.checkpoint
        return Standing(*answered, self.turns.first_attributes, self.turns_answered)

    def go_back(self, standing: Standing) -> None:
        """As if nothing had been answered since."""
        self.directives, self.last_prompt = standing.directives, standing.last_prompt
        self.expect(standing.expected)
        self.checkpoint, self.turns.first_attributes = standing.checkpoint, standing.first_attributes
        self.turns_answered = standing.turns_answered

    def await_input(self, after_ms: int = 0) -> None:
        """From `after_ms` from now on it is the caller's turn: what is spoken to them is over then."""
        self.quiet_from_ms = max(self.quiet_from_ms, self.now_ms + after_ms)
        self.endpointer.await_input(after_ms, self.no_input_ms)

    def send_keys(self, keys: str) -> None:
        """The caller has pressed `keys`, and that is all: a turn, if the call is live."""
        if self.state is CallState.LIVE:
            pressed_ms = self.keys.pressed_ms  # None: Twilio collected them
            silent_ms = None if pressed_ms is None else self.now_ms - pressed_ms
            self.note("info", "keys-complete", turn=self.turns.count + 1, keys=len(keys), silent_ms=silent_ms)
            self.quiet_from_ms = max(self.quiet_from_ms, self.now_ms)
            self.turns.keyed(self.now_ms, keys)

    def update(self, document: Document, hands_over: bool = False) -> None:
        """Gives the call a new document."""
        stream = self.stream
        if document.characters_cut:
            self.note("warning", "reply-cut", characters=document.characters_cut)
        self.updates += 1
        sids = stream.account_sid, stream.call_sid
        self.act(UpdateCall(self.updates, *sids, document.twiml, hands_over, bool(document.reprompts_ms)))

    def opening(self) -> Opening | None:
        """The stream that takes over, with what it has to know."""
        if self.next_stream is None:
            return None
        # Facts that Lex does not have yet.
        takeover = takeover_of(self.stream.parameters)
        facts = takeover.facts if self.turns.first_attributes is not None else {}
        known = handed_over(facts, self.no_inputs, self.failed_turns, self.last_prompt, takeover.called_number)
        known += self.so_far.parameters(self.age_s)
        if self.directives.no_input_s is not None:
            known.append((NO_INPUT_MS_PARAMETER, str(self.no_input_ms)))
        return replace(self.next_stream, parameters=[*self.next_stream.parameters, *known])

    @property
    def caller_id(self) -> str | None:
        """The number that a transfer shows as its caller's; None: Twilio shows the caller's own, if it can."""
        called = takeover_of(self.stream.parameters).called_number or ""
        return self.rules.transfer_caller_id or (called if is_phone_number(called) else None)

    def leave(self) -> None:
        """The document that hands the call over is on its way."""
        self.note("info", "handed-over")
        self.move(CallMove.HANDED_OVER)
