"""The bot is heard by documents: each answer is an update of the call, by which Twilio speaks.

How long Twilio speaks is an estimate, and nobody tells when it is done. The stream is one-way, and outlives its
documents.

Twilio collects keys, and tells of them when they are complete. So a document that asks for keys also has what a silent
caller is to hear: the first key stops it, however slowly the others come. Here runs an estimate of where the document
is, so that it can be replaced before it speaks to a caller who is not silent.
"""

import math
from collections.abc import Sequence

from lexbridge.audio.endpointing import Listening
from lexbridge.audio.hangover import Expected
from lexbridge.call.context import CallContext
from lexbridge.call.documents import Document, Opening, Reprompts, speaking_ms
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, LastWords
from lexbridge.call.states import CallState
from lexbridge.lex.model import Message

SURELY_SPEAKING = 0.6
"""Share of the estimated length of a `<Say>` in which it is surely still heard. After it a short "yes" may be the
answer to it, and is taken for one."""


UPDATE_MS = 1500
"""An update takes so long at most, mostly."""

LONGEST_KEYS_MS = 120_000
"""Who keys for longer than that is taken for silent."""


class CallUpdateMode:
    """See ReplyMode."""

    hears_keys = False
    recalls_at_once = False
    stops_stream = True
    is_finishing = False
    may_ask_again = True

    def __init__(self, call: CallContext) -> None:
        self._call = call
        self._said = (0, 0)  # from when to when the last document surely speaks
        self._reprompts_ms: tuple[int, ...] = ()  # that the last document still has, and its goodbye
        self._replaced_by_ms = 0  # then, before the next of them, if the caller is not silent

    def greeted(self) -> None:
        """See ReplyMode. GREETING is no answer of the bot's: who speaks during it is heard at once, and it goes on."""
        self._call.await_input(speaking_ms(self._call.rules.greeting))

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> None:
        """See ReplyMode."""
        call = self._call
        self._says_for(after_ms)
        call.await_input(after_ms)
        self._reprompts_ms = tuple(reprompts_ms)
        # Who may interrupt may also have the end of a prompt cut off by this.
        heard_ms = round(after_ms * SURELY_SPEAKING) if call.may_interrupt else after_ms
        self._replaced_by_ms = call.now_ms + max(heard_ms, heard_ms + call.no_input_ms - UPDATE_MS)

    @property
    def reprompts(self) -> bool:
        """See ReplyMode."""
        return bool(self._reprompts_ms)

    def reprompted(self) -> bool:
        """See ReplyMode."""
        if not self._reprompts_ms:
            return False
        spoken_ms, *rest = self._reprompts_ms
        self.await_input(spoken_ms, rest)
        if not rest:  # it hangs up after that, unless keys are being pressed
            keys = self._call.directives.keys
            longest_ms = LONGEST_KEYS_MS if keys.longest is None else keys.longest * keys.end_timeout_ms
            self._call.endpointer.await_input(spoken_ms, min(longest_ms, LONGEST_KEYS_MS))
        return True

    def listening(self) -> Listening | None:
        """See ReplyMode."""
        from_ms, until_ms = self._said
        now_ms = self._call.now_ms
        if now_ms >= until_ms or not self._call.may_interrupt:
            return None
        onset_ms = self._call.rules.barge_in_ms if now_ms >= from_ms + UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS)

    def interrupt(self) -> None:
        """See ReplyMode. An update without words stops `<Say>`."""
        call, now_ms = self._call, self._call.now_ms
        if not (self._said[0] + UNINTERRUPTED_MS <= now_ms < self._said[1] and call.may_interrupt):
            return
        call.note("info", "barged-in", heard_ms=now_ms - self._said[0])
        self._update(self._document([]))
        self._said = (0, 0)
        call.quiet_from_ms = now_ms

    def resumes(self) -> bool:
        """See ReplyMode. What Twilio has stopped is gone."""
        return False

    def forget_interrupted(self) -> None:
        """See ReplyMode."""

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_voice: Sequence[Message] = ()
    ) -> None:
        """See ReplyMode."""
        call = self._call
        is_waiting = call.turns.has_pending
        opening = call.opening() if call.is_leaving and call.turns.is_idle else None
        document = self._document(messages, opening, None if is_waiting else self._reprompts())
        self._update(document, hands_over=opening is not None)
        if is_waiting:
            call.quiet_from_ms = call.now_ms + document.spoken_ms
            self._says_for(document.spoken_ms)
        elif opening:
            call.leave()
        else:
            call.quiet_from_ms = 0
            self.await_input(document.spoken_ms, document.reprompts_ms)

    def is_unheard(self, turn: int) -> bool:
        """See ReplyMode. The document goes out with the answer."""
        return False

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """See ReplyMode. No document is made."""

    def forget_withheld(self) -> None:
        """See ReplyMode."""

    def fill(self) -> None:
        """See ReplyMode."""
        call = self._call
        call.note_filler()
        document = self._document([Message(call.rules.phrases.one_moment)])
        self._update(document)
        call.quiet_from_ms = call.now_ms + document.spoken_ms

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> None:
        """See ReplyMode."""
        self._call.update(last_words(messages))

    def wants_voice(self, turn: int) -> bool:
        """See ReplyMode."""
        return False

    def spoke(self, turn: int, mulaw: bytes) -> None:
        """See ReplyMode."""

    def spoke_all(self, turn: int) -> None:
        """See ReplyMode."""

    def speech_failed(self, turn: int) -> None:
        """See ReplyMode."""

    def marked(self, mark: str) -> None:
        """See ReplyMode. One-way streams have no marks."""

    def tick(self) -> None:
        """See ReplyMode. The document would soon speak to a caller who is speaking, or waits for Lex."""
        call = self._call
        is_due = self._reprompts_ms and call.now_ms >= self._replaced_by_ms
        if is_due and call.state is CallState.LIVE and not call.turns.is_idle:
            self._update(self._document([]))

    def end(self) -> None:
        """See ReplyMode."""

    def _document(
        self, messages: Sequence[Message], opening: Opening | None = None, reprompts: Reprompts | None = None
    ) -> Document:
        call, directives = self._call, self._call.directives
        longer_s = max(0, math.ceil(call.no_input_ms / 1000 - call.rules.no_input_s))
        return call.documents.reply(
            messages,
            call.stream.stream_sid,
            opening,
            directives.voice,
            directives.keys,
            reprompts,
            longer_s,
            call.progress.query,
        )

    def _update(self, document: Document, hands_over: bool = False) -> None:
        self._reprompts_ms = ()  # of the document before
        self._call.update(document, hands_over)

    def _reprompts(self) -> Reprompts | None:
        """Build what a silent caller hears, if they were asked for keys."""
        call, phrases = self._call, self._call.rules.phrases
        if not call.directives.asks_for_keys and call.expected is not Expected.DIGITS:
            return None
        return Reprompts(
            Message(phrases.not_heard),
            call.last_prompt or (),
            math.ceil(call.no_input_ms / 1000),
            max(0, call.no_input_limit - call.no_inputs),
        )

    def _says_for(self, ms: int) -> None:
        now_ms = self._call.now_ms
        self._said = (now_ms, now_ms + round(ms * SURELY_SPEAKING))
