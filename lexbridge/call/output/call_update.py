"""Output by documents: each answer is an update of the call, by which Twilio speaks.

The stream is one-way, and outlives its documents. Twilio does not tell when it has spoken, so how long it speaks is an
estimate.

Twilio collects keys, and tells of them when they are complete. So a document that asks for keys also has what a silent
caller is to hear: the first key stops it, however slowly the others come. An estimate of where the document stands runs
here, so that it can be replaced before it asks a caller again who is not silent.
"""

import math
from collections.abc import Sequence

from lexbridge.audio.endpointing import Listening
from lexbridge.audio.hangover import Expected
from lexbridge.call import carried_along
from lexbridge.call.context import CallContext
from lexbridge.call.documents import Document, Opening, Reprompts, speaking_ms
from lexbridge.call.last_words import LastWords
from lexbridge.call.output.base import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, Speaker
from lexbridge.call.output.reports import NO_REPORTS, CallersTurn, HandedOver, Reports, SpeaksUntil
from lexbridge.call.states import CallState
from lexbridge.lex.model import Message

SURELY_SPEAKING = 0.6
"""Share of the estimated length of a `<Say>` in which Twilio is surely still speaking.

A short "yes" after it may be the answer, and is taken for one."""

UPDATE_MS = 1500
"""Longest time that nearly all updates take to be carried out, milliseconds."""

LONGEST_KEYS_MS = 120_000
"""Longest time for keying, milliseconds. Then the caller counts as silent."""


