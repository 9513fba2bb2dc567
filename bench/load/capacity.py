"""CPU and memory of a live call, and so how many calls a vCPU bears.

    python -m bench capacity --calls 20,60,100 --vad amplitude --vad hybrid

One worker of the real server.py carries real-time calls in call-update mode: a media message each 20 ms as Twilio
sends them, synthetic speech over a line's noise, a bot that answers each utterance. For each detector the calls are
added in steps to one running service; CPU and memory of a call are the slopes of a line through the steps. The first
detector is the baseline of the others. CPU is CPU time of the service's processes, so that other work on the machine
matters little (it still shares caches and clock speed). Callers, Lex and Twilio run on the same machine and are not
counted. Nor is TLS to Lex and to Twilio's REST API, because the measurement speaks plain HTTP. Linux only.

Exit status 1 when a call was refused or ended early, or the measurement itself could not keep pace.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.harness import proc
from bench.harness.arguments import add_seconds, make_parser
from bench.harness.load import Load, Plan, running
from bench.harness.report import percentile, table
from bench.harness.twilio.pace import Pace
from bench.load.stream_mode.speech import make_speech
from bench.load.talker import HANGOVER_S, LEX_THINKS_S, Talker, TalkFigures, frames_of, noise_frames
from lexbridge.audio.pcm import FRAME_MS

MOST_CALLS = 200
RAMP_S_A_CALL = 0.1
SETTLES_S = 10.0
"""Time from the last new call to the beginning of a step, seconds."""
BUSY = 0.6
"""Share of a vCPU to use, because bursts, new calls and noisy neighbours need the rest."""
LATE_MS = 100.0
"""Lateness of the callers' clock, ms at the 99th percentile, beyond which the calls are not real-time any more."""
PACE = Pace(say_s_per_character=0.6, longest_say_s=4.0)
"""Speed of the bot's speech: "turn 1" takes 3.6 s."""
SETTINGS = {"MAX_CALLS": "1000", "HANGOVER_MS": f"{HANGOVER_S * 1000:.0f}", "LOG_LEVEL": "INFO"}


