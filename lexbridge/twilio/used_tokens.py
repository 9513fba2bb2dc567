"""A table of the stream tokens that have opened a stream, shared by all processes of a server.

Without it, a stolen token could open any number of streams of its call until it expires. The table is made before the
worker processes are forked. Another task, on another machine, has a table of its own.
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
"""Number of tokens in a bucket.

The first bucket is full when the table has some 80,000 tokens: 1,000 new streams a second. Of the table's 6 MB only the
used part is ever in memory.
"""

_ENTRY = struct.Struct("16sd")  # a digest, and the Unix time at which the token expires
_BUCKET_BYTES = IN_BUCKET * _ENTRY.size
_TRIES = 200
_PAUSE_S = 0.0001


class UsedTokens:
    """The table of used tokens. Forked processes share it."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        """Make a table of `buckets`, of IN_BUCKET tokens each."""
        self._buckets = buckets
        self._table = mmap.mmap(-1, buckets * _BUCKET_BYTES)  # zeros, which are entries that expired long ago
        # Each byte of this file is the lock of a bucket; nothing is written to it. The system releases the locks of a
        # process that dies.
        self._locks = _open_unnamed_file()
        weakref.finalize(self, os.close, self._locks)

    def take(self, token: str, expires_s: float, now_s: float) -> bool:
        """Note that `token` is used, and return False if any process has used it before. Times are Unix times.

        While another process uses the same bucket, wait for it, some 20 ms at most.
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
        # A full bucket forgets the token that expires next, because the alternative is to refuse a caller.
        number = min(range(IN_BUCKET), key=lambda number: entries[number][1])
        _ENTRY.pack_into(self._table, start + number * _ENTRY.size, digest, expires_s)
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
        return os.memfd_create("lexbridge-used-tokens")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
