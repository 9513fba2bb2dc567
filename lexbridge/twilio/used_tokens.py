"""A table of the stream tokens that have opened a stream, shared by all processes of a server.

Without it, a stolen token could open any number of streams of its call until it expires.
"""

from lexbridge.twilio.shared_digests import SharedDigests

BUCKETS = 16384
"""Number of buckets.

The first bucket is full when the table has some 80,000 tokens: 1,000 new streams a second. Of the table's 8 MB only the
used part is ever in memory.
"""


class UsedTokens:
    """The table of used tokens. Forked processes share it."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._tokens = SharedDigests(buckets)

    def take(self, token: str, expires_s: float, now_s: float) -> bool:
        """Note that `token` is used, and return False if any process has used it before. Times are Unix times.

        While another process uses the same bucket, wait for it, some 20 ms at most.
        """
        return self._tokens.add(token, expires_s, now_s)
