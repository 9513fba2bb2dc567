"""The calls that were answered here and whose media stream has not begun: each has a place on its line already.

Without them, a burst of new calls would all be let in before the first of their streams begins.
"""

import time
from collections.abc import Callable

OPENING_S = 5.0
"""Time from the end of what the document says to the start of the stream, in seconds: Twilio takes well under one.

A call keeps its place for no longer: its caller may have hung up, or its stream may have begun in another process.
"""


class ExpectedCalls:
    """The answered calls of this process whose media stream is expected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: returns monotonic seconds."""
        self._clock = clock
        self._calls: dict[str, tuple[str, float]] = {}  # by CallSid: line, and until when

    def add(self, call_sid: str, line: str, spoken_s: float) -> None:
        """Add a call of a line. `spoken_s`: how long the document speaks before the stream begins."""
        now_s = self._clock()
        self._calls.pop(call_sid, None)
        self._calls[call_sid] = line, now_s + spoken_s + OPENING_S
        # Nothing else forgets a call whose stream has begun in another process, if no line has a limit.
        while self._calls[first := next(iter(self._calls))][1] <= now_s:
            del self._calls[first]

    def discard(self, call_sid: str) -> None:
        """Forget a call, because its stream has begun."""
        self._calls.pop(call_sid, None)

    def count(self, line: str) -> int:
        """Return the number of expected calls of a line."""
        now_s = self._clock()
        self._calls = {sid: call for sid, call in self._calls.items() if call[1] > now_s}
        return sum(of == line for of, _ in self._calls.values())

    def __len__(self) -> int:
        """Return the number of calls that are remembered, of which some may be over."""
        return len(self._calls)

    def __contains__(self, call_sid: str) -> bool:
        call = self._calls.get(call_sid)
        return call is not None and call[1] > self._clock()
