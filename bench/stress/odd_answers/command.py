"""Odd answers of Lex or Twilio: what they cost, and whether the caller hears something all the same.

Each case is a `server.py` of its own between a Lex and a Twilio. Each of them is a process at a low priority, and one
of them answers oddly, at full speed where it floods: Lex in every turn, Twilio to the first two requests. A caller says
something and listens; a neighbour, another call, measures with 50 pings a second how long the service takes to answer.
In stream mode Lex speaks lexbridge's own phrases, so Twilio's cases are of call-update mode.

Prints for each case when something was heard (media that is not silent, or a document that says something), in seconds
from the end of what the caller said; the worker's memory before, and at its peak; and the neighbour's figures. Exit
status 1 when nothing was heard within 6 s, memory grew by more than 20 MB, or a pong took longer than 50 ms.

    python -m bench odd_answers                          # all of it: some 15 minutes
    python -m bench odd_answers --reply-mode stream bomb # the cases of one mode with this word in their names
"""

import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.harness import proc, service
from bench.harness.arguments import add_case_words, make_parser
from bench.harness.report import percentile, table
from bench.harness.service import Process
from bench.harness.settings import AUTH_TOKEN, PUBLIC_URL
from bench.stress.odd_answers.answers import LEX, TWILIO
from bench.stress.odd_answers.call import Call
from lexbridge.offline.ports import free_port

HEARD_WITHIN_S = 6.0
"""Longest time from the end of what the caller said until something is heard, seconds."""
GROWS_AT_MOST_MB = 20.0
NEIGHBOUR_AT_MOST_MS = 50.0
WATCHED_S = 4.0
"""Shortest time that a case is watched after what the caller said, seconds, because a flood goes on."""


@dataclass(frozen=True, slots=True)
class Case:
    """Odd answer: reply mode, "lex" or "twilio", and name of the answer."""

    mode: str
    who: str
    name: str


@dataclass(slots=True)
class Result:
    """Result of a case."""

    case: Case
    heard_s: float | None = None
    before_mb: float = 0.0
    peak_mb: float = 0.0
    pongs_ms: list[float] = field(default_factory=list)
    """Times from a ping of the neighbour to its pong, sorted."""
    late_ms: float = 0.0
    """Lateness of the neighbour's own clock."""

    @property
    def worst_ms(self) -> float:
        """Longest time to a pong, ms."""
        return self.pongs_ms[-1] if self.pongs_ms else float("inf")

    def problems(self, neighbour_ms: float) -> list[str]:
        """Return the limits that the case missed."""
        missed = {
            "nothing heard": self.heard_s is None,
            "heard late": self.heard_s is not None and self.heard_s > HEARD_WITHIN_S,
            "memory grew": self.peak_mb - self.before_mb > GROWS_AT_MOST_MB,
            "the neighbour waited": self.worst_ms > neighbour_ms,
        }
        return [what for what, is_so in missed.items() if is_so]

    def row(self, neighbour_ms: float) -> list[str]:
        """Return the line of the table."""
        p99_ms = percentile(self.pongs_ms, 99, default=math.inf)
        return [
            f"{self.case.who} {self.case.name}",
            "-" if self.heard_s is None else f"{self.heard_s:.2f}",
            f"{self.before_mb:.0f}",
            f"{self.peak_mb:.0f}",
            f"{p99_ms:.0f}",
            f"{self.worst_ms:.0f}",
            f"{self.late_ms:.0f}",
            ", ".join(self.problems(neighbour_ms)) or "ok",
        ]


HEADING = ["case", "heard s", "MB", "peak MB", "neighbour p99 ms", "max ms", "bench late ms", "verdict"]


def cases(modes: Sequence[str], words: Sequence[str]) -> list[Case]:
    """Return the cases that have any of `words` in their names."""
    found = [Case(mode, "lex", name) for mode in modes for name in LEX]
    odd = [name for name in TWILIO if name != "right"]
    found += [Case("call-update", "twilio", name) for name in odd if "call-update" in modes]
    return [case for case in found if not words or any(word in f"{case.who} {case.name}" for word in words)]


