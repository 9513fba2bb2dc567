"""Where a call stands, what moves it, and what the rules of a call share: `CallContext`.

The moves stand in CALL_MOVES, from which docs/call.md draws its diagram; everything that changes the state goes through
`CallContext.move`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.hangover import Expected
from lexbridge.audio.pcm import PCM_BYTES_PER_MS
from lexbridge.call.actions import Action, Note, UpdateCall
from lexbridge.call.directives import Directives
from lexbridge.call.documents import CallDocuments, Document, Opening
from lexbridge.call.dtmf import DtmfCollector
from lexbridge.call.events import Started
from lexbridge.call.states import CALL_MOVES, CallMove, CallState, transition
from lexbridge.call.stream_parameters import NO_INPUT_MS_PARAMETER, CallProgress, StreamParameters, hand_over_parameters
from lexbridge.call.turns import Turns
from lexbridge.config.call_rules import CallRules
from lexbridge.config.parsers import is_phone_number
from lexbridge.errors import CallStateError
from lexbridge.lex.model import Checkpoint, Message, Reply

OVERDUE_S = 60
"""A caller who is speaking at the end of MAX_CALL_S is heard for at most so much longer."""


@dataclass(frozen=True, slots=True)
class DialogSnapshot:
    """What the last answer made of the call; so it can be taken back. See the fields of Call, and Turns."""

    directives: Directives
    expected: Expected
    last_prompt: tuple[Message, ...] | None
    checkpoint: Checkpoint | None
    first_attributes: Mapping[str, str] | None
    turns_answered: int


class CallContext:
    """One call: where it stands, what the bot said last, and the means to act. Shared by CallSession, which has the
    rules, and the ReplyMode, by which the bot is heard."""

    def __init__(self, rules: CallRules, documents: CallDocuments, endpointer: Endpointer) -> None:
        self.rules = rules
        self.documents = documents
        self.endpointer = endpointer
        self.turns = Turns(self.act, rules.max_utterance_ms * PCM_BYTES_PER_MS if rules.join else 0)
        self.keys = DtmfCollector()
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
        at_lex = self.turns.in_flight
        self.note("info", "filler-said", turn=None if at_lex is None else at_lex.number)

    def move(self, move: CallMove) -> None:
        """Raises CallStateError if it cannot happen now."""
        self.state = transition(CALL_MOVES, self.state, move)

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
    def progress(self) -> CallProgress:
        """For whoever goes on with the call."""
        return CallProgress(self.began_s, self.turns_answered)

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

    def snapshot_dialog(self) -> DialogSnapshot:
        """For `go_back`."""
        answered = self.directives, self.expected, self.last_prompt, self.checkpoint
        return DialogSnapshot(*answered, self.turns.first_attributes, self.turns_answered)

    def restore_dialog(self, snapshot: DialogSnapshot) -> None:
        """As if nothing had been answered since."""
        self.directives, self.last_prompt = snapshot.directives, snapshot.last_prompt
        self.expect(snapshot.expected)
        self.checkpoint, self.turns.first_attributes = snapshot.checkpoint, snapshot.first_attributes
        self.turns_answered = snapshot.turns_answered

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
            self.turns.keys_pressed(self.now_ms, keys)

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
        told = StreamParameters.parse(self.stream.parameters)
        call_facts = told.call_facts if self.turns.first_attributes is not None else {}
        known = hand_over_parameters(
            call_facts, self.no_inputs, self.failed_turns, self.last_prompt, told.called_number
        )
        known += self.progress.parameters(self.age_s)
        if self.directives.no_input_s is not None:
            known.append((NO_INPUT_MS_PARAMETER, str(self.no_input_ms)))
        return replace(self.next_stream, parameters=[*self.next_stream.parameters, *known])

    @property
    def caller_id(self) -> str | None:
        """The number that a transfer shows as its caller's; None: Twilio shows the caller's own, if it can."""
        called = StreamParameters.parse(self.stream.parameters).called_number or ""
        return self.rules.transfer_caller_id or (called if is_phone_number(called) else None)

    def leave(self) -> None:
        """The document that hands the call over is on its way."""
        self.note("info", "handed-over")
        self.move(CallMove.HANDED_OVER)
