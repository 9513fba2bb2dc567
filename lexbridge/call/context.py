"""Context of one call: where it stands, what the bot said last, and the means to act. The rules of a call share it."""

import math
from collections.abc import Sequence
from typing import Any

from lexbridge.audio.endpointing import Endpointer
from lexbridge.audio.pcm import MULAW_BYTES_PER_MS
from lexbridge.call import limits
from lexbridge.call.actions import Action, Note, UpdateCall
from lexbridge.call.dialog import DialogContext
from lexbridge.call.documents import CallDocuments, Document, Opening
from lexbridge.call.dtmf import DtmfCollector
from lexbridge.call.events import Started
from lexbridge.call.output.reports import CallersTurn, Reports, SpeaksUntil
from lexbridge.call.states import CALL_MOVES, CallMove, CallState, transition
from lexbridge.call.stream_parameters import HANDED_OVER, StreamParameters
from lexbridge.call.switching import NO_SWITCHES, Switchboard
from lexbridge.call.turn import Turn
from lexbridge.call.turns import Turns
from lexbridge.config.call_rules import CallRules
from lexbridge.errors import CallStateError


class CallContext:
    """State of one call, and the means to act. `CallSession` has the rules, a `Speaker` the output."""

    __slots__ = (
        "__weakref__",
        "actions",
        "age_before_s",
        "began_s",
        "deaf_until_ms",
        "dialog",
        "documents",
        "endpointer",
        "failed_turns",
        "has_hook",
        "is_first_awaited",
        "is_for_machine",
        "is_leaving",
        "keys",
        "next_stream",
        "no_inputs",
        "quiet_from_ms",
        "returned",
        "rules",
        "started",
        "state",
        "switchboard",
        "switches",
        "turns",
        "updates",
    )

    def __init__(
        self,
        rules: CallRules,
        documents: CallDocuments,
        endpointer: Endpointer,
        switchboard: Switchboard | None = None,
    ) -> None:
        self.rules = rules
        self.documents = documents
        self.switchboard = switchboard or Switchboard()
        """The bots that the call may be handed to."""
        self.endpointer = endpointer
        self.actions: list[Action] = []
        """What is to be done, in order, until `take_actions`."""
        # Not `act`, because a call that refers to itself would be freed only by the garbage collector.
        self.turns = Turns(self.actions.append, rules.max_utterance_ms * MULAW_BYTES_PER_MS if rules.join else 0)
        self.keys = DtmfCollector()
        self.state = CallState.CONNECTING
        self.started: Started | None = None
        self.next_stream: Opening | None = None
        """The stream over which the call may go on, for a document that opens it. The bridge gives and renews it."""
        self.is_leaving = False
        """Whether the call is to go on over another stream as soon as it can, because this process is to end."""
        self.is_first_awaited = False
        """Whether the first prompt waits for the other side: for the callee's first word, or a machine's silence."""
        self.is_for_machine = False
        """Whether a machine has answered: it is told something, and the call ends."""
        self.deaf_until_ms = 0.0
        """Media time up to which nothing said is a turn, because the first prompt is protected. Infinite: not known."""
        self.no_inputs = 0
        """Times in a row that the caller has been asked again."""
        self.failed_turns = 0
        """Turns in a row that Lex has not answered."""
        self.began_s: int | None = None
        """Unix time at which the call began, or None if no setting needs it."""
        self.returned: str | None = None
        """Status of the transfer that the call has come back from, until Lex answers."""
        self.age_before_s = 0
        """Age of the call when this stream began, seconds."""
        self.has_hook = False
        """Whether the routing hook gave facts of the call."""
        self.switches = NO_SWITCHES
        """Switches of the call to other bots so far."""
        self.quiet_from_ms = 0
        """Media time from which neither the caller nor the bot speaks; it may lie ahead."""
        self.updates = 0
        """Number of documents made so far, which is also that of the newest."""
        self.dialog = DialogContext()
        """Position of the dialog with the bot."""

    # -- what may happen to the state. Nothing but this class writes it.

    def begin(self, started: Started, parameters: StreamParameters, move: CallMove) -> None:
        """Note that the stream has started, and how far the call had come by then."""
        self.move(move)
        self.started = started
        self.turns.session_id = started.call_sid
        self.began_s, self.age_before_s = parameters.progress.began_s, parameters.age_s
        self.returned = parameters.progress.returned
        self.has_hook = parameters.has_hook
        self.switches = parameters.progress.switches
        if parameters.resumed == HANDED_OVER:
            self.no_inputs, self.failed_turns = parameters.no_inputs, parameters.failed_turns

    def next_stream_opened(self, opening: Opening | None) -> None:
        """Note the stream over which the call may go on, or that there is none."""
        self.next_stream = opening

    def leave_requested(self) -> None:
        """Note that the call is to go on over another stream as soon as it can."""
        self.is_leaving = True

    def move(self, move: CallMove) -> None:
        """Move the call to another state. Raise CallStateError if `move` cannot happen now."""
        self.state = transition(CALL_MOVES, self.state, move)

    def go_to(self, dialog: DialogContext) -> None:
        """Note that the dialog stands at `dialog`."""
        self.dialog = dialog
        self.turns.first_attributes = dialog.first_attributes
        directives = dialog.directives  # which may say how long the caller may pause and speak
        self.endpointer.expect(dialog.expected, directives.hangover_ms, directives.max_utterance_ms)

    def lex_answered(self) -> None:
        """Note that Lex has answered a turn."""
        self.failed_turns = 0
        self.returned = None
        self.bot_knows_of_switches()

    def bot_knows_of_switches(self) -> None:
        """Note that the call's bot has been told of the switches."""
        self.switches = self.switches.after_answer()

    def callers_turn_answered(self) -> None:
        """Note that Lex has answered what the caller said or keyed."""
        self.switches = self.switches.after_turn()

    def lex_failed(self, turn: Turn) -> None:
        """Note that Lex has not answered `turn`. A welcome does not count."""
        self.failed_turns += turn.intent is None

    def caller_started(self) -> None:
        """Note that the caller speaks or keys."""
        self.no_inputs = 0

    def caller_is_silent(self) -> None:
        """Note that the caller has said nothing although they were expected to."""
        self.no_inputs += 1

    def caller_spoke_until(self, at_ms: int) -> None:
        """Note that the caller has spoken until `at_ms`."""
        self.quiet_from_ms = max(self.quiet_from_ms, at_ms)

    def bot_speaks_until(self, at_ms: int) -> None:
        """Note that the bot speaks until `at_ms`, whatever it was going to say before."""
        self.quiet_from_ms = at_ms
        self._prompt_ends_at(at_ms)

    def await_other_side(self, *, is_machine: bool = False) -> None:
        """Let the first prompt wait for the callee's first word, or for the silence of a machine."""
        self.is_first_awaited, self.is_for_machine = True, is_machine

    def first_prompt_is_due(self) -> None:
        """Note that the first prompt waits no longer."""
        self.is_first_awaited = False

    def protect_prompt(self) -> None:
        """Protect the first prompt, which is about to be said: nothing said before its end is a turn."""
        self.deaf_until_ms = math.inf

    def _prompt_ends_at(self, at_ms: int) -> None:
        if self.deaf_until_ms == math.inf and not self.is_for_machine:
            self.deaf_until_ms = at_ms

    def take_actions(self) -> Sequence[Action]:
        """Return what is to be done now, in order. Each action is returned once."""
        actions = self.actions.copy()
        self.actions.clear()
        return actions

    def act(self, action: Action) -> None:
        """Add `action` to those that are to be done."""
        self.actions.append(action)

    def note(self, level: str, event: str, **fields: Any) -> None:
        """Write a log line, by an action."""
        self.act(Note(level, event, fields))

    def note_filler(self) -> None:
        """Log that the caller is asked to wait for the answer to the turn that Lex is busy with."""
        turn = self.turns.in_flight
        self.note("info", "filler-said", turn=None if turn is None else turn.number)

    @property
    def now_ms(self) -> int:
        """Media time."""
        return self.endpointer.now_ms

    @property
    def is_idle(self) -> bool:
        """Whether the caller neither speaks nor keys, and waits neither for an answer nor for the first prompt."""
        return self.turns.is_idle and not self.keys.is_collecting and not self.is_first_awaited

    @property
    def is_deaf(self) -> bool:
        """Whether nothing that is said is a turn, because the first prompt is protected."""
        return self.now_ms < self.deaf_until_ms

    @property
    def reached_limit(self) -> str | None:
        """Name of the setting by which the call has to end now."""
        return limits.reached_limit(self.rules, self.dialog.turns_answered, self.age_s)

    @property
    def age_s(self) -> float:
        """Age of the call over all its streams, seconds."""
        return self.age_before_s + self.now_ms / 1000

    @property
    def stream(self) -> Started:
        """The stream by which the caller is reached. Raises CallStateError if there is none."""
        if self.started is None or self.state not in (CallState.LIVE, CallState.CLOSING):
            raise CallStateError(f"the call is {self.state.value}: no stream reaches the caller")
        return self.started

    @property
    def may_interrupt(self) -> bool:
        """Whether the caller may interrupt what the bot says now."""
        return self.rules.barge_in and self.dialog.directives.allow_interrupt and not self.is_deaf

    @property
    def no_input_ms(self) -> int:
        """Longest silence of the caller after a prompt, milliseconds. Then they are asked again."""
        asked_s = self.dialog.directives.no_input_s
        return round((self.rules.no_input_s if asked_s is None else asked_s) * 1000)

    def await_input(self, after_ms: int = 0, longest_silence_ms: int | None = None) -> None:
        """Expect the caller to speak from `after_ms` from now on, when what is said to them is over."""
        self._prompt_ends_at(self.now_ms + after_ms)
        if after_ms:  # the bot speaks until then
            self.quiet_from_ms = max(self.quiet_from_ms, self.now_ms + after_ms)
        self.endpointer.await_input(after_ms, self.no_input_ms if longest_silence_ms is None else longest_silence_ms)

    def take_reports(self, reports: Reports) -> None:
        """Move the call by what the speaker reports."""
        for report in reports:
            match report:
                case SpeaksUntil():
                    self.bot_speaks_until(report.at_ms)
                case CallersTurn():
                    self.await_input(report.after_ms, report.longest_silence_ms)
                case _:  # HandedOver
                    self.note("info", "handed-over")
                    self.move(CallMove.HANDED_OVER)

    def send_keys(self, keys: str) -> None:
        """Send Lex `keys`, which are complete, as a turn; if the call is live."""
        if self.state is CallState.LIVE:
            pressed_ms = self.keys.pressed_ms  # None: Twilio collected them
            silent_ms = None if pressed_ms is None else self.now_ms - pressed_ms
            self.note("info", "keys-complete", turn=self.turns.count + 1, keys=len(keys), silent_ms=silent_ms)
            self.caller_spoke_until(self.now_ms)
            self.turns.keys_pressed(self.now_ms, keys)

    def update(self, document: Document, hands_over: bool = False) -> None:
        """Give the call a new document."""
        stream = self.stream
        if document.characters_cut:
            self.note("warning", "reply-cut", characters=document.characters_cut)
        self.updates += 1
        sids = stream.account_sid, stream.call_sid
        self.act(UpdateCall(self.updates, *sids, document.twiml, hands_over, bool(document.reprompts_ms)))
