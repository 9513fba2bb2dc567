"""The calls that are live in this process, and the streams that have to give way to newer ones."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lexbridge.bridge.call_admission import CallAdmission
from lexbridge.bridge.expected_calls import ExpectedCalls
from lexbridge.bridge.media_figures import MediaFigures
from lexbridge.bridge.released_calls import ReleasedCalls


def _ignore(reason: str) -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class LiveStream:
    """One stream of a call, as functions by which other parts of the process reach it. None of them blocks."""

    call_sid: str
    stream_sid: str
    take_over: Callable[[], object] = field(repr=False)
    """Function that makes the stream give way to a newer one of the same call."""
    leave: Callable[[], object] = field(repr=False)
    """Function that makes the call go on in another process, because this one is about to end."""
    close: Callable[[], object] = field(repr=False)
    """Function that closes the stream's socket."""
    describe: Callable[[], Mapping[str, object]] = field(default=dict, repr=False)
    """Function that returns the call's position as fields of a log line. It takes no lock and switches no greenlet."""
    media: Callable[[], MediaFigures] = field(default=MediaFigures, repr=False)
    """Function that returns what the stream has brought so far."""
    note_reason: Callable[[str], object] = field(default=_ignore, repr=False)
    """Function that tells the stream why it is about to end although the call goes on, which its end does not show."""
    release: Callable[[], object] = field(default=lambda: None, repr=False)
    """Function that makes the stream let go of the call, because another program has it."""
    account_sid: str = ""
    """Twilio account of the call."""
    line: str = ""
    """Name of the line that serves the call."""


