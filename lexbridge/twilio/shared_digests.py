"""A table in shared memory of texts that hold for a time, such as used tokens: as digests, shared by forked processes.

It is made before the worker processes are forked. Another task, on another machine, has a table of its own.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import weakref
from hashlib import sha256

import gevent

IN_BUCKET = 16
"""Number of entries in a bucket."""

_ENTRY = struct.Struct("16sd")  # a digest, and the Unix time up to which it holds
_BUCKET_BYTES = IN_BUCKET * _ENTRY.size
_TRIES = 200
_PAUSE_S = 0.0001


class SharedDigests:
    """The table. Forked processes share it."""

    def __init__(self, buckets: int) -> None:
        """Make a table of `buckets`, of IN_BUCKET entries each."""
        self._buckets = buckets
        self._table = mmap.mmap(-1, buckets * _BUCKET_BYTES)  # zeros, which are entries that expired long ago
        # Each byte of this file is the lock of a bucket; nothing is written to it. The system releases the locks of a
        # process that dies.
        self._locks = _open_unnamed_file()
        weakref.finalize(self, os.close, self._locks)

    def add(self, text: str, until_s: float, now_s: float) -> bool:
        """Note `text` up to `until_s`. Return False if it holds already, for as long as it did. Times are Unix times.

        While another process writes to the same bucket, wait for it, some 20 ms at most.
        """
        digest, bucket = self._place(text)
        is_locked = self._lock(bucket)
        try:
            return self._add(bucket * _BUCKET_BYTES, digest, until_s, now_s)
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, bucket)

    def has(self, text: str, now_s: float) -> bool:
        """Return whether `text` holds. It takes no lock and waits for nothing."""
        digest, bucket = self._place(text)
        return any(known == digest and until_s >= now_s for known, until_s in self._entries(bucket * _BUCKET_BYTES))

    def forget(self, text: str) -> None:
        """Let `text` hold no longer."""
        digest, bucket = self._place(text)
        is_locked = self._lock(bucket)
        try:
            for number, (known, _) in enumerate(self._entries(bucket * _BUCKET_BYTES)):
                if known == digest:
                    _ENTRY.pack_into(self._table, bucket * _BUCKET_BYTES + number * _ENTRY.size, bytes(16), 0.0)
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, bucket)

    def _place(self, text: str) -> tuple[bytes, int]:
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
        return digest, int.from_bytes(digest[:4], "big") % self._buckets

    def _entries(self, start: int) -> list[tuple[bytes, float]]:
        return [_ENTRY.unpack_from(self._table, start + number * _ENTRY.size) for number in range(IN_BUCKET)]

    def _add(self, start: int, digest: bytes, until_s: float, now_s: float) -> bool:
        entries = self._entries(start)
        if any(known == digest and known_until_s >= now_s for known, known_until_s in entries):
            return False
        # A full bucket forgets the entry that ends next, because the alternative is to refuse a caller.
        number = min(range(IN_BUCKET), key=lambda number: entries[number][1])
        _ENTRY.pack_into(self._table, start + number * _ENTRY.size, digest, until_s)
        return True

    def _lock(self, bucket: int) -> bool:
        """Lock the bucket, and return whether that worked. If its holder hangs, the bucket is used without a lock."""
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, bucket)
            except OSError:
                gevent.sleep(_PAUSE_S)
            else:
                return True
        return False


def _open_unnamed_file() -> int:
    """Return the descriptor of a file without a name, which only forked processes can use."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("lexbridge-shared-digests")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
