"""The sink that records all calls into RECORD_DIR: of each a stereo WAV file, and its time line as JSON.

Facts are taken at once, and written by a thread of the system, because a disk may take seconds. A disk that is full or
broken is logged, and costs the recordings alone.
"""

import errno
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path

import gevent
from gevent.event import Event as Signal
from gevent.threadpool import ThreadPool

from lexbridge.config.settings import Settings
from lexbridge.logs import Log, RateLimitedLog
from lexbridge.observer.bugs import BugWindow
from lexbridge.observer.recording import recordings
from lexbridge.observer.recording.call_recording import CallRecording, mend_recording
from lexbridge.observer.watched.call_facts import CallFacts
from lexbridge.observer.watched.watched_calls import CallEnded, Told, WatchedCalls
from lexbridge.telemetry.facts import Audio, Event, Fact

WRITE_EVERY_S = 0.25
"""Interval in seconds at which what has come is written, because fewer and larger writes cost less."""

ENFORCE_EVERY_S = 10.0
"""Interval in seconds at which recordings beyond the bounds are deleted, because 500 calls write 80 MB meanwhile."""

MAX_WAITING_BYTES = 64 << 20
"""The most audio that waits to be written, in bytes, because 500 calls bring 8 MB a second: it is eight seconds."""

MAX_WAITING_FACTS = 100_000
"""The most facts that wait to be written, because events take memory too."""

_MB = 1_000_000


class Recorder:
    """The sink. `settings` has RECORD_DIR and its bounds."""

    def __init__(self, settings: Settings) -> None:
        self._files = _Files(
            Path(settings.service.record_dir or ""),
            settings.service.record_max_mb * _MB,
            settings.service.record_max_days,
        )
        self._waiting: deque[Fact] = deque()
        self._waiting_bytes = 0
        self._is_closing = Signal()
        self._failed = RateLimitedLog("recording-failed")
        self._bugs = BugWindow()
        self._pool = ThreadPool(1)
        self._writer = gevent.spawn(self._write)

    def take(self, fact: Fact) -> None:
        """Take in a fact, unless too many wait."""
        size = len(fact.mulaw) if isinstance(fact, Audio) else 0
        if self._waiting_bytes + size > MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING_FACTS:
            self._failed.count("too slow")
            return
        self._waiting_bytes += size
        self._waiting.append(fact)

    def close(self, deadline_s: float) -> None:
        """Write what waits, and finish the recordings of calls that are over.

        What is left of the others is finished by the next start.
        """
        self._is_closing.set()
        self._writer.join(timeout=deadline_s)
        self._writer.kill(block=False)

    def _write(self) -> None:
        """Write what has come, again and again, as a greenlet."""
        while not self._is_closing.wait(WRITE_EVERY_S):
            self._write_once()
        self._write_once()
        self._run(self._files.close)

    def _write_once(self) -> None:
        facts, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        self._run(self._files.write, facts, time.time())

    def _run(self, work: Callable[..., Counter[str]], *arguments: object) -> None:
        """Have the thread do something, and log what failed."""
        try:
            for reason, count in self._pool.apply(work, arguments).items():
                for _ in range(count):
                    self._failed.count(reason)
        except Exception:
            if self._bugs.may_log():
                Log().exception("recorder-broken")


class _Files:
    """The recordings of all live calls. Only the thread uses it; each method returns how much failed, by reason."""

    def __init__(self, folder: Path, max_bytes: int, max_days: int) -> None:
        self._folder = folder
        self._max_bytes, self._max_days = max_bytes, max_days
        self._calls = WatchedCalls()
        self._live: dict[str, CallRecording] = {}
        self._refused: dict[str, CallFacts] = {}  # calls that have no recording, because it could not be made
        self._has_room = True
        self._enforced_s = 0.0
        self._failed: Counter[str] = Counter()

    def mend_all(self) -> None:
        """Finish what a crash has left."""
        try:
            for name in recordings.unfinished(self._folder):
                self._try(mend_recording, self._folder, name)
        except OSError as error:
            self._note(error)

    def write(self, facts: deque[Fact], now_s: float) -> Counter[str]:
        """Write facts, and finish the recordings of calls that are over."""
        if now_s - self._enforced_s > ENFORCE_EVERY_S:
            self._enforced_s = now_s
            self.mend_all()
            self._enforce()
        touched: dict[str, CallRecording] = {}
        for fact in facts:
            self._take(fact, touched)
        for one in touched.values():
            self._try(one.sync)
        self._ended(self._calls.tick(now_s))
        return self._result()

    def close(self) -> Counter[str]:
        """Finish the recordings of calls that have no stream, and leave the others to the next start."""
        self._ended(self._calls.end_all(time.time()))
        for one in self._live.values():
            self._try(one.sync)
            one.abandon()
        self._live.clear()
        return self._result()

    # -- parts of `write`

    def _take(self, fact: Fact, touched: dict[str, CallRecording]) -> None:
        if isinstance(fact, Audio):
            recording = self._live.get(fact.call_sid)
            if recording is not None and self._has_room:
                self._try(recording.take_audio, fact)
                touched[fact.call_sid] = recording
            elif not self._has_room:
                self._failed["RECORD_MAX_MB"] += 1
            return
        if fact.name == "worker-ended":
            self._worker_ended(fact, touched)
        self._ended(self._calls.take(fact))
        recording = self._recording(fact)
        if recording is not None:
            self._try(recording.take, fact)
            touched[fact.call_sid] = recording

    def _worker_ended(self, event: Event, touched: dict[str, CallRecording]) -> None:
        for call_sid, recording in self._live.items():
            if recording.has_stream_of(event.fields.get("pid")):
                self._try(recording.take, event)
                touched[call_sid] = recording

    def _recording(self, event: Event) -> CallRecording | None:
        """Return the recording of an event's call. A new call gets one; None if it cannot be made."""
        facts = self._calls.facts(event.call_sid)
        if facts is None:
            return None
        recording = self._live.get(event.call_sid)
        if recording is None and facts is not self._refused.get(event.call_sid):
            try:
                # Not when the call began, because the part of a successor has to stand behind the one before.
                name = recordings.free_name(self._folder, event.call_sid, event.at_s)
                recording = self._live[event.call_sid] = CallRecording(self._folder, name, facts)
            except OSError as error:
                self._note(error)
                self._refused[event.call_sid] = facts
        return recording

    def _ended(self, told: Iterable[Told]) -> None:
        for one in told:
            if isinstance(one, CallEnded):
                self._refused.pop(one.call.call_sid, None)
                recording = self._live.pop(one.call.call_sid, None)
                if recording is not None:
                    self._try(recording.finish)
                    self._enforce()

    def _enforce(self) -> None:
        try:
            _, self._has_room = recordings.enforce(self._folder, self._max_bytes, self._max_days)
        except OSError as error:
            self._note(error)

    def _try(self, work: Callable[..., object], *arguments: object) -> None:
        try:
            work(*arguments)
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        self._failed[errno.errorcode.get(error.errno or 0, type(error).__name__)] += 1

    def _result(self) -> Counter[str]:
        failed, self._failed = self._failed, Counter()
        return failed
