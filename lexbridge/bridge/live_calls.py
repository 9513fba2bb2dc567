"""The calls that are live in this process: for readiness, admission, and for streams that have to give way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _nobody(why: str) -> None:
    """Ignores it."""


@dataclass(frozen=True, slots=True, eq=False)
class LiveStream:
    """One stream of a call. `take_over` tells it to give way to a newer one, `leave` that the process is about to end
    and others are there to go on with the call, `close` to close its socket now. None of them blocks."""

    call_sid: str
    stream_sid: str
    take_over: Callable[[], object] = field(repr=False)
    leave: Callable[[], object] = field(repr=False)
    close: Callable[[], object] = field(repr=False)
    look: Callable[[], Mapping[str, object]] = field(default=dict, repr=False)
    """Tells how the call stands, as fields of a log line. It takes no lock and switches no greenlet."""
    leaves: Callable[[str], object] = field(default=_nobody, repr=False)
    """Tells it why it is about to end although the call goes on: it would not know from the end itself."""


class CallLog:
    """The live calls, and whether there may be more."""

    def __init__(self, max_calls: int) -> None:
        """`max_calls`: live calls that this process takes."""
        self._max_calls = max_calls
        self.is_draining = False
        """No new call is taken: the process is about to end."""
        self.is_leaving = False
        """Draining, and others are there: live calls go on with them."""
        self.others_are_ready = False
        """Another worker of this service takes new calls: a webhook that ends up here is answered for it."""
        self.calls_of_others = 0
        """Live calls of the other workers of this server, as they said last."""
        self.is_overloaded = False
        """No new call is taken: the live ones need all that this process has."""
        self._live: dict[str, LiveStream] = {}
        self._told: set[str] = set()  # StreamSids of live streams that were told to leave
        self._handed_over: set[str] = set()  # StreamSids of live streams, each followed by another one somewhere

    @property
    def live_calls(self) -> int:
        """How many calls are live."""
        return len(self._live)

    @property
    def refusal(self) -> str | None:
        """Why the service takes no new call; None: it does."""
        return None if self.others_are_ready else self.own_refusal

    @property
    def own_refusal(self) -> str | None:
        """Why this process takes no new call: "draining", "full" or "overloaded". None: it does."""
        if self.is_draining:
            return "draining"
        if len(self._live) >= self._max_calls:
            return "full"
        return "overloaded" if self.is_overloaded else None

    def stream_refusal(self, open_sockets: int) -> str | None:
        """Why no stream is taken, although it may be that of a live call; None: it is, also while calls leave: one that
        comes here nevertheless would be lost elsewhere. `open_sockets`: also those on which no stream has started."""
        return "full" if max(open_sockets, len(self._live)) >= 2 * self._max_calls else None

    def is_live(self, call_sid: str) -> bool:
        """Whether a stream of the call is live in this process."""
        return call_sid in self._live

    def began(self, stream: LiveStream) -> None:
        """A stream began. An older one of the same call is told to give way: two would answer twice."""
        older = self._live.get(stream.call_sid)
        self._live[stream.call_sid] = stream
        if older is not None:
            older.leaves("taken over")
            older.take_over()

    def ended(self, stream: LiveStream) -> None:
        """The stream is over."""
        self._handed_over.discard(stream.stream_sid)
        self._told.discard(stream.stream_sid)
        if self._live.get(stream.call_sid) is stream:
            del self._live[stream.call_sid]

    def hands_over(self, stream: LiveStream, is_handed_over: bool) -> None:
        """The stream's newest document opens another stream for the call, or does not."""
        if is_handed_over:
            self._handed_over.add(stream.stream_sid)
        else:
            self._handed_over.discard(stream.stream_sid)

    def lost(self, call_sid: str, stream_sid: str) -> bool:
        """Twilio has lost a stream. Returns whether the call needs another: False if it has a newer one here."""
        stream = self._live.get(call_sid)
        if stream is None:
            return True
        if stream.stream_sid != stream_sid and stream.stream_sid not in self._handed_over:
            return False
        stream.leaves("stream lost")
        stream.close()  # it may not have noticed, and would go on telling Twilio what to do with the call
        return True

    def leaves(self, call_sid: str, why: str) -> None:
        """The call gets another stream. The one that it has here, if any, is told why."""
        if (stream := self._live.get(call_sid)) is not None:
            stream.leaves(why)

    def leave(self, most: int) -> None:
        """Tells live streams to go on elsewhere when their calls next allow it: `most` more of them, each once."""
        self.is_leaving = True
        untold = [stream for stream in self._live.values() if stream.stream_sid not in self._told]
        for stream in untold[:most]:
            self._told.add(stream.stream_sid)
            stream.leave()

    def streams(self) -> list[LiveStream]:
        """The live streams, the oldest first."""
        return list(self._live.values())

    def close(self) -> None:
        """Closes every live stream."""
        for stream in list(self._live.values()):
            stream.close()
