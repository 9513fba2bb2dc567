"""Facts: all that a worker tells the observer process about its calls.

A fact is either an event (a line of the log, or a step of a call that the log does not have) or a piece of audio.
What a caller or a bot said stands in `words` alone, apart from `fields`, so it is easy to leave out.
"""

from typing import Any, Literal

import msgspec

Track = Literal["caller", "bot"]
"""Voice of a piece of audio: the caller's or the bot's."""


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Something that happened to a call, or to a worker.

    `name`: the event of a log line (docs/log.md has them), or one of STEPS. `fields` are those of the line: nothing in
    it is private. `words`: what was said, the keys, and the documents that hold them.
    """

    at_s: float
    """Unix time."""
    call_sid: str
    """The call, or "" if it happened to the worker as a whole."""
    stream_sid: str
    """The media stream, or "" before one has started."""
    media_ms: int
    """Media time of the stream, milliseconds; -1 where it is not known."""
    level: str
    """The level of the line: "debug", "info", "warning" or "error"."""
    name: str
    fields: dict[str, Any]
    words: dict[str, Any] = {}


class Audio(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A piece of audio of one track of a call: mu-law, 8 kHz.

    The caller's is told as it is heard, with `media_ms` as the media time of its first sample. The bot's is told when
    it is sent to Twilio, which plays it after all that was sent before.
    """

    at_s: float
    """Unix time at which it came, or was sent."""
    call_sid: str
    stream_sid: str
    media_ms: int
    track: Track
    mulaw: bytes


class Follow(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Request of the observer to a worker: the audio of these calls, or of all. It replaces the one before."""

    call_sids: list[str]
    all_calls: bool = False


Fact = Event | Audio

STEPS: dict[str, str] = {
    "call-described": "Twilio's webhook has told of a new call. fields: caller, called (both masked), line, "
    "line_bot, line_locale (as in docs/log.md).",
    "stream-described": "The stream is served from now on. fields: mode (the reply mode), pid, line, line_bot, "
    "line_locale.",
    "utterance-opened": "A request to Lex was opened while the caller speaks. fields: turn, started_ms (media time at "
    "which its audio begins, the pre-roll included).",
    "utterance-closed": "The utterance is complete: Lex has all of it. fields: turn.",
    "utterance-cancelled": "The request was broken off. fields: turn.",
    "lex-asked": "Lex was asked something without audio. fields: turn, how (keys, welcome, speech). words: keys.",
    "lex-answered": "Lex's answer. fields: turn, dialog_state, intent, slot_to_elicit, speaks. words: transcript, "
    "messages (a list), slots (name: value or None), session_attributes, raw (the answer as Lex gave it).",
    "lex-failed": "Lex gave no answer. fields: turn, error.",
    "update-made": "A document for the live call. fields: number, hands_over. words: twiml.",
    "key-pressed": "The caller pressed a key (stream mode). words: key.",
    "mark-sent": "Twilio was asked to send a mark back. fields: name.",
    "mark-returned": "Twilio sent it back: all audio before it was played, or cleared. fields: name.",
    "audio-cleared": "Twilio was asked to drop the audio that it has not played yet.",
    "worker-reports": "Once a second, of a worker. fields: pid, slot, state, live_calls, lag_ms, busy_percent, "
    "memory_mb, lines_generation, dropped (facts that it could not tell so far).",
    "worker-ended": "The worker is gone. The supervisor tells it. fields: pid, slot.",
    "service-stopping": "The service was told to end. The supervisor tells it.",
}
"""Events that are no lines of the log, with their fields."""
