"""The calls that are live in this process: for readiness, admission, and for streams that have to give way."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class LiveStream:
    """One stream of a call. `take_over` tells it to give way to a newer one, `leave` that the process is about to end and
    others are there to go on with the call, `close` to close its socket now. None of them blocks."""

    call_sid: str
    stream_sid: str
    take_over: Callable[[], object] = field(repr=False)
    leave: Callable[[], object] = field(repr=False)
    close: Callable[[], object] = field(repr=False)


class CallLog:
    """The live calls, and whether there may be more."""

    def __init__(self, max_calls: int) -> None:
        """`max_calls`: live calls that this process takes."""
        self._max_calls = max_calls
        self.is_draining = False
        """No new call is taken: the process is about to end."""
        self.is_leaving = False
        """Draining, and others are there: no stream of a live call is taken either, it finds one of them."""
        self.is_overloaded = False
        """No new call is taken: the live ones need all that this process has."""
        self._live: dict[str, LiveStream] = {}

    @property
    def live_calls(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def refusal(self) -> str | None:
        """Why no new call is taken: "draining", "full" or "overloaded". None: it would be."""
        if self.is_draining:
            return "draining"
        if len(self._live) >= self._max_calls:
            return "full"
        return "overloaded" if self.is_overloaded else None

    def stream_sid_of(self, call_sid: str) -> str | None:
        """The stream that this process serves the call with, if it does."""
        stream = self._live.get(call_sid)
        return stream.stream_sid if stream else None

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

    def leave(self) -> None:
        """Tells every live stream to go on elsewhere when its call next allows it. May be told again and again."""
        self.is_leaving = True
        for stream in list(self._live.values()):
            stream.leave()

    def close(self) -> None:
        """Closes every live stream."""
        for stream in list(self._live.values()):
            stream.close()
