"""Stream tokens that have opened a stream, remembered until they expire, by all processes of a server together.

A token that got out could otherwise open any number of streams of its call until it expires. The memory is a table that
the processes share: it is made before they are forked. Another task has a memory of its own.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import weakref
from hashlib import sha256

import gevent

BUCKETS = 16384
IN_BUCKET = 16
"""Tokens in a bucket. A bucket is full before its time when some 80,000 tokens are remembered: 1,000 a second. Only
what is used of the 6 MB is ever in memory."""

_ENTRY = struct.Struct("16sd")  # a digest, and when the token expires; epoch, seconds
_BUCKET_BYTES = IN_BUCKET * _ENTRY.size
_TRIES = 200
_PAUSE_S = 0.0001


class UsedTokens:
    """Which tokens have been used. Each process that forks off shares it."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        """`buckets`: of IN_BUCKET tokens each."""
        self._buckets = buckets
        self._table = mmap.mmap(-1, buckets * _BUCKET_BYTES)  # zeros: entries that have expired long ago
        # Nothing is written to it: its bytes stand for the buckets, to be locked. The system lets go of the lock of
        # a process that dies.
        self._locks = _open_nameless()
        weakref.finalize(self, os.close, self._locks)

    def take(self, token: str, expires_s: float, now_s: float) -> bool:
        """Uses `token`; False if it has been used before, by whichever process. Times are epoch, seconds.

        Waits for another process, at most some 20 ms, only while that uses a token of the same bucket.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()[:16]
        bucket = int.from_bytes(digest[:4], "big") % self._buckets
        is_locked = self._lock(bucket)
        try:
            return self._take(bucket * _BUCKET_BYTES, digest, expires_s, now_s)
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, bucket)

    def _take(self, start: int, digest: bytes, expires_s: float, now_s: float) -> bool:
        entries = [_ENTRY.unpack_from(self._table, start + number * _ENTRY.size) for number in range(IN_BUCKET)]
        if any(used == digest and until_s >= now_s for used, until_s in entries):
            return False
        # A full bucket forgets the token that expires next: better than to turn a caller away.
        number = min(range(IN_BUCKET), key=lambda number: entries[number][1])
        _ENTRY.pack_into(self._table, start + number * _ENTRY.size, digest, expires_s)
        return True

    def _lock(self, bucket: int) -> bool:
        """Whether the bucket is ours. One whose holder was stopped by somebody is used without."""
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, bucket)
            except OSError:
                gevent.sleep(_PAUSE_S)
            else:
                return True
        return False


def _open_nameless() -> int:
    """A descriptor of a file that only processes forked from this one know."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("lexbridge-used-tokens")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
