"""The workers as they report themselves, once a second."""

from collections.abc import Sequence

import msgspec

from lexbridge.observer.watched.values import text, whole
from lexbridge.telemetry.facts import Event

MAX_WORKERS = 256
"""Workers that are remembered, because WEB_CONCURRENCY is 64 at most, and replaced ones stay for a while."""

GONE_SHOWN_S = 900.0
"""Time for which a worker that ended is still shown, seconds, because an operator may come minutes after a fault."""


class Worker(msgspec.Struct):
    """One worker process."""

    pid: int
    slot: int | None
    state: str | None
    live_calls: int
    lag_ms: int | None
    busy_percent: int | None
    memory_mb: int | None
    lines_generation: int | None
    """Number of the table of lines by which it serves new calls; 0 if there is none."""
    age_s: float
    ended_s: float | None = None
    signal: str | None = None
    """Signal that ended it unasked, such as SIGKILL."""
    status: int | None = None
    """Exit status with which it ended unasked."""
    lost_calls: list[str] = []
    """Calls that it served when it ended."""


class Workers:
    """All workers, by process id."""

    def __init__(self) -> None:
        self._workers: dict[int, Worker] = {}
        self._began_s: dict[int, float] = {}
        self._dropped: dict[int, int] = {}
        self._dropped_before = 0  # by workers that are no longer remembered

    @property
    def dropped_facts(self) -> int:
        """Number of facts that the workers could not tell, because the observer was too slow."""
        return self._dropped_before + sum(self._dropped.values())

    def take(self, event: Event, call_sids: Sequence[str] = ()) -> None:
        """Take in a report of a worker, or its end. `call_sids`: the calls that it served then."""
        pid = whole(event.fields, "pid")
        if pid is None:
            return
        if event.name == "worker-reports":
            self._report(pid, event)
        elif event.name in ("worker-ended", "worker-died") and (worker := self._workers.get(pid)):
            worker.state, worker.live_calls, worker.lost_calls = "ended", 0, list(call_sids)
            worker.ended_s = worker.ended_s or event.at_s
            worker.signal, worker.status = text(event.fields, "signal"), whole(event.fields, "status")

    def _report(self, pid: int, event: Event) -> None:
        if pid not in self._workers and len(self._workers) >= MAX_WORKERS:
            self._forget(min(self._began_s, key=self._began_s.__getitem__))
        fields = event.fields
        began_s = self._began_s.setdefault(pid, event.at_s - max(0, whole(fields, "age_s") or 0))
        self._dropped[pid] = max(0, whole(fields, "dropped") or 0)
        self._workers[pid] = Worker(
            pid=pid,
            slot=whole(fields, "slot"),
            state=text(fields, "state"),
            live_calls=whole(fields, "live_calls") or 0,
            lag_ms=whole(fields, "lag_ms"),
            busy_percent=whole(fields, "busy_percent"),
            memory_mb=whole(fields, "memory_mb"),
            lines_generation=whole(fields, "lines_generation"),
            age_s=max(0.0, event.at_s - began_s),
        )

    def view(self, now_s: float) -> list[Worker]:
        """Return the workers by slot, those that ended lately included."""
        for pid in [one.pid for one in self._workers.values() if one.ended_s and now_s - one.ended_s > GONE_SHOWN_S]:
            self._forget(pid)
        return sorted(self._workers.values(), key=lambda one: (one.slot or 0, one.pid))

    def _forget(self, pid: int) -> None:
        del self._workers[pid], self._began_s[pid]
        self._dropped_before += self._dropped.pop(pid, 0)
