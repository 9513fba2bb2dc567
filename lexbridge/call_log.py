"""The calls that are live in this process: for readiness, admission, and the take-over of a call by a newer stream."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class LiveStream:
    """One stream of a call. `take_over` tells it to give way to a newer one; it does not block."""

    call_sid: str
    take_over: Callable[[], object] = field(repr=False)


class CallLog:
    """The live calls, and whether there may be more."""

    def __init__(self, max_calls: int) -> None:
        """`max_calls`: live calls that this process takes."""
        self._max_calls = max_calls
        self.is_draining = False
        """No new call is taken: the process is about to end."""
        self._live: dict[str, LiveStream] = {}

    @property
    def live_calls(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def is_full(self) -> bool:
        """No new call is taken: there are as many as there may be."""
        return len(self._live) >= self._max_calls

    def began(self, stream: LiveStream) -> None:
        """A stream began. An older one of the same call is told to give way: two would answer twice."""
        older = self._live.get(stream.call_sid)
        self._live[stream.call_sid] = stream
        if older is not None:
            older.take_over()

    def ended(self, stream: LiveStream) -> None:
        """The stream is over."""
        if self._live.get(stream.call_sid) is stream:
            del self._live[stream.call_sid]
