"""The calls whose audio the observer asks the workers for: those that somebody follows, and a few others."""

from collections import Counter
from collections.abc import Callable

from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.calls.call_record import CallRecord

UNASKED = 8
"""Most calls whose audio is asked for although nobody follows them, because a newcomer's first calls are to be heard
afterwards, too. Eight calls take 128 KB a second of the channel, and room for 16 minutes of each."""

BEGINNING_EVENTS = 20
"""Events within which a call counts as just begun, because half a call is worth less than the next whole one."""


class FollowedCalls:
    """A watcher of the book that keeps the set of followed calls. `follow` is told of it when it changes."""

    def __init__(self, book: CallBook, follow: Callable[[frozenset[str]], None]) -> None:
        self._book = book
        self._follow = follow
        self._unasked: dict[str, None] = {}
        self._by_browsers: Counter[str] = Counter()
        self._told: frozenset[str] = frozenset()
        book.wants_audio = self.has

    @property
    def call_sids(self) -> frozenset[str]:
        """The followed calls."""
        return frozenset(self._unasked) | frozenset(self._by_browsers)

    def has(self, call_sid: str) -> bool:
        """Return whether the call is followed."""
        return call_sid in self._unasked or call_sid in self._by_browsers

    def begin(self, call_sid: str) -> None:
        """Follow a call for somebody."""
        self._by_browsers[call_sid] += 1
        self._tell()

    def end(self, call_sid: str) -> None:
        """Follow a call no longer for somebody."""
        self._by_browsers[call_sid] -= 1
        if self._by_browsers[call_sid] <= 0:
            del self._by_browsers[call_sid]
        self._tell()

    def event_came(self, record: CallRecord) -> None:
        """Follow a call that has just begun, if there is room."""
        if record.call_sid in self._unasked or len(record.events) > BEGINNING_EVENTS or record.state.name != "live":
            return
        if len(self._unasked) >= UNASKED:
            over = next((sid for sid in self._unasked if not self._is_live(sid)), None)
            if over is None:
                return
            del self._unasked[over]
        self._unasked[record.call_sid] = None
        self._tell()

    def _is_live(self, call_sid: str) -> bool:
        record = self._book.find(call_sid)
        return record is not None and record.state.name == "live"

    def _tell(self) -> None:
        if self.call_sids != self._told:
            self._told = self.call_sids
            self._follow(self._told)
