"""Replies of the bot, and what they call for: go on, hang up or transfer. And lexbridge's words where there is none."""

from collections.abc import Sequence
from dataclasses import replace

from lexbridge.audio.hangover import Expected
from lexbridge.call.context import CallContext
from lexbridge.call.directives import CallAction
from lexbridge.call.documents import Document
from lexbridge.call.output.base import MakeLastDocument, ReplyMode
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.turns import Turn
from lexbridge.errors import LexError
from lexbridge.lex.model import Message, Reply

FALLBACK_INTENT = "FallbackIntent"
"""Name that Lex V2 gives the intent of what no other intent understands. Fulfilling it does nothing for the caller."""

MAX_FAILED_TURNS = 3
"""Turns in a row that Lex may fail to answer before the call ends with an apology."""


class Replies:
    """Follower of the bot's replies: it has them spoken, and does what they ask of the call."""

    def __init__(self, call: CallContext, mode: ReplyMode) -> None:
        self._call = call
        self._mode = mode
        self._is_limit_announced = False

    def answer(
        self, reply: Reply, speaking_turn: int | None = None, *, turn: Turn | None = None, asks_lex: bool = False
    ) -> None:
        """Take `reply` for the bot's last answer, speak it, and do what it asks of the call.

        `speaking_turn`: the turn whose audio is Lex's voice for the reply. `turn`: the turn that it answers; None if
        that was spoken over another stream. `asks_lex`: Lex may be asked for its voice.
        """
        call = self._call
        before = call.dialog.directives
        call.dialog = call.dialog.after(reply, call.rules.slot_kinds)
        directives = call.dialog.directives
        if directives.ignored and directives.ignored != before.ignored:
            call.note("warning", "directives-ignored", attributes=list(directives.ignored))
        if directives.limited and directives.limited != before.limited:
            call.note("info", "directives-limited", attributes=list(directives.limited))
        self.carry_out(reply, speaking_turn, turn=turn, asks_lex=asks_lex)

    def carry_out(
        self, reply: Reply, speaking_turn: int | None = None, *, turn: Turn | None = None, asks_lex: bool = False
    ) -> None:
        """Speak `reply`, the bot's last answer, and do what it asks. The arguments are those of `answer`."""
        call = self._call
        if self.hangs_up(reply):
            goodbye = [Message(call.rules.phrases.goodbye, is_unvoiced=True)]
            call.note("info", "bot-hangs-up")
            # Lex may have spoken words that could not be read.
            has_audio = bool(reply.messages or reply.odd_parts)
            self._close(reply.messages or goodbye, self._goodbye, speaking_turn if has_audio else None)
        elif call.dialog.directives.action is not CallAction.TRANSFER or not self._transfer(reply, speaking_turn):
            call.dialog = replace(call.dialog, last_prompt=reply.messages)
            words = reply.messages or self._words_instead(reply, turn)
            if not self._close_at_limit(words, speaking_turn):
                self._mode.speak(words, speaking_turn, to_synthesize=reply.messages if asks_lex else ())

    def _words_instead(self, reply: Reply, turn: Turn | None) -> tuple[Message, ...]:
        """Return words for a `reply` in which the bot says nothing.

        There are none if the caller said nothing either: then the bot goes on listening.
        """
        phrases = self._call.rules.phrases
        has_spoken = turn is not None and (turn.keys is not None or not reply.heard_nothing)
        if turn is not None and turn.intent is not None:  # the bot begins without a word of welcome
            words = self._call.rules.greeting
        elif reply.is_fulfilled and reply.intent != FALLBACK_INTENT:
            words = phrases.done
        elif reply.dialog_state.is_closed or has_spoken:
            words = phrases.say_it_again
        else:
            return ()
        return (Message(words, is_unvoiced=True),)

    def hangs_up(self, reply: Reply) -> bool:
        """Return whether the call is over when the caller has heard `reply`, the bot's last answer."""
        is_goodbye = reply.is_fulfilled and reply.intent in self._call.rules.hangup_intents
        return is_goodbye or self._call.dialog.directives.action is CallAction.HANG_UP

    def turn_failed(self, turn: Turn, error: LexError) -> None:
        """Apologise for `turn`, which Lex did not answer, and end the call if it cannot go on."""
        call, phrases = self._call, self._call.rules.phrases
        call.failed_turns += turn.intent is None
        ends_call = error.ends_call or call.failed_turns >= MAX_FAILED_TURNS
        call.dialog = replace(call.dialog, expected=Expected.OPEN)
        call.note("warning", "turn-failed", turn=turn.number, error=type(error).__name__, ends_call=ends_call)
        if ends_call:
            self.say_goodbye(phrases.named(error.apology) if error.ends_call else phrases.not_available)
            return
        # Where the bot does not welcome the caller, GREETING does.
        words = [Message(phrases.named(error.apology) if turn.intent is None else call.rules.greeting)]
        if not self._close_at_limit(words):
            self._mode.speak(words)

    def tick(self) -> None:
        """End the call if it has lasted long enough, and the caller neither speaks, keys, hears words nor waits."""
        call, mode = self._call, self._mode
        is_quiet = call.is_idle and not call.endpointer.is_voiced and call.now_ms >= call.quiet_from_ms
        is_due = call.state is CallState.LIVE and is_quiet and mode.may_ask_again and not mode.has_reprompts
        if is_due and not self._is_limit_announced and call.reached_limit:
            # Only once: if Twilio does not carry it out, the next silence or turn ends the call.
            self._is_limit_announced = True
            self._note_limit()
            self.say_goodbye(self._limit_words)

    def ask_again(self) -> None:
        """Tell the caller that they were not heard, and repeat the bot's last prompt."""
        not_heard, last_prompt = Message(self._call.rules.phrases.not_heard), self._call.dialog.last_prompt or ()
        if not self._close_at_limit([not_heard]):
            self._mode.speak([not_heard, *last_prompt], to_synthesize=last_prompt)

    def repeat_prompt(self) -> None:
        """Repeat the bot's last prompt to a caller who has deleted all the keys that they had pressed."""
        if self._close_at_limit([Message(self._call.rules.phrases.not_heard)]):
            return
        if last_prompt := self._call.dialog.last_prompt:
            self._mode.speak(last_prompt, to_synthesize=last_prompt)
        else:
            self._mode.await_input()

    def say_goodbye(self, words: str) -> None:
        """End the call with `words`."""
        self._close([Message(words)], self._goodbye)

    @property
    def _limit_words(self) -> str:
        phrases = self._call.rules.phrases
        return f"{phrases.call_limit} {phrases.goodbye}"

    def _close_at_limit(self, messages: Sequence[Message], speaking_turn: int | None = None) -> bool:
        """End the call with `messages`, and tell the caller why, if the call has lasted long enough.

        Return whether that was done. A caller who is already speaking is heard first.
        """
        call, words = self._call, self._limit_words
        hears_caller = call.turns.has_pending and call.reached_limit != "MAX_TURNS" and not call.is_overdue
        if call.reached_limit is None or hears_caller:
            return False
        self._note_limit()
        voice = call.dialog.directives.voice
        self._close(messages, lambda rest: call.documents.goodbye(rest, voice, words), speaking_turn)
        return True

    def _note_limit(self) -> None:
        self._call.note("info", "call-limit", setting=self._call.reached_limit, turns=self._call.dialog.turns_answered)

    def _transfer(self, reply: Reply, speaking_turn: int | None) -> bool:
        """Dial the number that the bot named. Return False, and log it, if that is not allowed."""
        call, directives = self._call, self._call.dialog.directives
        number = directives.transfer_to
        if number is None or number not in call.rules.transfer_numbers:
            call.note("error", "transfer-refused", check="TRANSFER_NUMBERS")
            return False
        stream_sid = call.stream.stream_sid if self._mode.stream_outlives_documents else None
        goodbye = call.rules.phrases.goodbye
        caller_id = call.caller_id
        call.note("info", "transferred", has_caller_id=caller_id is not None)
        self._close(
            reply.messages,
            lambda messages: call.documents.transfer(
                messages, number, stream_sid, goodbye, directives.voice, caller_id=caller_id
            ),
            speaking_turn,
        )
        return True

    def _close(
        self, messages: Sequence[Message], make_last_document: MakeLastDocument, speaking_turn: int | None = None
    ) -> None:
        """Speak the last words. What the caller says from here on does not reach the bot."""
        self._call.move(CallMove.LAST_WORDS)
        self._call.turns.drop_all("the call is over")
        self._mode.close(messages, make_last_document, speaking_turn)

    def _goodbye(self, messages: Sequence[Message]) -> Document:
        return self._call.documents.goodbye(messages, self._call.dialog.directives.voice)
