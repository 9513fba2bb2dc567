"""How well each detector hears, measured on recorded speech on simulated telephone lines.

Builds the set from recordings that Debian's packages bring (fetched once into ~/.cache/lexbridge/recordings), has
every detector hear it, prints the tables, and each limit beside its figure; exit status 1 when one is missed. Seeded:
the same command gives the same tables, but for the CPU. Some ten minutes on two cores. Needs:

    pip install -r requirements-bench.txt

    python -m bench endpointing                                   # the tables
    python -m bench endpointing --write docs                      # and into docs/endpointing-figures.md, with pictures
    python -m bench endpointing --voices development --seed 7     # to tune on: never on the voices held out
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from bench.harness.arguments import make_parser


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = make_parser("endpointing", __doc__)
    parser.add_argument("--voices", choices=("held-out", "development"), default="held-out", help="whose (held-out)")
    parser.add_argument("--seed", type=int, default=20261123, help="of the lines (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once (one for each core)")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write endpointing-figures.md and pictures into it"
    )
    parser.add_argument("--no-limits", action="store_true", help="exit status 0 even when a limit is missed")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    args = options(arguments)
    from bench.endpointing.report import report

    return report(args)
