"""What watching costs the calls: CPU and lateness with consoles open, and with one that reads nothing.

    python -m bench consoles
    python -m bench consoles --only stuck --seconds 60

The calls are those of `python -m bench load`, and talk. They are measured in turns, round after round: without
ADMIN_PORT ("alone"), with it and nobody who watches ("counted"), with two consoles that read all they are told
("consoles"; one of them follows a call, so its audio is told too), with one that follows a call and never reads
("stuck"), and without ADMIN_PORT while all calls are recorded ("recorded": RECORD_DIR, so the audio of all calls is
told). The observer process has the cores of the callers, and not those of the workers.

"CPU a message" is that of the workers alone, median of the rounds, and "ratio" its ratio to "alone". "age p99" is the
age of a media message when the server has worked on it. "observer" is the share of a core that the observer process
uses, "told" what a console was told, in kB a second.

Limits: with consoles or a stuck one a message costs at most 1.1 times the CPU, its age at the 99th percentile is at
most 5 ms more, and no frame is lost or late. Ages are told of rounds in which the worker had its core. What recording
costs is told without a limit. Exit status 1 when a limit is not kept. Linux only.
"""

import asyncio
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.harness import proc
from bench.harness.arguments import add_calls, add_seconds, make_parser
from bench.harness.report import table
from bench.harness.service import OBSERVING
from bench.load import programs
from bench.load.case import OURS, Case, Figures
from bench.load.measure import Times, measure
from bench.load.programs import NoCompiler, Place
from lexbridge.offline.ports import free_port

MOST_CPU = 1.1
MOST_LATER_MS = 5.0
"""How much older messages may be when they are worked on, at the 99th percentile, ms: less than half a visit."""
RETRY_S = 0.2
"""Interval at which a console tries to open, until the service is there, seconds."""
STUCK_BUFFER_BYTES = 4096
"""Size of the receive buffer of the console that reads nothing, because a large one would be full only after long."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Those who watch the calls: consoles on ADMIN_PORT that read or are stuck, and the recorder."""

    name: str
    has_port: bool = True
    readers: int = 0
    stuck: int = 0
    records: bool = False


WATCHES = (
    Watch("alone", has_port=False),
    Watch("counted"),
    Watch("consoles", readers=2),
    Watch("stuck", stuck=1),
    Watch("recorded", has_port=False, records=True),
)


@dataclass(slots=True)
class Round:
    """Figures of one round. `observer`: the share of a core of the observer process. `told_kb_s`: of each console."""

    figures: Figures
    observer: float = 0.0
    told_kb_s: float = 0.0