class CallRegistry:
    """The live calls of this process, one stream each.

    A call is one of its Twilio account: who signs for one account could name the CallSid of a call of another.
    """

    def __init__(
        self,
        max_calls: int,
        released: ReleasedCalls | None = None,
        signer_of: Callable[[str], str] = lambda account_sid: account_sid,
    ) -> None:
        """`max_calls`: the most live calls of this process. `released`: the calls that all workers let go of.

        `signer_of`: returns the account whose secrets count for calls with an AccountSid.
        """
        self._signer_of = signer_of
        self.released = released or ReleasedCalls()
        """The calls that were let go."""
        self._releases_seen = self.released.changes
        self.admission = CallAdmission(max_calls, lambda: self.live_calls)
        """Whether there may be more calls."""
        self.is_leaving = False
        """Whether live calls move to other processes, because this one is about to end."""
        self.calls_of_others = 0
        """The number of live calls of the server's other workers, as they last reported it."""
        self.expected = ExpectedCalls()
        """Calls that were answered here and have no stream yet."""
        self._live: dict[tuple[str, str], LiveStream] = {}  # by AccountSid and CallSid
        self._live_by_line: Counter[str] = Counter()
        self._streams: set[LiveStream] = set()  # those that gave way and have not ended yet are among them
        self._ended_media = MediaFigures()
        self._asked_to_leave: set[str] = set()  # StreamSids of live streams
        self._handed_over: set[str] = set()  # StreamSids of live streams that another stream follows, somewhere

    @property
    def live_calls(self) -> int:
        """The number of live calls."""
        return len(self._live)

    @property
    def media(self) -> MediaFigures:
        """Totals of all streams of this process so far."""
        return sum((stream.media() for stream in self._streams), self._ended_media)

    def live_lines(self) -> dict[str, int]:
        """Return the number of live calls of each line that has had any in this process."""
        return dict(self._live_by_line)

    def line_refusal(self, line: str, most: int | None, account_sid: str, call_sid: str) -> str | None:
        """Return why a line takes no other call in this process, or None if it does.

        `most`: LINE_MAX_CALLS of the line. `account_sid`, `call_sid`: the call that asks, which may have its place.
        """
        if most is None or (account_sid, call_sid) in self._live or call_sid in self.expected:
            return None
        return "line full" if self._live_by_line[line] + self.expected.count(line) >= most else None

    def is_live(self, account_sid: str, call_sid: str) -> bool:
        """Return whether a stream of the call is live in this process."""
        return (account_sid, call_sid) in self._live

    def stream_of(self, account_sid: str, call_sid: str) -> LiveStream | None:
        """Return the call's stream, or None if none is live in this process."""
        return self._live.get((account_sid, call_sid))

    def add(self, stream: LiveStream) -> None:
        """Add a stream that has begun. An older stream of the same call gives way: two would answer twice."""
        self.expected.discard(stream.call_sid)
        older = self._live.get(_call(stream))
        self._live[_call(stream)] = stream
        self._live_by_line[stream.line] += 1
        self._streams.add(stream)
        if older is not None:
            self._live_by_line[older.line] -= 1
            older.note_reason("taken over")
            older.take_over()

    def release(self, account_sid: str, call_sid: str) -> bool:
        """Let a call go because its account asks for it. Return whether a process of the server had its stream."""
        self.released.add(account_sid, call_sid, self._signer_of(account_sid))
        if (stream := self.stream_of(account_sid, call_sid)) is not None:
            stream.release()
        return self.released.wait_for_stream(account_sid, call_sid)

    def note_left(self, stream: LiveStream) -> None:
        """Note that a stream has let go of its call."""
        self.released.note_left(stream.account_sid, stream.call_sid, self._signer_of(stream.account_sid))

    def let_go_of_released(self) -> None:
        """Let go of the live calls that were released meanwhile, at any worker. This costs nothing where none was."""
        changes = self.released.changes
        if changes == self._releases_seen:
            return
        self._releases_seen = changes
        for stream in self.streams():
            if self.released.has(stream.account_sid, stream.call_sid):
                stream.release()

    def remove(self, stream: LiveStream) -> None:
        """Remove a stream that has ended."""
        if stream in self._streams:
            self._streams.discard(stream)
            self._ended_media += stream.media()
        self._handed_over.discard(stream.stream_sid)
        self._asked_to_leave.discard(stream.stream_sid)
        if self._live.get(_call(stream)) is stream:
            del self._live[_call(stream)]
            self._live_by_line[stream.line] -= 1

    def set_handed_over(self, stream: LiveStream, is_handed_over: bool) -> None:
        """Record whether the stream's newest document opens another stream for the call."""
        if is_handed_over:
            self._handed_over.add(stream.stream_sid)
        else:
            self._handed_over.discard(stream.stream_sid)

    def stream_lost(self, account_sid: str, call_sid: str, stream_sid: str) -> bool:
        """Close a stream that Twilio has lost. Return whether the call needs another: not if a newer one is here."""
        stream = self._live.get((account_sid, call_sid))
        if stream is None:
            return True
        if stream.stream_sid != stream_sid and stream.stream_sid not in self._handed_over:
            return False
        stream.note_reason("stream lost")
        stream.close()  # it may not have noticed, and would go on telling Twilio what to do with the call
        return True

    def note_reason(self, account_sid: str, call_sid: str, reason: str) -> None:
        """Tell the stream of a call, if it is here, why another stream is about to follow it."""
        if (stream := self._live.get((account_sid, call_sid))) is not None:
            stream.note_reason(reason)

    def ask_to_leave(self, count: int) -> None:
        """Tell `count` more live streams, each once, to go on in another process when their calls next allow it."""
        self.is_leaving = True
        unasked = [stream for stream in self._live.values() if stream.stream_sid not in self._asked_to_leave]
        for stream in unasked[:count]:
            self._asked_to_leave.add(stream.stream_sid)
            stream.leave()

    def streams(self) -> list[LiveStream]:
        """Return the live streams, the oldest first."""
        return list(self._live.values())

    def close(self) -> None:
        """Close every live stream."""
        for stream in list(self._live.values()):
            stream.close()


def _call(stream: LiveStream) -> tuple[str, str]:
    return stream.account_sid, stream.call_sid
