"""The bot is heard by documents: each answer is an update of the call, by which Twilio speaks.

How long Twilio speaks is an estimate, and nobody tells when it is done. The stream is one-way, and outlives its
documents.
"""

from collections.abc import Sequence

from lexbridge.call_state import Call
from lexbridge.dialog import Message
from lexbridge.endpointing import Listening
from lexbridge.reply_mode import PAUSE_WITHIN_ONSET_MS, UNINTERRUPTED_MS, LastWords
from lexbridge.twiml import speaking_ms

SURELY_SPEAKING = 0.6
"""Share of the estimated length of a `<Say>` in which it is surely still heard. After it a short "yes" may be the
answer to it, and is taken for one."""


class CallUpdateMode:
    """See ReplyMode."""

    hears_keys = False
    recalls_at_once = False
    stops_stream = True
    is_finishing = False
    may_ask_again = True

    def __init__(self, call: Call) -> None:
        self._call = call
        self._said = (0, 0)  # from when to when the last document surely speaks

    def greeted(self) -> None:
        """See ReplyMode. GREETING is no answer of the bot's: who speaks during it is heard at once, and it goes on."""
        self._call.await_input(speaking_ms(self._call.settings.greeting))

    def await_input(self, after_ms: int = 0) -> None:
        """See ReplyMode."""
        self._says_for(after_ms)
        self._call.await_input(after_ms)

    def listening(self) -> Listening | None:
        """See ReplyMode."""
        from_ms, until_ms = self._said
        now_ms = self._call.now_ms
        if now_ms >= until_ms or not self._call.may_interrupt:
            return None
        onset_ms = self._call.settings.barge_in_ms if now_ms >= from_ms + UNINTERRUPTED_MS else None
        return Listening(onset_ms, PAUSE_WITHIN_ONSET_MS)

    def interrupt(self) -> None:
        """See ReplyMode. An update without words stops `<Say>`."""
        call, now_ms = self._call, self._call.now_ms
        if not (self._said[0] + UNINTERRUPTED_MS <= now_ms < self._said[1] and call.may_interrupt):
            return
        call.note("info", "barged-in", heard_ms=now_ms - self._said[0])
        call.update(call.documents.reply([], call.stream.stream_sid, keys=call.directives.keys))
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
        call, directives = self._call, self._call.directives
        is_waiting = call.turns.has_more
        opening = call.opening() if call.is_leaving and call.turns.is_idle else None
        document = call.documents.reply(messages, call.stream.stream_sid, opening, directives.voice, directives.keys)
        call.update(document, hands_over=opening is not None)
        if is_waiting:
            call.quiet_from_ms = call.now_ms + document.spoken_ms
            self._says_for(document.spoken_ms)
        elif opening:
            call.leave()
        else:
            call.quiet_from_ms = 0
            self.await_input(document.spoken_ms)

    def is_unheard(self, turn: int) -> bool:
        """See ReplyMode. The document goes out with the answer."""
        return False

    def withhold(self, turn: int, messages: Sequence[Message]) -> None:
        """See ReplyMode. No document is made."""

    def forget_withheld(self) -> None:
        """See ReplyMode."""

    def fill(self) -> None:
        """See ReplyMode."""
        call, directives = self._call, self._call.directives
        words = [Message(call.settings.sentences.one_moment)]
        document = call.documents.reply(words, call.stream.stream_sid, voice=directives.voice, keys=directives.keys)
        call.update(document)
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
        """See ReplyMode."""

    def end(self) -> None:
        """See ReplyMode."""

    def _says_for(self, ms: int) -> None:
        now_ms = self._call.now_ms
        self._said = (now_ms, now_ms + round(ms * SURELY_SPEAKING))
