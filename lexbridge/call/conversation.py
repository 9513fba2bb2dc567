"""Conversation: what the bot and lexbridge say to the caller, and how the call ends.

`replies` and `limits` decide, and the output speaks. This class does what was decided: it is the only one that has
words spoken, and the only one that ends a call by them.
"""

from collections.abc import Sequence
from dataclasses import replace

from lexbridge.audio.hangover import Expected
from lexbridge.call import carried_along, limits, replies, switching, transfers
from lexbridge.call.after import Outcome, after_query, with_query
from lexbridge.call.context import CallContext
from lexbridge.call.dialog import DialogContext
from lexbridge.call.last_words import Goodbye, GoOnAt, LastWords, SwitchTo, TransferTo
from lexbridge.call.output.base import Speaker
from lexbridge.call.replies import HangUp, Reprompt, Speak, Transfer
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.switching import Refused
from lexbridge.call.timed_rule import TimedRule
from lexbridge.call.transfers import Handoff
from lexbridge.call.turn import Turn
from lexbridge.config.route import CallRoute
from lexbridge.errors import LexError
from lexbridge.lex.model import Message, Reply


class Conversation(TimedRule):
    """Follower of the bot's replies: it has them spoken, and does what they ask of the call."""

    def __init__(self, call: CallContext, speaker: Speaker) -> None:
        self._call = call
        self._speaker = speaker
        self._is_limit_announced = False

    def answer(
        self, reply: Reply, speaking_turn: int | None = None, *, turn: Turn | None = None, asks_lex: bool = False
    ) -> None:
        """Take `reply` for the bot's last answer, speak it, and do what it asks of the call.

        `speaking_turn`: the turn whose audio is Lex's voice for the reply. `turn`: the turn that it answers; None if
        that was spoken over another stream. `asks_lex`: Lex may be asked for its voice.
        """
        call = self._call
        before, counts_turn = call.dialog.directives, turn is not None and turn.intent is None
        dialog = call.dialog.after(reply, call.rules.slot_kinds, counts_turn=counts_turn)
        if counts_turn:
            call.callers_turn_answered()
        directives = dialog.directives
        if directives.ignored and directives.ignored != before.ignored:
            call.note("warning", "directives-ignored", attributes=list(directives.ignored))
        if directives.limited and directives.limited != before.limited:
            call.note("info", "directives-limited", attributes=list(directives.limited))
        self.carry_out(reply, dialog, speaking_turn, turn=turn, asks_lex=asks_lex)

    def carry_out(
        self,
        reply: Reply,
        dialog: DialogContext,
        speaking_turn: int | None = None,
        *,
        turn: Turn | None = None,
        asks_lex: bool = False,
    ) -> None:
        """Speak `reply`, after which the dialog stands at `dialog`, and do what it asks.

        The other arguments are those of `answer`.
        """
        call = self._call
        decision = (
            HangUp(reply.messages, has_audio=True)
            if call.is_for_machine
            else replies.decide(reply, dialog, call.rules, turn)
        )
        route = self._next_route(dialog) if isinstance(decision, Speak) else None
        call.go_to(replace(dialog, last_prompt=reply.messages) if isinstance(decision, Speak) else dialog)
        match decision:
            case HangUp():
                if decision.is_return_refused:
                    call.note("error", "return-refused", check="AFTER_URL")
                call.note("info", "bot-hangs-up")
                speaking_turn = speaking_turn if decision.has_audio else None
                self._close(decision.words, self._goodbye(decision.outcome), speaking_turn)
            case Transfer():
                self._transfer(decision, speaking_turn)
            case _:  # Speak
                if decision.is_transfer_refused:
                    call.note("error", "transfer-refused", check="TRANSFER_NUMBERS")
                words = decision.words if route is None else reply.messages
                if self._close_at_limit(words, speaking_turn):
                    return
                if route is not None:
                    self._switch(route, words, speaking_turn)
                else:
                    to_synthesize = reply.messages if asks_lex else ()
                    reports = self._speaker.speak(decision.words, speaking_turn, to_synthesize=to_synthesize)
                    self._call.take_reports(reports)

    def turn_failed(self, turn: Turn, error: LexError) -> None:
        """Apologise for `turn`, which Lex did not answer, and end the call if it cannot go on."""
        call = self._call
        call.lex_failed(turn)
        call.go_to(replace(call.dialog, expected=Expected.OPEN))
        decision = replies.decide_failure(error, turn, call.failed_turns, call.rules)
        if call.is_for_machine:
            decision = HangUp((), outcome=Outcome.FAILED)
        ends_call = isinstance(decision, HangUp)
        call.note("warning", "turn-failed", turn=turn.number, error=type(error).__name__, ends_call=ends_call)
        if isinstance(decision, HangUp):
            self.say_goodbye(decision.words, decision.outcome)
        elif not self._close_at_limit(decision.words):
            self._call.take_reports(self._speaker.speak(decision.words))

    def ask_again(self, reprompt: Reprompt) -> None:
        """Tell the caller that they were not heard, and repeat the bot's last prompt."""
        not_heard, last_prompt = reprompt.not_heard, reprompt.last_prompt
        if not self._close_at_limit([not_heard]):
            self._call.take_reports(self._speaker.speak([not_heard, *last_prompt], to_synthesize=last_prompt))

    def repeat_prompt(self) -> None:
        """Repeat the bot's last prompt to a caller who has deleted all the keys that they had pressed."""
        if self._close_at_limit([Message(self._call.rules.phrases.not_heard)]):
            return
        if last_prompt := self._call.dialog.last_prompt:
            self._call.take_reports(self._speaker.speak(last_prompt, to_synthesize=last_prompt))
        else:
            self._call.take_reports(self._speaker.await_input())

    def say_goodbye(self, words: Sequence[Message], outcome: Outcome) -> None:
        """End the call with `words`, or send it on to AFTER_URL, which is told the `outcome`."""
        self._close(words, self._goodbye(outcome))

    def next_due_ms(self) -> float | None:
        """Return the media time at which a limit may end the call, or None while none can."""
        call, speaker = self._call, self._speaker
        is_open = call.state is CallState.LIVE and not speaker.is_speaking and not speaker.has_reprompts
        reached_ms = limits.reached_at_ms(call.rules, call.dialog.turns_answered, call.age_before_s)
        if self._is_limit_announced or not is_open or reached_ms is None:
            return None
        return max(call.quiet_from_ms, reached_ms)

    def tick(self) -> None:
        """End the call if it has lasted long enough, and the caller neither speaks, keys, hears words nor waits."""
        call, speaker = self._call, self._speaker
        if self._is_limit_announced or call.reached_limit is None:
            return
        is_quiet = call.is_idle and not call.endpointer.is_voiced and call.now_ms >= call.quiet_from_ms
        if call.state is CallState.LIVE and is_quiet and not speaker.is_speaking and not speaker.has_reprompts:
            # Only once: if Twilio does not carry it out, the next silence or turn ends the call.
            self._is_limit_announced = True
            self._note_limit()
            self.say_goodbye([Message(self._limit_words)], Outcome.LIMIT)

    def _goodbye(self, outcome: Outcome, limit_words: str = "") -> Goodbye | GoOnAt:
        """Return how the call ends, or where it goes on, once the caller has heard the last words."""
        call, rules = self._call, self._call.rules
        voice = call.dialog.directives.voice
        if rules.after_url is None or call.is_for_machine:  # nothing goes on with a machine
            return Goodbye(voice, limit_words)
        call.note("info", "sent-on", outcome=outcome.value)
        url = with_query(rules.after_url, self._after_query(outcome))
        return GoOnAt(url, self._one_way_stream, voice, limit_words)

    def _after_query(self, outcome: Outcome) -> str:
        return after_query(self._call.dialog.result, outcome, self._call.rules.after_attributes)

    @property
    def _one_way_stream(self) -> str | None:
        """The stream that a document has to stop. A one-way stream outlives documents, and a two-way one none."""
        return None if self._speaker.is_two_way else self._call.stream.stream_sid

    @property
    def _limit_words(self) -> str:
        phrases = self._call.rules.phrases
        return f"{phrases.call_limit} {phrases.goodbye}"

    def _close_at_limit(self, messages: Sequence[Message], speaking_turn: int | None = None) -> bool:
        """End the call with `messages`, and tell the caller why, if the call has lasted long enough.

        Return whether that was done.
        """
        call = self._call
        limit = limits.limit_before_listening(
            call.rules, call.dialog.turns_answered, call.age_s, has_pending=call.turns.has_pending
        )
        if limit is None:
            return False
        self._note_limit()
        self._close(messages, self._goodbye(Outcome.LIMIT, self._limit_words), speaking_turn)
        return True

    def _note_limit(self) -> None:
        call = self._call
        call.note("info", "call-limit", setting=call.reached_limit, turns=call.dialog.turns_answered)

    def _transfer(self, transfer: Transfer, speaking_turn: int | None) -> None:
        """Transfer the call to the target that the bot named, after its words."""
        call, target, directives = self._call, transfer.target, self._call.dialog.directives
        known = call.dialog.result.attributes
        passed_on = {name: known[name] for name in call.rules.transfer_attributes if known.get(name)}
        handoff = Handoff(
            target,
            self._one_way_stream,
            call.rules.phrases.goodbye,
            carried_along.caller_id(call) if transfers.takes_caller_id(target) else None,
            passed_on if transfers.takes_attributes(target) else {},
            directives.whisper if transfers.takes_whisper(target) else "",
            "" if call.rules.after_url is None else self._after_query(Outcome.TRANSFERRED),
        )
        call.note(
            "info",
            "transferred",
            kind=target.kind,
            has_caller_id=handoff.caller_id is not None,
            has_whisper=bool(handoff.whisper),
            attributes=len(handoff.attributes),
        )
        self._close(transfer.words, TransferTo(handoff, directives.voice, carried_along.query(call)), speaking_turn)

    def _next_route(self, dialog: DialogContext) -> CallRoute | None:
        """Return the route to which the bot hands the call, or None if it goes on with the bot."""
        call = self._call
        decision = switching.decide(dialog.directives, call.switchboard, call.switches)
        if not isinstance(decision, Refused):
            return decision
        before = call.dialog.directives  # Lex keeps session attributes
        if (before.bot, before.locale_id) != (dialog.directives.bot, dialog.directives.locale_id):
            call.note("error", "switch-refused", why=decision.why, check="LINES_FILE")
        return None

    def _switch(self, route: CallRoute, words: Sequence[Message], speaking_turn: int | None) -> None:
        """Hand the call to the bot of `route`, after the words of the one that it has."""
        call = self._call
        call.note("info", "bot-switched", bot=route.bot, locale=route.locale_id)
        progress = replace(carried_along.progress(call), switches=call.switches.after_switch(call.switchboard.route))
        query = {"begins": 1, **({} if words else {"wordless": 1}), **progress.query}
        stream_sid = None if self._speaker.is_two_way else call.stream.stream_sid  # a one-way stream outlives documents
        self._close(words, SwitchTo(route.text, stream_sid, call.dialog.directives.voice, query), speaking_turn)

    def _close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """Speak `messages`, and then the last words. What the caller says from here on does not reach the bot."""
        self._call.move(CallMove.LAST_WORDS)
        self._call.turns.drop_all("the call is over")
        self._call.take_reports(self._speaker.close(messages, last_words, speaking_turn))