async def measure(case: Case, folder: Path) -> Result:
    """Run a case, through a `server.py` of its own."""
    odd = [
        "-m",
        "bench.stress.odd_answers.server",
        case.who,
        case.name,
        *(["--times", "2"] if case.who == "twilio" else []),
    ]
    right = ["-m", "bench.stress.odd_answers.server", "twilio" if case.who == "lex" else "lex", "right", "--times", "0"]
    async with Process(odd, {}, folder / "odd.log") as one, Process(right, {}, folder / "right.log") as other:
        lex, twilio = (one, other) if case.who == "lex" else (other, one)
        ports = [int(await peer.first_line()) for peer in (lex, twilio)]
        port = free_port()
        bridge = service.server(
            folder / "bridge.log",
            port=port,
            lex_port=ports[0],
            twilio_url=f"http://127.0.0.1:{ports[1]}",
            auth_token=AUTH_TOKEN,
            settings={"REPLY_MODE": case.mode, "URL": PUBLIC_URL},
        )
        async with bridge:
            await bridge.until_served(port, "/ready")
            return await _call(case, port, bridge.workers[0], twilio)


async def _call(case: Case, port: int, worker: int, twilio: Process) -> Result:
    result = Result(case)
    sounds: list[float] = []
    neighbour, caller = Call(1, lambda _: None), Call(2, sounds.append)
    await neighbour.open(port)
    await caller.open(port)
    await asyncio.sleep(1.0)  # meanwhile, in stream mode, Lex speaks lexbridge's own phrases
    neighbour.forget_pings()
    result.before_mb = result.peak_mb = proc.resident_mb(worker)
    ended_s = caller.say()
    until_s = ended_s + 2 * HEARD_WITHIN_S
    while time.monotonic() < until_s:
        await asyncio.sleep(0.05)
        result.peak_mb = max(result.peak_mb, proc.resident_mb(worker))
        heard = [*sounds, *(float(line) for line in twilio.log.read_text(encoding="ascii").split("\n")[1:] if line)]
        if heard:
            result.heard_s = max(0.0, min(heard) - ended_s)
            until_s = min(until_s, max(ended_s + WATCHED_S, min(heard) + 1))
    result.pongs_ms = sorted([*neighbour.pongs_ms, neighbour.waiting_ms()])
    result.late_ms = neighbour.late_ms
    neighbour.close()
    caller.close()
    return result


async def measure_all(chosen: Sequence[Case], neighbour_ms: float) -> int:
    """Run the cases one after the other and print the table. Return the exit status."""
    status = 0
    for mode in dict.fromkeys(case.mode for case in chosen):
        rows = [HEADING]
        for case in chosen:
            if case.mode == mode:
                with tempfile.TemporaryDirectory() as folder:
                    result = await measure(case, Path(folder))
                rows.append(result.row(neighbour_ms))
                status |= bool(result.problems(neighbour_ms))
        print(f"{mode}\n\n{table(rows)}\n", flush=True)
    print(f"limits: heard within {HEARD_WITHIN_S:g} s, {GROWS_AT_MOST_MB:g} MB more, a pong within {neighbour_ms:g} ms")
    return status


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("odd_answers", __doc__)
    add_case_words(parser)
    parser.add_argument(
        "--reply-mode",
        choices=("call-update", "stream", "both"),
        default="both",
        help="REPLY_MODE (default: %(default)s)",
    )
    pong = "longest time to a pong, ms; give more on a machine that is busy otherwise (default: %(default)g)"
    parser.add_argument("--neighbour-ms", type=float, default=NEIGHBOUR_AT_MOST_MS, help=pong)
    options = parser.parse_args(arguments)
    modes = ("call-update", "stream") if options.reply_mode == "both" else (options.reply_mode,)
    return asyncio.run(measure_all(cases(modes, options.words), options.neighbour_ms))
