"""A table in shared memory of texts that hold for a time, such as used tokens: as digests, shared by forked processes.

It is made before the worker processes are forked. Another task, on another machine, has a table of its own.

A text belongs to its owner, such as a Twilio account. Where there is no room for all, the owner with the most texts
gives way, so nobody pushes out the texts of another who has fewer. And nobody can choose texts that compete with a
certain one: digests are keyed by a random number.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import weakref
from collections import Counter
from hashlib import blake2b

import gevent

IN_BUCKET = 16
"""Number of entries in a bucket, unless a table has another."""

_ENTRY = struct.Struct("16s8sd")  # a digest, that of its owner, and the Unix time up to which it holds
_FREE = _ENTRY.pack(bytes(16), bytes(8), 0.0)
_TRIES = 200
_PAUSE_S = 0.0001


class SharedDigests:
    """The table. Forked processes share it."""

    def __init__(self, buckets: int, in_bucket: int = IN_BUCKET) -> None:
        """Make a table of `buckets`, of `in_bucket` entries each. So many owners have room of their own in each."""
        self._buckets = buckets
        self._bucket_bytes = in_bucket * _ENTRY.size
        self._table = mmap.mmap(-1, buckets * self._bucket_bytes)  # zeros, which are entries that expired long ago
        self._key = os.urandom(16)
        # Each byte of this file is the lock of a bucket; nothing is written to it. The system releases the locks of a
        # process that dies.
        self._locks = _open_unnamed_file()
        weakref.finalize(self, os.close, self._locks)

    def add(self, text: str, until_s: float, now_s: float, owner: str = "") -> bool:
        """Note `text` up to `until_s`. Return False if it holds already, for as long as it did. Times are Unix times.

        While another process writes to the same bucket, wait for it, some 20 ms at most.
        """
        digest, bucket = self._place(text)
        is_locked = self._lock(bucket)
        try:
            return self._add(bucket * self._bucket_bytes, digest, self._digest(owner)[:8], until_s, now_s)
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, bucket)

    def has(self, text: str, now_s: float) -> bool:
        """Return whether `text` holds. It takes no lock and waits for nothing."""
        digest, bucket = self._place(text)
        number = self._find(bucket * self._bucket_bytes, digest)
        return number is not None and self._entry(bucket * self._bucket_bytes, number)[2] >= now_s

    def forget(self, text: str) -> None:
        """Let `text` hold no longer."""
        digest, bucket = self._place(text)
        start = bucket * self._bucket_bytes
        is_locked = self._lock(bucket)
        try:
            while (number := self._find(start, digest)) is not None:
                self._write(start, number, _FREE)
        finally:
            if is_locked:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, bucket)

    def _digest(self, text: str) -> bytes:
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=self._key).digest()

    def _place(self, text: str) -> tuple[bytes, int]:
        digest = self._digest(text)
        return digest, int.from_bytes(digest[:4], "big") % self._buckets

    def _find(self, start: int, digest: bytes) -> int | None:
        """Return the number of the entry with `digest` in the bucket that starts at `start`."""
        # A search in the bytes is faster than unpacking each entry. What it finds across entries is passed over.
        end = start + self._bucket_bytes
        at = self._table.find(digest, start, end)
        while at >= 0 and (at - start) % _ENTRY.size:
            at = self._table.find(digest, at + 1, end)
        return None if at < 0 else (at - start) // _ENTRY.size

    def _entry(self, start: int, number: int) -> tuple[bytes, bytes, float]:
        digest, owner, until_s = _ENTRY.unpack_from(self._table, start + number * _ENTRY.size)
        return digest, owner, until_s

    def _write(self, start: int, number: int, entry: bytes) -> None:
        at = start + number * _ENTRY.size
        self._table[at : at + _ENTRY.size] = entry

    def _add(self, start: int, digest: bytes, owner: bytes, until_s: float, now_s: float) -> bool:
        number = self._find(start, digest)
        if number is not None and self._entry(start, number)[2] >= now_s:
            return False
        if number is None:
            number = self._place_for(start, owner, now_s)
        self._write(start, number, _ENTRY.pack(digest, owner, until_s))
        return True

    def _place_for(self, start: int, owner: bytes, now_s: float) -> int:
        """Return the number of the entry that a text of `owner` takes the place of."""
        entries = list(_ENTRY.iter_unpack(self._table[start : start + self._bucket_bytes]))
        numbers = list(range(len(entries)))
        if all(until_s >= now_s for _, _, until_s in entries):
            # A full bucket forgets an entry, because the alternative is to refuse a caller: the one that ends next, of
            # the owner who would have the most.
            owned = Counter([owner, *(one for _, one, _ in entries)])
            most = max(owned.values())
            given_up = {one for one, count in owned.items() if count == most}
            if owner in given_up and most > 1:
                given_up = {owner}  # nobody takes from an equal
            numbers = [number for number in numbers if entries[number][1] in given_up]
        return min(numbers, key=lambda number: entries[number][2])

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
