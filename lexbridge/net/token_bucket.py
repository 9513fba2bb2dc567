"""A token bucket: a rate limit with a long-run rate and a burst. No clock."""


class TokenBucket:
    """A bucket that is full at first, holds at most `burst` tokens, and gains `rate_hz` tokens per second."""

    __slots__ = ("_burst", "_rate_hz", "_refilled_s", "_tokens")

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._tokens = burst
        self._refilled_s = 0.0

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        """Take `amount` tokens and return True, or take none and return False if there are too few.

        `now_s`: seconds of a clock. If the clock goes back, the bucket gains nothing until it is where it was.
        """
        if now_s > self._refilled_s:
            tokens = self._tokens + (now_s - self._refilled_s) * self._rate_hz
            self._tokens = tokens if tokens < self._burst else self._burst  # noqa: FURB136  # min() costs more
            self._refilled_s = now_s
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True
