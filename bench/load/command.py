"""CPU, lateness and memory of live calls through the whole service, against other servers in turns.

    python -m bench load --calls 400 --detectors amplitude --peers picows,c --quick
    python -m bench load --sounds silent,talking --calls 200 --tls
    python -m bench load --before ../the-old-one --calls 400,1200 --peers none
    python -m bench load --everything --write docs

The callers (`bench/load/paced_calls.c`, compiled by cc) send a media message every 20 ms in each call, evenly
staggered, with real handshakes, tokens and timestamps. Those that talk say a phrase nine times a minute. The server is
`server.py` as in production. The peers only decode the audio and take its RMS: stock gevent-websocket below
flask-sockets, picows on uvloop with msgspec, and a small server in C. CPU is that of the workers alone, from schedstat.
The cases take turns, round after round, and the round with the least CPU counts, because other work on the machine only
adds to it.

"age": age of a media message when the server has worked on it (ping to pong). A quiet line is visited at intervals, and
its messages wait for the visit: "beyond plan" is what p99 exceeds the interval by. "closed": from the end of a phrase
to the end of the request to Lex, without the hangover. "ms a turn": CPU that talking calls use beyond silent ones.
"core not had": share of the time of a worker's wait for its core; above 10 % its times are not judged.

Limits are ratios to the peers of the same run. Exit status 1 when one is not kept. Linux only.
"""

import asyncio
import json
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
from bench.load.plan import Choice, cases, everything
from bench.load.programs import NoCompiler, Place
from bench.load.report import best_of, document, figures_table, read_document, write_figures
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
        parser.add_argument(
            name, type=kind, default=kind(default), help=f"{what}, separated by commas (default: {default})"
        )
    parser.add_argument("--everything", action="store_true", help="the cases of docs/performance.md instead of these")
    parser.add_argument("--tls", action="store_true", help="talking calls ask Lex over TLS")
    parser.add_argument("--stalls", dest="watched", action="store_true", help="note how long the loop stalls")
    parser.add_argument("--before", type=Path, help="folder of another version of the service, which is measured too")
    parser.add_argument("--search", action="store_true", help="find the most calls that one core bears")
    add_seconds(parser, 8, "each round")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of each case (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of four seconds")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="setting of the service")
    parser.add_argument("--json", type=Path, help="file that gets all figures")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write load.json and images/load.png (with matplotlib)"
    )
    parser.add_argument(
        "--redraw", type=Path, metavar="FOLDER", help="measure nothing: draw the picture from load.json"
    )
    return parser


def _progress(text: str) -> None:
    """Show what is being measured, if somebody watches."""
    if sys.stderr.isatty():
        print(f"\r{text:79}\r", end="", file=sys.stderr, flush=True)


async def _run(options: Namespace, place: Place) -> int:
    times, rounds = (QUICK, 1) if options.quick else (Times(measured_s=options.seconds), options.rounds)
    settings = settings_from(options.setting)
    names = ("calls", "sounds", "detectors", "modes", "workers", "peers")
    fields = {name: getattr(options, name) for name in names}
    choice = Choice(**fields, tls=options.tls, watched=options.watched, before=options.before is not None)
    chosen = everything() if options.everything else cases(choice)
    found: dict[Case, list[Figures]] = {case: [] for case in chosen}
    for number in range(rounds):
        for case, of_case in found.items():
            _progress(f"round {number + 1}: {case.calls} calls, {case.name} ...")
            of_case.append(await measure(case, place, times, settings))
    _progress("")
    best = [best_of(of_case) for of_case in found.values()]
    print(figures_table(best))
    checked = list(limits(best))
    if options.search:
        services = [figures for figures in best if figures.case.is_service]
        checked += [await most_calls(figures, best, place, settings) for figures in services]
    rows = [limit.row() for limit in checked]
    for figures in best:
        if not figures.had_core:
            print(f"{figures.case.name}: a worker had to wait for its core; its times are not judged")
    print("\n" + table([["limit", "found", "most", "kept"], *rows]))
    made = document(found.values(), rows)
    if options.json:
        options.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    if options.write:
        write_figures(options.write, made)
    return 0 if all(limit.is_kept for limit in checked) else 1
