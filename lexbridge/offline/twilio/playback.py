"""Playback of a two-way stream: the media, marks and clears of the bridge, on their way to the caller's ear.

Pure but for the line it plays on. Twilio's rules: https://www.twilio.com/docs/voice/media-streams/websocket-messages .
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lexbridge.audio.pcm import FRAME_MS, RATE_HZ
from lexbridge.offline.twilio.events import Event, MarkReturned, MediaBegan, MessageSent


@dataclass(slots=True, eq=False)
class SentAudio:
    """Audio that the bridge sent, up to its mark. Times are the events' monotonic seconds, or None.

    Audio after the last mark has no mark; a mark alone has no audio.

    heard_from_ms, heard_to_ms: the time on the line in which the caller heard the audio, with silence where the bridge
    sent too slowly. cleared_s: a `clear` came before all of the audio was played.
    """

    stream_sid: str
    first_media_s: float | None = None
    last_media_s: float | None = None
    sent_bytes: int = 0
    heard_bytes: int = 0
    heard_from_ms: int | None = None
    heard_to_ms: int | None = None
    mark: str = ""
    mark_sent_s: float | None = None
    mark_returned_s: float | None = None
    cleared_s: float | None = None

    @property
    def sent_ms(self) -> float:
        """Length of the sent audio in ms."""
        return self.sent_bytes * 1000 / RATE_HZ

    @property
    def heard_ms(self) -> float:
        """Length of the audio that the caller heard, in ms."""
        return self.heard_bytes * 1000 / RATE_HZ


class Loudspeaker(Protocol):
    """The part of the line that playback needs."""

    def feed(self, mulaw: bytes, heard: Callable[[int, int], None]) -> None:
        """Play after the audio that was fed before. `heard` gets each frame's end on the line in ms, and its bytes."""
        ...

    def mark(self, played: Callable[[], None]) -> None:
        """Calls `played` when all before was played, or cleared."""
        ...

    def clear(self) -> None:
        """Drop audio that has not been played."""
        ...


class Playback:
    """One two-way stream's audio. `sent` gets a SentAudio for each mark; `returned` sends a mark back to the bridge."""

    def __init__(
        self,
        line: Loudspeaker,
        stream_sid: str,
        sent: list[SentAudio],
        record: Callable[[Event], None],
        now_s: Callable[[], float],
        returned: Callable[[str], None],
    ) -> None:
        self._line = line
        self._stream_sid = stream_sid
        self._sent = sent
        self._record = record
        self._now_s = now_s
        self._returned = returned
        self._open: SentAudio | None = None  # no mark has come for it yet
        self._pending: list[SentAudio] = []  # not all of it played yet, or not known to be

    def media(self, mulaw: bytes) -> None:
        """Audio to play, of any length."""
        audio, now_s = self._current(), self._now_s()
        if audio.first_media_s is None:
            audio.first_media_s = now_s
            self._record(MediaBegan(now_s, self._stream_sid))
        audio.last_media_s = now_s
        audio.sent_bytes += len(mulaw)

        def heard(end_ms: int, length: int) -> None:
            """Note that `length` more bytes have been played, until `end_ms` on the line."""
            if audio.heard_from_ms is None:
                audio.heard_from_ms = end_ms - FRAME_MS
            audio.heard_to_ms = end_ms
            audio.heard_bytes += length

        self._line.feed(mulaw, heard)

    def mark(self, name: str) -> None:
        """Take a mark, which comes back when the audio before it has been played or cleared; at once without audio."""
        audio = self._current()
        self._open = None
        audio.mark, audio.mark_sent_s = name, self._now_s()
        self._record(MessageSent(audio.mark_sent_s, "mark", name))

        def played() -> None:
            """The mark goes back."""
            audio.mark_returned_s = self._now_s()
            if audio in self._pending:
                self._pending.remove(audio)
            self._record(MarkReturned(audio.mark_returned_s, name, cleared=audio.cleared_s is not None))
            self._returned(name)

        self._line.mark(played)

    def clear(self) -> None:
        """Drop audio that has not been played, and send back the marks that wait for it."""
        now_s = self._now_s()
        unheard_bytes = sum(audio.sent_bytes - audio.heard_bytes for audio in self._pending)
        for audio in self._pending:
            if audio.heard_bytes < audio.sent_bytes or audio.mark_sent_s is not None:
                audio.cleared_s = now_s
        self._record(MessageSent(now_s, "clear", dropped_ms=unheard_bytes * 1000 // RATE_HZ))
        self._open = None
        self._line.clear()
        self._pending.clear()

    def _current(self) -> SentAudio:
        if self._open is None:
            self._open = SentAudio(self._stream_sid)
            self._sent.append(self._open)
            self._pending.append(self._open)
        return self._open
