"""The calls that are live and the ones that were, in this process: for readiness, take-over and whoever asks."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_RECENT_CALLS = 100


@dataclass(slots=True)
class CallRecord:
    """One stream of a call. Times are of the monotonic clock, seconds."""

    call_sid: str
    stream_sid: str
    take_over: Callable[[], object] = field(repr=False)
    began_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None
    turns: int = 0


class CallLog:
    """Bounded record of calls: every live one, and the last MAX_RECENT_CALLS that ended."""

    def __init__(self, max_calls: int) -> None:
        """`max_calls`: live calls that this process takes."""
        self._max_calls = max_calls
        self.is_draining = False
        """No new call is taken: the process is about to end."""
        self._live: dict[str, CallRecord] = {}
        self.recent: deque[CallRecord] = deque(maxlen=MAX_RECENT_CALLS)

    @property
    def live_calls(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def is_full(self) -> bool:
        """No new call is taken: there are as many as there may be."""
        return len(self._live) >= self._max_calls

    def live(self, call_sid: str) -> CallRecord | None:
        """The live stream of a call."""
        return self._live.get(call_sid)

    def began(self, record: CallRecord) -> None:
        """A stream began. An older one of the same call is told to give way: two would answer twice."""
        older = self._live.get(record.call_sid)
        self._live[record.call_sid] = record
        if older is not None:
            older.take_over()

    def ended(self, record: CallRecord, turns: int) -> None:
        """The stream of `record` is over, after so many turns."""
        record.ended_s = time.monotonic()
        record.turns = turns
        self.recent.append(record)
        if self._live.get(record.call_sid) is record:
            del self._live[record.call_sid]