@dataclass(frozen=True, slots=True)
class Step:
    """Figures of the service with a number of live calls, over `seconds`."""

    calls: int
    seconds: float
    cpu_s: float
    memory_mb: float
    turns: int
    log_bytes: int
    late_ms: float
    """Lateness of the callers' clock, 99th percentile."""
    machine: float
    """Share of all CPUs of the machine that was busy, with the callers, Lex and all else."""
    wait_ms: float
    """Time to an answer beyond the hangover and Lex's thinking, 95th percentile."""
    overloads: int
    """Number of times that the service logged `overloaded`."""

    @property
    def cores(self) -> float:
        """Number of cores that the service used."""
        return self.cpu_s / self.seconds

    @property
    def turns_a_minute(self) -> float:
        """Turns of one call in a minute."""
        return self.turns / self.calls / self.seconds * 60


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU (ms a second) and memory of a live call, and memory of a service without calls."""

    cpu_ms: float
    memory_kb: float
    idle_mb: float

    @property
    def calls_a_vcpu(self) -> float:
        """Calls that use the share BUSY of a vCPU."""
        return BUSY * 1000 / self.cpu_ms


def cost_of(steps: Sequence[Step]) -> Cost:
    """Return the slopes of straight lines through at least two steps."""
    calls = [step.calls for step in steps]
    cores_a_call, _ = np.polyfit(calls, [step.cores for step in steps], 1)
    mb_a_call, idle_mb = np.polyfit(calls, [step.memory_mb for step in steps], 1)
    return Cost(float(cores_a_call) * 1000, float(mb_a_call) * 1000, float(idle_mb))


async def measure(
    vad: str, counts: Sequence[int], seconds: float, phrases: Sequence[Sequence[bytes]], figures: TalkFigures
) -> list[Step]:
    """Return the steps of one detector, on one service."""
    plan = Plan(
        workers=1,
        frames_per_message=1,
        thinking_s=LEX_THINKS_S,
        pace=PACE,
        settings={**SETTINGS, "VAD": vad},
    )
    noise, steps = noise_frames(), list[Step]()
    async with running(plan) as load:
        for count in counts:
            while len(load.twilio.calls) < count:
                number = len(load.twilio.calls)
                load.twilio.place_call(load.webhook_url, Talker(load.twilio.clock, noise, phrases, number, figures))
                await load.sleep(RAMP_S_A_CALL)
            await load.sleep(SETTLES_S)
            steps.append(await _step(load, seconds, figures))
            print("\t".join(_row(vad, steps[-1])), flush=True)
    return steps


async def _step(load: Load, seconds: float, figures: TalkFigures) -> Step:
    def held() -> Step:
        pids = {load.service.pid, *load.service.workers}
        return Step(
            calls=len(load.twilio.calls),
            seconds=time.monotonic(),
            cpu_s=proc.cpu_s(load.service.pid),
            memory_mb=sum(map(proc.proportional_mb, pids)),
            turns=0,
            log_bytes=load.service.log.stat().st_size,
            late_ms=0.0,
            machine=proc.machine_busy_s(),
            wait_ms=0.0,
            overloads=load.service.log.read_text(encoding="utf-8").count('"event": "overloaded"'),
        )

    def turns_of(counts: dict[str, int]) -> int:
        return counts.get("turns", 0) + counts.get("not understood", 0)

    load.twilio.clock.lateness_ms.clear()
    figures.waits_s.clear()
    turns, before = turns_of(await load.counts()), held()
    await load.sleep(seconds)
    after = held()
    return replace(
        after,
        seconds=after.seconds - before.seconds,
        cpu_s=after.cpu_s - before.cpu_s,
        turns=turns_of(await load.counts()) - turns,
        log_bytes=after.log_bytes - before.log_bytes,
        late_ms=percentile(load.twilio.clock.lateness_ms, 99),
        machine=(after.machine - before.machine) / (after.seconds - before.seconds) / (os.cpu_count() or 1),
        wait_ms=percentile(figures.waits_s, 95, default=0.0) * 1000,
        overloads=after.overloads - before.overloads,
    )


HEADING = (
    *("detector", "calls", "turns/min/call", "cores", "CPU ms/call/s", "memory MB", "log kB/call/h"),
    *("answer p95 ms", "overloads", "machine busy", "bench late ms"),
)


def _row(vad: str, step: Step) -> list[str]:
    log_kb = step.log_bytes / 1000 / step.calls / step.seconds * 3600
    return [
        *(vad, str(step.calls), f"{step.turns_a_minute:.1f}", f"{step.cores:.3f}"),
        *(f"{step.cores * 1000 / step.calls:.2f}", f"{step.memory_mb:.1f}", f"{log_kb:.0f}"),
        *(f"{step.wait_ms:.0f}", str(step.overloads), f"{step.machine:.0%}", f"{step.late_ms:.1f}"),
    ]


def cost_table(costs: dict[str, Cost]) -> str:
    """Return the table of the costs, compared with the first."""
    baseline = next(iter(costs.values()))
    rows = [["detector", "CPU ms/call/s", "times baseline", "kB/call", "idle MB", f"calls/vCPU at {BUSY:.0%}"]]
    for vad, cost in costs.items():
        rows.append(
            [
                *(vad, f"{cost.cpu_ms:.2f}", f"{cost.cpu_ms / baseline.cpu_ms:.2f}"),
                *(f"{cost.memory_kb:.0f}", f"{cost.idle_mb:.0f}", f"{cost.calls_a_vcpu:.0f}"),
            ]
        )
    return table(rows)


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


async def run(vads: Sequence[str], counts: Sequence[int], seconds: float) -> int:
    """Measure the detectors and print the tables. Return the exit status."""
    print("Making the speech ...", flush=True)
    speech = make_speech()
    phrases = [frames_of(pcm) for pcm in {**speech.phrases, **speech.others}.values()]
    spoken_s = float(np.mean([len(phrase) for phrase in phrases])) * FRAME_MS / 1000
    print(f"{_cpu_model()}; call-update, one worker, phrases of {spoken_s:.1f} s on average", flush=True)
    figures = TalkFigures()
    found = {vad: await measure(vad, counts, seconds, phrases, figures) for vad in vads}
    print("\n" + table([list(HEADING), *(_row(vad, step) for vad, steps in found.items() for step in steps)]))
    print("\n" + cost_table({vad: cost_of(steps) for vad, steps in found.items()}))
    late_ms = max(step.late_ms for steps in found.values() for step in steps)
    print(f"\n{figures.ended_early} calls were refused or ended early; the callers' clock: {late_ms:.0f} ms late (p99)")
    return 1 if figures.ended_early or late_ms > LATE_MS else 0


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("capacity", __doc__)
    parser.add_argument(
        "--vad",
        action="append",
        help="detector; may be repeated; the first is the baseline (default: amplitude, hybrid)",
    )
    parser.add_argument(
        "--calls", default="20,60,100", help="numbers of live calls, at least two (default: %(default)s)"
    )
    add_seconds(parser, 30, "each step")
    options = parser.parse_args(arguments)
    counts = sorted({int(count) for count in options.calls.split(",")})
    if len(counts) < 2 or not 1 <= counts[0] <= counts[-1] <= MOST_CALLS:
        parser.error(f"--calls takes at least two different numbers from 1 to {MOST_CALLS}")
    return asyncio.run(run(options.vad or ["amplitude", "hybrid"], counts, options.seconds))
