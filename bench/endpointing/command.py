"""Accuracy, delay and CPU of each voice detector, measured with recorded speech on simulated telephone lines.

Builds the set from recordings of Debian's packages (fetched once into ~/.cache/lexbridge/recordings), has every
detector hear it, and prints the tables, with each limit beside its figure; exit status 1 when one is missed. Seeded:
the same command gives the same tables, except for the CPU. It takes some ten minutes on two cores, and needs

    pip install -r requirements-bench.txt

    python -m bench endpointing                                # the tables
    python -m bench endpointing --write docs                   # into docs/endpointing-figures.md too, with pictures
    python -m bench endpointing --voices development --seed 7  # for tuning, which never hears the held-out voices
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bench.harness.arguments import add_seed, make_parser


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options that the command line gives."""
    parser = make_parser("endpointing", __doc__)
    parser.add_argument(
        "--voices",
        choices=("held-out", "development"),
        default="held-out",
        help="voices of the callers (default: %(default)s)",
    )
    add_seed(parser, 20261123, "the lines")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="number of processes (default: one for each core)"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write endpointing-figures.md and pictures into it"
    )
    parser.add_argument("--quick", action="store_true", help="use a small set, to try the command: the figures vary")
    parser.add_argument("--no-limits", action="store_true", help="exit with status 0 even if a limit is missed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    args = options(arguments)
    from bench.endpointing.report import report

    return report(args)
