"""A token bucket: so much a second in the long run, so much at once; no clock."""


class TokenBucket:
    """Holds up to `burst` tokens, is full at first, and gets `rate_hz` tokens a second."""

    __slots__ = ("_burst", "_rate_hz", "_refilled_s", "_tokens")

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._tokens = burst
        self._refilled_s = 0.0

    def take(self, now_s: float, amount: float = 1.0) -> bool:
        """Takes `amount` tokens; False if there are not so many, and then none is taken.

        `now_s`: seconds on a clock. Should it go back, the bucket gets nothing until it is where it was.
        """
        if now_s > self._refilled_s:
            self._tokens = min(self._burst, self._tokens + (now_s - self._refilled_s) * self._rate_hz)
            self._refilled_s = now_s
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True
