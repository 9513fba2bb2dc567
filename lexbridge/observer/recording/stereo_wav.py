"""A stereo WAV file of a call: the caller left, the bot right, mu-law at 8 kHz, written at any place at any time.

Mu-law is what Twilio sends and plays: nothing is lost by it or added, and it takes half of the room of linear PCM. The
header is right after each `sync`, so the file can be read while it grows.
"""

import os
import struct
from pathlib import Path

BYTES_PER_MS = 16
"""Bytes of a millisecond of both sides."""

SILENCE = 0xFF
"""The code of a sample of 0 in mu-law. A hole in a file would be a code of 0, which is as loud as can be."""

MAX_MS = 5 * 3600 * 1000
"""The latest place in a file, in ms, because Twilio ends calls after four hours."""

_MULAW, _CHANNELS, _RATE_HZ, _BITS = 7, 2, 8000, 8
_FORMAT = struct.pack("<HHIIHHH", _MULAW, _CHANNELS, _RATE_HZ, _RATE_HZ * _CHANNELS, _CHANNELS, _BITS, 0)
_HEADER_BYTES = 12 + 8 + len(_FORMAT) + 8 + 4 + 8

SIDES = {"caller": 0, "bot": 1}
"""The place of each track in a sample: left and right."""


class StereoWav:
    """The file, open for writing. All methods raise OSError. Places are ms from the beginning of the recording."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._bytes = 0  # of samples
        self._synced_bytes = -1
        try:
            self.sync()
        except OSError:
            os.close(self._file)
            raise

    @property
    def length_ms(self) -> int:
        """Length of what was written."""
        return self._bytes // BYTES_PER_MS

    def put(self, track: str, at_ms: int, mulaw: bytes) -> int:
        """Write audio of one side, over what is there. Return how many bytes of it have a place."""
        if not 0 <= at_ms < MAX_MS:
            return 0
        first = at_ms * BYTES_PER_MS
        last = first + 2 * len(mulaw)
        self._fill_to(first)
        kept = (
            os.pread(self._file, min(last, self._bytes) - first, _HEADER_BYTES + first) if first < self._bytes else b""
        )
        both = bytearray(kept) + bytes([SILENCE]) * (last - first - len(kept))
        both[SIDES[track] :: 2] = mulaw
        self._write(first, both)
        return len(mulaw)

    def silence(self, track: str, from_ms: int, to_ms: int) -> None:
        """Write silence over one side, as far as there is anything."""
        to_ms = min(to_ms, self.length_ms)
        if 0 <= from_ms < to_ms:
            self.put(track, from_ms, bytes([SILENCE]) * ((to_ms - from_ms) * BYTES_PER_MS // 2))

    def sync(self) -> None:
        """Write the lengths into the header, if the file has grown."""
        if self._synced_bytes != self._bytes:
            os.pwrite(self._file, header(self._bytes), 0)
            self._synced_bytes = self._bytes

    def close(self) -> None:
        """Write the lengths into the header, and close the file."""
        try:
            self.sync()
        finally:
            os.close(self._file)

    def _fill_to(self, place: int) -> None:
        if place > self._bytes:
            self._write(self._bytes, bytes([SILENCE]) * (place - self._bytes))

    def _write(self, place: int, both: bytes | bytearray) -> None:
        try:
            written = os.pwrite(self._file, both, _HEADER_BYTES + place)
        finally:
            self._bytes = max(0, os.fstat(self._file).st_size - _HEADER_BYTES) // 2 * 2
        if written < len(both):
            raise OSError(28, os.strerror(28))  # ENOSPC: the rest did not fit


def header(sample_bytes: int) -> bytes:
    """Return the header of a file with so many bytes of samples."""
    frames = sample_bytes // 2
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", _HEADER_BYTES - 8 + sample_bytes, b"WAVE"),
            struct.pack("<4sI", b"fmt ", len(_FORMAT)),
            _FORMAT,
            struct.pack("<4sII", b"fact", 4, frames),
            struct.pack("<4sI", b"data", sample_bytes),
        )
    )


def mend(path: Path) -> int:
    """Write the true lengths into the header of a file whose writer has crashed. Return its length in ms.

    Raises OSError.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        sample_bytes = max(0, os.fstat(file).st_size - _HEADER_BYTES) // 2 * 2
        os.ftruncate(file, _HEADER_BYTES + sample_bytes)
        os.pwrite(file, header(sample_bytes), 0)
    finally:
        os.close(file)
    return sample_bytes // BYTES_PER_MS
