"""Whether the service leaks: 200 real-time calls for minutes, each of 5 to 15 turns, a new one for each that ends.

Each minute it prints calls, memory (proportional set size), descriptors, threads and greenlets of all workers together;
it looks at them four times a minute. Exit status 1 when a call fails, or when the median of the last third is above
that of the second by more than a tolerance. The first third is for warming up. Linux only.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.harness import proc
from bench.harness.arguments import add_calls, add_service, make_parser, settings_from
from bench.harness.load import Load, Plan, ServiceEnded, running
from bench.harness.settings import ROOT
from bench.stress.survival.command import ANSWERS_AFTER_S

LOOKS = 4
"""Number of looks at the workers in a minute."""
STATE_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Growth that is allowed as noise: a share, and a number beyond it."""

    share: float
    number: float


TOLERANCES = {
    "memory, MB": Tolerance(0.02, 3.0),
    "descriptors": Tolerance(0.03, 12.0),
    "threads": Tolerance(0.0, 1.0),
    "greenlets": Tolerance(0.05, 25.0),
    "objects": Tolerance(0.05, 5000.0),
}
"""Tolerance of each figure, because calls begin and end all the time and no two looks see the same."""


async def look(load: Load, state: Path | None) -> dict[str, float]:
    """Return what all workers hold now."""
    workers = load.service.workers
    held = {
        "memory, MB": sum(map(proc.proportional_mb, workers)),
        "descriptors": float(sum(map(proc.descriptors, workers))),
        "threads": float(sum(map(proc.threads, workers))),
    }
    if state is None:
        return held
    states = [await _ask(state, worker) for worker in workers]
    return {**held, **{name: float(sum(one[name] for one in states)) for name in ("greenlets", "objects")}}


async def _ask(state: Path, worker: int) -> dict[str, int]:
    path = Path(f"{state}.{worker}")
    path.unlink(missing_ok=True)
    os.kill(worker, signal.SIGRTMIN)
    deadline_s = time.monotonic() + STATE_LIMIT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(FileNotFoundError):
            counts: dict[str, int] = json.loads(path.read_text(encoding="ascii"))
            return counts
        await asyncio.sleep(0.02)
    raise ServiceEnded(f"worker {worker} did not write its state within {STATE_LIMIT_S:g} s")


def growth(looks: Sequence[dict[str, float]]) -> list[str]:
    """Return what grew from the second third of the looks to the last."""
    third = len(looks) // 3
    grown = []
    for name, tolerance in TOLERANCES.items():
        seen = [one[name] for one in looks if name in one]
        if len(seen) < len(looks) or not third:
            continue
        before, after = statistics.median(seen[third : 2 * third]), statistics.median(seen[2 * third :])
        if after > before * (1 + tolerance.share) + tolerance.number:
            grown.append(f"{name}: {before:.0f}, then {after:.0f}")
    return grown


async def soak(load: Load, minutes: float, ramp_s: float, state: Path | None) -> list[dict[str, float]]:
    """Place the calls, and return every look at the workers. `state`: where workers write what they count."""
    load.replaces_calls = True
    await load.ramp_up(ramp_s)
    began_s = time.monotonic()
    looks: list[dict[str, float]] = []
    while time.monotonic() - began_s < minutes * 60:
        await load.sleep(60 / LOOKS)
        looks.append(await look(load, state))
        if len(looks) % LOOKS == 0:
            done = sum(call.ended is not None for call in load.notes)
            failed = sum(call.ended is not None and not call.has_finished for call in load.notes)
            held = "  ".join(f"{name} {value:.0f}" for name, value in looks[-1].items())
            cores = "  ".join(f"{name} {used:.2f}" for name, used in load.cores().items())
            print(
                f"minute {len(looks) // LOOKS}: live {len(load.live)}  done {done}  failed {failed}  {held}  "
                f"cores: {cores}",
                flush=True,
            )
            load.restart_cpu_count()
    load.replaces_calls = False
    await load.until_done()
    return looks


async def run(options: argparse.Namespace) -> int:
    """Run the calls and print what grew. Return the exit status."""
    with tempfile.TemporaryDirectory(prefix="lexbridge-soak-") as directory:
        state = None if options.without_greenlets else Path(directory) / "state"
        settings = settings_from(options.setting)
        program = options.program
        if state is not None:
            settings |= {"BENCH_STATE": str(state), "BENCH_PROGRAM": str((ROOT / program).resolve())}
            program = "bench/stress/state_server.py"
        plan = Plan(
            calls=options.calls,
            least_turns=5,
            most_turns=15,
            answers_after_s=ANSWERS_AFTER_S,
            workers=options.workers,
            settings=settings,
            program=program,
        )
        async with running(plan, options.logs) as load:
            try:
                looks = await soak(load, options.minutes, options.ramp, state)
            except ServiceEnded as error:
                print(f"{type(error).__name__}: {error}")
                return 1
            missed = growth(looks)
            failed = [call for call in load.notes if not call.has_finished]
            missed += [f"{call.sid} {call.ended} {call.detail}" for call in failed[:10]]
            if len(looks) < 3:
                missed.append("too short to tell")
            await load.twilio.settle(5)
            lex = await load.counts()
            print(f"{len(load.notes)} calls, {len(failed)} failed; Lex: {lex}")
            print(f"Twilio complains: {dict(load.twilio.complaints)}")
            print("\n".join(f"MISSED: {words}" for words in missed) or "nothing grew, no call failed")
            return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("soak", __doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the run (default: %(default)g)")
    add_calls(parser, 200)
    ramp = "seconds in which the first calls come in (default: %(default)g)"
    parser.add_argument("--ramp", type=float, default=10.0, help=ramp)
    parser.add_argument("--without-greenlets", action="store_true", help="run the program as it is, without SIGRTMIN")
    add_service(parser)
    return asyncio.run(run(parser.parse_args(arguments)))
