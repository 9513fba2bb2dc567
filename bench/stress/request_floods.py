"""Floods of HTTP requests beside live calls and new calls: second half of `python -m bench floods`.

For one worker and for several, and for each kind of flood: processes that flood (bench/stress/request_flooder.py)
beside live calls that measure how long they wait (bench/stress/pinging_calls.py), and signed new calls meanwhile, each
with a webhook, a handshake and a stream. No caller speaks, so neither Lex nor Twilio's REST API is asked.
"""

import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import gevent
from gevent import subprocess as gevent_subprocess
from twilio.request_validator import RequestValidator

from bench.harness.call_messages import start_message, stream_token, webhook_form
from bench.harness.proc import children, resident_mb
from bench.harness.raw_client import RawClient, client_close, client_message
from bench.harness.report import table
from bench.harness.settings import AUTH_TOKEN, ROOT, service_settings
from bench.stress.request_flooder import KINDS
from lexbridge.net import read_schedule
from lexbridge.net.rfc6455 import PING, PONG
from lexbridge.offline.commands.bridge_process import BridgeProcess

LIMIT_MS = 1000 * read_schedule.QUIET_STEPS * read_schedule.STEP_S + 40.0
"""Longest time that a message of a live call may wait, ms: 40 more than the interval of the visits to a quiet line.

A flood takes the processor from the worker, too.
"""
GROWTH_LIMIT_MB = 10.0
"""Most growth of all workers together, MB, because of their buffers and what the allocator keeps."""
NEW_CALLS = 20
ANSWER_LIMIT_S = 5.0
"""Longest time to the answer to a new call's webhook, and to its stream, seconds. Twilio waits for 15 s."""


@dataclass(slots=True)
class Figures:
    """Figures of one flood against one number of workers."""

    workers: int
    kind: str
    requests: int
    waits: Mapping[str, float]
    answered: int
    new_calls: int
    slowest_s: float
    growth_mb: float
    problems: list[str]

    def row(self) -> list[str]:
        """Return the line of the table."""
        waits = self.waits
        return [
            str(self.workers),
            self.kind,
            str(self.requests),
            f"{waits['p50_ms']:.0f} / {waits['p99_ms']:.0f} / {waits['max_ms']:.0f}",
            f"{self.answered} of {self.new_calls}",
            f"{self.slowest_s:.2f}",
            f"{self.growth_mb:+.1f}",
            "; ".join(self.problems) or "ok",
        ]


HEADING = [
    *("workers", "flood", "requests", "wait p50/p99/max ms", "new calls", "slowest s", "MB", "verdict"),
]


class NewCaller:
    """Twilio when a new call comes in."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self._address = ("127.0.0.1", bridge.port)
        self._url = bridge.url
        self._validator = RequestValidator(AUTH_TOKEN)
        self.socket_signature: str = self._validator.compute_signature(f"wss://127.0.0.1:{bridge.port}/", {})

    def call(self, number: int) -> str:
        """Make a new call, up to its first answered ping. Return what went wrong, or an empty text."""
        twiml = self._webhook(webhook_form(number))
        found = re.search(r'name="lexbridge:token" value="([^"]+)"', twiml)
        if found is None:
            return f"the webhook answered {twiml[:60]!r}"
        if "<Start>" not in twiml:
            return "the document opens no stream"
        with RawClient(self._address, ANSWER_LIMIT_S) as client:
            status = client.upgrade(headers={"X-Twilio-Signature": self.socket_signature})
            if status != 101:
                return f"the handshake was answered with {status}"
            client.send(
                client_message(start_message(number, found[1])) + client_message(b"here", PING) + client_close()
            )
            ended = client.end()
        return "" if (PONG, b"here") in ended.messages and ended.code == 1000 else f"the stream ended with {ended.code}"

    def _webhook(self, form: dict[str, str]) -> str:
        body = urlencode(form).encode()
        signature = self._validator.compute_signature(f"{self._url}/twiml", form)
        head = (
            f"POST /twiml HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Twilio-Signature: {signature}\r\nConnection: close\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with RawClient(self._address, ANSWER_LIMIT_S) as client:
            client.send(head.encode() + body)
            return client.read_to_end().partition(b"\r\n\r\n")[2].decode()


@contextmanager
def pinging(bridge: BridgeProcess, calls: int, signature: str) -> Iterator[dict[str, float]]:
    """Keep live calls while the block runs. Yield the dict that has their figures after the block."""
    figures: dict[str, float] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as starts:
        json.dump([start_message(number, stream_token(number)) for number in range(calls)], starts)
        starts.flush()
        process = gevent_subprocess.Popen(
            [sys.executable, "-m", "bench.stress.pinging_calls", str(bridge.port), signature, starts.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a scheduling group of its own, not that of the flooders
        )
        try:
            assert process.stdout
            if process.stdout.readline() != b"ready\n":
                raise ConnectionError("the live calls were not accepted")
            gevent.sleep(1)
            yield figures
            output, _ = process.communicate(timeout=30)
            figures.update(json.loads(output))
        finally:
            process.kill()
            process.wait()


def measure(workers: int, kind: str | None, calls: int, seconds: float, flooders: int) -> Figures:
    """Run one flood, or none for comparison, if `kind` is None. Return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "bridge.log"
        settings = service_settings(WEB_CONCURRENCY=str(workers))
        with BridgeProcess(settings, log) as bridge:
            while len(children(bridge.pid)) < workers:
                gevent.sleep(0.1)
            gevent.sleep(1)
            figures = _flooded(bridge, workers, kind, calls, seconds, flooders)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    events = [json.loads(line)["event"] if line.startswith("{") else "no JSON" for line in lines]
    figures.problems += [what for what in ("overloaded", "worker-died", "worker-hung", "no JSON") if what in events]
    return figures


