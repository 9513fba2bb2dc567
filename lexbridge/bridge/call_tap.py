"""The tap of a live call: what the observer is told of it besides its log lines.

It tells what Lex was asked and what it answered, documents, keys and marks, all with their words, because the observer
may show them. It tells audio only while the observer follows the call.
"""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS
from lexbridge.call.actions import (
    Action,
    BeginDialog,
    CancelUtterance,
    ClearAudio,
    CloseUtterance,
    OpenUtterance,
    SendAudio,
    SendKeys,
    SendMark,
    StreamOutput,
    SynthesizeSpeech,
    UpdateCall,
)
from lexbridge.call.events import CallEvent, Dtmf, LexFailed, LexReplied, Mark, Media, Started, StreamEvent
from lexbridge.call.session import CallSession
from lexbridge.lex.answer_parts import AnswerParts
from lexbridge.lex.model import Reply
from lexbridge.lex.v2 import INTERPRETATIONS
from lexbridge.logs import RateLimitedLog
from lexbridge.telemetry.teller import Teller
from lexbridge.twilio.media_messages import parse

MAX_TOLD_BYTES = 8000
"""The most audio of the caller in one piece, in bytes, because a network that stalls may bring much at once."""

_Tells = TypeVar("_Tells", bound=Callable[..., None])

_faults = RateLimitedLog("telling-fault")


def _harmless(tell: _Tells) -> _Tells:
    """Return `tell` so that a bug in it is logged, because it must not end the call."""

    @wraps(tell)
    def guarded(*arguments: Any, **named: Any) -> None:
        try:
            tell(*arguments, **named)
        except Exception as error:
            _faults.count("call", {"error": type(error).__name__})

    return cast("_Tells", guarded)


