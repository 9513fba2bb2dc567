"""Server-sent events: what happens to the calls, told to each browser as it happens, as far as the browser keeps up.

Nothing waits for a browser. What it has not read yet is merged where that is possible, and else dropped and counted.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import gevent
import msgspec

from lexbridge.observer.admin.followed_calls import FollowedCalls
from lexbridge.observer.admin.level_store import LevelStore
from lexbridge.observer.calls.call_book import CallBook
from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.turn_record import Turn

MAX_BROWSERS = 16
"""Most browsers that are told at the same time, because each costs CPU with every call; a team has no more."""

TICK_S = 0.2
"""Interval in seconds at which a browser is told what has changed, because nobody reads faster."""

WORKERS_S = 1.0
"""Interval in seconds at which a browser is told of the workers, which report as often."""

IDLE_S = 10.0
"""Interval in seconds at which a browser gets a comment if nothing else, so that one that is gone is noticed."""

STUCK_S = 60.0
"""Time in seconds after which a browser that takes nothing may be given up for a newcomer."""

MAX_FACTS = 1000
"""Most events of the followed call that wait for one browser: those of a minute of a busy call."""

MAX_FACT_BYTES = 1024 * 1024
"""Most bytes of such events that wait for one browser, because an answer of Lex's may have 100 KB."""


class TooManyBrowsers(Exception):
    """Refusal of a browser, because as many as possible are being told."""


class Browser:
    """One browser, with what it is to be told next."""

    def __init__(self, follows: str | None, now_s: float) -> None:
        self.follows = follows
        self.changed: dict[str, None] = {}
        self.turns: dict[tuple[str, int], Turn] = {}
        self.dropped = 0
        self.levels_to_ms: dict[str, int] = {}
        """Place of each stream up to which the levels were told."""
        self.took_s = now_s
        """Monotonic time at which it took something last."""
        self.greenlet: gevent.Greenlet[..., Any] | None = None
        self._facts: deque[bytes] = deque()
        self._fact_bytes = 0

    def add_fact(self, encoded: bytes) -> None:
        """Add an event of the followed call. The oldest that wait are dropped if there are too many."""
        self._facts.append(encoded)
        self._fact_bytes += len(encoded)
        while len(self._facts) > MAX_FACTS or self._fact_bytes > MAX_FACT_BYTES:
            self._fact_bytes -= len(self._facts.popleft())
            self.dropped += 1

    def take_facts(self) -> Iterator[bytes]:
        """Yield the events that wait, and forget them."""
        facts, self._facts, self._fact_bytes = self._facts, deque(), 0
        yield from facts


class LiveEvents:
    """The teller of all browsers: a watcher of the book."""

    def __init__(self, book: CallBook, levels: LevelStore, followed: FollowedCalls) -> None:
        self._book = book
        self._levels = levels
        self._followed = followed
        self._browsers: set[Browser] = set()
        self.dropped = 0
        """Number of events that browsers were too slow for."""
        book.watch(self)

    @property
    def browsers(self) -> int:
        """Number of browsers that are told."""
        return len(self._browsers)

    def event_taken(self, record: CallRecord, encoded: bytes, turns: Sequence[Turn]) -> None:
        """Note for each browser what it is to be told."""
        self._followed.event_came(record)
        for browser in self._browsers:
            browser.changed[record.call_sid] = None
            if browser.follows == record.call_sid:
                browser.add_fact(encoded)
                browser.turns.update({(turn.stream_sid, turn.turn): turn for turn in turns})

    def call_changed(self, record: CallRecord) -> None:
        """Note for each browser that a call changed."""
        for browser in self._browsers:
            browser.changed[record.call_sid] = None

    def enter(self, follows: str | None) -> Browser:
        """Begin to note what a browser is to be told. Raises TooManyBrowsers.

        `follows`: the call whose events, turns and levels it wants.
        """
        now_s = time.monotonic()
        if len(self._browsers) >= MAX_BROWSERS:
            slowest = min(self._browsers, key=lambda one: one.took_s)
            if now_s - slowest.took_s < STUCK_S:
                raise TooManyBrowsers
            self.leave(slowest)
            if slowest.greenlet is not None:
                slowest.greenlet.kill(block=False)
        browser = Browser(follows, now_s)
        browser.changed = dict.fromkeys(sid for sid, one in self._book.records.items() if one.state.name == "live")
        if follows is not None:
            self._followed.begin(follows)
            if (record := self._book.find(follows)) is not None:
                browser.levels_to_ms = {sid: record.track(sid, "caller").end_ms for sid in record.streams}
        self._browsers.add(browser)
        return browser

    def leave(self, browser: Browser) -> None:
        """Forget a browser, if it is not forgotten yet."""
        if browser in self._browsers:
            self._browsers.discard(browser)
            if browser.follows is not None:
                self._followed.end(browser.follows)

    def messages(self, browser: Browser) -> Iterator[bytes]:
        """Yield what the browser is told, until it leaves. Each piece waits until the browser has taken it."""
        current = gevent.getcurrent()
        browser.greenlet = current if isinstance(current, gevent.Greenlet) else None
        told_s = workers_s = 0.0
        while browser in self._browsers:
            browser.took_s = now_s = time.monotonic()
            with_workers = now_s - workers_s >= WORKERS_S
            workers_s = now_s if with_workers else workers_s
            text = b"".join(self._news(browser, with_workers))
            if not text and now_s - told_s >= IDLE_S:
                text = b":\n\n"
            if text:
                told_s = now_s
                yield text
            gevent.sleep(TICK_S)

    def _news(self, browser: Browser, with_workers: bool) -> Iterator[bytes]:
        now_s = time.time()
        changed, browser.changed = browser.changed, {}
        records = [record for sid in changed if (record := self._book.find(sid)) is not None]
        if records:
            yield _message("calls", [record.summary(now_s) for record in records])
        if with_workers:
            yield _message("workers", self._book.workers.view(now_s))
        if browser.follows is not None:
            yield from self._followed_news(browser, browser.follows)

    def _followed_news(self, browser: Browser, call_sid: str) -> Iterator[bytes]:
        for encoded in browser.take_facts():
            yield _raw_message("fact", encoded)
        turns, browser.turns = browser.turns, {}
        for turn in turns.values():
            yield _message("turn", turn)
        if browser.dropped:
            self.dropped += browser.dropped
            yield _message("dropped", {"facts": browser.dropped})
            browser.dropped = 0
        record = self._book.find(call_sid)
        if record is not None and (parts := list(self._new_levels(browser, record))):
            yield _message("levels", {"streams": parts})

    def _new_levels(self, browser: Browser, record: CallRecord) -> Iterator[dict[str, Any]]:
        for stream_sid in record.streams:
            track = record.track(stream_sid, "caller")
            told_ms = browser.levels_to_ms.get(stream_sid, 0)
            if track.end_ms <= told_ms:
                continue
            self._levels.of(record, stream_sid).measure(track)  # a slice; the rest at the next tick
            for part in self._levels.measured(record, stream_sid, told_ms):
                browser.levels_to_ms[stream_sid] = part["from_ms"] + len(part["level_dbfs"]) * part["frame_ms"]
                yield part


def _message(name: str, value: object) -> bytes:
    return _raw_message(name, msgspec.json.encode(value))


def _raw_message(name: str, encoded: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encoded + b"\n\n"  # JSON of msgspec's has no line feeds
