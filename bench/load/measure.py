"""One run of a case: server, callers, and Lex and Twilio beside it; its figures."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import proc, service
from bench.harness.report import percentile
from bench.harness.service import Process
from bench.load import programs, sounds
from bench.load.callers import Heard, PacedCallers
from bench.load.case import Case, Figures, Lateness
from bench.load.programs import HANGOVER_MS, Place
from lexbridge.audio.pcm import FRAME_MS
from lexbridge.offline.ports import free_port

SETTLES_S = 1.0
"""Wait for the server's start to be over, seconds: it goes on for a while after it answers."""
MODELS = ("hybrid", "silero")
MODELS_SETTLE_S = 4.0
"""Time for which detectors with a model may be awake in calls that begin all at once, seconds."""
ENDS_WITHIN_S = 15.0
"""Longest wait for the ends of all streams in the log, seconds."""
NOT_SENT_S = 5.0
"""Time to a request to Lex beyond which it belongs to another phrase, seconds."""


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of a run, seconds: before it is measured, and while it is."""

    warm_s: float = 3.0
    measured_s: float = 6.0


@dataclass(frozen=True, slots=True)
class Used:
    """Use of the machine by each worker: CPU and waiting for a core, both in seconds."""

    cpu_s: tuple[float, ...]
    waited_s: tuple[float, ...]

    @classmethod
    def now(cls, pids: Sequence[int]) -> "Used":
        """Return what the processes have used so far."""
        pairs = [proc.schedule_s(pid) for pid in pids]
        return cls(tuple(cpu_s for cpu_s, _ in pairs), tuple(waited_s for _, waited_s in pairs))


@dataclass(frozen=True, slots=True)
class Served:
    """Running server of a case. `lex_port`: of the stub, or None for a peer."""

    process: Process
    port: int
    lex_port: int | None = None


async def measure(case: Case, place: Place, times: Times, settings: Mapping[str, str]) -> Figures:
    """Return the figures of one run. Raises CallersFailed, StartFailed or NoCompiler."""
    cores = programs.cores_for(case.workers)
    for name in ("stalls", "reading", "server.log"):
        place.file(name).unlink(missing_ok=True)
    sound = sounds.talking() if case.talks else sounds.silent()
    async with (
        _served(case, place, settings) as served,
        PacedCallers(place, cores.rest, served.port, case.calls, sound) as callers,
    ):
        await asyncio.sleep(SETTLES_S)
        workers = served.process.workers
        idle_mb = sum(map(proc.proportional_mb, workers))
        warm_s = times.warm_s + (MODELS_SETTLE_S if case.detector in MODELS else 0.0)
        await callers.start(warm_s, times.measured_s)
        callers.go_on()
        (began_s,) = await callers.step("began", warm_s)
        before, since = Used.now(workers), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
        ended_s, messages = await callers.step("ended", times.measured_s)
        after = Used.now(workers)
        memory_mb = sum(map(proc.proportional_mb, workers))
        sent, client_late_s, broken = await callers.step("sent")
        turns = await _turns(served)
        callers.go_on()
        await callers.step("closed")
        log = await _log_of(served, case)
    heard = callers.heard()
    cpu_s = [later - sooner for sooner, later in zip(before.cpu_s, after.cpu_s, strict=True)]
    seconds = ended_s - began_s
    stalls = _stalls(place.file("stalls"), began_s, ended_s)
    lost, late, odd = _of_streams(log, int(sent), since) if case.is_service else (-1, 0, 0)
    return Figures(
        case=case,
        us_a_message=sum(cpu_s) / messages * 1e6,
        busiest=max(cpu_s) / seconds,
        shares=tuple(round(each_s / seconds, 3) for each_s in cpu_s),
        waited=(sum(after.waited_s) - sum(before.waited_s)) / seconds / len(workers),
        messages=int(messages),
        age=_lateness([1000 * waited_s for waited_s in heard.pongs]),
        closed=_lateness(_closed_ms(heard, turns)),
        turns=sum(began_s <= at_s < ended_s for _, at_s in turns),
        cpu_s=sum(cpu_s),
        seconds=seconds,
        idle_mb=idle_mb,
        kb_a_call=(memory_mb - idle_mb) * 1000 / case.calls,
        stall_ms=stalls[0],
        stall_cpu_ms=stalls[1],
        gc_ms=stalls[2],
        lost=lost,
        late=late,
        odd=odd,
        broken=int(broken),
        client_late_ms=1000 * client_late_s,
        reading_s=_reading_s(place.file("reading"), began_s, ended_s),
    )


@asynccontextmanager
async def _served(case: Case, place: Place, settings: Mapping[str, str]) -> AsyncIterator[Served]:
    cores, port = programs.cores_for(case.workers), free_port()
    async with AsyncExitStack() as stack:
        if not case.is_service:
            server = await stack.enter_async_context(programs.peer(case, place, cores, port))
            await _until_listening(server, port)
            yield Served(server, port)
            return
        certificate = programs.certificate(place) if case.tls else None
        stub = await stack.enter_async_context(programs.stub(place, cores, certificate))
        ports = [int(word) for word in (await stub.first_line()).split()]
        plain_url = f"http://127.0.0.1:{ports[0]}"
        lex_url = f"https://127.0.0.1:{ports[1]}" if case.tls else plain_url
        made = programs.service(case, place, cores, port, lex_url, plain_url, dict(settings))
        server = await stack.enter_async_context(made)
        await server.until_served(port, "/ready")
        yield Served(server, port, ports[0])


async def _until_listening(server: Process, port: int) -> None:
    deadline_s = time.monotonic() + service.START_LIMIT_S
    while time.monotonic() < deadline_s and server.is_running:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        await asyncio.sleep(0.05)
    raise service.StartFailed(f"the peer does not listen: {server.log_end()}")


async def _log_of(served: Served, case: Case) -> str:
    """Return the log of the service, once all streams have ended. A service that is behind takes some seconds."""
    deadline_s = time.monotonic() + (ENDS_WITHIN_S if case.is_service else 0.0)
    while True:
        log = served.process.log.read_text(encoding="utf-8", errors="replace")
        if log.count('"stream-ended"') >= case.calls or time.monotonic() > deadline_s:
            return log
        await asyncio.sleep(0.1)


async def _turns(served: Served) -> list[tuple[int, float]]:
    """Return the turns that Lex was asked for: the number of the call, and the end of the request."""
    if served.lex_port is None:
        return []
    found = json.loads((await service.get(served.lex_port, "/turns"))[1])["turns"]
    return [(call, at_s) for call, at_s in found]


def _lateness(times_ms: list[float]) -> Lateness:
    if not times_ms:
        return Lateness()
    p50, p90, p99 = (round(percentile(times_ms, percent), 3) for percent in (50, 90, 99))
    return Lateness(len(times_ms), p50, p90, p99, round(max(times_ms), 3))


def _closed_ms(heard: Heard, turns: list[tuple[int, float]]) -> list[float]:
    """Return the times from the end of each phrase to the end of its request, without the hangover, ms.

    A phrase without a request counts as NOT_SENT_S, but not if it was too near to the end of the measurement.
    """
    by_call: dict[int, list[float]] = {}
    for call, at_s in turns:
        by_call.setdefault(call, []).append(at_s)
    last_s = max((at_s for _, at_s in turns), default=0.0)
    found = []
    for call, ended_s in heard.phrases:
        due_s = ended_s + HANGOVER_MS / 1000
        after = [at_s - due_s for at_s in by_call.get(call, []) if at_s > ended_s]
        if after:
            found.append(1000 * min(NOT_SENT_S, *after, NOT_SENT_S))
        elif due_s + NOT_SENT_S < last_s:
            found.append(1000 * NOT_SENT_S)
    return found


def _of_streams(log: str, sent: int, since: str) -> tuple[int, int, int]:
    """Return the frames lost, the messages late or filled in, and the lines of trouble, from the log of the service.

    A worker that is overloaded counts from the time `since` on, because before it all calls came at once.
    """
    counted = late = odd = 0
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            odd += line.startswith("Traceback")
            continue
        if entry.get("event") == "stream-ended":
            # Silence before the first message is counted by the clock.
            counted += (int(entry["media_ms"]) - int(entry["silent_ms"])) // FRAME_MS
            late += int(entry["late_messages"]) + int(entry["filled_ms"]) // FRAME_MS + int(entry["odd_messages"])
        is_overload = entry.get("event") == "overloaded" and entry["timestamp"] >= since
        odd += is_overload or entry.get("level") in ("error", "critical")
    return sent - counted, late, odd


def _reading_s(path: Path, began_s: float, ended_s: float) -> float | None:
    """Return the CPU that reading took in the measured time, seconds, from its rate between the lines within it."""
    if not path.exists():
        return None
    noted: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        pid, at_s, spent_s = line.split()
        if began_s <= float(at_s) <= ended_s:
            noted.setdefault(pid, []).append((float(at_s), float(spent_s)))
    ends = [(points[0], points[-1]) for points in noted.values() if len(points) > 1]
    if not ends:
        return None
    return (ended_s - began_s) * sum((last[1] - first[1]) / (last[0] - first[0]) for first, last in ends)


def _stalls(path: Path, began_s: float, ended_s: float) -> tuple[float, float, float]:
    """Return the longest stall in the measured time, by the clock and by CPU, and the longest collection, ms."""
    if not path.exists():
        return 0.0, 0.0, 0.0
    lines = [[float(word) for word in line.split()] for line in path.read_text(encoding="ascii").splitlines()]
    within = [line[1:] for line in lines if began_s + 1 <= line[0] <= ended_s]
    if not within:
        return 0.0, 0.0, 0.0
    by_clock, by_cpu, collection = (max(column) for column in zip(*within, strict=True))
    return by_clock, by_cpu, collection