@dataclass(slots=True)
class Consoles:
    """The consoles of one round: server-sent events over sockets of this process."""

    port: int
    log: Path
    told_bytes: int = 0
    opened_s: float = 0.0
    observer: float = 0.0

    async def read(self, *, follows: bool) -> None:
        """Open a console and read all that it is told."""
        call_sid = await self._call_sid()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(_request("/console/api/stream" + (f"?follow={call_sid}" if follows else "")))
        self.opened_s = self.opened_s or time.monotonic()
        try:
            while told := await reader.read(65536):
                self.told_bytes += len(told)
        finally:
            writer.transport.abort()

    async def be_stuck(self) -> None:
        """Open a console, follow a call, and read nothing."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STUCK_BUFFER_BYTES)
        connection.setblocking(False)
        call_sid = await self._call_sid()
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", self.port))
        await loop.sock_sendall(connection, _request(f"/console/api/stream?follow={call_sid}"))
        try:
            await asyncio.Event().wait()
        finally:
            connection.close()

    async def place_observer(self, cores: frozenset[int]) -> None:
        """Give the observer process its cores as soon as it is there, and note its CPU from then on."""
        while (pid := observer_of(self.log)) is None:
            await asyncio.sleep(RETRY_S)
        if cores:
            os.sched_setaffinity(pid, cores)
        began_s, before_s = time.monotonic(), proc.cpu_s(pid)
        while True:
            await asyncio.sleep(1.0)
            with suppress(OSError, ValueError):
                share = (proc.cpu_s(pid) - before_s) / (time.monotonic() - began_s)
                self.observer = max(share, self.observer)  # it is 0 once the process has ended

    async def _call_sid(self) -> str:
        """Return a live call, as soon as there is one."""
        while True:
            with suppress(OSError, ValueError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(_request("/calls"))
                    answer = await reader.read()
                finally:
                    writer.transport.abort()
                live = json.loads(answer.partition(b"\r\n\r\n")[2])["live"]
                if live:
                    return str(live[0]["call_sid"])
            await asyncio.sleep(RETRY_S)


def observer_of(log: Path) -> int | None:
    """Return the process id of the observer, by the log of the service, or None if there is none yet."""
    with suppress(OSError):
        if found := OBSERVING.findall(log.read_text(encoding="utf-8", errors="replace")):
            return int(found[-1])
    return None


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode()


@asynccontextmanager
async def _watching(watch: Watch, place: Place, port: int, workers: int) -> AsyncIterator[Consoles]:
    """Watch from the moment on at which there are calls."""
    consoles = Consoles(port, place.file("server.log"))
    tasks = [asyncio.create_task(consoles.read(follows=number == 0)) for number in range(watch.readers)]
    tasks += [asyncio.create_task(consoles.be_stuck()) for _ in range(watch.stuck)]
    if watch.has_port or watch.records:
        tasks.append(asyncio.create_task(consoles.place_observer(programs.cores_for(workers).rest)))
    try:
        yield consoles
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def one_round(watch: Watch, case: Case, place: Place, times: Times) -> Round:
    """Measure the calls while they are watched so."""
    port = free_port()
    place.file("server.log").unlink(missing_ok=True)  # the observer of the round before is in it
    settings = {"ADMIN_PORT": str(port)} if watch.has_port else {}
    recordings = place.file("recordings")
    if watch.records:
        recordings.mkdir()
        settings["RECORD_DIR"] = str(recordings)
    async with _watching(watch, place, port, case.workers) as consoles:
        figures = await measure(case, place, times, settings)
        seconds = time.monotonic() - consoles.opened_s
    shutil.rmtree(recordings, ignore_errors=True)
    told_kb_s = consoles.told_bytes / 1000 / seconds / watch.readers if watch.readers else 0.0
    return Round(figures, consoles.observer, told_kb_s)


def medians(rounds: Sequence[Round]) -> tuple[float, float]:
    """Return the CPU of a message, us, and the age of messages at the 99th percentile, ms: medians of the rounds."""
    return (
        statistics.median(one.figures.us_a_message for one in rounds),
        statistics.median(one.figures.age.p99 for one in rounds),
    )


def verdicts(found: dict[str, list[Round]]) -> list[list[str]]:
    """Return a row for each limit: what, found, most, and whether it is kept."""
    rows = []
    alone = found["alone"]
    for name in (name for name in found if name in ("consoles", "stuck")):
        watched = found[name]
        troubles = sum(
            max(0, one.figures.lost) + one.figures.late + one.figures.broken + one.figures.odd for one in watched
        )
        limits = [
            ("CPU a message / alone", medians(watched)[0] / medians(alone)[0], MOST_CPU),
            ("frames lost or late, streams broken, errors", troubles, 0),
        ]
        if (had := _with_core(watched)) and (had_alone := _with_core(alone)):
            limits.append(("age p99 beyond alone, ms", medians(had)[1] - medians(had_alone)[1], MOST_LATER_MS))
        for what, value, most in limits:
            rows.append([f"{name}: {what}", f"{value:.3g}", f"{most:g}", "yes" if value <= most else "NO"])
    return rows


def _with_core(rounds: Sequence[Round]) -> list[Round]:
    """Return the rounds in which the worker had its core: the times of others are those of the machine."""
    return [one for one in rounds if one.figures.had_core]


def rows_of(found: dict[str, list[Round]]) -> list[list[str]]:
    """Return the table of the figures."""
    heading = ["watched by", "us a message", "ratio", "age p50, p99 ms", "closed p50 ms", "observer", "told", "no core"]
    rows = [heading]
    alone = medians(found["alone"])[0]
    for name, rounds in found.items():
        cpu, age = medians(rounds)
        p50 = statistics.median(one.figures.age.p50 for one in rounds)
        closed = statistics.median(one.figures.closed.p50 for one in rounds)
        rows.append(
            [
                *(name, f"{cpu:.1f}", f"{cpu / alone:.2f}", f"{p50:.1f}, {age:.1f}", f"{closed:.1f}"),
                f"{statistics.median(one.observer for one in rounds):.0%}",
                f"{statistics.median(one.told_kb_s for one in rounds):.1f}",
                f"{statistics.median(one.figures.waited for one in rounds):.0%}",
            ]
        )
    return rows


async def run(case: Case, place: Place, times: Times, rounds: int, watches: Sequence[Watch]) -> int:
    """Measure the watches in turns, and print the tables. Return the exit status."""
    found: dict[str, list[Round]] = {watch.name: [] for watch in watches}
    for number in range(rounds):
        for watch in watches if number % 2 == 0 else watches[::-1]:  # none is always the first on a cool machine
            print(f"round {number + 1}: {watch.name} ...", file=sys.stderr, flush=True)
            found[watch.name].append(await one_round(watch, case, place, times))
    print(table(rows_of(found)))
    checked = verdicts(found)
    print("\n" + table([["limit", "found", "most", "kept"], *checked]))
    return 0 if all(row[-1] == "yes" for row in checked) else 1


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("consoles", __doc__)
    add_calls(parser, 200, "live calls")
    add_seconds(parser, 20, "each round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default: %(default)s)")
    parser.add_argument("--mode", default="call-update", choices=["call-update", "stream"], help="the reply mode")
    names = [watch.name for watch in WATCHES[1:]]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, help="these beside `alone` (default: all of them)"
    )
    options = parser.parse_args(arguments)
    watches = [watch for watch in WATCHES if watch.name in ("alone", *options.only)]
    proc.raise_descriptor_limit()
    case = Case(OURS, options.calls, talks=True, mode=options.mode)
    with tempfile.TemporaryDirectory(prefix="lexbridge-consoles-") as folder:
        try:
            place = Place(Path(folder), programs.compiled(programs.CALLERS, Path(folder)))
        except NoCompiler as error:
            print(error, file=sys.stderr)
            return 2
        return asyncio.run(run(case, place, Times(measured_s=options.seconds), options.rounds, watches))
