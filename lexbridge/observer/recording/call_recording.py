"""The recording of one call while it is live, and the making of its two files: a stereo WAV, and the time line as JSON.

All of it does file I/O, and runs in one thread of the system. Methods raise OSError.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lexbridge.observer.calls.call_book import CallBook, Limits
from lexbridge.observer.recording.recordings import (
    FACTS_PART,
    JSON,
    JSON_PART,
    WAV,
    WAV_PART,
    create_locked,
    left_by_crash,
)
from lexbridge.observer.recording.stereo_wav import StereoWav, mend
from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.telemetry.facts import Audio, Event

MAX_SPAN_GAP_MS = 60
"""The longest gap between two pieces of audio of one span, in ms, because pieces come a frame or two apart."""

MAX_SPANS = 5000
"""The most spans of one track that the JSON names, because a call of four hours has about 1,000 prompts."""

_Spans = dict[str, list[list[float]]]
"""Where there is audio, for each track: start in Unix time and length, seconds."""

_decode = msgspec.json.Decoder(Event).decode


class CallRecording:
    """The recording of a live call. `facts`: what is known of the call, kept by the owner."""

    def __init__(self, folder: Path, name: str, facts: CallFacts) -> None:
        self.facts = facts
        self.name = name
        self._folder = folder
        self._wav: StereoWav | None = None
        self._wav_began_s = facts.began_s
        self._began_s: dict[str, float] = {}  # by stream: when its media time was 0
        self._played_ms: dict[str, int] = {}  # by stream: where the bot's audio that was sent ends
        self._spans: dict[str, list[list[int]]] = {"caller": [], "bot": []}
        self._lines: list[bytes] = []
        self._file = create_locked(folder / (name + FACTS_PART))

    def take(self, event: Event) -> None:
        """Take in an event. It is written with the next `sync`."""
        self._lines.append(msgspec.json.encode(event) + b"\n")
        if event.name in ("audio-cleared", "call-left", "call-ended", "worker-ended"):
            for stream_sid in self._silenced_by(event):
                self._silence_bot(stream_sid, event.at_s)

    def has_stream_of(self, pid: object) -> bool:
        """Return whether a live stream of the call is served by the worker `pid`."""
        return any(one.worker_pid == pid and one.ended_s is None for one in self.facts.streams.values())

    def take_audio(self, audio: Audio) -> None:
        """Write a piece of audio at its place in time."""
        if self._wav is None:
            self._wav_began_s = self._began(audio)
            self._wav = StereoWav(self._folder / (self.name + WAV_PART))
            self._lines.append(_wav_line(self.facts.call_sid, self._wav_began_s))
        if audio.track == "caller":
            place_ms = round((self._began(audio) - self._wav_began_s) * 1000) + audio.media_ms
        else:
            # Twilio plays it after all that was sent before.
            now_ms = round((audio.at_s - self._wav_began_s) * 1000)
            place_ms = max(now_ms, self._played_ms.get(audio.stream_sid, 0))
            self._played_ms[audio.stream_sid] = place_ms + len(audio.mulaw) // 8
        self._wav.put(audio.track, place_ms, audio.mulaw)
        self._note_span(audio.track, place_ms, len(audio.mulaw) // 8)

    def sync(self) -> None:
        """Write the events that were taken, and the length of the audio."""
        if self._lines:
            lines, self._lines = b"".join(self._lines), []
            os.write(self._file, lines)
        if self._wav is not None:
            self._wav.sync()

    def finish(self) -> None:
        """Make the recording's files out of those of a live call, and close them."""
        try:
            self.sync()
            if self._wav is not None:
                self._wav.close()
                self._wav = None
            finish(self._folder, self.name, self.facts, self._spans_s())
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files as they are. The next start makes a recording of them."""
        if self._wav is not None:
            with suppress(OSError):
                self._wav.close()
            self._wav = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # -- places in time

    def _began(self, audio: Audio) -> float:
        """Return when the media time of a stream was 0."""
        if audio.stream_sid not in self._began_s:
            stream = self.facts.streams.get(audio.stream_sid)
            length_s = len(audio.mulaw) / 8000 if audio.track == "caller" else 0
            came_s = audio.at_s - length_s - audio.media_ms / 1000
            self._began_s[audio.stream_sid] = stream.began_s if stream is not None else came_s
        return self._began_s[audio.stream_sid]

    def _silenced_by(self, event: Event) -> list[str]:
        """Return the streams whose bot is not heard any more: they ended, or Twilio was told to drop the audio."""
        if event.name != "worker-ended":
            return [event.stream_sid]
        pid = event.fields.get("pid")
        return [one.stream_sid for one in self.facts.streams.values() if one.worker_pid == pid]

    def _silence_bot(self, stream_sid: str, at_s: float) -> None:
        played_ms = self._played_ms.pop(stream_sid, None)
        if self._wav is None or played_ms is None:
            return
        at_ms = round((at_s - self._wav_began_s) * 1000)
        self._wav.silence("bot", at_ms, played_ms)
        spans = self._spans["bot"]
        while spans and spans[-1][1] > at_ms:
            if spans[-1][0] < at_ms:
                spans[-1][1] = at_ms
                break
            spans.pop()

    def _note_span(self, track: str, at_ms: int, length_ms: int) -> None:
        spans = self._spans[track]
        if spans and 0 <= at_ms - spans[-1][1] <= MAX_SPAN_GAP_MS:
            spans[-1][1] = at_ms + length_ms
        elif len(spans) < MAX_SPANS:
            spans.append([at_ms, at_ms + length_ms])

    def _spans_s(self) -> _Spans:
        return {
            track: [[self._wav_began_s + start / 1000, (end - start) / 1000] for start, end in spans]
            for track, spans in self._spans.items()
        }


def mend_recording(folder: Path, name: str) -> None:
    """Make a recording of what a crash has left, unless another process still writes it. Raises OSError."""
    with left_by_crash(folder / (name + FACTS_PART)) as is_left:
        if is_left:
            length_ms = mend(folder / (name + WAV_PART)) if (folder / (name + WAV_PART)).exists() else 0
            finish(folder, name, length_s=length_ms / 1000)


def finish(
    folder: Path,
    name: str,
    facts: CallFacts | None = None,
    spans_s: _Spans | None = None,
    length_s: float = 0.0,
) -> None:
    """Make the files of a recording out of those of a live call. Raises OSError.

    `facts`: what is known of how the call ended. `spans_s`: where there is audio; None: that is not known, but that it
    has `length_s`.
    """
    wav_part, facts_part = folder / (name + WAV_PART), folder / (name + FACTS_PART)
    has_wav = wav_part.exists() or (folder / (name + WAV)).exists()
    json_part = folder / (name + JSON_PART)
    with suppress(FileNotFoundError):
        json_part.unlink()
    with os.fdopen(os.open(json_part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        timeline = _timeline(facts_part, facts, spans_s, length_s)
        file.write(msgspec.json.encode({**timeline, "wav": name + WAV if has_wav else None}))
    with suppress(FileNotFoundError):
        wav_part.rename(folder / (name + WAV))
    json_part.rename(folder / (name + JSON))
    with suppress(FileNotFoundError):
        facts_part.unlink()


def _timeline(facts_part: Path, facts: CallFacts | None, spans_s: _Spans | None, length_s: float) -> dict[str, Any]:
    """Return the call as the console has it, made of its events."""
    book = CallBook(Limits(calls=1))
    wav_began_s, last_s = None, 0.0
    for event in _read(facts_part):
        last_s = max(last_s, event.at_s)
        if event.name == _WAV_BEGINS:
            wav_began_s = event.at_s
        else:
            book.take(event)
    book.settle(last_s + 24 * 3600)
    record = next(iter(book.records.values()), None)
    timeline: dict[str, Any] = {"lexbridge_call": 1, "wav_began_s": wav_began_s, "is_complete": facts is not None}
    if record is None:
        return timeline
    timeline |= record.view(last_s)
    if facts is not None:
        summary = timeline["summary"]
        summary.ended_s, summary.ended_by, summary.why = facts.ended_s, facts.ended_by, facts.logged_why
    timeline["summary"].has_audio = wav_began_s is not None
    if spans_s is None:
        whole = [] if wav_began_s is None else [[wav_began_s, length_s]]
        spans_s = {"caller": whole, "bot": whole}
    timeline["audio"] = {**spans_s, "unheard": []}
    return timeline


def _read(facts_part: Path) -> Iterator[Event]:
    """Yield the events of a file. What a crash has torn apart is left out."""
    with suppress(FileNotFoundError), facts_part.open("rb") as file:
        for line in file:
            with suppress(msgspec.MsgspecError):
                yield _decode(line)


_WAV_BEGINS = "wav-begins"
"""The name of a line of a facts file that is no event of the call: it has the time at which the WAV file begins."""


def _wav_line(call_sid: str, began_s: float) -> bytes:
    return msgspec.json.encode(Event(began_s, call_sid, "", -1, "debug", _WAV_BEGINS, {})) + b"\n"
