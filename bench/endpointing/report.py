"""Report of the measurement: tables, limits and pictures."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.endpointing.cost import bridge_us, cost_limits, cost_table, costs, silent_us
from bench.endpointing.detectors import BARE_ROWS, SERVICE_ROWS
from bench.endpointing.limits import limits, limits_table
from bench.endpointing.plan import QUICK, WHOLE
from bench.endpointing.plots import draw
from bench.endpointing.run import SIDES, Measured, measure, recorded_lines
from bench.endpointing.scoring import REPLY_MS
from bench.endpointing.tables import at, background_table, bare_table, said_table, troubles_tables, usual

FIGURES = "endpointing-figures.md"
HEAD = """# Endpointing: the figures

Made by `python -m bench endpointing --write docs`; do not edit. [endpointing.md](endpointing.md) says what they mean.
Pictures: [operating curves](images/endpointing-operating.png), [delays](images/endpointing-delays.png),
[cutting in against waiting](images/endpointing-tradeoff.png).
"""

BARE = "Hangover 700 ms (but for one), onset 20 ms, no pre-roll; quiet and all backgrounds at 20 and 10 dB together."
SERVICE = (
    "Onset 60 ms, pre-roll 500 ms, hangover 700 ms; the last row has the hangover that listens. What is said: quiet to "
    "10 dB, without babble. Open, phrase, closed, digits: what was asked. "
    f"Joined: the caller went on within {REPLY_MS} ms of the end."
)
BACKGROUND = "Triggers an hour while nobody speaks; the same rules."
LOUD = "As the service runs them, hangover 700 ms, all backgrounds together."
SPOKEN = "Utterances missed / fluent ones split / run on, %. Lost frames are 5 %, in bursts, in a car at 20 dB."
SILENT = "Triggers an hour."


@dataclass(frozen=True, slots=True)
class Section:
    """Section of the report."""

    title: str
    what: str
    table: str = ""

    def __str__(self) -> str:
        return "\n\n".join(filter(None, (f"## {self.title}", self.what, self.table)))


def report(args: argparse.Namespace) -> int:
    """Print the tables, and write them and the pictures if asked to. Return the exit status."""
    spent = costs(recorded_lines(args.voices), args.seed)
    rest_us = bridge_us() - silent_us()
    measured = measure(args.voices, QUICK if args.quick else WHOLE, args.seed, args.processes)
    found = [*limits(measured), *cost_limits(spent)]
    cpu = f"Microseconds of one core a frame of 20 ms, median; the service spends {rest_us:.0f} us on a frame besides."
    sections = [
        Section("The set", _the_set(measured, args)),
        *_tables(measured),
        Section("CPU", cpu, cost_table(spent, rest_us)),
        Section("Limits", "", limits_table(found)),
    ]
    text = "\n".join(map(str, sections))
    print(text)
    if args.write:
        pictures = args.write / "images"
        pictures.mkdir(parents=True, exist_ok=True)
        (args.write / FIGURES).write_text(f"{HEAD}\n{text}", encoding="utf-8")
        draw(pictures, measured)
    return 1 if not all(one.is_held for one in found) and not args.no_limits else 0


def _the_set(measured: Sequence[Measured], args: argparse.Namespace) -> str:
    def amount(of: Sequence[Measured]) -> str:
        utterances = sum(len(one.truth.spoken) for one in of)
        silent_s = sum(one.truth.length_s for one in of if not one.truth.spoken)
        return f"{utterances:,} utterances and {silent_s / 3600:.1f} h of line on which nobody speaks"

    return (
        f"{amount(measured)}; {args.voices} voices ({', '.join(SIDES[args.voices])}), seed {args.seed}.\n"
        f"Of them {amount([one for one in measured if usual(one)])} are usual: quiet, and\n"
        "white noise, babble, music, a car, mains hum and clicks, 20 and 10 dB under the speech (-26 dBov).\n"
    )


def _tables(measured: Sequence[Measured]) -> Iterator[Section]:
    service = [row.name for row in SERVICE_ROWS]
    spoken, silent = troubles_tables(measured)
    yield Section("Every detector, bare", BARE, bare_table(measured, [row.name for row in BARE_ROWS], usual))
    yield Section("As the service runs them: what is said", SERVICE, said_table(measured))
    yield Section("As the service runs them: what is not said", BACKGROUND, background_table(measured))
    yield Section("In loud noise: 5 dB", LOUD, bare_table(measured, service, at(5)))
    yield Section("In loud noise: 0 dB", LOUD, bare_table(measured, service, at(0)))
    yield Section("Levels and troubles: speech", SPOKEN, spoken)
    yield Section("Levels and troubles: nobody speaks", SILENT, silent)
