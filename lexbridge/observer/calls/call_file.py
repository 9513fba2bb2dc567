"""A call as one file, which the console and `offline replay` open again: JSON, with the audio in it if it has words.

Without words it has no audio either, because the audio is what was said: so it can be shared.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS
from lexbridge.observer.calls.call_book import LATEST_S
from lexbridge.observer.calls.call_record import MAX_EVENTS, MAX_STREAMS, CallRecord
from lexbridge.observer.calls.call_summary import Stream, Summary
from lexbridge.observer.calls.call_wav import plan_wav, read_mulaw_wav, wav_slices
from lexbridge.observer.calls.kept_audio import MAX_RUNS, Track
from lexbridge.observer.calls.shown_turns import MAX_TURNS
from lexbridge.observer.calls.turn_record import Turn

FORMAT = 1
"""Version of the file's format, which stands in its field `lexbridge_call`."""

MAX_AUDIO_MS = 30 * 60 * 1000
"""Most audio in a file, milliseconds, because half an hour is 38 MB as text."""

MAX_FILE_BYTES = 48 * 1024 * 1024
"""Largest file that is opened, bytes: one with the longest audio and all events."""

MAX_VALUES = 2_000_000
"""Most values in a file that is opened, because each takes memory and time; the longest call has some 200,000."""

MAX_CALL_S = 48 * 3600.0
"""Longest time between the beginning of a call and anything in its file, in seconds: a call lasts a day at most."""

MAX_PIECES = MAX_RUNS * MAX_STREAMS
"""Most pieces of audio of one side that are looked at, because a call has no more."""

_WORDS_OF_TURN: dict[str, Any] = {"transcript": None, "messages": [], "raw": None, "twiml": None, "keys": None}


class _FiledEvent(msgspec.Struct, array_like=True):
    """An event of a call. Files of older versions do not have its place on the call's axis, `x_s`."""

    at_s: float
    stream_sid: str
    media_ms: int
    level: str
    name: str
    fields: dict[str, Any]
    words: dict[str, Any]
    x_s: float | None = None


class CallFileRefused(Exception):
    """The file is no call that can be opened. The message is a sentence for whoever opened it."""


class CallFile(msgspec.Struct):
    """The content of a file."""

    lexbridge_call: int
    summary: Summary
    streams: list[Stream]
    events: list[_FiledEvent]
    turns: list[Turn]
    audio: dict[str, list[list[float]]] = {}
    wav_base64: str | None = None
    wav_began_s: float | None = None
    """Unix time of the first sample of the wav."""


def write_call(record: CallRecord, now_s: float, *, words: bool, give_way: Callable[[], object]) -> bytes:
    """Return the call as a file. `words`: with what was said, and so with the audio. `give_way`: between slices."""
    view = record.view(now_s)
    content: dict[str, Any] = {"lexbridge_call": FORMAT, **view, "wav_base64": None, "wav_began_s": None}
    if not words:
        content["events"] = [_wordless(one) for one in record.events]
        content["turns"] = [_without_words(turn) for turn in record.turns.as_spoken()]
    elif (plan := plan_wav(record, MAX_AUDIO_MS)) is not None:
        wav = bytearray()
        for part in wav_slices(record, plan, is_mulaw=True):
            wav += part
            give_way()
        content |= {"wav_base64": base64.b64encode(wav).decode(), "wav_began_s": plan.began_s}
    return msgspec.json.encode(content)


def read_call(content: bytes, new_sid: str) -> CallRecord:
    """Return the call of a file, under a name of its own. Raises CallFileRefused."""
    # Each value but the first follows one of these. Counted before it is read, because reading is what costs.
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MAX_VALUES:
        raise CallFileRefused(f"the file has more than {MAX_VALUES:,} values, and no call has so many")
    try:
        found = msgspec.json.decode(content, type=CallFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CallFileRefused(f"this is no call of lexbridge's: {error}") from error
    if found.lexbridge_call != FORMAT:
        raise CallFileRefused(f"the file's format is {found.lexbridge_call}, and this console reads {FORMAT}")
    began_s = found.summary.began_s
    if not 0 <= began_s < LATEST_S or any(abs(at_s - began_s) > MAX_CALL_S for at_s in _times_s(found)):
        raise CallFileRefused(
            f"the file has times that lie more than {MAX_CALL_S / 3600:.0f} hours apart, or in no year"
        )
    record = CallRecord(new_sid, began_s)
    record.is_opened = True
    _fill(record, found)
    try:
        _fill_audio(record, found)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise CallFileRefused(f"the file's audio cannot be read: {error}") from error
    return record


def _times_s(found: CallFile) -> Iterator[float]:
    """Yield all times of a file but those of its audio, which finds no place if they are odd."""
    told = [found.summary.ended_s]
    for stream in found.streams:
        told += [stream.began_s, stream.ended_s, stream.x_began_s]
    for event in found.events:
        told += [event.at_s, event.x_s]
    for turn in found.turns:
        told += [turn.began_s, turn.x_s, turn.over_s]
    yield from (at_s for at_s in told if at_s is not None)


def _fill(record: CallRecord, found: CallFile) -> None:
    summary = found.summary
    record.restore(summary)
    record.streams = {one.stream_sid: one for one in found.streams[:MAX_STREAMS]}
    record.turns.all = {(one.stream_sid, one.turn): one for one in found.turns[:MAX_TURNS]}
    record.turn_bytes = len(msgspec.json.encode(list(record.turns.all.values())))
    for event in found.events[-MAX_EVENTS:]:
        encoded = msgspec.json.encode(event)
        record.events.append(encoded)
        record.event_bytes += len(encoded)


def _fill_audio(record: CallRecord, found: CallFile) -> None:
    if found.wav_base64 is None or found.wav_began_s is None:
        return
    sides = read_mulaw_wav(base64.b64decode(found.wav_base64, validate=True))
    for name, mulaw in zip(("caller", "bot"), sides, strict=True):
        room_bytes = len(mulaw)  # a file may name the same audio a million times
        for start_s, seconds, *_ in found.audio.get(name, [])[:MAX_PIECES]:
            stream = _stream_at(record, start_s)
            if stream is None or not 0 < seconds < MAX_AUDIO_MS:
                continue
            first = round((start_s - found.wav_began_s) * 1000) * MULAW_BYTES_PER_MS
            size_bytes = min(room_bytes, round(seconds * 1000) * MULAW_BYTES_PER_MS)
            piece = mulaw[max(0, first) : max(0, first) + size_bytes]
            track = record.tracks.setdefault((stream.stream_sid, name), Track())
            kept_bytes = track.play(round((start_s - stream.began_s) * 1000), piece)
            record.audio_bytes += kept_bytes
            room_bytes -= kept_bytes


def _stream_at(record: CallRecord, at_s: float) -> Stream | None:
    """Return the stream that had begun by then: the one that began last."""
    begun = [one for one in record.streams.values() if one.began_s <= at_s + 0.001]
    return max(begun, key=lambda one: one.began_s, default=None)


def _wordless(encoded: bytes) -> msgspec.Raw:
    event = msgspec.json.decode(encoded)
    return msgspec.Raw(msgspec.json.encode([*event[:6], {}, *event[7:]]))


def _without_words(turn: Turn) -> Turn:
    slots = dict.fromkeys(turn.slots)
    return msgspec.structs.replace(turn, **_WORDS_OF_TURN, slots=slots, attributes_changed={})