class CallTap:
    """The tap of one call's stream."""

    __slots__ = (
        "_audio",
        "_audio_from_ms",
        "_origin_ms",
        "_session",
        "_teller",
        "call_sid",
        "is_followed",
        "stream_sid",
    )

    def __init__(self, teller: Teller, session: CallSession) -> None:
        self._teller = teller
        self._session = session
        self.stream_sid = ""
        self._audio = bytearray()
        self._audio_from_ms = 0
        self._origin_ms: int | None = None  # the first timestamp: media time begins there
        self.call_sid = ""
        self.is_followed = False

    @property
    def media_ms(self) -> int:
        """Media time of the call, in ms."""
        return self._session.media_ms

    @_harmless
    def stream_served(self, started: Started, mode: str, line: Mapping[str, str]) -> None:
        """Begin to tell of the stream that has started. `line`: the line that serves it, as fields of a log line."""
        self.call_sid, self.stream_sid = started.call_sid, started.stream_sid
        self._teller.add_stream(self)
        self._tell("stream-described", {"mode": mode, "pid": os.getpid(), **line})

    @_harmless
    def stream_ended(self) -> None:
        """Tell no more of the stream, which has ended."""
        self.tell_audio()
        self._teller.remove_stream(self)

    def parse(self, text: str) -> StreamEvent:
        """Return a message of the media socket as an event, and tell of it. It raises what `media_messages.parse` does.

        It takes the place of that function, because each message passes there.
        """
        event = parse(text)
        if type(event) is not Media or event.is_inbound:
            self._received(event)
        return event

    @_harmless
    def _received(self, event: StreamEvent) -> None:
        match event:
            case Media():
                if self._origin_ms is None:
                    self._origin_ms = int(event.timestamp_ms or 0)
                if self.is_followed:
                    self._heard(event, self._origin_ms)
            case Dtmf():
                self._tell("key-pressed", words={"key": event.digit})
            case Mark():
                self._tell("mark-returned", {"name": event.name})
            case _:
                pass

    @_harmless
    def done(self, action: Action) -> None:
        """Tell of an action of the session that is carried out."""
        match action:
            case OpenUtterance():
                began_ms = self._session.heard_ms - len(action.audio) // MULAW_BYTES_PER_MS
                self._tell("utterance-opened", {"turn": action.turn, "started_ms": max(began_ms, 0)})
            case CloseUtterance():
                self._tell("utterance-closed", {"turn": action.turn})
            case CancelUtterance():
                self._tell("utterance-cancelled", {"turn": action.turn})
            case SendKeys() | BeginDialog() | SynthesizeSpeech():
                self._asked(action)
            case UpdateCall():
                fields = {"number": action.number, "hands_over": action.hands_over}
                self._tell("update-made", fields, {"twiml": action.twiml})
            case SendAudio() | SendMark() | ClearAudio():
                self._sent(action)
            case _:
                pass

    def _asked(self, action: SendKeys | BeginDialog | SynthesizeSpeech) -> None:
        match action:
            case SendKeys():
                self._tell("lex-asked", {"turn": action.turn, "how": "keys"}, {"keys": action.keys})
            case BeginDialog():
                self._tell("lex-asked", {"turn": action.turn, "how": "welcome"})
            case _:
                texts = [message.text for message in action.messages]
                self._tell("lex-asked", {"turn": action.turn, "how": "speech"}, {"messages": texts})

    def _sent(self, output: StreamOutput) -> None:
        match output:
            case SendAudio() if self.is_followed:
                self._teller.tell_audio(self.call_sid, self.stream_sid, self._session.media_ms, "bot", output.mulaw)
            case SendMark():
                self._tell("mark-sent", {"name": output.name})
            case ClearAudio():
                self._tell("audio-cleared")
            case _:
                pass

    @_harmless
    def came(self, event: CallEvent) -> None:
        """Tell of an answer of Lex's."""
        match event:
            case LexReplied():
                self._tell("lex-answered", *_told_of(event.turn, event.reply, event.speaks))
            case LexFailed():
                self._tell("lex-failed", {"turn": event.turn, "error": type(event.error).__name__})
            case _:
                pass

    def tell_audio(self) -> None:
        """Tell the caller's audio that has come since the last time."""
        if self._audio:
            piece, self._audio = bytes(self._audio), bytearray()
            self._teller.tell_audio(self.call_sid, self.stream_sid, self._audio_from_ms, "caller", piece)

    def _heard(self, media: Media, origin_ms: int) -> None:
        now_ms = self._session.media_ms if media.timestamp_ms is None else int(media.timestamp_ms) - origin_ms
        end_ms = self._audio_from_ms + len(self._audio) // MULAW_BYTES_PER_MS
        if self._audio and (now_ms != end_ms or len(self._audio) >= MAX_TOLD_BYTES):
            self.tell_audio()
        if not self._audio:
            self._audio_from_ms = now_ms
        self._audio += media.mulaw

    def _tell(self, name: str, fields: Mapping[str, Any] | None = None, words: Mapping[str, Any] | None = None) -> None:
        self._teller.tell(
            name,
            fields,
            words,
            call_sid=self.call_sid,
            stream_sid=self.stream_sid,
            media_ms=self.media_ms,
        )


def _told_of(turn: int, reply: Reply, speaks: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields and the words of "lex-answered"."""
    fields = {
        "turn": turn,
        "dialog_state": reply.dialog_state.value,
        "intent": reply.intent,
        "slot_to_elicit": reply.slot_to_elicit,
        "speaks": speaks,
    }
    raw = dict(reply.raw)
    if raw.get(INTERPRETATIONS) is not None:
        raw[INTERPRETATIONS] = AnswerParts().packed(raw[INTERPRETATIONS], INTERPRETATIONS)
    words = {
        "transcript": reply.transcript,
        "messages": [message.text for message in reply.messages],
        "slots": dict(reply.slots),
        "session_attributes": dict(reply.session_attributes),
        "raw": raw,
    }
    return fields, words
