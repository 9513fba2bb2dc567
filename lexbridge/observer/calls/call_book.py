"""The calls of all workers, in memory: what the console, `/calls` and `offline top` show.

The book is driven by facts with times of their own. It reads no clock, and forgets the oldest when it is full.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from lexbridge.observer.calls.call_record import CallRecord
from lexbridge.observer.calls.health import Health
from lexbridge.observer.calls.latency import Latency
from lexbridge.observer.calls.turn_record import Turn
from lexbridge.observer.calls.workers import MAX_WORKERS, Workers
from lexbridge.observer.watched.values import whole
from lexbridge.telemetry.facts import Audio, Event, Fact
from lexbridge.telemetry.numbers import SHOWN_DIGITS

MAX_SID_CHARACTERS = 64
"""Most characters of a call's or stream's name, because Twilio's have 34."""

LATEST_S = 1e11
"""Latest time of a fact, Unix seconds, because a later one is an error: it lies 3,000 years ahead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the book. Everything beyond is dropped, and counted."""

    calls: int = 3000
    """Calls, because a list of more is read by nobody. It is six times the MAX_CALLS of a worker."""
    text_bytes: int = 128 * 1024 * 1024
    """Events and turns of all calls, because a call of five minutes has about 200 KB: room for 600 of them."""
    audio_bytes: int = 128 * 1024 * 1024
    """Audio of all calls, because both sides of a call take 1 MB a minute: room for two hours."""
    one_event_bytes: int = 128 * 1024
    """One event as JSON, because Lex's whole answer has at most some tens of KB. A longer one loses its words."""


_NAME = re.compile("[A-Za-z0-9_-]*")
_NUMBER = re.compile(rb"\+[0-9]{7,15}")


class Watcher(Protocol):
    """Listener that is told of each change of the book, at once. It must not switch greenlets."""

    def event_taken(self, record: CallRecord, encoded: bytes, turns: Sequence[Turn]) -> None:
        """Take note of an event of a call (its JSON), and of the turns that it changed."""
        ...

    def call_changed(self, record: CallRecord) -> None:
        """Take note that a call changed without an event, such as because its worker ended."""
        ...


