"""What an answer of the bot calls for: go on, hang up or transfer. And what lexbridge says where there is none."""

from collections.abc import Sequence

from lexbridge.audio.hangover import Expected
from lexbridge.call.context import CallContext
from lexbridge.call.directives import CallAction, Directives
from lexbridge.call.documents import Document
from lexbridge.call.output.base import LastWords, ReplyMode
from lexbridge.call.states import CallMove, CallState
from lexbridge.call.turns import Turn
from lexbridge.errors import LexError
from lexbridge.lex.model import Message, Reply

FALLBACK_INTENT = "FallbackIntent"
"""What Lex V2 calls the intent of what no other intent understands: where it is fulfilled, nothing is done."""

MAX_FAILED_TURNS = 3
"""In a row: then the call ends in words."""


class Replies:
    """Says what the bot answers, and does what it asks of the call."""

    def __init__(self, call: CallContext, mode: ReplyMode) -> None:
        self._call = call
        self._mode = mode
        self._said_limit = False

    def answer(
        self, reply: Reply, speaking_turn: int | None = None, *, turn: Turn | None = None, asks_lex: bool = False
    ) -> None:
        """Take `reply` for the bot's last answer, speak it, and do what it asks of the call.

        `speaking_turn`: the turn whose audio is Lex's voice for the reply. `turn`: the turn that it answers; None if
        that was spoken over another stream. `asks_lex`: Lex may be asked for its voice.
        """
        call = self._call
        before = call.directives
        call.answered(reply)
        directives = call.directives
        if directives.ignored and directives.ignored != before.ignored:
            call.note("warning", "directives-ignored", attributes=list(directives.ignored))
        if directives.limited and directives.limited != before.limited:
            call.note("info", "directives-limited", attributes=list(directives.limited))
        self.carry_out(reply, speaking_turn, turn=turn, asks_lex=asks_lex)

    def carry_out(
        self, reply: Reply, speaking_turn: int | None = None, *, turn: Turn | None = None, asks_lex: bool = False
    ) -> None:
        """Speak `reply`, the bot's last answer, and do what it asks. The arguments are those of `answer`."""
        call, directives = self._call, self._call.directives
        if self.hangs_up(reply):
            goodbye = [Message(call.rules.phrases.goodbye, is_unvoiced=True)]
            call.note("info", "bot-hangs-up")
            # Words that could not be read may still be heard.
            is_voiced = bool(reply.messages or reply.odd_parts)
            self._close(reply.messages or goodbye, self._goodbye, speaking_turn if is_voiced else None)
        elif directives.action is not CallAction.TRANSFER or not self._transfer(reply, directives, speaking_turn):
            call.last_prompt = reply.messages
            words = reply.messages or self._words_instead(reply, turn)
            if not self._ends_by_limit(words, speaking_turn):
                self._mode.speak(words, speaking_turn, to_voice=reply.messages if asks_lex else ())

    def _words_instead(self, reply: Reply, turn: Turn | None) -> tuple[Message, ...]:
        """Choose the words for a `reply` in which the bot says nothing. There are none if the caller said nothing
        either, and the bot goes on listening."""
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
        return is_goodbye or self._call.directives.action is CallAction.HANG_UP

    def failed(self, turn: Turn, error: LexError) -> None:
        """Lex did not answer `turn`, for good. The caller hears the error's apology."""
        call, phrases = self._call, self._call.rules.phrases
        call.failed_turns += turn.intent is None
        ends_call = error.ends_call or call.failed_turns >= MAX_FAILED_TURNS
        call.expect(Expected.OPEN)
        call.note("warning", "turn-failed", turn=turn.number, error=type(error).__name__, ends_call=ends_call)
        if ends_call:
            self.say_goodbye(phrases.named(error.apology) if error.ends_call else phrases.not_available)
            return
        # A bot that does not welcome the caller is stood in for.
        words = [Message(phrases.named(error.apology) if turn.intent is None else call.rules.greeting)]
        if not self._ends_by_limit(words):
            self._mode.speak(words)

    def tick(self) -> None:
        """Media time has moved on: the call may have lasted long enough. Nobody is cut off who speaks, keys, is spoken
        to, or waits for Lex."""
        call, mode = self._call, self._mode
        is_quiet = call.is_idle and not call.endpointer.is_voiced and call.now_ms >= call.quiet_from_ms
        is_due = call.state is CallState.LIVE and is_quiet and mode.may_ask_again and not mode.reprompts
        if is_due and not self._said_limit and call.limit:
            # Once: if Twilio does not carry it out, the next silence or turn ends the call.
            self._said_limit = True
            self._note_limit()
            self.say_goodbye(self._limit_words)

    def ask_again(self) -> None:
        """Tell the caller that they were not heard, and ask again."""
        not_heard, last_prompt = Message(self._call.rules.phrases.not_heard), self._call.last_prompt or ()
        if not self._ends_by_limit([not_heard]):
            self._mode.speak([not_heard, *last_prompt], to_voice=last_prompt)

    def ask_anew(self) -> None:
        """Ask a caller once more who has deleted all the keys that they had pressed."""
        if self._ends_by_limit([Message(self._call.rules.phrases.not_heard)]):
            return
        if last_prompt := self._call.last_prompt:
            self._mode.speak(last_prompt, to_voice=last_prompt)
        else:
            self._mode.await_input()

    def say_goodbye(self, words: str) -> None:
        """Ends the call with `words`."""
        self._close([Message(words)], self._goodbye)

    @property
    def _limit_words(self) -> str:
        phrases = self._call.rules.phrases
        return f"{phrases.call_limit} {phrases.goodbye}"

    def _ends_by_limit(self, messages: Sequence[Message], speaking_turn: int | None = None) -> bool:
        """Whether the call has lasted long enough: then `messages` are the last, and the caller is told. A caller who
        is speaking already is heard first."""
        call, words = self._call, self._limit_words
        goes_on = call.turns.has_pending and call.limit != "MAX_TURNS" and not call.is_overdue
        if call.limit is None or goes_on:
            return False
        self._note_limit()
        voice = call.directives.voice
        self._close(messages, lambda rest: call.documents.goodbye(rest, voice, words), speaking_turn)
        return True

    def _note_limit(self) -> None:
        self._call.note("info", "call-limit", setting=self._call.limit, turns=self._call.turns_answered)

    def _transfer(self, reply: Reply, directives: Directives, speaking_turn: int | None) -> bool:
        """Dials for the bot; False, and a log line, if it named no number that is allowed."""
        call, number = self._call, directives.transfer_to
        if number is None or number not in call.rules.transfer_numbers:
            call.note("error", "transfer-refused", check="TRANSFER_NUMBERS")
            return False
        stream_sid = call.stream.stream_sid if self._mode.stops_stream else None
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

    def _close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """Speaks the last words: whatever the caller says from here on is not for the bot."""
        self._call.move(CallMove.LAST_WORDS)
        self._call.turns.drop_all("the call is over")
        self._mode.close(messages, last_words, speaking_turn)

    def _goodbye(self, messages: Sequence[Message]) -> Document:
        return self._call.documents.goodbye(messages, self._call.directives.voice)
