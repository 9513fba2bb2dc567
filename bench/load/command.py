"""CPU, lateness and memory of live calls through the whole service, against other servers in turns.

    python -m bench load
    python -m bench load --calls 400 --detectors amplitude --peers picows,c --quick
    python -m bench load --sounds silent,talking --calls 200 --tls
    python -m bench load --before ../the-old-one --calls 400,1200 --peers none
    python -m bench load --everything --write docs
    python -m bench load --sounds silent,talking --calls 200 --tls --search

Without a choice of cases it is the gate: 400 silent calls beside the peers, and the CPU of a turn over TLS at 200
calls, three rounds of each in some seven minutes. --everything takes some ten minutes for two rounds, and --search two
to five minutes more for each case of the service. A round of a case takes 15 to 20 s.

The callers (`bench/load/paced_calls.c`, compiled by cc) send a media message every 20 ms in each call, evenly
staggered, with real handshakes, tokens and timestamps. Those that talk say a phrase nine times a minute. The server is
`server.py` as in production, with a clock around its reading. The peers only decode the audio and take its RMS: stock
gevent-websocket below flask-sockets, picows on uvloop with msgspec, and a small server in C. CPU is that of the workers
alone, from schedstat. The cases take turns, round after round, and the round with the least CPU counts, because other
work on the machine only adds to it. A round in which a worker waited for its core counts only if there is no other: a
worker that waits finds more at each visit.

"age": age of a media message when the server has worked on it (ping to pong). A quiet line is visited at intervals, and
its messages wait for the visit: "beyond plan" is what p99 exceeds the interval by. "closed": from the end of a phrase
to the end of the request to Lex, without the hangover. "ms a turn": CPU that talking calls use beyond as many silent
ones, for each turn, with everything in it; median of the rounds. "of it frames": what reading and hearing media takes
of that, because a line on which somebody speaks is read more often, and voiced frames go the long way. "kB a call":
what the workers grew by; some MB of it are of the first calls alone, so the limit is told of one more call where a run
has two sizes. "core not had":
share of the time of a worker's wait for its core; above 10 % its times are not judged.

Limits are ratios to the peers of the same run. Exit status 1 when one is not kept. Linux only.
"""

import asyncio
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.harness import proc
from bench.harness.arguments import add_seconds, make_parser, settings_from
from bench.harness.report import table
from bench.load import programs
from bench.load.case import PEERS, Case, Figures
from bench.load.compare import limits
from bench.load.measure import Times, measure
from bench.load.plan import Choice, cases, everything, gate
from bench.load.programs import NoCompiler, Place
from bench.load.report import JSON, document, figures_table, read_document, rounds_of, write_figures, write_json
from bench.load.rounds import chosen
from bench.load.search import most_calls

QUICK = Times(2.5, 4.0)


def words(text: str) -> list[str]:
    """Return the words of an argument that are separated by commas; none of "none"."""
    return [] if text == "none" else text.split(",")


def numbers(text: str) -> list[int]:
    """Return the numbers of an argument that are separated by commas."""
    return [int(word) for word in text.split(",")]


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    options = _parser().parse_args(arguments)
    if options.redraw:
        write_figures(options.redraw, read_document(options.redraw))
        return 0
    proc.raise_descriptor_limit()
    with tempfile.TemporaryDirectory(prefix="lexbridge-load-") as folder:
        try:
            callers = programs.compiled(programs.CALLERS, Path(folder))
        except NoCompiler as error:
            print(error, file=sys.stderr)
            return 2
        return asyncio.run(_run(options, Place(Path(folder), callers, options.before)))