def _flooded(
    bridge: BridgeProcess, workers: int, kind: str | None, calls: int, seconds: float, flooders: int
) -> Figures:
    caller = NewCaller(bridge)
    pids = children(bridge.pid)
    with pinging(bridge, calls, caller.socket_signature) as waits:
        before_mb = sum(map(resident_mb, pids))
        peak_mb = [before_mb]

        def watch() -> None:
            while True:
                peak_mb.append(sum(map(resident_mb, pids)))
                gevent.sleep(0.1)

        watching = gevent.spawn(watch)
        arguments = [sys.executable, "-m", "bench.stress.request_flooder", str(bridge.port), kind or "", str(seconds)]
        flooding = [
            gevent_subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(flooders if kind else 0)
        ]
        gevent.sleep(1)  # the flooders have begun
        outcomes, slowest_s = _new_calls(caller, (seconds - 1.5) / NEW_CALLS)
        made = sum(int(process.communicate(timeout=seconds + 60)[0] or 0) for process in flooding)
        if not kind:
            gevent.sleep(1)
        watching.kill()
    figures = Figures(
        workers,
        kind or "none",
        made,
        waits,
        outcomes.count(""),
        len(outcomes),
        slowest_s,
        max(peak_mb) - before_mb,
        [],
    )
    figures.problems += sorted({outcome for outcome in outcomes if outcome})
    if waits["max_ms"] > LIMIT_MS:
        figures.problems.append(f"a message waited {waits['max_ms']:.0f} ms")
    if waits["over"]:
        figures.problems.append(f"{waits['over']} live calls ended")
    if figures.growth_mb > GROWTH_LIMIT_MB:
        figures.problems.append(f"{figures.growth_mb:.0f} MB more")
    if children(bridge.pid) != pids:
        figures.problems.append("a worker ended")
    return figures


def _new_calls(caller: NewCaller, every_s: float) -> tuple[list[str], float]:
    """Make the new calls. Return what went wrong with each, and the time of the slowest, seconds."""
    outcomes, slowest_s = [], 0.0
    next_s = time.monotonic()
    for _ in range(NEW_CALLS):
        began_s = time.monotonic()
        try:
            outcomes.append(caller.call(1000 + secrets.randbelow(1 << 60)))
        except OSError as error:
            outcomes.append(type(error).__name__)
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        next_s += every_s
        gevent.sleep(max(0.0, next_s - time.monotonic()))
    return outcomes, slowest_s


def run(workers: list[int], kinds: list[str], calls: int, seconds: float, flooders: int) -> bool:
    """Run all floods and print the table. Return whether every limit was kept."""
    rows = []
    for count in workers:
        for kind in (None, *kinds):
            figures = measure(count, kind, calls, seconds, flooders)
            rows.append(figures)
            print("  ".join(figures.row()), file=sys.stderr, flush=True)
    print(table([HEADING, *(figures.row() for figures in rows)]))
    print(f"limits: wait {LIMIT_MS:.0f} ms, memory +{GROWTH_LIMIT_MB:.0f} MB, every new call answered, no overload")
    return not any(figures.problems for figures in rows)


__all__ = ["KINDS", "run"]