class CallBook:
    """A sink of facts that remembers calls, workers, latencies and faults."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.records: OrderedDict[str, CallRecord] = OrderedDict()
        """Calls by CallSid, the oldest first."""
        self.workers = Workers()
        self.health = Health()
        self.latency = Latency()
        self.started = self.odd_facts = self.dropped_events = self.forgotten_calls = self.dropped_audio_bytes = 0
        self._text_bytes = 0
        self._audio_bytes = 0
        self._lost: dict[int, list[tuple[str, str]]] = {}  # calls and streams of the workers that ended
        self._settled_s = 0.0
        self._full_s = -1.0  # when nothing could make room for audio
        self.wants_audio: Callable[[str], bool] | None = None
        """Tells whether somebody wants a call's audio, because recordings bring that of all. None: of all."""
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of each change from now on."""
        self._watchers.append(watcher)

    def take(self, fact: Fact) -> None:
        """Take in a fact. It never raises: a fact that cannot be understood is counted as odd."""
        if not 0 <= fact.at_s < LATEST_S or not is_name(fact.call_sid) or not is_name(fact.stream_sid):
            self.odd_facts += 1
        elif isinstance(fact, Audio):
            self._take_audio(fact)
        else:
            self._take_event(fact)
        if fact.at_s - self._settled_s >= 1:  # once a second is enough for what takes many seconds
            self.settle(fact.at_s)

    def close(self, deadline_s: float) -> None:
        """Do nothing: the book ends with its process."""

    def settle(self, now_s: float) -> None:
        """End the calls that have had no stream, or no fact at all, for too long."""
        if not 0 <= now_s < LATEST_S:
            return
        self._settled_s = now_s
        for record in self.records.values():
            if record.state.settle(now_s):
                self._tell(record)

    def find(self, call_sid: str) -> CallRecord | None:
        """Return the call of this CallSid, or None if it is not remembered."""
        return self.records.get(call_sid)

    def add_opened(self, record: CallRecord) -> None:
        """Add a call from a file. It is forgotten like all others."""
        self._remove(record.call_sid)
        self._add(record)
        self._text_bytes += record.text_bytes
        self._audio_bytes += record.audio_bytes
        self._make_room(record)
        self._tell(record)

    def overview(self, now_s: float) -> dict[str, Any]:
        """Return all calls in one line each, the newest first, with the workers and what was counted."""
        self.settle(now_s)
        summaries = [record.summary(now_s) for record in reversed(self.records.values())]
        return {
            "now_s": now_s,
            "live": [one for one in summaries if one.state == "live"],
            "recent": [one for one in summaries if one.state != "live"],
            "workers": self.workers.view(now_s),
            "counts": self.counts(),
            "dropped_facts": self.workers.dropped_facts,
        }

    def counts(self) -> dict[str, int]:
        """Return what was counted since the observer started."""
        states = [record.state.name for record in self.records.values() if not record.is_opened]
        return {
            **{name: states.count(name) for name in ("live", "ended", "lost")},
            "started": self.started,
            "refused": self.health.refused_calls,
            "odd_facts": self.odd_facts,
            "dropped_events": self.dropped_events,
            "dropped_audio_bytes": self.dropped_audio_bytes,
            "forgotten_calls": self.forgotten_calls,
        }

    # -- facts

    def _take_event(self, event: Event) -> None:
        event, encoded = self._encoded(event)
        if not encoded:
            return
        if not event.call_sid:
            self._take_of_worker(event)
            return
        self.health.take(event)
        record = self._record(event.call_sid, event.at_s)
        if record is None:
            self.dropped_events += 1
        else:
            self._give(record, event, encoded)

    def _give(self, record: CallRecord, event: Event, encoded: bytes) -> None:
        before, dropped, audio = record.text_bytes, record.dropped_events, record.audio_bytes
        turns = record.take(event, encoded)
        self._text_bytes += record.text_bytes - before
        self._audio_bytes += record.audio_bytes - audio
        self.dropped_events += record.dropped_events - dropped
        if event.name == "turn-latency" and turns and turns[0].turn == whole(event.fields, "turn"):
            self.latency.take(event.at_s, event.call_sid, turns[0])
        self._make_room(record)
        for watcher in self._watchers:
            watcher.event_taken(record, record.newest_event, turns)

    def _encoded(self, event: Event) -> tuple[Event, bytes]:
        """Return the event and its JSON; without its words if it is too long; no JSON if it has none."""
        with suppress(TypeError, ValueError, RecursionError, OverflowError):
            for one in (event, msgspec.structs.replace(event, words={"too_long": True})):
                encoded = msgspec.json.encode(
                    (one.at_s, one.stream_sid, one.media_ms, one.level, one.name, one.fields, one.words)
                )
                if len(encoded) <= self._limits.one_event_bytes:
                    return _masked(one, encoded) if _NUMBER.search(encoded) else (one, encoded)
        self.odd_facts += 1
        return event, b""

    def _take_audio(self, audio: Audio) -> None:
        record = self._record(audio.call_sid, audio.at_s) if audio.call_sid and audio.stream_sid else None
        if record is None:
            self.odd_facts += 1
            return
        if self.wants_audio is not None and not self.wants_audio(audio.call_sid):
            return
        if not self._has_audio_room(record, record.needed_bytes(audio), audio.at_s):
            record.dropped_audio_bytes += len(audio.mulaw)
            self.dropped_audio_bytes += len(audio.mulaw)
            return
        self._audio_bytes += record.take_audio(audio)

    def _take_of_worker(self, event: Event) -> None:
        """Take in an event of a worker. Its end, and a fault that ended it, are told in its calls as well."""
        pid = whole(event.fields, "pid")
        if event.name == "worker-ended" and pid is not None:
            self._lost[pid] = [(sid, one) for sid, record in self.records.items() for one in record.open_streams(pid)]
            if len(self._lost) > MAX_WORKERS:
                del self._lost[next(iter(self._lost))]
        is_of_calls = event.name in ("worker-ended", "worker-died") and pid is not None
        lost = self._lost.get(pid, []) if is_of_calls and pid is not None else []
        for call_sid, stream_sid in lost:
            of_call = msgspec.structs.replace(event, call_sid=call_sid, stream_sid=stream_sid)
            of_call, encoded = self._encoded(of_call)
            if encoded and (record := self.records.get(call_sid)) is not None:
                self._give(record, of_call, encoded)
        call_sids = list(dict.fromkeys(call_sid for call_sid, _ in lost))
        self.workers.take(event, call_sids)
        self.health.take(event, call_sids)

    # -- room

    def _record(self, call_sid: str, at_s: float) -> CallRecord | None:
        """Return the call's record, a new one if it is not known; None if all that there is room for are live."""
        if (record := self.records.get(call_sid)) is not None:
            return record
        if len(self.records) >= self._limits.calls and not self._forget_oldest():
            return None
        self.started += 1
        return self._add(CallRecord(call_sid, at_s))

    def _add(self, record: CallRecord) -> CallRecord:
        self.records[record.call_sid] = record
        return record

    def _make_room(self, newest: CallRecord) -> None:
        """Forget the oldest calls that are over, or else the events of the one that is growing."""
        while self._text_bytes > self._limits.text_bytes or len(self.records) > self._limits.calls:
            if not self._forget_oldest(but=newest):
                freed, dropped = newest.drop_oldest_event()
                self._text_bytes -= freed
                self.dropped_events += dropped
                if not dropped:
                    return

    def _has_audio_room(self, record: CallRecord, size_bytes: int, now_s: float) -> bool:
        """Return whether there is room for more audio, for which that of the oldest calls that are over goes."""
        if self._audio_bytes + size_bytes <= self._limits.audio_bytes:
            return True
        if 0 <= now_s - self._full_s < 1:  # it was looked for just now, and hundreds of pieces come in a second
            return False
        for other in self.records.values():
            if other is not record and other.audio_bytes and other.state.name != "live":
                dropped = other.forget_audio()
                self._audio_bytes -= dropped
                self.dropped_audio_bytes += dropped
                self._tell(other)
                if self._audio_bytes + size_bytes <= self._limits.audio_bytes:
                    return True
        self._full_s = now_s
        return False

    def _forget_oldest(self, but: CallRecord | None = None) -> bool:
        """Forget the oldest call that is over. Return whether there was one."""
        for record in self.records.values():
            if record.state.name != "live" and record is not but:
                self._remove(record.call_sid)
                self.forgotten_calls += 1
                return True
        return False

    def _remove(self, call_sid: str) -> None:
        record = self.records.pop(call_sid, None)
        if record is not None:
            self._text_bytes -= record.text_bytes
            self._audio_bytes -= record.audio_bytes

    def _tell(self, record: CallRecord) -> None:
        for watcher in self._watchers:
            watcher.call_changed(record)


def _masked(event: Event, encoded: bytes) -> tuple[Event, bytes]:
    """Return the event and its JSON with all phone numbers masked: those in session attributes and documents."""
    encoded = _NUMBER.sub(lambda found: b"..." + found[0][-SHOWN_DIGITS:], encoded)
    *_, fields, words = msgspec.json.decode(encoded)
    return msgspec.structs.replace(event, fields=fields, words=words), encoded


def is_name(sid: str) -> bool:
    """Return whether a text may be the name of a call or a stream."""
    return len(sid) <= MAX_SID_CHARACTERS and _NAME.fullmatch(sid) is not None