def _parser() -> ArgumentParser:
    parser = make_parser("load", __doc__)
    lists: list[tuple[str, Callable[[str], list[Any]], str, str]] = [
        ("--calls", numbers, "400", "numbers of live calls"),
        ("--sounds", words, "silent", "silent, talking"),
        ("--detectors", words, "amplitude", "amplitude, adaptive, hybrid, ..."),
        ("--modes", words, "call-update", "call-update, stream"),
        ("--workers", numbers, "1", "numbers of workers"),
        ("--peers", words, ",".join(PEERS), "none, or some of these"),
    ]
    for name, kind, default, what in lists:
        parser.add_argument(name, type=kind, help=f"{what}, separated by commas (if others are chosen: {default})")
    parser.add_argument("--everything", action="store_true", help="the cases of docs/performance.md instead of these")
    parser.add_argument("--tls", action="store_true", help="talking calls ask Lex over TLS")
    parser.add_argument("--stalls", dest="watched", action="store_true", help="note how long the loop stalls")
    parser.add_argument("--before", type=Path, help="folder of another version of the service, which is measured too")
    parser.add_argument("--search", action="store_true", help="find the most calls that one core bears")
    add_seconds(parser, 8, "each round")
    parser.add_argument("--rounds", type=int, help="rounds of each case (default: 2; of the gate 3)")
    parser.add_argument("--quick", action="store_true", help="one round of four seconds")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="setting of the service")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        default=Path(tempfile.gettempdir()) / "lexbridge-load",
        help="gets load.json, after each round of a case anew, and images/load.png (with matplotlib) (%(default)s)",
    )
    parser.add_argument(
        "--go-on", action="store_true", help="keep the rounds that load.json has, and measure those that are missing"
    )
    parser.add_argument(
        "--redraw", type=Path, metavar="FOLDER", help="measure nothing: draw the picture from load.json"
    )
    return parser


def _progress(text: str) -> None:
    """Show what is being measured, if somebody watches."""
    if sys.stderr.isatty():
        print(f"\r{text:79}\r", end="", file=sys.stderr, flush=True)


def _plan(options: Namespace) -> list[Case]:
    """Return the cases that were chosen."""
    if options.everything:
        return everything(options.before is not None)
    names = ("calls", "sounds", "detectors", "modes", "workers", "peers")
    fields = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    before = options.before is not None
    if not fields and not options.watched:
        return gate(before)
    return cases(Choice(**fields, tls=options.tls, watched=options.watched, before=before))


def _rounds_so_far(options: Namespace, plan: Sequence[Case]) -> dict[Case, list[Figures]]:
    """Return the rounds of each case that an earlier run has measured, if this one goes on with it."""
    kept = rounds_of(read_document(options.write)) if options.go_on and (options.write / JSON).exists() else {}
    return {case: kept.get(case, []) for case in plan}


async def _run(options: Namespace, place: Place) -> int:
    times, rounds = Times(measured_s=options.seconds), options.rounds or (3 if _plan(options) == gate() else 2)
    if options.quick:
        times, rounds = QUICK, 1
    settings = settings_from(options.setting)
    found = _rounds_so_far(options, _plan(options))
    for number in range(rounds):
        for case, of_case in found.items():
            if len(of_case) > number:
                continue
            _progress(f"round {number + 1}: {case.calls} calls, {case.name} ...")
            of_case.append(await measure(case, place, times, settings))
            best = chosen(found)
            write_json(options.write, document(found, [limit.row() for limit in limits(best)]))
    _progress("")
    best = chosen(found)
    print(figures_table(best))
    for figures in best:
        if not figures.had_core:
            print(f"{_title(figures)}: no round without a wait for a core ({figures.waited:.0%}); times are not judged")
    checked = list(limits(best))
    if options.search:
        services = [figures for figures in best if figures.case.is_service]
        checked += [await most_calls(figures, best, place, settings) for figures in services]
    rows = [limit.row() for limit in checked]
    print("\n" + table([["limit", "found", "most", "kept"], *rows]))
    write_figures(options.write, document(found, rows))
    print(f"figures: {options.write / JSON}")
    return 0 if all(limit.is_kept for limit in checked) else 1


def _title(figures: Figures) -> str:
    return f"{figures.case.name}, {figures.case.calls} {'talking' if figures.case.talks else 'silent'}"
