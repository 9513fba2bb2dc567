"""A call's audio as a stereo wav file: the caller on the left, the bot on the right, in the time they were heard."""

import audioop  # the standard library's until 3.12, the package audioop-lts from 3.13
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from lexbridge.audio.pcm import MULAW_BYTES_PER_MS, MULAW_SILENCE, RATE_HZ
from lexbridge.observer.calls.call_record import CallRecord

SLICE_MS = 10_000
"""Audio that is put together in one go, milliseconds: 0.3 MB."""

MAX_WAV_MS = 4 * 3600 * 1000
"""Longest wav file, milliseconds, because its length is told in 32 bits, and browsers keep all of it in memory."""

_MULAW_CODE, _PCM_CODE = 7, 1


@dataclass(frozen=True, slots=True)
class WavPlan:
    """Extent of a wav file: from when on, and how long it is."""

    began_s: float
    """Unix time of the first sample."""
    length_ms: int

    def size_bytes(self, *, is_mulaw: bool) -> int:
        """Return the length of the whole file."""
        return len(_head(self, is_mulaw)) + self.length_ms * MULAW_BYTES_PER_MS * 2 * (1 if is_mulaw else 2)


def plan_wav(record: CallRecord, longest_ms: int = MAX_WAV_MS) -> WavPlan | None:
    """Return what a file of the call's audio is to hold, or None if none was kept."""
    spans = [
        (record.streams[stream_sid].began_s + run.start_ms / 1000, run.end_ms - run.start_ms)
        for (stream_sid, _), track in record.tracks.items()
        for run in track.runs
    ]
    if not spans:
        return None
    began_s = min(start for start, _ in spans)
    end_s = max(start + ms / 1000 for start, ms in spans)
    return WavPlan(began_s, min(longest_ms, round((end_s - began_s) * 1000)))


def wav_slices(record: CallRecord, plan: WavPlan, *, is_mulaw: bool = False) -> Iterator[bytes]:
    """Yield the file: its head, then slices. `is_mulaw`: half the size, for what is no browser."""
    yield _head(plan, is_mulaw)
    for start_ms in range(0, plan.length_ms, SLICE_MS):
        ms = min(SLICE_MS, plan.length_ms - start_ms)
        left, right = (_slice(record, plan.began_s, name, start_ms, ms) for name in ("caller", "bot"))
        if is_mulaw:
            both = bytearray(2 * len(left))
            both[0::2], both[1::2] = left, right
            yield bytes(both)
        else:
            apart = audioop.tostereo(audioop.ulaw2lin(left, 2), 2, 1, 0)
            yield audioop.add(apart, audioop.tostereo(audioop.ulaw2lin(right, 2), 2, 0, 1), 2)


def _slice(record: CallRecord, began_s: float, name: str, start_ms: int, ms: int) -> bytes:
    """Return `ms` of one side from `start_ms` of the file on, as mu-law."""
    out = bytearray(MULAW_SILENCE * (ms * MULAW_BYTES_PER_MS))
    for (stream_sid, track_name), track in record.tracks.items():
        if track_name != name:
            continue
        offset_ms = round((record.streams[stream_sid].began_s - began_s) * 1000)  # of the stream in the file
        for at_ms, mulaw in track.between(start_ms - offset_ms, start_ms + ms - offset_ms):
            at = (at_ms + offset_ms - start_ms) * MULAW_BYTES_PER_MS
            out[at : at + len(mulaw)] = mulaw[: len(out) - at]
    return bytes(out)


def _head(plan: WavPlan, is_mulaw: bool) -> bytes:
    code, sample_bytes = (_MULAW_CODE, 1) if is_mulaw else (_PCM_CODE, 2)
    frame_bytes = 2 * sample_bytes
    size = plan.length_ms * MULAW_BYTES_PER_MS * frame_bytes
    fmt = struct.pack("<HHIIHH", code, 2, RATE_HZ, RATE_HZ * frame_bytes, frame_bytes, 8 * sample_bytes)
    return b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + _size(size)


def _size(size: int) -> bytes:
    return struct.pack("<I", size)


def read_mulaw_wav(content: bytes) -> tuple[bytes, bytes]:
    """Return both sides of a stereo mu-law file, as `wav_slices` and the recorder make them. Raises ValueError."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise ValueError("its audio is no wav file of lexbridge's")
    at, told = 12, b""
    while at + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        inside = content[at + 8 : at + 8 + size]
        if name == b"fmt ":
            told = inside[:8]
        elif name == b"data" and told != struct.pack("<HHI", _MULAW_CODE, 2, RATE_HZ):
            raise ValueError("its audio is not 8 kHz stereo mu-law")
        elif name == b"data":
            return inside[0::2], inside[1::2]
        at += 8 + size + size % 2
    raise ValueError("its audio is no wav file of lexbridge's")