class CallUpdateSpeaker(Speaker):
    """Output of a call whose bot is heard by documents."""

    is_two_way = False
    is_speaking = False

    def __init__(self, call: CallContext) -> None:
        self._call = call
        self._speaks = (0, 0)  # media times between which the last document surely speaks
        self._reprompts_ms: tuple[
            int, ...
        ] = ()  # of the reprompts that the last document still has, and of its goodbye
        self._replace_by_ms = 0  # when the document is replaced before the next one, if the caller is not silent

    @property
    def has_reprompts(self) -> bool:
        """Whether the last document itself asks a silent caller again."""
        return bool(self._reprompts_ms)

    def greet(self) -> Reports:
        """Expect the caller to speak once the greeting must be over."""
        # The greeting is no answer of the bot: a caller who speaks during it is heard at once, and it goes on.
        return (CallersTurn(speaking_ms(self._call.rules.greeting)),)

    def await_input(self, after_ms: int = 0, reprompts_ms: Sequence[int] = ()) -> Reports:
        """Expect the caller to speak when the document has spoken for another `after_ms`, an estimate."""
        call = self._call
        self._note_speaking(after_ms)
        self._reprompts_ms = tuple(reprompts_ms)
        # A caller who may interrupt may also have the end of a prompt cut off by the replacement.
        heard_ms = round(after_ms * SURELY_SPEAKING) if call.may_interrupt else after_ms
        self._replace_by_ms = call.now_ms + max(heard_ms, heard_ms + call.no_input_ms - UPDATE_MS)
        return (CallersTurn(after_ms),)

    def take_reprompt(self) -> Reports:
        """Report that the document begins its next reprompt now, if it has one."""
        if not self._reprompts_ms:
            return NO_REPORTS
        spoken_ms, *rest = self._reprompts_ms
        reports = self.await_input(spoken_ms, rest)
        if rest:
            return reports
        # The document hangs up after this one, unless the caller is pressing keys.
        keys = self._call.dialog.directives.keys
        longest_ms = LONGEST_KEYS_MS if keys.longest is None else keys.longest * keys.end_timeout_ms
        return (CallersTurn(spoken_ms, min(longest_ms, LONGEST_KEYS_MS)),)

    def listening(self) -> Listening | None:
        """Return how a frame is to be listened to while the document surely speaks, or None for the usual way."""
        from_ms, until_ms = self._speaks
        now_ms = self._call.now_ms
        if now_ms >= until_ms or not self._call.may_interrupt:
            return None
        onset_ms = self._call.rules.barge_in_ms if now_ms >= from_ms + UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS)

    def interrupt(self) -> Reports:
        """Stop the document if it surely speaks, and the caller may interrupt it."""
        call, now_ms = self._call, self._call.now_ms
        if not (self._speaks[0] + UNINTERRUPTED_MS <= now_ms < self._speaks[1] and call.may_interrupt):
            return NO_REPORTS
        call.note("info", "barged-in", heard_ms=now_ms - self._speaks[0])
        self._update(self._document([]))  # an update without words stops <Say>
        self._speaks = (0, 0)
        return (SpeaksUntil(now_ms),)

    def speak(
        self, messages: Sequence[Message], speaking_turn: int | None = None, *, to_synthesize: Sequence[Message] = ()
    ) -> Reports:
        """Have Twilio say `messages` by a document, which hands the call over if the process leaves."""
        call = self._call
        has_pending = call.turns.has_pending
        # A protected prompt is heard here: the next stream would not know of it.
        moves = call.is_leaving and call.turns.is_idle and not call.is_deaf
        opening = carried_along.next_opening(call) if moves else None
        document = self._document(messages, opening, None if has_pending else self._reprompts())
        self._update(document, hands_over=opening is not None)
        speaks = SpeaksUntil(call.now_ms + document.spoken_ms)
        if has_pending:
            self._note_speaking(document.spoken_ms)
            return (speaks,)
        if opening:
            return (HandedOver(),)
        return (speaks, *self.await_input(document.spoken_ms, document.reprompts_ms))

    def fill(self) -> Reports:
        """Have Twilio ask the caller to wait."""
        call = self._call
        call.note_filler()
        document = self._document([Message(call.rules.phrases.one_moment)])
        self._update(document)
        return (SpeaksUntil(call.now_ms + document.spoken_ms),)

    def close(self, messages: Sequence[Message], last_words: LastWords, speaking_turn: int | None = None) -> Reports:
        """Send the document that says `messages`, the last of the call, and ends it by `last_words`."""
        self._call.update(last_words.document(self._call.documents, messages))
        return NO_REPORTS

    def tick(self) -> Reports:
        """Replace a document that would soon ask a caller again who is not silent."""
        # The document would soon ask the caller again, but they are speaking, or wait for Lex.
        call = self._call
        is_due = self._reprompts_ms and call.now_ms >= self._replace_by_ms
        if is_due and call.state is CallState.LIVE and not call.turns.is_idle:
            self._update(self._document([]))
        return NO_REPORTS

    def next_due_ms(self) -> int | None:
        """Return the media time at which the document is replaced, or None if it need not be."""
        return self._replace_by_ms if self._reprompts_ms and not self._call.turns.is_idle else None

    def end(self) -> None:
        """Do nothing: Twilio goes on with the document."""

    def _document(
        self, messages: Sequence[Message], opening: Opening | None = None, reprompts: Reprompts | None = None
    ) -> Document:
        call, directives = self._call, self._call.dialog.directives
        longer_s = max(0, math.ceil(call.no_input_ms / 1000 - call.rules.no_input_s))
        return call.documents.reply(
            messages,
            call.stream.stream_sid,
            opening,
            directives.voice,
            directives.keys,
            reprompts,
            longer_s,
            carried_along.query(call),
            is_protected=call.is_deaf,
        )

    def _update(self, document: Document, hands_over: bool = False) -> None:
        self._reprompts_ms = ()  # those of the document before
        self._call.update(document, hands_over)

    def _reprompts(self) -> Reprompts | None:
        """Build what a silent caller hears, if they were asked for keys."""
        call = self._call
        if not call.dialog.directives.asks_for_keys and call.dialog.expected is not Expected.DIGITS:
            return None
        return Reprompts(
            Message(call.rules.phrases.not_heard),
            call.dialog.last_prompt or (),
            math.ceil(call.no_input_ms / 1000),
            max(0, call.dialog.no_input_limit(call.rules) - call.no_inputs),
        )

    def _note_speaking(self, ms: int) -> None:
        now_ms = self._call.now_ms
        self._speaks = (now_ms, now_ms + round(ms * SURELY_SPEAKING))
