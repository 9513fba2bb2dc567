"""The state of a call: live, ended or lost, and who speaks, as far as the facts tell it.

A call is live while one of its streams is. After the last one ended it may go on over another: it stays live for a
while, unless a fact says that the call is over.
"""

from collections.abc import Mapping
from typing import Literal

from lexbridge.observer.watched.call_facts import NO_STREAM, NOTHING_MORE, CallFacts
from lexbridge.observer.watched.call_turns import LOST_WITH_WORKER
from lexbridge.observer.watched.values import text
from lexbridge.telemetry.facts import Event

WITHOUT_STREAM_S = 20.0
"""Time without a stream, seconds, after which a call is over, because Twilio brings the next stream within a few."""

SILENT_S = 900.0
"""Time without any fact, seconds, after which a call is lost, because a silent caller is asked again each 10 s."""

SPOKEN_CHARACTER_S = 0.065
"""Time that a character of the bot's words takes, seconds, because nobody tells when Twilio has spoken a document."""

UNKNOWN_WORDS_S = 4.0
"""Assumed length of a document whose words are not known, seconds: a sentence."""

MAX_MARKS = 100
"""Most marks that are waited for, because a prompt has a few."""

StateName = Literal["live", "ended", "lost"]

_SPEAKS: Mapping[str, str | None] = {
    "utterance-opened": "caller",
    "key-pressed": "caller",
    "utterance-closed": "lex",
    "utterance-ended": "lex",
    "lex-asked": "lex",
    "utterance-cancelled": None,
    "utterance-dropped": None,
    "false-alarm": None,
    "call-updated": "bot",
    "prompt-audible": "bot",
}
"""Who speaks, or works, after an event."""


class CallState:
    """The state of one call. It goes by the times of the facts, and has no clock of its own."""

    __slots__ = (
        "_bot_until_s",
        "_characters",
        "_facts",
        "_heard_s",
        "_marks",
        "_speaking",
        "_streams",
        "ended_by",
        "ended_s",
        "is_lost",
        "why",
    )

    def __init__(self, facts: CallFacts) -> None:
        self._facts = facts
        self.ended_s: float | None = None
        self.ended_by: str | None = None
        self.why: str | None = None
        self.is_lost = False
        self._heard_s = facts.began_s
        self._speaking: str | None = None
        self._bot_until_s: float | None = None  # None: a mark tells
        self._characters = 0
        self._streams = 0  # those that had begun at the last event
        self._marks: set[str | None] = set()  # those that Twilio has not sent back yet

    @property
    def name(self) -> StateName:
        """The state's name."""
        if self.ended_s is None:
            return "live"
        return "lost" if self.is_lost else "ended"

    def speaking(self, now_s: float) -> str | None:
        """Return who speaks: "caller", "bot" or None; or "lex" while Lex works."""
        if self.ended_s is not None or (self._bot_until_s is not None and now_s > self._bot_until_s):
            return None
        return self._speaking

    def heard_at(self, at_s: float) -> None:
        """Note that a fact of this time came."""
        self._heard_s = max(self._heard_s, at_s)

    def end(self, at_s: float, ended_by: str | None, why: str | None, *, is_lost: bool = False) -> None:
        """End the call. `is_lost`: nobody knows how it went on."""
        self.ended_s, self.ended_by, self.why, self.is_lost = at_s, ended_by, why, is_lost

    def take(self, event: Event) -> None:
        """Take in an event of the call, after its facts have."""
        self.heard_at(event.at_s)
        self._note_speaker(event)
        facts = self._facts
        if facts.has_live_stream or len(facts.streams) > self._streams:  # the call goes on, whatever was thought before
            self.ended_s = self.ended_by = self.why = None
            self.is_lost = False
        self._streams = len(facts.streams)
        is_live = facts.has_live_stream
        if not is_live and facts.ended_s is not None and (facts.is_over or facts.why == LOST_WITH_WORKER):
            self.end(facts.ended_s, facts.ended_by, facts.logged_why, is_lost=facts.why == LOST_WITH_WORKER)

    def settle(self, now_s: float) -> bool:
        """End a call that has had no stream, or no fact at all, for too long. Return whether it ended."""
        if self.ended_s is not None:
            return False
        facts = self._facts
        without_stream_s = max((one.ended_s or 0 for one in facts.streams.values()), default=facts.began_s)
        if facts.has_live_stream:
            if now_s - self._heard_s > (WITHOUT_STREAM_S if facts.is_over else SILENT_S):
                self.end(self._heard_s, facts.ended_by, facts.why or NOTHING_MORE, is_lost=not facts.is_over)
        elif now_s - max(without_stream_s, self._heard_s) > WITHOUT_STREAM_S:
            if facts.ended_s is None:
                self.end(without_stream_s, None, NOTHING_MORE if facts.streams else NO_STREAM, is_lost=True)
            else:
                self.end(facts.ended_s, facts.ended_by, facts.logged_why)
        return self.ended_s is not None

    def _note_speaker(self, event: Event) -> None:
        if event.name == "lex-answered":
            messages = event.words.get("messages")
            self._characters = sum(len(str(one)) for one in messages) if isinstance(messages, list) else 0
        if event.name in ("mark-sent", "mark-returned"):
            self._note_mark(event)
        if event.name not in _SPEAKS:
            return
        self._speaking, self._bot_until_s = _SPEAKS[event.name], None
        if event.name == "call-updated":
            words_s = self._characters * SPOKEN_CHARACTER_S if self._characters else UNKNOWN_WORDS_S
            self._bot_until_s = event.at_s + words_s

    def _note_mark(self, event: Event) -> None:
        """Note a mark in the bot's audio: when the last one has come back, the bot has spoken."""
        name = text(event.fields, "name")
        if event.name == "mark-sent":
            if len(self._marks) < MAX_MARKS:
                self._marks.add(name)
            return
        self._marks.discard(name)
        if not self._marks and self._speaking == "bot":
            self._speaking = None
