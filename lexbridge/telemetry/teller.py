"""Telling of a process to the observer: the lines of its log, and what its calls tell of themselves."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

from lexbridge.telemetry.channel import FactSender
from lexbridge.telemetry.facts import Audio, Event, Track

_OWN_FIELDS = ("call_sid", "stream_sid", "exc_info")
"""Fields of a line that an Event has elsewhere, or that only the writer of the log understands."""


class FollowedStream(Protocol):
    """One media stream of this process, whose audio may be asked for."""

    call_sid: str
    stream_sid: str
    is_followed: bool
    """Whether its audio is told."""

    @property
    def media_ms(self) -> int:
        """Media time so far, milliseconds."""

    def tell_audio(self) -> None:
        """Tell the audio that has come since the last time."""


class Teller:
    """The teller of one process. No method blocks or raises."""

    def __init__(self, sender: FactSender) -> None:
        self._sender = sender
        self._streams: dict[str, FollowedStream] = {}  # by StreamSid
        self._followed: frozenset[str] = frozenset()
        self._are_all_followed = False

    @property
    def dropped(self) -> int:
        """The number of facts so far that the observer will never hear of."""
        return self._sender.dropped

    def line_logged(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """Tell of a line of the log. Any thread may call this."""
        call_sid, stream_sid = fields.get("call_sid") or "", fields.get("stream_sid") or ""
        told = {name: value for name, value in fields.items() if name not in _OWN_FIELDS}
        stream = self._streams.get(stream_sid)
        media_ms = -1 if stream is None else stream.media_ms
        self._sender.add(Event(time.time(), call_sid, stream_sid, media_ms, level, event, told))

    def tell(
        self,
        name: str,
        fields: Mapping[str, Any] | None = None,
        words: Mapping[str, Any] | None = None,
        *,
        call_sid: str = "",
        stream_sid: str = "",
        media_ms: int = -1,
    ) -> None:
        """Tell of a step, one of `facts.STEPS`."""
        event = Event(time.time(), call_sid, stream_sid, media_ms, "debug", name, dict(fields or {}), dict(words or {}))
        self._sender.add(event)

    def tell_audio(self, call_sid: str, stream_sid: str, media_ms: int, track: Track, mulaw: bytes) -> None:
        """Tell a piece of audio."""
        self._sender.add(Audio(time.time(), call_sid, stream_sid, media_ms, track, mulaw))

    def add_stream(self, stream: FollowedStream) -> None:
        """Add a stream that has started."""
        self._streams[stream.stream_sid] = stream
        stream.is_followed = self._follows(stream)

    def remove_stream(self, stream: FollowedStream) -> None:
        """Remove a stream that has ended."""
        stream.is_followed = False
        if self._streams.get(stream.stream_sid) is stream:
            del self._streams[stream.stream_sid]

    def flush(self) -> None:
        """Send what was told, and do what the observer asks for. This is to be called several times a second."""
        if (asked := self._sender.asked()) is not None:
            self._followed, self._are_all_followed = frozenset(asked.call_sids), asked.all_calls
            for stream in self._streams.values():
                stream.is_followed = self._follows(stream)
        for stream in self._streams.values():
            stream.tell_audio()
        self._sender.flush()

    def _follows(self, stream: FollowedStream) -> bool:
        return self._are_all_followed or stream.call_sid in self._followed
