"""The state of a call: live, ended or lost, and who speaks, as far as the facts tell it.

A call is live while one of its streams is. After the last one ended it may go on over another: it stays live for a
while, unless a fact says that the call is over.
"""

from collections.abc import Mapping
from typing import Literal

from lexbridge.observer.calls.values import text
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
        "_heard_s",
        "_left_why",
        "_marks",
        "_open",
        "_speaking",
        "_without_stream_s",
        "ended_by",
        "ended_s",
        "is_lost",
        "why",
    )

    def __init__(self, began_s: float) -> None:
        self.ended_s: float | None = None
        self.ended_by: str | None = None
        self.why: str | None = None
        self.is_lost = False
        self._open: set[str] = set()
        self._heard_s = began_s
        self._without_stream_s = began_s  # when the last stream ended, or the call began
        self._left_why: str | None = None
        self._speaking: str | None = None
        self._bot_until_s: float | None = None  # None: a mark tells
        self._characters = 0
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

    def stream_began(self, stream_sid: str, at_s: float) -> None:
        """Note a stream that was not known. The call goes on with it, whatever was thought before."""
        self._open.add(stream_sid)
        self._reopen()
        self.heard_at(at_s)

    def stream_lost(self, stream_sid: str, at_s: float) -> None:
        """Note that a stream ended with its worker. Without another one the call is lost, until one comes."""
        self._close(stream_sid, at_s)
        if not self._open and self.ended_s is None:
            self.end(at_s, None, "its worker ended", is_lost=True)

    def end(self, at_s: float, ended_by: str | None, why: str | None, *, is_lost: bool = False) -> None:
        """End the call. `is_lost`: nobody knows how it went on."""
        self.ended_s, self.ended_by, self.why, self.is_lost = at_s, ended_by, why, is_lost

    def take(self, event: Event, has_stream: bool) -> None:
        """Take in an event of the call. `has_stream`: whether it belongs to a known stream."""
        self.heard_at(event.at_s)
        if has_stream and event.name in ("stream-ended", "call-left", "call-ended"):
            self._close(event.stream_sid, event.at_s)
        match event.name:
            case "call-ended":
                self._open.clear()
                self.end(event.at_s, text(event.fields, "ended_by"), text(event.fields, "why"))
            case "call-left":
                self._left_why = text(event.fields, "why")
            case "call-refused" if not self._open:
                self.end(event.at_s, "lexbridge", f"refused: {text(event.fields, 'why')}")
            case _:
                self._note_speaker(event)

    def settle(self, now_s: float) -> bool:
        """End a call that has had no stream, or no fact at all, for too long. Return whether it ended."""
        if self.ended_s is not None:
            return False
        if self._open:
            if now_s - self._heard_s > SILENT_S:
                self._open.clear()
                self.end(self._heard_s, None, f"nothing was heard of it for {SILENT_S:.0f} s", is_lost=True)
        elif now_s - max(self._without_stream_s, self._heard_s) > WITHOUT_STREAM_S:
            if self._left_why is None:
                self.end(self._without_stream_s, None, "no media stream came", is_lost=True)
            else:
                self.end(self._without_stream_s, "caller", self._left_why)
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

    def _close(self, stream_sid: str, at_s: float) -> None:
        self._open.discard(stream_sid)
        self._without_stream_s = max(self._without_stream_s, at_s)

    def _reopen(self) -> None:
        self.ended_s = self.ended_by = self.why = self._left_why = None
        self.is_lost = False
